//! What a response answers: listed in pages, refused by name where it is not kept.

use aurora_gateway::{Key, Options};
use serde_json::{Value, json};

use crate::support::{Gateway, get};
use crate::{PATH, asking, begun, finish, post, send};

/// The text of each item on a page.
fn texts(page: &Value) -> Vec<&str> {
    let items = page["data"].as_array().expect("a list");
    items
        .iter()
        .map(|item| item["content"][0]["text"].as_str().expect("text"))
        .collect()
}

async fn page(gateway: &Gateway, id: &str, query: &str) -> Value {
    let answer = get(gateway, &format!("{PATH}/{id}/input_items{query}"), &[]).await;
    assert_eq!(answer.status, 200, "{query}: {answer:?}");
    answer.json()
}

#[tokio::test]
async fn what_a_response_answers_is_listed_in_pages() {
    let mut gateway = Gateway::start(Options::default()).await;
    let (mut client, feed, first) = begun(&mut gateway, &json!({ "instructions": "Be brief." })).await;
    let suffix = first.trim_start_matches("resp_").to_owned();
    let item = json!({
        "id": format!("msg_{suffix}_in_0"), "type": "message", "status": "completed", "role": "user",
        "content": [{ "type": "input_text", "text": "hi" }],
    });
    assert_eq!(
        page(&gateway, &first, "").await,
        json!({ "object": "list", "data": [item], "first_id": item["id"], "last_id": item["id"], "has_more": false }),
        "it is there while the answer is being made"
    );
    finish(feed).await;
    client.until("response.completed").await;

    let more = json!({ "previous_response_id": first, "input": [
        { "role": "user", "content": "and then?" }, { "role": "user", "content": "well?" },
    ] });
    let mut client = post(&gateway, &more).await;
    let feed = gateway.job().await.run();
    feed.text("the end").await;
    finish(feed).await;
    let second = client.answer().await.json();
    let second = second["id"].as_str().expect("an id");
    let newest = page(&gateway, second, "").await;
    assert_eq!(texts(&newest), ["well?", "and then?", "first", "hi"]);
    assert_eq!(newest["data"][2]["role"], "assistant");

    // Page by page, as a client goes on: after the last item it has.
    let mut seen = Vec::new();
    let mut query = "?order=asc&limit=1".to_owned();
    loop {
        let page = page(&gateway, second, &query).await;
        seen.extend(texts(&page).into_iter().map(str::to_owned));
        if page["has_more"] == json!(false) {
            break;
        }
        query = format!(
            "?order=asc&limit=1&after={}",
            page["last_id"].as_str().expect("an id")
        );
    }
    assert_eq!(seen, ["hi", "first", "and then?", "well?"]);

    for (query, param) in [
        ("limit=0", "limit"),
        ("order=up", "order"),
        ("after=msg_x", "after"),
    ] {
        let answer = get(&gateway, &format!("{PATH}/{second}/input_items?{query}"), &[]).await;
        let error = &answer.json()["error"];
        assert_eq!(
            (answer.status, &error["param"], &error["code"]),
            (400, &json!(param), &json!("invalid_parameter"))
        );
    }
}

#[tokio::test]
async fn what_is_not_kept_is_named() {
    let mut gateway = Gateway::start(Options::default()).await;
    let (_client, _feed, id) = begun(&mut gateway, &json!({ "store": false })).await;
    let answer = get(&gateway, &format!("{PATH}/{id}/input_items"), &[]).await;
    assert_eq!(
        (answer.status, &answer.json()["error"]["code"]),
        (404, &json!("response_not_found"))
    );
    let (_client, _feed, id) = begun(&mut gateway, &json!({ "input": "x".repeat(1 << 20) })).await;
    assert_eq!(get(&gateway, &format!("{PATH}/{id}"), &[]).await.status, 200);
    let answer = get(&gateway, &format!("{PATH}/{id}/input_items"), &[]).await;
    let error = &answer.json()["error"];
    assert_eq!(
        (answer.status, &error["code"], &error["param"]),
        (404, &json!("input_not_kept"), &json!("response_id"))
    );
}

#[tokio::test]
async fn another_keys_input_is_not_there() {
    let key = |name: &str| Key {
        name: name.to_owned(),
        sha256: Key::hash(name.as_bytes()),
        requests_per_minute: None,
        max_streams: None,
    };
    let mut gateway = Gateway::start(Options {
        keys: vec![key("alpha"), key("beta")],
        ..Options::default()
    })
    .await;
    let background = asking(&json!({ "background": true }));
    let created = send(&gateway, "POST", PATH, &["x-api-key: alpha"], &background).await;
    let _feed = gateway.job().await.run();
    let created = created.json();
    let path = format!("{PATH}/{}/input_items", created["id"].as_str().expect("an id"));
    for (headers, status) in [
        (&["x-api-key: alpha"][..], 200),
        (&["x-api-key: beta"], 404),
        (&[], 401),
    ] {
        assert_eq!(get(&gateway, &path, headers).await.status, status, "{headers:?}");
    }
}
