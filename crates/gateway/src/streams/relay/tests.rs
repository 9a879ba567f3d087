//! When a relay hands over what it has, and how long it waits for readers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use aurora_chat::{Delta, Update, Verdict};
use aurora_client::Passage;
use aurora_streamlog::{Memory, NewStream, Owner, State as LogState, Store, StreamId};
use futures_util::{StreamExt, stream};
use tokio::time::advance;

use super::*;
use crate::streams::title::Title;
use crate::{BoxFuture, PassageStream};

const GRACE: Duration = Duration::from_secs(10);

/// A relay of these passages, which fall silent then, and what it writes to.
async fn relay(passages: Vec<Passage>) -> (Relay, Arc<Live>, Arc<dyn aurora_streamlog::Log>) {
    relay_of(Box::pin(stream::iter(passages).chain(stream::pending()))).await
}

async fn relay_of(source: PassageStream) -> (Relay, Arc<Live>, Arc<dyn aurora_streamlog::Log>) {
    let starting: BoxFuture<Result<PassageStream, Refusal>> = Box::pin(async { Ok(source) });
    let new = NewStream {
        id: StreamId::from_bytes([7; 16]),
        owner: Owner::ANYONE,
        created: std::time::SystemTime::UNIX_EPOCH,
        header: Title::default().header().into(),
    };
    let writer = Memory::default().create(new).await.expect("room");
    let (log, live) = (writer.log(), Live::new());
    let relay = Relay::new(
        Source::new(starting),
        Records::new(Title::default()),
        writer,
        Arc::clone(&live),
        Absence::Cancel(GRACE),
        Box::pin(std::future::pending()),
    );
    (relay, live, log)
}

/// Whether the task was woken.
#[derive(Default)]
struct Alarm(AtomicBool);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Polls as often as it asks for, and says whether it is over.
fn run(relay: &mut Relay) -> bool {
    let alarm = Arc::new(Alarm::default());
    let waker = Waker::from(Arc::clone(&alarm));
    loop {
        if Pin::new(&mut *relay)
            .poll(&mut Context::from_waker(&waker))
            .is_ready()
        {
            return true;
        }
        if !alarm.0.swap(false, Ordering::Relaxed) {
            return false;
        }
    }
}

/// As an upstream says it: an event, and what it means.
fn said(count: usize) -> Vec<Passage> {
    let passages = (0..count).flat_map(|n| {
        let data = format!(r#"{{"choices":[{{"delta":{{"content":"{n}"}}}}]}}"#);
        let delta = Update::Delta(Delta::Text(n.to_string()));
        [Passage::Event(data), Passage::Update(delta)]
    });
    passages.collect()
}

#[tokio::test(start_paused = true)]
async fn the_last_event_before_a_silence_is_handed_over_however_many_there_were() {
    for count in 1..=PASSAGES_PER_FLUSH * FLUSHES_PER_TURN {
        let (mut relay, live, log) = relay(said(count)).await;
        let _reader = live.attend();
        assert!(!run(&mut relay));
        assert_eq!(log.next_seq(), count as u64);
    }
}

/// An HTTP library hands over a chunk when the one before was taken and its task has had its turn.
#[tokio::test(start_paused = true)]
async fn events_that_come_one_a_turn_are_handed_over_together() {
    const EVENTS: usize = 2 * PASSAGES_PER_FLUSH;
    let mut passages = said(EVENTS).into_iter();
    let mut given = 0;
    let source = stream::poll_fn(move |cx| {
        given += 1;
        if given % 3 == 0 && passages.len() > 0 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        passages
            .next()
            .map_or(Poll::Pending, |passage| Poll::Ready(Some(passage)))
    });
    let (mut relay, live, log) = relay_of(Box::pin(source)).await;
    let _reader = live.attend();
    let mut lengths = Vec::new();
    for _turn in 0..2 * EVENTS {
        assert!(
            Pin::new(&mut relay)
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
        lengths.push(log.next_seq());
    }
    lengths.dedup();
    assert_eq!(lengths.last(), Some(&(EVENTS as u64)));
    let (fewest, most) = (EVENTS * 2 / PASSAGES_PER_FLUSH, EVENTS / 16);
    assert!((fewest..most).contains(&lengths.len()), "{lengths:?}");
}

#[tokio::test(start_paused = true)]
async fn a_reader_however_short_its_stay_begins_the_grace_anew() {
    let (mut relay, live, log) = relay(said(1)).await;
    assert!(!run(&mut relay));
    advance(GRACE - Duration::from_millis(10)).await;
    drop(live.attend());
    assert!(!run(&mut relay));
    advance(GRACE - Duration::from_millis(10)).await;
    assert!(!run(&mut relay), "the grace of the last reader is not over");
    advance(Duration::from_millis(20)).await;
    assert!(run(&mut relay));
    let LogState::Finished { footer, .. } = log.state() else {
        panic!("the stream has no end")
    };
    let footer = Footer::read(&footer).expect("a footer of ours");
    assert_eq!(footer.verdict, Verdict::Cancelled.as_str());
}
