//! Calls over real loopback sockets, against an upstream that does what real ones do and worse.

mod connections;
mod continuing;
mod deadlines;
mod endings;
mod models;
mod pace;
mod quirks;
mod recordings;
mod resuming;
mod retries;
mod secrets;
mod served;
mod spans;
mod verbatim;
mod watching;

use std::time::Duration;

use aurora_chat::{ChatRequest, Delta, End, Failure, FailureKind, Message, Notice, Role, Update, Verdict};
use aurora_client::{Client, Endpoint};
use aurora_testkit::{Reply, Script, Upstream};

/// Far more than anything here takes, even on a busy machine.
const LONG: Duration = Duration::from_secs(30);

/// All that an answer said.
#[derive(Debug)]
struct Told {
    updates: Vec<Update>,
}

impl Told {
    fn text(&self) -> String {
        let texts = self.updates.iter().filter_map(|update| match update {
            Update::Delta(Delta::Text(text)) => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    }

    fn deltas(&self) -> Vec<&Delta> {
        let deltas = self.updates.iter().filter_map(|update| match update {
            Update::Delta(delta) => Some(delta),
            _ => None,
        });
        deltas.collect()
    }

    fn notices(&self) -> Vec<&Notice> {
        let notices = self.updates.iter().filter_map(|update| match update {
            Update::Notice(notice) => Some(notice),
            _ => None,
        });
        notices.collect()
    }

    /// The end, which must be there once, and last.
    fn end(&self) -> &End {
        let ends = self
            .updates
            .iter()
            .filter(|update| matches!(update, Update::End(_)))
            .count();
        match self.updates.last() {
            Some(Update::End(end)) if ends == 1 => end,
            _ => panic!("one end, at the end: {self:?}"),
        }
    }

    fn verdict(&self) -> Verdict {
        self.end().verdict
    }

    fn failure(&self) -> &Failure {
        self.end().failure.as_ref().expect("a failure")
    }

    fn kind(&self) -> FailureKind {
        self.failure().kind
    }
}

fn endpoint(url: &str) -> Endpoint {
    Endpoint::new("up", url).expect("a URL")
}

fn client() -> Client {
    Client::new().expect("a client")
}

fn request() -> ChatRequest {
    let messages = vec![Message::text(Role::User, "Hello?")];
    ChatRequest {
        model: "m".into(),
        messages,
        ..ChatRequest::default()
    }
}

/// One call to this endpoint, to its end.
async fn call(endpoint: &Endpoint) -> Told {
    let mut answer = client().start(endpoint, request());
    let mut updates = Vec::new();
    let all = async {
        while let Some(update) = answer.next().await {
            updates.push(update);
        }
    };
    tokio::time::timeout(LONG, all).await.expect("an end in time");
    Told { updates }
}

/// One call without retries to an upstream that plays this script.
async fn play(script: impl Into<Script>) -> Told {
    let upstream = Upstream::start(script);
    let mut endpoint = endpoint(&upstream.url());
    endpoint.retries = 0;
    call(&endpoint).await
}

/// One call to an upstream whose body is this, in one piece.
async fn play_body(body: &str) -> Told {
    play(Reply::sse([body])).await
}

/// Waits until the upstream has seen the connection of its first request close.
async fn closed(upstream: &Upstream) {
    tokio::time::timeout(LONG, upstream.left(0))
        .await
        .expect("the connection is closed");
}
