//! Who asks, and how they want to be treated: what a request's headers say about streams.

use std::sync::Arc;
use std::time::Duration;

use aurora_streamlog::{Cursor, Owner};
use http::{HeaderMap, HeaderName, Uri};
use tokio::time::Instant;

use crate::Refusal;
use crate::keys::{Holder, Permit};
use crate::query::parameter;
use crate::streams::relay::Absence;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const ON_DISCONNECT: HeaderName = HeaderName::from_static("x-on-disconnect");

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Whose the streams are that this caller begins, and which ones it may read.
    pub(crate) owner: Owner,
    holder: Option<Arc<Holder>>,
}

impl Caller {
    /// Whoever asks a server without keys.
    pub(crate) fn anyone() -> Self {
        Self {
            owner: Owner::ANYONE,
            holder: None,
        }
    }

    /// Who has shown this key.
    pub(crate) fn holding(owner: Owner, holder: Arc<Holder>) -> Self {
        Self {
            owner,
            holder: Some(holder),
        }
    }

    /// The name of the caller's key.
    pub(crate) fn name(&self) -> Option<&str> {
        self.holder.as_deref().map(Holder::name)
    }

    /// The right to begin an answer; 429 if the key allows no more.
    pub(crate) fn admit(&self) -> Result<Permit, Refusal> {
        match &self.holder {
            Some(holder) => holder.admit(Instant::now()),
            None => Ok(Permit::default()),
        }
    }

    /// What becomes of an answer whose reader leaves: `x-on-disconnect: cancel` ends it at once, `continue` lets it come
    /// to its end; without it, it is as `usual`.
    pub(crate) fn absence(&self, headers: &HeaderMap, usual: Absence) -> Result<Absence, Refusal> {
        match text(headers, &ON_DISCONNECT)? {
            None => Ok(usual),
            Some(word) if word.eq_ignore_ascii_case("cancel") => Ok(Absence::Cancel(Duration::ZERO)),
            Some(word) if word.eq_ignore_ascii_case("continue") => Ok(Absence::Continue),
            Some(_) => Err(Refusal::invalid(
                400,
                "the header x-on-disconnect must be cancel or continue",
                Some("x-on-disconnect"),
                Some("invalid_header"),
            )),
        }
    }
}

/// The last event that the caller has: from the header `Last-Event-ID`, which a browser sends when it comes back, or
/// else from the parameter `after`.
pub(crate) fn cursor(headers: &HeaderMap, uri: Option<&Uri>) -> Result<Option<Cursor>, Refusal> {
    if let Some(id) = last_event_id(headers)? {
        return parse(id, "Last-Event-ID").map(Some);
    }
    match uri.and_then(|uri| parameter(uri, "after")) {
        Some(id) => parse(&id?, "after").map(Some),
        None => Ok(None),
    }
}

/// What the header `Last-Event-ID` says, as it is.
pub(crate) fn last_event_id(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    text(headers, &LAST_EVENT_ID)
}

fn parse(text: &str, param: &str) -> Result<Cursor, Refusal> {
    text.parse().map_err(|error| {
        let shown = aurora_chat::redact::printable(text, 100);
        bad_cursor(
            &format!("{param} is '{shown}', which is no cursor: {error}"),
            param,
        )
    })
}

/// 400 for a place that no event has.
pub(crate) fn bad_cursor(message: &str, param: &str) -> Refusal {
    Refusal::invalid(400, message, Some(param), Some("invalid_cursor"))
}

/// A header's text; one that is empty counts as absent, which is how browsers begin.
fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Refusal> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let message = || format!("the header {name} is not text");
    let value = value
        .to_str()
        .map_err(|_| Refusal::invalid(400, message(), Some(name.as_str()), Some("invalid_header")))?;
    Ok(Some(value.trim()).filter(|value| !value.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        let pair =
            |(name, value): &(HeaderName, &str)| (name.clone(), value.parse().expect("a header value"));
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn the_header_is_newer_than_the_address() {
        let id = |seq| format!("AAAAAAAAAAAAAAAAAAAAAA.{seq}");
        let uri: Uri = format!("/v1/streams/x?after={}", id(1)).parse().expect("a URI");
        let read = |pairs: &[(HeaderName, &str)]| {
            cursor(&headers(pairs), Some(&uri))
                .expect("a cursor")
                .map(|cursor| cursor.seq)
        };
        assert_eq!(read(&[(LAST_EVENT_ID, &id(2))]), Some(2));
        assert_eq!(read(&[(LAST_EVENT_ID, "")]), Some(1));
        assert_eq!(read(&[]), Some(1));
        assert_eq!(cursor(&HeaderMap::new(), None), Ok(None));
    }

    #[test]
    fn what_is_no_cursor_is_refused_by_name() {
        for value in [
            "7",
            "-1",
            "x.1",
            "AAAAAAAAAAAAAAAAAAAAAA.-1",
            "AAAAAAAAAAAAAAAAAAAAAA.18446744073709551616",
        ] {
            let refusal = cursor(&headers(&[(LAST_EVENT_ID, value)]), None).expect_err("no cursor");
            assert_eq!(refusal.status(), 400, "{value}");
            assert_eq!(refusal.body().param.as_deref(), Some("Last-Event-ID"));
        }
    }

    #[test]
    fn what_becomes_of_an_answer_that_nobody_reads() {
        let caller = Caller::anyone();
        let grace = Duration::from_secs(15);
        let absence = |pairs: &[(HeaderName, &str)]| caller.absence(&headers(pairs), Absence::Cancel(grace));
        assert_eq!(absence(&[]), Ok(Absence::Cancel(grace)));
        assert_eq!(
            absence(&[(ON_DISCONNECT, "cancel")]),
            Ok(Absence::Cancel(Duration::ZERO))
        );
        assert_eq!(absence(&[(ON_DISCONNECT, "Continue")]), Ok(Absence::Continue));
        assert_eq!(
            absence(&[(ON_DISCONNECT, "maybe")]).map_err(|refusal| refusal.status()),
            Err(400)
        );
    }
}
