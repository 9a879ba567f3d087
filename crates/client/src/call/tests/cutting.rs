//! Connections cut anywhere, any number of times: the answer arrives whole and once.

use proptest::prelude::*;

use super::{
    resuming::{events, kept_head, lost, resume_from},
    *,
};

/// What happens to a connection.
#[derive(Clone, Debug)]
enum Mishap {
    /// It is cut after this many bytes; with `true` its body ends properly.
    Cut(usize, bool),
    Status(u16),
    Unreachable,
}

fn mishaps() -> impl Strategy<Value = Vec<Mishap>> {
    let mishap = prop_oneof![
        4 => (0_usize..900, any::<bool>()).prop_map(|(bytes, proper)| Mishap::Cut(bytes, proper)),
        1 => prop_oneof![Just(503), Just(429)].prop_map(Mishap::Status),
        1 => Just(Mishap::Unreachable),
    ];
    proptest::collection::vec(mishap, 0..10)
}

/// Drives a call against a server that keeps this stream, while these things happen to its connections, one each. After
/// a loss the server goes back by as many events as it likes.
fn play(call: &mut Call, stream: &[String], mishaps: Vec<Mishap>, chunk: usize, back: usize) -> Vec<Passage> {
    let mut mishaps = mishaps.into_iter();
    let mut now = secs(0);
    let mut passages = Vec::new();
    loop {
        passages.extend(std::iter::from_fn(|| call.poll_passage()));
        match call.need() {
            Need::Nothing => return passages,
            Need::Wait => {
                now = call.wake_at().unwrap();
                call.handle_time(now);
            }
            Need::Body | Need::Turn => panic!("all of a body is fed below, and nothing limits the endpoint"),
            Need::Send => {
                let from = resume_from(call).map_or(0, |from| from.seq.map_or(0, |seq| seq as usize + 1));
                // A request that is refused before its stream begins is another matter: it is sent again.
                let mishap = mishaps
                    .next()
                    .filter(|mishap| resume_from(call).is_some() || matches!(mishap, Mishap::Cut(..)));
                let body = stream[from.saturating_sub(back)..].concat();
                let (bytes, ended) = match mishap {
                    None => (body.len(), BodyEnd::Proper),
                    Some(Mishap::Cut(bytes, true)) => (bytes, BodyEnd::Proper),
                    Some(Mishap::Cut(bytes, false)) => (bytes, lost()),
                    Some(Mishap::Status(status)) => {
                        call.handle_head(head(status), now);
                        call.handle_end(BodyEnd::Proper, now);
                        continue;
                    }
                    Some(Mishap::Unreachable) => {
                        let failure = Failure::new(FailureKind::Connect, "refused");
                        call.handle(
                            Input::Unsent {
                                failure,
                                retryable: true,
                            },
                            now,
                        );
                        continue;
                    }
                };
                call.handle_head(kept_head(200), now);
                for piece in body.as_bytes()[..bytes.min(body.len())].chunks(chunk) {
                    call.handle_bytes(piece, now);
                }
                call.handle_end(ended, now);
            }
        }
    }
}

proptest! {
    #[test]
    fn cut_anywhere_any_number_of_times_an_answer_arrives_whole_and_once(
        mishaps in mishaps(),
        chunk in 1_usize..400,
        back in 0_usize..4,
        seed: u64,
    ) {
        let texts = ["Grü", "ße ", "日本", "", "\n", "a", "a", "a"];
        let answer = fixtures::sse_answer(&texts);
        let said = |passages: Vec<Passage>| -> Vec<Passage> {
            let said = passages.into_iter().filter(|passage| !matches!(passage, Passage::Update(Update::Notice(_))));
            said.collect()
        };
        let mut unbroken = call().verbatim();
        let whole = said(play(&mut unbroken, &events(&texts), Vec::new(), usize::MAX, 0));
        prop_assert_eq!(whole.iter().filter(|passage| matches!(passage, Passage::Event(_))).count(), answer.len() - 1);
        let mut broken = call_with(|terms| terms.seed = seed).verbatim();
        // After a finish reason a loss is no loss: the rest is worth no second connection.
        let without_usage = |passages: Vec<Passage>| -> Vec<Passage> {
            let finish = passages.iter().position(|passage| matches!(passage, Passage::Update(Update::Delta(Delta::Finish(_)))));
            passages[..=finish.expect("a finish reason")].to_vec()
        };
        let played = said(play(&mut broken, &events(&texts), mishaps, chunk, back));
        prop_assert_eq!(&played.last(), &whole.last());
        prop_assert_eq!(without_usage(played), without_usage(whole));
    }
}
