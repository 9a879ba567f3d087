//! What a response is called, and which of its events a client has.
//!
//! A response is named after its stream, so nothing has to be kept to find one by the other. The ids of its events have
//! that name in them and are no cursors of the stream: the two count different things.

use std::fmt;
use std::str::FromStr;

use aurora_streamlog::{Cursor, ParseError, StreamId};
use http::{HeaderMap, Uri};

use crate::Refusal;
use crate::caller::{bad_cursor, last_event_id};
use crate::query::parameter;

const PREFIX: &str = "resp_";

/// `resp_` and the stream's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ResponseId(pub(super) StreamId);

impl fmt::Display for ResponseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.0)
    }
}

impl FromStr for ResponseId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let stream = text.strip_prefix(PREFIX).ok_or(ParseError::Malformed)?;
        stream.parse().map(Self)
    }
}

/// An event of a response: written `<response>.<sequence number>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) response: ResponseId,
    pub(super) sequence_number: u64,
}

/// The last event that the caller has, from the header `Last-Event-ID`.
pub(super) fn place(headers: &HeaderMap) -> Result<Option<Place>, Refusal> {
    let Some(text) = last_event_id(headers)? else {
        return Ok(None);
    };
    let cursor: Option<Cursor> = text.strip_prefix(PREFIX).and_then(|cursor| cursor.parse().ok());
    match cursor {
        Some(Cursor { stream, seq }) => Ok(Some(Place {
            response: ResponseId(stream),
            sequence_number: seq,
        })),
        None => {
            let shown = aurora_chat::redact::printable(text, 100);
            let message = format!(
                "Last-Event-ID is '{shown}', which is no event of a response: those are called \
                 {PREFIX}<stream>.<sequence number>"
            );
            Err(bad_cursor(&message, "Last-Event-ID"))
        }
    }
}

/// Whether `?stream=` asks for events; `None` where it says nothing.
pub(super) fn wants_stream(uri: &Uri) -> Result<Option<bool>, Refusal> {
    let Some(value) = parameter(uri, "stream").transpose()? else {
        return Ok(None);
    };
    match value.as_str() {
        "true" | "True" | "1" => Ok(Some(true)),
        "false" | "False" | "0" => Ok(Some(false)),
        _ => Err(invalid("stream", "the parameter stream must be true or false")),
    }
}

/// The event that `?starting_after=` names.
pub(super) fn starting_after(uri: &Uri) -> Result<Option<u64>, Refusal> {
    let Some(value) = parameter(uri, "starting_after").transpose()? else {
        return Ok(None);
    };
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    match value.parse() {
        Ok(number) if digits => Ok(Some(number)),
        _ => Err(invalid(
            "starting_after",
            "the parameter starting_after must be the sequence_number of an event, a whole number from 0",
        )),
    }
}

pub(super) fn invalid(param: &str, message: &str) -> Refusal {
    Refusal::invalid(400, message, Some(param), Some("invalid_parameter"))
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    const ID: &str = "resp_AAAAAAAAAAAAAAAAAAAAAA";

    #[test]
    fn a_response_has_one_name() {
        let id = ResponseId(StreamId::from_bytes([0; 16]));
        assert_eq!(id.to_string(), ID);
        assert_eq!(ID.parse(), Ok(id));
        for other in [
            "AAAAAAAAAAAAAAAAAAAAAA",
            "resp_",
            "resp_AAAAAAAAAAAAAAAAAAAAAB",
            "resp_resp_AAAAAAAAAAAAAAAAAAAAAA",
            "RESP_AAAAAAAAAAAAAAAAAAAAAA",
        ] {
            assert_eq!(other.parse::<ResponseId>(), Err(ParseError::Malformed), "{other}");
        }
    }

    #[test]
    fn only_events_of_responses_are_places() {
        let read = |text: &str| {
            let headers = [(
                HeaderName::from_static("last-event-id"),
                text.parse().expect("text"),
            )]
            .into_iter()
            .collect();
            place(&headers).map(|place| place.map(|place| place.sequence_number))
        };
        assert_eq!(read(&format!("{ID}.0")), Ok(Some(0)));
        assert_eq!(read(&format!("{ID}.{}", u64::MAX)), Ok(Some(u64::MAX)));
        assert_eq!(read(""), Ok(None));
        for text in [
            "AAAAAAAAAAAAAAAAAAAAAA.0",
            "resp_AAAAAAAAAAAAAAAAAAAAAA",
            "resp_AAAAAAAAAAAAAAAAAAAAAA.-1",
            "resp_AAAAAAAAAAAAAAAAAAAAAA.01",
            "resp_AAAAAAAAAAAAAAAAAAAAAA.18446744073709551616",
            "5",
        ] {
            let refusal = read(text).expect_err("no place");
            assert_eq!(
                (refusal.status(), refusal.body().param.as_deref()),
                (400, Some("Last-Event-ID"))
            );
        }
    }

    #[test]
    fn parameters() {
        let uri = |query: &str| -> Uri { format!("/x?{query}").parse().expect("a URI") };
        let stream = |query: &str| wants_stream(&uri(query)).map_err(|refusal| refusal.status());
        assert_eq!(stream("stream=true"), Ok(Some(true)));
        assert_eq!(stream("stream=false"), Ok(Some(false)));
        assert_eq!(stream("a=1"), Ok(None));
        assert_eq!(stream("stream=maybe"), Err(400));
        let after = |query: &str| starting_after(&uri(query)).map_err(|refusal| refusal.status());
        assert_eq!(after("starting_after=7"), Ok(Some(7)));
        assert_eq!(after("starting_after="), Ok(None));
        for query in ["-1", "%2B1", "x", "1.0", "18446744073709551616"] {
            assert_eq!(after(&format!("starting_after={query}")), Err(400), "{query}");
        }
    }
}
