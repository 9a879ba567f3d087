//! Lines of every form as items, and what is wrong with others.

use super::*;

fn read_all(text: &str) -> Vec<Item> {
    let mut manner = Manner::default();
    let lines = text.lines().enumerate();
    lines
        .filter_map(|(at, text)| {
            let line = Line {
                number: at as u64 + 1,
                bytes: Some(text.as_bytes()),
                ended: true,
                size: 0,
            };
            let item = manner.read(&line);
            let known = manner.identify(&line);
            assert_eq!(
                known,
                item.as_ref().map(|item| (item.key.clone(), item.print)),
                "both passes know an item by the same id"
            );
            item
        })
        .collect()
}

fn read(text: &str) -> Item {
    read_all(text).pop().expect("an item")
}

fn said(item: &Item) -> Vec<(Role, String)> {
    let ask = item.ask.as_ref().expect("it can be asked");
    let messages = ask.request.messages.iter();
    messages
        .map(|message| (message.role, message.plain_text().into_owned()))
        .collect()
}

#[test]
fn the_batch_format_is_read_with_any_field_of_its_body() {
    let item = read(
        r#"{"custom_id":"a-1","method":"POST","url":"/v1/chat/completions","body":{"model":"m","messages":[{"role":"user","content":"hi"}],"temperature":0.5,"metadata":{"k":"v"},"made_up":[1]}}"#,
    );
    assert_eq!((item.key.to_json().as_str(), item.line), ("\"a-1\"", 1));
    assert_eq!(said(&item), [(Role::User, "hi".to_owned())]);
    let ask = item.ask.unwrap();
    assert_eq!(
        (ask.request.model.as_str(), ask.request.temperature),
        ("m", Some(0.5))
    );
    assert_eq!(ask.request.extra["made_up"], json!([1]));
    assert!(matches!(ask.api, Api::Chat));
}

#[test]
fn a_response_is_asked_for_as_a_chat() {
    let item = read(
        r#"{"custom_id":"r","url":"https://api.example.com/v1/responses","body":{"input":"hi","instructions":"be brief"}}"#,
    );
    assert_eq!(said(&item).len(), 2);
    assert!(matches!(item.ask.unwrap().api, Api::Responses(_)));
}

#[test]
fn the_short_form_and_plain_lines_are_read() {
    let items = read_all(
        "{\"id\":7,\"prompt\":\"hi\",\"system\":\"be brief\",\"max_tokens\":3}\n\n{\"prompt\":\"no id\"}\n  a plain line \n{\"id\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}",
    );
    let keys: Vec<String> = items.iter().map(|item| item.key.to_json()).collect();
    assert_eq!(keys, ["7", "\"line-3\"", "\"line-4\"", "\"m\""]);
    assert_eq!(
        said(&items[0]),
        [
            (Role::System, "be brief".to_owned()),
            (Role::User, "hi".to_owned())
        ]
    );
    assert_eq!(items[0].ask.as_ref().unwrap().request.max_tokens, Some(3));
    assert_eq!(said(&items[2]), [(Role::User, "a plain line".to_owned())]);
}

#[test]
fn what_is_wrong_with_a_line_is_said_with_its_number() {
    for (text, kind, says) in [
        (
            "{\"custom_id\":\"a\",",
            BAD_JSON,
            "line 1: it is not a JSON object",
        ),
        ("{\"custom_id\":\"a\"} x", BAD_JSON, "trailing characters"),
        ("{\"custom_id\":\"a\"}", "invalid_request", "asks for nothing"),
        (
            "{\"id\":true,\"prompt\":\"x\"}",
            "invalid_request",
            "the id is a boolean",
        ),
        ("{\"prompt\":3}", "invalid_request", "\"prompt\" has to be a text"),
        (
            "{\"prompt\":\"x\",\"messages\":[]}",
            "invalid_request",
            "both \"prompt\" and",
        ),
        (
            "{\"url\":\"/v1/embeddings\",\"body\":{}}",
            "invalid_request",
            "/v1/chat/completions",
        ),
        ("{\"method\":\"GET\",\"body\":{}}", "invalid_request", "GET"),
        ("{\"body\":{\"messages\":[]}}", "invalid_request", "messages"),
        (
            "{\"body\":{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"n\":2}}",
            "invalid_request",
            "n",
        ),
    ] {
        let bad = read(text).ask.unwrap_err();
        assert_eq!(bad.kind, kind, "{text}: {bad:?}");
        assert!(
            bad.failure.message.starts_with("line 1: ") && bad.failure.message.contains(says),
            "{text}: {bad:?}"
        );
    }
}

#[test]
fn an_item_keeps_its_id_where_its_request_is_wrong() {
    assert_eq!(
        read("{\"custom_id\":\"a\",\"body\":3}").key,
        Key::Text("a".to_owned())
    );
    assert_eq!(read("{\"custom_id\":\"a\",").key, Key::of_line(1));
}

#[test]
fn pieces_of_json_are_no_prompts_where_the_input_is_json() {
    let pretty = "{\n\"custom_id\": \"a\",\n\"body\": {\n}\n}";
    assert!(read_all(pretty).iter().all(|item| item.ask.is_err()));
    let prompts = "a prompt\n[urgent] another\n\"Quoted\" words";
    assert!(read_all(prompts).iter().all(|item| item.ask.is_ok()));
}

#[test]
fn lines_that_are_too_long_or_no_text_are_bad() {
    for (bytes, kind) in [(None, "line_limit"), (Some(&b"\xff\xfe"[..]), BAD_JSON)] {
        let line = Line {
            number: 3,
            bytes,
            ended: true,
            size: 0,
        };
        let item = Manner::default().read(&line).unwrap();
        assert_eq!((item.key, item.ask.unwrap_err().kind), (Key::of_line(3), kind));
    }
}
