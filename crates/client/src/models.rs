//! The names of an endpoint's models (`GET /models` of OpenAI's API reference): one short call, made for a person who is
//! choosing, so it is not retried, not recorded, and waits for nobody's turn.

use std::time::Duration;

use aurora_chat::{Deadline, Failure, FailureKind, Limit};
use serde_json::Value;

use crate::{Client, Endpoint, mask::Mask, response::Response};

/// The longest list that is read, in bytes.
const MAX_BYTES: usize = 4 << 20;

/// The most names that are given, and the longest of them, in bytes.
const MAX_NAMES: usize = 10_000;
const MAX_NAME: usize = 256;

impl Client {
    /// Asks an endpoint for the names of its models; at most 10,000, in the order the server lists them. A name that is
    /// longer than 256 bytes or has control characters is left out. Cancel safe: dropped, the call is given up.
    ///
    /// # Errors
    ///
    /// No answer in time ([`Deadline::Total`]), a status other than success, a list longer than 4 MiB
    /// ([`Limit::Event`]), or something that is no list of models.
    pub async fn models(&self, endpoint: &Endpoint, within: Duration) -> Result<Vec<String>, Failure> {
        let asked = async {
            let outgoing = self.pool.request(endpoint, "/models", Vec::new())?;
            let response = outgoing.fetch().await.map_err(|unsent| unsent.failure)?;
            let status = response.status();
            if !(200..300).contains(&status) {
                let message = format!("the server answered with status {status}");
                return Err(Failure {
                    status: Some(status),
                    ..Failure::new(FailureKind::Status, message)
                });
            }
            let names = names(&body(response).await?);
            names.ok_or_else(|| {
                Failure::new(FailureKind::Protocol, "the server's answer is no list of models")
            })
        };
        let names = tokio::time::timeout(within, asked).await.map_err(|_| {
            let deadline = Deadline::Total;
            let message = format!("no list of models within {} s", within.as_secs_f64());
            Failure::new(FailureKind::Deadline(deadline), message)
        })??;
        let mask = Mask::new(endpoint.api_key.as_ref());
        Ok(names.iter().map(|name| mask.text(name).into_owned()).collect())
    }
}

async fn body(mut response: Response) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if bytes.len() + chunk.len() > MAX_BYTES {
            let message = "the list of models is longer than the limit of 4 MiB";
            return Err(Failure::new(FailureKind::Limit(Limit::Event), message));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// The names in a list of models; `None` if this is none.
fn names(body: &[u8]) -> Option<Vec<String>> {
    let list: Value = serde_json::from_slice(body).ok()?;
    let presentable =
        |name: &&str| !name.is_empty() && name.len() <= MAX_NAME && !name.contains(char::is_control);
    let models = list.get("data")?.as_array()?.iter();
    let names = models.filter_map(|model| model.get("id")?.as_str());
    Some(
        names
            .filter(presentable)
            .take(MAX_NAMES)
            .map(str::to_owned)
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_a_list_and_from_nothing_else() {
        let long = "x".repeat(MAX_NAME + 1);
        let body = format!(
            r#"{{"object":"list","data":[{{"id":"b"}},{{"id":7}},{{}},{{"id":"a\u001b[2J"}},{{"id":"{long}"}},{{"id":"org/a"}}]}}"#
        );
        assert_eq!(names(body.as_bytes()).unwrap(), ["b", "org/a"]);
        for body in ["", "[]", "{}", r#"{"data":{}}"#, "<html>"] {
            assert_eq!(names(body.as_bytes()), None, "{body}");
        }
    }
}
