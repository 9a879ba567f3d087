//! Our own client before our own server, with a wire between them that is cut: an answer arrives whole and once.

mod support;

use std::sync::Arc;
use std::time::Duration;

use aurora_chat::{ChatRequest, Delta, Message, Notice, Role, Update, Verdict};
use aurora_client::{Client, Endpoint};
use aurora_gateway::{Options, Router, Upstream};
use aurora_testkit::{FaultProxy, Faults, Reply, Upstream as Script, fixtures};
use support::serve;

#[tokio::test]
async fn a_wire_that_is_cut_again_and_again_costs_nothing_but_time() {
    let texts: Vec<String> = (0..30).map(|n| format!("{n} ß日 ")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut reply = Reply::sse([""]);
    for event in fixtures::sse_answer(&texts) {
        reply = reply.piece(event).wait(Duration::from_millis(5));
    }
    let upstream = Script::start(reply);
    let endpoint = Endpoint::new("up", &upstream.url()).expect("a good URL");
    let backend = Upstream::new(Client::new().expect("a client"), endpoint);
    let router = Router::builder().endpoint("up", Arc::new(backend));
    let router = router.build().expect("no aliases");
    let (addr, _stop, _running) = serve(Options::default(), Arc::new(router)).await;
    for (faults, cuts) in [
        (Faults::new().cut_after(2500), true),
        (Faults::new().reset_after(3000).slice(100), true),
        (Faults::new().slice(13), false),
    ] {
        let proxy = FaultProxy::start(addr, faults);
        let mut endpoint = Endpoint::new("gateway", &proxy.url()).expect("a good URL");
        endpoint.retries = 0;
        let messages = vec![Message::text(Role::User, "Hello?")];
        let request = ChatRequest {
            model: "up/m".into(),
            messages,
            ..ChatRequest::default()
        };
        let mut answer = Client::new().expect("a client").start(&endpoint, request);
        let (mut text, mut resumed) = (String::new(), 0);
        let end = loop {
            match answer.next().await.expect("an end") {
                Update::Delta(Delta::Text(more)) => text += &more,
                Update::Notice(Notice::Resume { .. }) => resumed += 1,
                Update::End(end) => break end,
                _ => {}
            }
        };
        assert_eq!(
            (text, end.verdict),
            (texts.concat(), Verdict::Complete),
            "{faults:?}: {end:?}"
        );
        assert_eq!(resumed > 1, cuts, "{faults:?}: {resumed}");
    }
    // One request a call: what was picked up was not asked again.
    assert_eq!(upstream.requests().len(), 3);
}
