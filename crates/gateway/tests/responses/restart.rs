//! Responses on the disk store outlive their server: the same bytes, the same rights, the same conversation.

use std::sync::Arc;

use aurora_gateway::Options;
use aurora_streamlog::{Disk, DiskOptions};
use serde_json::json;

use crate::support::{Folder, Gateway, get, soon};
use crate::*;

async fn started(folder: &Folder) -> Gateway {
    let disk = Disk::open(folder.path(), DiskOptions::default()).expect("a folder that no server has");
    Gateway::kept(Options::default(), Arc::new(disk)).await
}

/// Stops the server, and starts another one on what it has left.
async fn restarted(mut gateway: Gateway, folder: &Folder) -> Gateway {
    gateway.stop();
    soon(&mut gateway.running).await.expect("it does not panic");
    drop(gateway);
    started(folder).await
}

#[tokio::test(flavor = "multi_thread")]
async fn responses_outlive_their_server() {
    let folder = Folder::new();
    let mut gateway = started(&folder).await;
    let mut client = post(
        &gateway,
        &json!({ "background": true, "metadata": { "order": "17" } }),
    )
    .await;
    let created = client.answer().await.json();
    let id = created["id"].as_str().expect("an id").to_owned();
    let path = format!("{PATH}/{id}");
    let feed = gateway.job().await.run();
    feed.text("one").await;
    feed.text("two").await;
    finish(feed).await;
    until_status(&gateway, &id, "completed").await;
    let object = get(&gateway, &path, &[]).await.json();
    let input = get(&gateway, &format!("{path}/input_items"), &[]).await.json();
    let all = events(&gateway, &format!("{path}?stream=true"), &[]).await;

    let mut gateway = restarted(gateway, &folder).await;
    assert_eq!(get(&gateway, &path, &[]).await.json(), object);
    assert_eq!(
        get(&gateway, &format!("{path}/input_items"), &[]).await.json(),
        input
    );
    for after in 0..all.len() - 1 {
        let query = format!("{path}?stream=true&starting_after={after}");
        assert_eq!(
            events(&gateway, &query, &[]).await,
            all[after + 1..],
            "after {after}"
        );
    }
    let place = format!("last-event-id: {id}.3");
    assert_eq!(
        events(&gateway, &format!("{path}?stream=true"), &[&place]).await,
        all[4..]
    );
    let more = json!({ "previous_response_id": id, "input": "and then?" });
    let mut client = post(&gateway, &more).await;
    let job = gateway.job().await;
    let said: Vec<_> = job
        .request
        .messages
        .iter()
        .map(|m| m.plain_text().into_owned())
        .collect();
    assert_eq!(said, ["hi", "onetwo", "and then?"]);
    finish(job.run()).await;
    let second = client.answer().await.json();
    let second = format!("{PATH}/{}", second["id"].as_str().expect("an id"));
    assert_eq!(send(&gateway, "DELETE", &path, &[], "").await.status, 200);

    let gateway = restarted(gateway, &folder).await;
    for path in [&path, &format!("{path}/input_items")] {
        assert_eq!(
            get(&gateway, path, &[]).await.status,
            404,
            "deleted once and for all"
        );
    }
    let again = get(&gateway, &second, &[]).await.json();
    assert_eq!(
        (&again["status"], &again["previous_response_id"]),
        (&json!("completed"), &json!(id))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_its_server_left_is_broken_off_and_never_called_done() {
    let folder = Folder::new();
    let mut gateway = Gateway::kept(
        Options {
            drain: std::time::Duration::ZERO,
            ..Options::default()
        },
        Arc::new(Disk::open(folder.path(), DiskOptions::default()).expect("a new folder")),
    )
    .await;
    let (_client, feed, id) = begun(&mut gateway, &json!({ "background": true })).await;
    let gateway = restarted(gateway, &folder).await;
    drop(feed);
    let object = get(&gateway, &format!("{PATH}/{id}"), &[]).await.json();
    assert_eq!(object["status"], "failed");
    assert_eq!(object["output"][0]["content"][0]["text"], "first");
    assert_eq!(object["error"]["type"], "stream_interrupted");
    let all = events(&gateway, &format!("{PATH}/{id}?stream=true"), &[]).await;
    assert_eq!(kinds(&all[all.len() - 2..]), ["response.failed", "error"]);
    let more = asking(&json!({ "previous_response_id": id }));
    let answer = send(&gateway, "POST", PATH, &[], &more).await;
    assert_eq!(
        (answer.status, &answer.json()["error"]["code"]),
        (400, &json!("previous_response_unusable"))
    );
}
