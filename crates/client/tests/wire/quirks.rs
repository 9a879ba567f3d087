//! What real servers send, one test a quirk. The payload's quirks are `aurora_chat`'s to read and test; these are about
//! framing, endings and bodies, over a socket.

use std::time::{Duration, Instant};

use aurora_chat::{FailureKind, Fault, Limit, Notice, Usage, Verdict};
use aurora_testkit::{FaultProxy, Faults, Reply, Upstream, fixtures};

use crate::{LONG, call, closed, endpoint, play, play_body};

fn answer() -> String {
    fixtures::sse_answer(&["Grü", "ße"]).concat()
}

#[tokio::test]
async fn no_space_after_the_colon_openai_python_498_goose_7929() {
    assert_eq!(
        play_body(&answer().replace("data: ", "data:")).await.text(),
        "Grüße"
    );
}

#[tokio::test]
async fn line_ends_of_every_kind_and_a_byte_order_mark() {
    for end in ["\n", "\r\n", "\r"] {
        let body = format!("\u{feff}{}", answer().replace('\n', end));
        let told = play(Reply::sse(body.as_bytes().chunks(1))).await;
        assert_eq!(
            (told.text().as_str(), told.verdict()),
            ("Grüße", Verdict::Complete),
            "{end:?}"
        );
    }
}

#[tokio::test]
async fn characters_cut_across_reads_arrive_whole_aisix_111_plano_980() {
    let upstream = Upstream::start(Reply::sse([answer()]));
    for slice in [1, 2, 3, 7] {
        let proxy = FaultProxy::start(upstream.addr(), Faults::new().slice(slice));
        assert_eq!(call(&endpoint(&proxy.url())).await.text(), "Grüße", "{slice}");
    }
}

#[tokio::test]
async fn comments_pings_and_keepalive_events_docker_agent_2349_python_sdk_1670() {
    let body = [
        ": OPENROUTER PROCESSING\n\n",
        "event: keepalive\ndata: {}\n\n",
        "data:\n\n",
        &fixtures::text("x"),
        ": ping\n",
        fixtures::DONE,
    ];
    let told = play_body(&body.concat()).await;
    assert_eq!((told.text().as_str(), told.verdict()), ("x", Verdict::Complete));
}

#[tokio::test]
async fn a_done_is_the_end_although_the_socket_stays_open_opencode_copilot_chat_170() {
    let upstream = Upstream::start(Reply::sse(fixtures::sse_answer(&["x"])).stall());
    let begun = Instant::now();
    let told = call(&endpoint(&upstream.url())).await;
    assert_eq!(told.verdict(), Verdict::Complete);
    assert!(begun.elapsed() < LONG / 2, "no deadline was waited for");
    closed(&upstream).await;
}

#[tokio::test]
async fn a_second_done_and_what_follows_it_are_not_read_one_api_1628() {
    let body = [
        &fixtures::text("x"),
        fixtures::DONE,
        fixtures::DONE,
        &fixtures::text("y"),
    ]
    .concat();
    assert_eq!(play_body(&body).await.text(), "x");
}

#[tokio::test]
async fn a_done_without_its_blank_line() {
    for end in ["data: [DONE]\n", "data: [DONE]", "data:[DONE]\r\n"] {
        let told = play_body(&(fixtures::text("x") + end)).await;
        assert_eq!(told.verdict(), Verdict::Complete, "{end:?}");
    }
}

#[tokio::test]
async fn usage_in_a_chunk_without_choices() {
    let told = play_body(&answer()).await;
    let usage = Usage {
        input_tokens: 7,
        output_tokens: 2,
        ..Usage::default()
    };
    assert!(told.deltas().contains(&&aurora_chat::Delta::Usage(usage)));
}

#[tokio::test]
async fn bad_json_in_an_event_is_reported_and_skipped() {
    let body = [
        &fixtures::text("x"),
        "data: {\"choices\":[\n\n",
        &fixtures::text("y"),
        fixtures::DONE,
    ];
    let told = play_body(&body.concat()).await;
    assert_eq!((told.text().as_str(), told.verdict()), ("xy", Verdict::Complete));
    let [Notice::Warning { kind, .. }] = told.notices()[..] else {
        panic!("one warning: {told:?}")
    };
    assert_eq!(*kind, "bad_json");
}

#[tokio::test]
async fn lines_that_are_no_field_are_ignored() {
    let body = [
        "what is this\n",
        "and: this\n",
        &fixtures::text("x"),
        "{}\n",
        fixtures::DONE,
    ]
    .concat();
    let told = play_body(&body).await;
    assert_eq!((told.text().as_str(), told.verdict()), ("x", Verdict::Complete));
    assert_eq!(told.notices().len(), 0);
}

#[tokio::test]
async fn a_bare_json_error_line_is_an_error_toolhive_6037() {
    for newline in ["\n", ""] {
        let line = format!("{}{newline}", fixtures::error_body(500, "out of memory"));
        let told = play_body(&(fixtures::text("x") + &line)).await;
        assert_eq!(told.verdict(), Verdict::Failed(Fault::Server));
        assert!(told.failure().message.contains("out of memory"));
    }
}

#[tokio::test]
async fn an_error_event_with_a_name_and_an_open_socket_clicky_132_mistral_rs_1874() {
    let body = "event: error\ndata: {\"message\":\"overloaded\"}\n\n";
    let told = play(Reply::sse([&fixtures::text("x"), body]).stall()).await;
    assert_eq!(
        (told.kind(), told.verdict()),
        (FailureKind::ErrorEvent, Verdict::Failed(Fault::Server))
    );
}

#[tokio::test]
async fn done_without_its_blank_line_and_an_open_socket() {
    let begun = Instant::now();
    let told = play(Reply::sse([&fixtures::text("x"), "data: [DONE]\n"]).stall()).await;
    assert_eq!((told.text().as_str(), told.verdict()), ("x", Verdict::Complete));
    assert_eq!(told.notices().len(), 0);
    assert!(begun.elapsed() < LONG / 2, "no deadline had to pass");
}

#[tokio::test]
async fn a_compressed_body_that_nobody_asked_for_eca_479() {
    let zipped = Reply::sse([b"\x1f\x8b\x08\x00garbage"]).header("content-encoding", "gzip");
    let told = play(zipped).await;
    assert_eq!(told.kind(), FailureKind::Protocol);
    assert!(told.failure().message.contains("gzip"), "{:?}", told.failure());
}

#[tokio::test]
async fn a_json_body_where_a_stream_was_asked_for_cody_3479() {
    let choice = serde_json::json!({"index": 0, "finish_reason": "length",
        "message": {"role": "assistant", "content": "Grüße"}});
    let body = serde_json::json!({"id": "a", "model": "m", "choices": [choice]});
    let told = play(Reply::json(200, &body)).await;
    assert_eq!((told.text().as_str(), told.verdict()), ("Grüße", Verdict::Length));

    let told = play(Reply::json(200, &fixtures::error_body(503, "busy"))).await;
    assert_eq!(
        (told.kind(), told.verdict()),
        (FailureKind::ErrorEvent, Verdict::Failed(Fault::Server))
    );

    let cut = play(Reply::json(200, &body).content_length(9999).cut()).await;
    assert_ne!(cut.verdict(), Verdict::Complete);
}

#[tokio::test]
async fn an_event_stream_under_another_name() {
    let raw = format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n{}", answer());
    assert_eq!(play(Reply::raw(raw)).await.verdict(), Verdict::Complete);
}

#[tokio::test]
async fn an_endless_line_ends_at_the_limit_teamclaude_341() {
    let upstream = Upstream::start(Reply::sse(vec![vec![b'x'; 64 << 10]; 64]).stall());
    let mut endpoint = endpoint(&upstream.url());
    endpoint.limits.event = 1 << 20;
    let told = call(&endpoint).await;
    assert_eq!(
        (told.kind(), told.verdict()),
        (FailureKind::Limit(Limit::Event), Verdict::Failed(Fault::Server))
    );
    closed(&upstream).await;
}

#[tokio::test]
async fn many_empty_data_lines_are_one_event_and_end_at_the_limit_anolisa_2209() {
    let upstream = Upstream::start(Reply::sse(vec!["data:\n".repeat(10_000); 20]).stall());
    let mut endpoint = endpoint(&upstream.url());
    endpoint.limits.event = 100_000;
    assert_eq!(call(&endpoint).await.kind(), FailureKind::Limit(Limit::Event));
}

#[tokio::test]
async fn an_answer_ends_at_the_limit_and_what_came_is_kept() {
    let upstream = Upstream::start(Reply::sse(vec![fixtures::text(&"x".repeat(1000)); 50]));
    let mut endpoint = endpoint(&upstream.url());
    endpoint.limits.answer = 20_500;
    let told = call(&endpoint).await;
    assert_eq!(told.kind(), FailureKind::Limit(Limit::Answer));
    assert!(told.text().len() >= 20_000, "{}", told.text().len());
}

#[tokio::test]
async fn text_comes_as_it_is_sent_and_not_at_the_end() {
    let pause = Duration::from_millis(300);
    let upstream = Upstream::start(Reply::sse([fixtures::text("a")]).wait(pause).piece(answer()));
    let mut answer = crate::client().start(&endpoint(&upstream.url()), crate::request());
    let begun = Instant::now();
    let mut first = None;
    while let Some(update) = answer.next().await {
        if matches!(update, aurora_chat::Update::Delta(_)) {
            first.get_or_insert(begun.elapsed());
        }
    }
    assert!(begun.elapsed() - first.unwrap() >= pause / 2);
}
