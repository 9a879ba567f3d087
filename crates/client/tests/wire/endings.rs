//! How streams end, and what is said about it.

use aurora_chat::{FailureKind, Fault, FinishReason, Verdict};
use aurora_testkit::{FaultProxy, Faults, Reply, Upstream, fixtures};

use crate::{call, endpoint, play};

fn partial() -> [String; 2] {
    [fixtures::role(), fixtures::text("Hel")]
}

#[tokio::test]
async fn a_proper_answer_is_complete() {
    let told = play(Reply::sse(fixtures::sse_answer(&["Hel", "lo"]))).await;
    assert_eq!(
        (told.text().as_str(), told.verdict()),
        ("Hello", Verdict::Complete)
    );
    assert_eq!(told.end().finish_reason, Some(FinishReason::Stop));
    assert_eq!(told.end().failure, None);
}

#[tokio::test]
async fn the_finish_reason_names_the_verdict_also_without_done_oh_my_pi_9433_llmgateway_1901() {
    for (reason, verdict) in [
        ("stop", Verdict::Complete),
        ("tool_calls", Verdict::Complete),
        ("length", Verdict::Length),
        ("content_filter", Verdict::Filtered),
    ] {
        let events = [
            fixtures::text("x"),
            fixtures::finish(reason),
            fixtures::DONE.to_owned(),
        ];
        assert_eq!(play(Reply::sse(&events)).await.verdict(), verdict, "{reason}");
        assert_eq!(
            play(Reply::sse(&events[..2])).await.verdict(),
            verdict,
            "{reason}, no [DONE]"
        );
    }
}

#[tokio::test]
async fn done_without_a_finish_reason_is_complete() {
    let told = play(Reply::sse([&fixtures::text("x"), fixtures::DONE])).await;
    assert_eq!(
        (told.verdict(), &told.end().finish_reason),
        (Verdict::Complete, &None)
    );
}

#[tokio::test]
async fn a_clean_end_with_neither_is_truncated_maka_2297_opencode_26170() {
    for reply in [Reply::sse(partial()), Reply::sse(partial()).until_close()] {
        let told = play(reply).await;
        assert_eq!(
            (told.text().as_str(), told.verdict()),
            ("Hel", Verdict::Truncated)
        );
        assert_eq!(told.kind(), FailureKind::UnexpectedEnd);
    }
}

#[tokio::test]
async fn an_empty_stream_is_truncated() {
    assert_eq!(play(Reply::sse([""])).await.verdict(), Verdict::Truncated);
    assert_eq!(play(Reply::status(204)).await.verdict(), Verdict::Truncated);
}

#[tokio::test]
async fn a_cut_body_is_interrupted_whatever_its_framing_openai_python_2065() {
    for reply in [
        Reply::sse(partial()).cut(),
        Reply::sse(partial()).content_length(100_000).cut(),
        Reply::sse(partial()).reset(),
        Reply::sse(partial()).until_close().reset(),
    ] {
        let told = play(reply.clone()).await;
        assert_eq!(
            (told.text().as_str(), told.verdict()),
            ("Hel", Verdict::Interrupted),
            "{reply:?}"
        );
        assert_eq!(told.kind(), FailureKind::ConnectionLost);
    }
}

#[tokio::test]
async fn a_cut_after_the_finish_reason_costs_no_more_than_a_warning() {
    let events = [fixtures::text("x"), fixtures::finish("stop")];
    let told = play(Reply::sse(events).cut()).await;
    assert_eq!(told.verdict(), Verdict::Complete);
    assert_eq!(told.notices().len(), 1);
}

#[tokio::test]
async fn broken_chunks_are_a_protocol_failure() {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-type: text/event-stream\r\n\r\n";
    let told = play(Reply::raw(format!("{head}zz\r\nnonsense"))).await;
    assert_eq!(
        (told.kind(), told.verdict()),
        (FailureKind::Protocol, Verdict::Failed(Fault::Server))
    );
}

#[tokio::test]
async fn every_cut_on_the_wire_gives_a_prefix_and_a_true_verdict() {
    let upstream = Upstream::start(Reply::sse(fixtures::sse_answer(&["Grü", "ße"])));
    let head = 110; // The head is shorter; a cut within it is another test's.
    let mut complete = 0;
    for cut in (head..1500).step_by(13) {
        let proxy = FaultProxy::start(upstream.addr(), Faults::new().cut_after(cut).slice(211));
        let mut endpoint = endpoint(&proxy.url());
        endpoint.retries = 0;
        let told = call(&endpoint).await;
        assert!("Grüße".starts_with(&told.text()), "{cut}: {told:?}");
        match told.verdict() {
            Verdict::Interrupted => assert_eq!(complete, 0, "{cut}"),
            Verdict::Complete => {
                complete += 1;
                assert_eq!(told.text(), "Grüße");
            }
            other => panic!("{cut}: {other:?}"),
        }
    }
    assert!(complete > 0);
}

#[tokio::test]
async fn an_error_event_is_whose_fault_its_code_says() {
    for (status, fault) in [
        (400, Fault::Caller),
        (404, Fault::Caller),
        (408, Fault::Server),
        (409, Fault::Server),
        (429, Fault::Server),
        (500, Fault::Server),
    ] {
        let told = play(Reply::sse([
            fixtures::text("Hel"),
            fixtures::error(status, "because"),
        ]))
        .await;
        assert_eq!(
            (told.text().as_str(), told.verdict()),
            ("Hel", Verdict::Failed(fault)),
            "{status}"
        );
        assert_eq!(told.failure().status, Some(status));
        assert!(told.failure().message.contains("because"));
    }
}

#[tokio::test]
async fn an_http_status_is_whose_fault_it_says() {
    for (status, fault) in [
        (400, Fault::Caller),
        (401, Fault::Caller),
        (429, Fault::Server),
        (500, Fault::Server),
    ] {
        let told = play(Reply::json(status, &fixtures::error_body(status, "because"))).await;
        assert_eq!(told.verdict(), Verdict::Failed(fault), "{status}");
        assert_eq!(
            (told.kind(), told.failure().status),
            (FailureKind::Status, Some(status))
        );
        assert!(told.failure().message.contains("because"));
    }
}

#[tokio::test]
async fn an_error_status_counts_even_if_its_body_breaks_off() {
    let told = play(
        Reply::json(400, &fixtures::error_body(400, "because"))
            .content_length(9999)
            .cut(),
    )
    .await;
    assert_eq!(told.verdict(), Verdict::Failed(Fault::Caller));
    assert!(told.failure().message.contains("because"));
}

#[tokio::test]
async fn what_is_not_http_is_a_protocol_failure() {
    let told = play(Reply::raw("SSH-2.0-OpenSSH_9.9\r\n")).await;
    assert_eq!(
        (told.kind(), told.verdict()),
        (FailureKind::Protocol, Verdict::Failed(Fault::Server))
    );
}

#[tokio::test]
async fn headers_beyond_the_limit_are_named_whoever_notices() {
    use aurora_chat::Limit;
    let large = "x".repeat(100 << 10);
    let told = play(Reply::sse(partial()).header("x-large", &large)).await;
    assert_eq!(told.kind(), FailureKind::Limit(Limit::Headers));
    let huge = "x".repeat(1 << 20);
    let told = play(Reply::sse(partial()).header("x-huge", &huge)).await;
    assert_eq!(told.kind(), FailureKind::Limit(Limit::Headers));
}
