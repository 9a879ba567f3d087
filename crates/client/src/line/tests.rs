//! Turns as tasks take them: in order, woken in time, and gone when dropped. The clock is paused, since nothing here
//! touches a socket.

use std::num::NonZeroU32;

use aurora_chat::{Message, Role};
use tokio::task::JoinSet;

use super::*;

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn endpoint(max_concurrent: u32, requests: u32) -> Endpoint {
    let mut endpoint = Endpoint::new("up", "http://host/v1").unwrap();
    endpoint.pace.max_concurrent = NonZeroU32::new(max_concurrent);
    endpoint.pace.requests_per_minute = NonZeroU32::new(requests);
    endpoint
}

fn place(lines: &Lines, endpoint: &Endpoint) -> Place {
    let request = ChatRequest {
        messages: vec![Message::text(Role::User, "12345678")],
        ..ChatRequest::default()
    };
    lines.place(endpoint, &request).expect("a limit")
}

#[tokio::test]
async fn without_limits_there_is_no_line() {
    let endpoint = Endpoint::new("up", "http://host/v1").unwrap();
    assert!(
        Lines::default()
            .place(&endpoint, &ChatRequest::default())
            .is_none()
    );
}

#[tokio::test(start_paused = true)]
async fn all_go_in_order_and_on_time() {
    let (lines, endpoint) = (Lines::default(), endpoint(0, 2));
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for n in 0..6_u64 {
        let mut place = place(&lines, &endpoint);
        tasks.spawn(async move {
            // Each takes its ticket at its own moment.
            tokio::time::sleep(Duration::from_millis(n)).await;
            place.turn().await.unwrap();
            (n, begun.elapsed().as_secs())
        });
    }
    let order = tasks.join_all().await;
    assert_eq!(order, [(0, 0), (1, 0), (2, 30), (3, 60), (4, 90), (5, 120)]);
}

#[tokio::test(start_paused = true)]
async fn one_that_leaves_lets_the_next_go_also_if_it_only_waited() {
    let (lines, endpoint) = (Lines::default(), endpoint(1, 0));
    let [mut first, mut second, mut third] = [(); 3].map(|()| place(&lines, &endpoint));
    first.turn().await.unwrap();
    for waiting in [&mut second, &mut third] {
        let turn = tokio::time::timeout(secs(1), waiting.turn()).await;
        assert!(
            turn.is_err(),
            "it waits, and keeps its place although the wait was broken off"
        );
    }
    drop(second);
    let third = tokio::spawn(async move { third.turn().await });
    tokio::time::sleep(secs(1)).await;
    assert!(!third.is_finished());
    drop(first);
    assert_eq!(
        tokio::time::timeout(secs(1), third).await.unwrap().unwrap(),
        Ok(())
    );
}

#[tokio::test(start_paused = true)]
async fn the_first_to_leave_hands_its_timer_on() {
    let (lines, endpoint) = (Lines::default(), endpoint(0, 1));
    place(&lines, &endpoint).turn().await.unwrap();
    let [mut second, mut third] = [(); 2].map(|()| place(&lines, &endpoint));
    let second = tokio::spawn(async move { second.turn().await });
    tokio::time::sleep(secs(1)).await;
    let third = tokio::spawn(async move { third.turn().await });
    tokio::time::sleep(secs(1)).await;
    second.abort();
    let begun = Instant::now();
    assert_eq!(third.await.unwrap(), Ok(()));
    assert_eq!(begun.elapsed().as_secs(), 58);
}

#[tokio::test(start_paused = true)]
async fn clones_share_and_addresses_do_not() {
    let lines = Lines::default();
    let mut first = place(&lines.clone(), &endpoint(1, 0));
    first.turn().await.unwrap();
    let mut same = place(&lines, &endpoint(1, 0));
    assert!(tokio::time::timeout(secs(1), same.turn()).await.is_err());
    let mut elsewhere = endpoint(1, 0);
    elsewhere.base_url = crate::BaseUrl::parse("http://other/v1").unwrap();
    place(&lines, &elsewhere).turn().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_latest_pace_holds() {
    let lines = Lines::default();
    let [mut first, mut second] = [(); 2].map(|()| place(&lines, &endpoint(1, 0)));
    first.turn().await.unwrap();
    let second = tokio::spawn(async move {
        second.turn().await.unwrap();
        second
    });
    tokio::time::sleep(secs(1)).await;
    assert!(!second.is_finished());
    place(&lines, &endpoint(3, 0)).turn().await.unwrap();
    assert!(second.await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn one_too_many_is_refused_by_name() {
    let (lines, endpoint) = (Lines::default(), endpoint(1, 0));
    let mut first = place(&lines, &endpoint);
    first.turn().await.unwrap();
    let line = first.line.clone().unwrap();
    let bell = Arc::default();
    let joins = (0..MAX_WAITING).map(|_| line.join(None, endpoint.pace, 1, &bell).1);
    assert!(joins.into_iter().all(|joined| joined.is_ok()));
    let failure = place(&lines, &endpoint).turn().await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Limit(Limit::Queue));
    assert!(failure.message.contains("1 at once"), "{failure}");
    assert!(crate::is_retryable(&failure));
}

#[tokio::test(start_paused = true)]
async fn endpoints_at_rest_are_forgotten_and_others_are_not() {
    let lines = Lines::default();
    let mut named = endpoint(0, 60);
    let mut kept = place(&lines, &named);
    kept.turn().await.unwrap();
    drop(kept);
    for n in 1..MAX_LINES {
        named.name = n.to_string();
        drop(place(&lines, &named));
    }
    assert_eq!(lock(&lines.0).len(), MAX_LINES);
    named.name = "one more".into();
    let one_more = place(&lines, &named);
    let names: Vec<String> = lock(&lines.0).keys().map(|(name, _)| name.clone()).collect();
    assert_eq!(
        names.len(),
        2,
        "the first owes a request, the last is in use: {names:?}"
    );
    assert!(names.contains(&"up".to_owned()) && one_more.line.is_ok());
}
