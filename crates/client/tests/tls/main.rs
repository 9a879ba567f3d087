//! Calls over TLS and HTTP/2, with certificates of an authority made for the test.
//!
//! On this platform the client trusts what the file in `SSL_CERT_FILE` holds. It is read once a process, and a process must not
//! change its own environment while it runs, so each test runs itself again as a child that has it set. Windows
//! and macOS ask the system instead, where no test may add an authority.

#![cfg(not(any(windows, target_vendor = "apple")))]

mod authority;
mod certificates;
mod server;
mod streams;

use std::time::Duration;

use aurora_chat::{ChatRequest, Delta, End, Message, Notice, Role, Update};
use aurora_client::{Answer, Client, Endpoint};

/// Far more than anything here takes, even on a busy machine.
const LONG: Duration = Duration::from_secs(30);

/// All that an answer said.
#[derive(Debug)]
struct Told(Vec<Update>);

impl Told {
    /// To the end of an answer, of which this much has been taken.
    async fn all(mut answer: Answer) -> Self {
        let mut updates = Vec::new();
        while let Some(update) = answer.next().await {
            updates.push(update);
        }
        Self(updates)
    }

    fn text(&self) -> String {
        let texts = self.0.iter().filter_map(|update| match update {
            Update::Delta(Delta::Text(text)) => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    }

    fn retries(&self) -> usize {
        let retry = |update: &&Update| matches!(update, Update::Notice(Notice::Retry { .. }));
        self.0.iter().filter(retry).count()
    }

    fn end(&self) -> &End {
        match self.0.last() {
            Some(Update::End(end)) => end,
            _ => panic!("an end: {self:?}"),
        }
    }

    fn message(&self) -> &str {
        let failure = self.end().failure.as_ref().expect("a failure");
        &failure.message
    }
}

fn start(client: &Client, endpoint: &Endpoint) -> Answer {
    let request = ChatRequest {
        model: "m".into(),
        messages: vec![Message::text(Role::User, "Hello?")],
        ..ChatRequest::default()
    };
    client.start(endpoint, request)
}

async fn call(client: &Client, endpoint: &Endpoint) -> Told {
    Told::all(start(client, endpoint)).await
}
