//! Log probabilities.

use aurora_chat::{ChatRequest, TokenLogprob};
use serde_json::json;

use crate::fixture::{Answer, Folder, collect, engine, request};

fn with_logprobs(top: u32, request: ChatRequest) -> ChatRequest {
    let mut request = request;
    request.extra.insert("logprobs".to_owned(), json!(true));
    request.extra.insert("top_logprobs".to_owned(), json!(top));
    request
}

fn wild(seed: i64) -> ChatRequest {
    ChatRequest {
        temperature: Some(2.0),
        seed: Some(seed),
        ..request("the", 40)
    }
}

fn bytes(likely: &[(TokenLogprob, usize)]) -> Vec<u8> {
    let bytes = likely
        .iter()
        .map(|(token, _)| token.chosen.bytes.clone().expect("bytes"));
    bytes.flatten().collect()
}

/// The tokens spell the text, and none is told before all of its text.
fn assert_aligned(answer: &Answer) {
    let spelled = bytes(&answer.likely);
    assert_eq!(String::from_utf8_lossy(&spelled), answer.text);
    for index in 0..answer.likely.len() {
        let with_it = bytes(&answer.likely[..=index]);
        assert!(
            String::from_utf8_lossy(&with_it).len() > answer.likely[index].1,
            "a token is told with its text, not later"
        );
    }
}

#[test]
fn tokens_are_told_with_their_text() {
    let folder = Folder::new();
    let engine = engine(&folder, 1, 0);
    for seed in 0..20 {
        let answer = collect(engine.generate(&with_logprobs(3, wild(seed))).expect("valid"));
        assert_aligned(&answer);
        for (token, _) in &answer.likely {
            let top = &token.top_logprobs;
            assert_eq!(top.len(), 3);
            assert!(top.windows(2).all(|pair| pair[0].logprob >= pair[1].logprob));
            assert!(top[0].logprob >= token.chosen.logprob && token.chosen.logprob <= 0.0);
        }
    }
}

#[test]
fn they_change_no_answer_and_come_only_where_they_are_asked_for() {
    let folder = Folder::new();
    let engine = engine(&folder, 1, 0);
    let plain = collect(engine.generate(&wild(1)).expect("valid"));
    assert_eq!(plain.likely, []);
    let told = collect(engine.generate(&with_logprobs(0, wild(1))).expect("valid"));
    assert_eq!((plain.text, plain.end), (told.text, told.end));
    assert!(told.likely.iter().all(|(token, _)| token.top_logprobs.is_empty()));
}

#[test]
fn all_tokens_together_are_certain() {
    let folder = Folder::new();
    let engine = engine(&folder, 1, 0);
    let greedy = collect(
        engine
            .generate(&with_logprobs(20, request("the", 5)))
            .expect("valid"),
    );
    for (token, _) in &greedy.likely {
        assert_eq!(token.chosen, token.top_logprobs[0], "greedy takes the likeliest");
        let sum: f64 = token.top_logprobs.iter().map(|likely| likely.logprob.exp()).sum();
        assert!(sum > 0.05 && sum < 1.0 + 1e-4, "{sum}");
    }
}

/// They are the model's own, whatever the request makes of them.
#[test]
fn neither_bias_nor_temperature_changes_them() {
    let folder = Folder::new();
    let engine = engine(&folder, 1, 0);
    let first = |request: ChatRequest| {
        let answer = collect(engine.generate(&with_logprobs(20, request)).expect("valid"));
        answer.likely[0].0.top_logprobs.clone()
    };
    // 66 is "@", so that there is a token with text.
    let biased = |request: ChatRequest| {
        let mut request = request;
        request.max_tokens = Some(1);
        request.logit_bias.insert(66, 100.0);
        request
    };
    let plain = first(biased(request("the", 1)));
    let mut other = biased(wild(2));
    other.frequency_penalty = Some(2.0);
    other.logit_bias.insert(plain_best(&plain), -100.0);
    assert_eq!(first(other), plain);
}

/// The token of a byte that is among these.
fn plain_best(likely: &[aurora_chat::Likely]) -> u32 {
    let byte = likely.iter().find_map(|likely| match likely.bytes.as_deref() {
        Some([byte]) if *byte != b'@' => Some(*byte),
        _ => None,
    });
    2 + u32::from(byte.expect("one of twenty is a byte"))
}

#[test]
fn a_stop_string_takes_its_tokens_with_it() {
    let folder = Folder::new();
    let engine = engine(&folder, 1, 0);
    let whole = collect(engine.generate(&request("stop", 40)).expect("valid")).text;
    let characters: Vec<(usize, char)> = whole.char_indices().collect();
    let stop: String = whole[characters[characters.len() / 2].0..]
        .chars()
        .take(3)
        .collect();
    let request = ChatRequest {
        stop: vec![stop],
        ..request("stop", 40)
    };
    let answer = collect(engine.generate(&with_logprobs(1, request)).expect("valid"));
    assert!(answer.text.len() < whole.len());
    let spelled = bytes(&answer.likely);
    assert!(String::from_utf8_lossy(&spelled).starts_with(&answer.text));
    let without_last = bytes(&answer.likely[..answer.likely.len() - 1]);
    assert!(
        without_last.len() < answer.text.len(),
        "no token of the stop string alone is told"
    );
}
