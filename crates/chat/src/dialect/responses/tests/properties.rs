//! What holds for every answer, however it is cut and wherever it ends.

use proptest::prelude::*;
use serde_json::Value;

use super::model::Client;
use super::*;
use crate::{Failure, FailureKind, Transcript};

const TEXT: &str = "\\PC{1,6}|[\"\\\\\n\u{1}\u{1f600}/]{1,4}";

/// Deltas of every kind in any order, calls interleaved.
fn any_deltas() -> impl Strategy<Value = Vec<Update>> {
    let delta = prop_oneof![
        4 => TEXT.prop_map(|piece| text(&piece)),
        2 => TEXT.prop_map(|piece| reasoning(&piece)),
        1 => TEXT.prop_map(|piece| refusal(&piece)),
        4 => (0..3_u32, "[a-z\"{}\\\\:]{0,5}").prop_map(|(index, arguments)| call(index, "", "", &arguments)),
        1 => Just(usage()),
    ];
    prop::collection::vec(delta, 0..24).prop_map(|mut updates| {
        let mut begun = [false; 3];
        for update in &mut updates {
            if let Update::Delta(Delta::ToolCall(call)) = update
                && !std::mem::replace(&mut begun[call.index as usize], true)
            {
                call.id = Some(format!("call_{}", call.index));
                call.name = Some(format!("f{}", call.index));
            }
        }
        updates.insert(0, start());
        updates
    })
}

fn any_finish() -> impl Strategy<Value = FinishReason> {
    prop_oneof![
        Just(FinishReason::Stop),
        Just(FinishReason::Length),
        Just(FinishReason::ToolCalls),
        Just(FinishReason::ContentFilter),
    ]
}

fn transcript(updates: &[Update]) -> Transcript {
    let mut transcript = Transcript::new();
    for update in updates {
        if let Update::Delta(delta) = update {
            transcript.push(delta).unwrap();
        }
    }
    transcript
}

/// Everything of one kind that the items of a response object say.
fn said(output: &Value, part_type: &str, field: &str) -> String {
    let items = output.as_array().unwrap().iter();
    items
        .filter_map(|item| item["content"].as_array())
        .flatten()
        .filter(|part| part["type"] == part_type)
        .map(|part| part[field].as_str().unwrap())
        .collect()
}

fn assert_says_all(output: &Value, transcript: &Transcript) {
    assert_eq!(said(output, "output_text", "text"), transcript.text);
    assert_eq!(said(output, "reasoning_text", "text"), transcript.reasoning);
    assert_eq!(said(output, "refusal", "refusal"), transcript.refusal);
    let items = output.as_array().unwrap().iter();
    let calls: Vec<_> = items
        .filter(|item| item["type"] == "function_call")
        .map(|item| {
            (
                item["call_id"].as_str(),
                item["name"].as_str(),
                item["arguments"].as_str().unwrap(),
            )
        })
        .collect();
    let wanted: Vec<_> = transcript
        .tool_calls
        .iter()
        .map(|call| (call.id.as_deref(), call.name.as_deref(), call.arguments.as_str()))
        .collect();
    assert_eq!(calls, wanted);
}

/// What the events say besides deltas, without their numbers.
fn without_deltas(events: &[Kept]) -> Vec<Value> {
    events
        .iter()
        .filter(|event| !event.kind.ends_with(".delta"))
        .map(|event| {
            let mut data: Value = serde_json::from_str(&event.data).unwrap();
            data["sequence_number"].take();
            data
        })
        .collect()
}

/// The update cut in two, if it is one that can be.
fn halves(update: &Update, cut: prop::sample::Index) -> Vec<Update> {
    let Update::Delta(delta) = update else {
        return vec![update.clone()];
    };
    let cut = |piece: &str| {
        let at = piece.floor_char_boundary(cut.index(piece.len() + 1));
        [piece[..at].to_owned(), piece[at..].to_owned()]
    };
    let of_kind = |piece: &str, kind: fn(String) -> Delta| {
        let halves = cut(piece).into_iter().filter(|half| !half.is_empty());
        halves.map(|half| Update::Delta(kind(half))).collect()
    };
    match delta {
        Delta::Text(piece) => of_kind(piece, Delta::Text),
        Delta::Reasoning(piece) => of_kind(piece, Delta::Reasoning),
        Delta::Refusal(piece) => of_kind(piece, Delta::Refusal),
        Delta::ToolCall(whole) => {
            let [left, right] = cut(&whole.arguments);
            let first = ToolCallDelta {
                arguments: left,
                ..whole.clone()
            };
            vec![
                Update::Delta(Delta::ToolCall(first)),
                call(whole.index, "", "", &right),
            ]
        }
        Delta::Logprobs(_) | Delta::Usage(_) | Delta::Finish(_) => vec![update.clone()],
    }
}

proptest! {
    #[test]
    fn a_client_that_follows_the_events_has_the_transcript(deltas in any_deltas(), finish in any_finish()) {
        let whole = matches!(finish, FinishReason::Stop | FinishReason::ToolCalls);
        let mut updates = deltas;
        updates.push(finished(finish));
        let client = Client::of(&fold(&mut writer(Settings::default()), &updates));
        prop_assert_eq!(client.ends, [if whole { "response.completed" } else { "response.incomplete" }]);
        assert_says_all(&client.response["output"], &transcript(&updates));
        let done: Vec<_> = client.items.iter().filter_map(|item| item.done.clone()).collect();
        prop_assert_eq!(&Value::Array(done), &client.response["output"]);
        let cut = client.response["output"].as_array().unwrap().iter().filter(|item| item["status"] != "completed");
        prop_assert_eq!(cut.count(), usize::from(!whole && !client.items.is_empty()));
    }

    #[test]
    fn an_answer_that_broke_off_is_kept_and_never_called_done(deltas in any_deltas(), cancelled in any::<bool>()) {
        let mut updates = deltas;
        updates.push(Update::End(if cancelled {
            End::cancelled()
        } else {
            End::of_failure(Failure::new(FailureKind::UnexpectedEnd, "why"))
        }));
        let mut writer = writer(Settings::default());
        let client = Client::of(&fold(&mut writer, &updates));
        let ends: &[&str] = if cancelled { &["error"] } else { &["response.failed", "error"] };
        prop_assert_eq!(client.ends, ends);
        let mut object = Vec::new();
        writer.response(&mut object);
        let object: Value = serde_json::from_slice(&object).unwrap();
        assert_says_all(&object["output"], &transcript(&updates));
        for (item, told) in object["output"].as_array().unwrap().iter().zip(&client.items) {
            let status = if told.done.is_some() { "completed" } else { "incomplete" };
            prop_assert_eq!(&item["status"], status);
            // No call was said to be ready to be made.
            prop_assert!(told.done.is_none() || item["type"] != "function_call");
        }
    }

    #[test]
    fn any_cut_of_the_text_gives_the_same_but_for_the_deltas(deltas in any_deltas(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 24)) {
        let pieces = deltas.iter().zip(cuts.iter().cycle());
        let pieces = pieces.flat_map(|(update, cut)| halves(update, *cut)).collect();
        let ends = [deltas, pieces].map(|mut updates| {
            updates.push(finished(FinishReason::Stop));
            without_deltas(&fold(&mut writer(Settings::default()), &updates))
        });
        prop_assert_eq!(&ends[0], &ends[1]);
    }
}
