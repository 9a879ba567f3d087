//! The events along with the updates, over a socket.

use aurora_chat::{Update, Verdict};
use aurora_client::Passage;
use aurora_testkit::{Reply, Script, Upstream, fixtures};

use crate::{Told, call, client, endpoint, request};

#[tokio::test]
async fn events_are_those_the_server_sent_and_updates_those_of_an_answer() {
    let answer = fixtures::sse_answer(&["Grü", "ße"]);
    let early = Reply::sse([fixtures::role(), fixtures::error(503, "busy")]);
    let upstream = Upstream::start(Script::with(move |n, _| match n % 2 {
        0 => early.clone(),
        _ => Reply::sse(answer.concat().as_bytes().chunks(7)),
    }));
    let endpoint = endpoint(&upstream.url());
    let plain = call(&endpoint).await;
    let (mut events, mut updates) = (Vec::new(), Vec::new());
    let mut verbatim = client().start_verbatim(&endpoint, request());
    while let Some(passage) = verbatim.next().await {
        match passage {
            Passage::Event(data) => events.push(format!("data: {data}\n\n")),
            // Waits are drawn at random.
            Passage::Update(Update::Notice(_)) => {}
            Passage::Update(update) => updates.push(update),
        }
    }
    let sent = fixtures::sse_answer(&["Grü", "ße"]);
    assert_eq!(
        events,
        sent[..sent.len() - 1],
        "all but [DONE], and none of the attempt that failed"
    );
    let told = Told { updates };
    assert_eq!(
        (told.text(), told.verdict()),
        ("Grüße".to_owned(), Verdict::Complete)
    );
    let said = plain
        .updates
        .into_iter()
        .filter(|update| !matches!(update, Update::Notice(_)));
    assert_eq!(told.updates, said.collect::<Vec<_>>());
}
