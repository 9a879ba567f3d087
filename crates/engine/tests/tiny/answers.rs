//! Requests and their answers.

use std::time::{Duration, Instant};

use aurora_chat::{ChatRequest, Content, FinishReason, Message, Part, Role, Verdict};
use aurora_local::{Backend, Engine, Refusal};
use candle_core::quantized::GgmlDType;
use serde_json::json;

use crate::fixture::{Answer, CONTEXT, Folder, assert_alike, collect, engine, options, request};

#[test]
fn an_answer_starts_once_and_ends_once_with_its_counts() {
    let folder = Folder::new();
    let answer = collect(
        engine(&folder, 1, 0)
            .generate(&request("the", 12))
            .expect("a valid request"),
    );
    assert_eq!((answer.starts, answer.ends), (1, 1));
    // <|im_start|> u s e r \n the <|im_end|> \n <|im_start|> a s s i s t a n t \n
    assert_eq!(answer.usage.input_tokens, 20);
    assert!(answer.usage.output_tokens <= 12);
    assert!(
        matches!(answer.end.verdict, Verdict::Length | Verdict::Complete),
        "{:?}",
        answer.end
    );
}

#[test]
fn prompts_are_counted_as_they_are_read() {
    let folder = Folder::new();
    let engine = engine(&folder, 1, 0);
    for (text, alone) in [("the", 1), ("", 0), ("xyz", 3), ("<|im_end|>", 10)] {
        assert_eq!(engine.count_tokens(text), alone, "{text}");
        let request = request(text, 1);
        let counted = engine.count(&request).expect("a valid request");
        assert_eq!(counted, 19 + alone, "{text}");
        let read = collect(engine.generate(&request).expect("a valid request"))
            .usage
            .input_tokens;
        assert_eq!(counted as u64, read, "{text}");
    }
    let too_long = "x".repeat(CONTEXT as usize);
    let refused = engine.count(&request(&too_long, 1));
    assert!(refused.is_err_and(|error| error.code == Some("context_length_exceeded")));
}

#[test]
fn an_answer_that_is_gone_on_with_is_read_up_to_where_it_stops() {
    let folder = Folder::new();
    let engine = engine(&folder, 1, 0);
    let asked = |text: &str, continues: serde_json::Value| {
        let mut request = request("the", 4);
        request.messages.push(Message::text(Role::Assistant, text));
        request
            .extra
            .insert("continue_final_message".to_owned(), continues);
        engine.generate(&request)
    };
    let tokens = |text, continues| {
        collect(asked(text, json!(continues)).expect("a valid request"))
            .usage
            .input_tokens
    };
    // 20 up to where the answer begins, as without one; then its bytes.
    assert_eq!(tokens("so far", true), 26);
    assert_eq!(tokens("<|im_end|>", true), 30, "it ends no turn");
    // <|im_start|> a s s i s t a n t \n so far <|im_end|> \n
    assert_eq!(tokens("so far", false), 20 + 8 + 11, "a turn that is over");
    for (text, continues) in [("so far", json!("yes")), ("so far", json!(1))] {
        let refused = asked(text, continues).expect_err("no boolean");
        assert!(
            refused.to_string().contains("continue_final_message"),
            "{refused}"
        );
    }
    let mut request = request("the", 4);
    request
        .extra
        .insert("continue_final_message".to_owned(), json!(true));
    assert!(engine.generate(&request).is_err(), "there is no answer yet");
}

#[test]
fn the_token_limit_is_kept_exactly() {
    let folder = Folder::new();
    let engine = engine(&folder, 1, 0);
    for limit in [1, 2, 7] {
        // No token ends the answer: the only special one that could is biased away.
        let mut request = request("a", limit);
        request.logit_bias.insert(1, -100.0);
        let answer = collect(engine.generate(&request).expect("a valid request"));
        assert_eq!(answer.usage.output_tokens, u64::from(limit));
        assert_eq!(answer.end.finish_reason, Some(FinishReason::Length));
    }
}

#[test]
fn without_a_limit_an_answer_ends_with_the_context() {
    let folder = Folder::new();
    let mut request = ChatRequest {
        max_tokens: None,
        ..request("a", 1)
    };
    request.logit_bias.insert(1, -100.0);
    let answer = collect(engine(&folder, 1, 0).generate(&request).expect("a valid request"));
    assert_eq!(
        answer.usage.input_tokens + answer.usage.output_tokens,
        u64::from(CONTEXT)
    );
    assert_eq!(answer.end.verdict, Verdict::Length);
}

#[test]
fn the_same_seed_gives_the_same_text_and_another_another() {
    let folder = Folder::new();
    let engine = engine(&folder, 1, 0);
    let ask = |seed| {
        let request = ChatRequest {
            temperature: Some(1.5),
            top_p: Some(1.0),
            seed: Some(seed),
            ..request("hello", 40)
        };
        collect(engine.generate(&request).expect("a valid request")).text
    };
    assert_eq!(ask(1), ask(1));
    assert_ne!(ask(1), ask(2));
}

#[test]
fn a_stop_string_ends_the_answer_before_itself() {
    let folder = Folder::new();
    let engine = engine(&folder, 1, 0);
    let whole = collect(engine.generate(&request("stop", 40)).expect("a valid request")).text;
    let characters: Vec<(usize, char)> = whole.char_indices().collect();
    let (at, _) = characters[characters.len() / 2];
    let stop: String = whole[at..].chars().take(3).collect();
    let request = ChatRequest {
        stop: vec![stop.clone()],
        ..request("stop", 40)
    };
    let answer = collect(engine.generate(&request).expect("a valid request"));
    assert_eq!(answer.text, whole[..whole.find(&stop).expect("it is there")]);
    assert_eq!(answer.end.finish_reason, Some(FinishReason::Stop));
}

#[test]
fn an_answer_does_not_depend_on_what_else_runs() {
    let folder = Folder::new();
    let engine = engine(&folder, 6, 6);
    // Short prompts and long ones, that are fed in one piece alone and in several together.
    let requests: Vec<ChatRequest> = [1, 30, 70, 130, 200, 3]
        .iter()
        .map(|&n| request(&"the cat ".repeat(n)[..n * 2], 30))
        .collect();
    let alone: Vec<_> = requests
        .iter()
        .map(|r| collect(engine.generate(r).expect("a valid request")))
        .collect();
    let running: Vec<_> = requests
        .iter()
        .map(|r| engine.generate(r).expect("a valid request"))
        .collect();
    let together: Vec<_> = running.into_iter().map(collect).collect();
    let texts = |answers: Vec<Answer>| answers.into_iter().map(|answer| answer.text).collect::<Vec<_>>();
    assert_alike(&texts(together), &texts(alone));
}

#[test]
fn what_is_kept_changes_no_answer() {
    let folder = Folder::new();
    let keeping = engine(&folder, 2, 6);
    let mut conversation = request("the cat and the dog", 30);
    for turn in 0..4 {
        let fresh = engine(&folder, 2, 6);
        let expected = collect(fresh.generate(&conversation).expect("a valid request"));
        let ask = || collect(keeping.generate(&conversation).expect("a valid request"));
        let (first, mut second) = (ask(), ask());
        assert_alike(&[first.text], std::slice::from_ref(&expected.text));
        let cached = second.usage.cached_input_tokens.take();
        // The first had all there is to know after the same prompt.
        assert_eq!(cached, Some(second.usage.input_tokens), "turn {turn}");
        second.usage.cached_input_tokens = expected.usage.cached_input_tokens;
        if options().backend.is_exact() {
            assert_eq!(second, expected, "turn {turn}");
        }
        conversation
            .messages
            .push(Message::text(Role::Assistant, expected.text));
        conversation
            .messages
            .push(Message::text(Role::User, "and then the"));
    }
}

#[test]
fn answers_that_do_not_fit_into_memory_together_come_one_after_the_other() {
    let folder = Folder::new();
    let mut options = options();
    // Two blocks with two heads of 16 keys and 16 values: 256 bytes a token, so the context fits once and a half.
    options.kv_bytes = Some(256 * 512 * 3 / 2);
    let path = folder.model(GgmlDType::Q8_0);
    let small = Engine::load(&path, options.clone()).expect("the tiny model loads");
    assert_eq!(small.info().context, CONTEXT as usize);
    let requests: Vec<ChatRequest> = (0..6)
        .map(|n| {
            let mut request = request(&"the cat ".repeat(10 + n), 1);
            request.max_tokens = None;
            request.logit_bias.insert(1, -100.0);
            request
        })
        .collect();
    let running: Vec<_> = requests
        .iter()
        .map(|request| small.generate(request).expect("a valid request"))
        .collect();
    let large = engine(&folder, 1, 6);
    let expected = requests
        .iter()
        .map(|request| collect(large.generate(request).expect("a valid request")).text);
    let found = running.into_iter().map(|generation| collect(generation).text);
    assert_alike(&found.collect::<Vec<_>>(), &expected.collect::<Vec<_>>());
    options.kv_bytes = Some(256 * 100);
    let tiny = Engine::load(&path, options).expect("the tiny model loads");
    let context = match tiny.info().backend {
        Backend::Candle => 96,
        Backend::LlamaCpp => 256,
    };
    assert_eq!(tiny.info().context, context, "whole pages of 32 tokens, or 256");
    assert!(matches!(
        tiny.generate(&request(&"x".repeat(context), 1)),
        Err(Refusal::Request(_))
    ));
}

#[test]
fn more_than_there_is_room_for_is_refused_and_dropping_makes_room() {
    let folder = Folder::new();
    let engine = engine(&folder, 1, 1);
    let long = ChatRequest {
        max_tokens: None,
        ..request("a", 1)
    };
    let first = engine.generate(&long).expect("there is room");
    let second = engine.generate(&long).expect("there is room to wait");
    let refused = engine.generate(&long).expect_err("there is no room");
    assert!(matches!(refused, Refusal::Busy { retry_after } if retry_after > Duration::ZERO));
    drop((first, second));
    let patience = Instant::now() + Duration::from_secs(20);
    while let Err(refused) = engine.generate(&request("a", 1)) {
        assert!(matches!(refused, Refusal::Busy { .. }) && Instant::now() < patience);
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn dropping_the_engine_ends_what_runs() {
    let folder = Folder::new();
    let engine = engine(&folder, 1, 0);
    let generation = engine
        .generate(&ChatRequest {
            max_tokens: None,
            ..request("a", 1)
        })
        .expect("a valid request");
    drop(engine);
    let answer = collect(generation);
    // It may have finished before the engine was dropped, but it may not end in silence.
    assert_eq!(answer.ends, 1);
}

#[test]
fn a_prompt_beyond_the_context_names_both_numbers() {
    let folder = Folder::new();
    let engine = engine(&folder, 1, 0);
    for length in [CONTEXT as usize, 100 * CONTEXT as usize] {
        let Err(Refusal::Request(error)) = engine.generate(&request(&"x".repeat(length), 5)) else {
            panic!("it does not fit");
        };
        assert_eq!(
            (error.param.as_deref(), error.code),
            (Some("messages"), Some("context_length_exceeded"))
        );
        assert!(error.message.contains("512"), "{}", error.message);
        let numbers = error
            .message
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|n| n.parse::<usize>().ok());
        assert!(
            numbers.into_iter().any(|n| n > CONTEXT as usize),
            "{}",
            error.message
        );
    }
    // One token of room is enough.
    let room = CONTEXT as usize - 19 - 1;
    let answer = collect(engine.generate(&request(&"x".repeat(room), 5)).expect("it fits"));
    assert_eq!(answer.usage.output_tokens, 1);
}

#[test]
fn what_the_engine_does_not_do_is_refused_by_name() {
    let folder = Folder::new();
    let engine = engine(&folder, 1, 0);
    let image = json!({"type": "image_url", "image_url": {"url": "data:,"}});
    let parts = vec![
        Part::Text("look".into()),
        Part::Other(image.as_object().expect("an object").clone()),
    ];
    let message = Message {
        content: Content::Parts(parts),
        ..Message::text(Role::User, "")
    };
    let with_grammar = json!({"grammar": "root ::= x"})
        .as_object()
        .expect("an object")
        .clone();
    let cases = [
        (
            ChatRequest {
                messages: vec![message],
                ..request("", 1)
            },
            "messages[0].content[1]",
        ),
        (
            ChatRequest {
                extra: with_grammar,
                ..request("a", 1)
            },
            "grammar",
        ),
    ];
    for (request, param) in cases {
        let Err(Refusal::Request(error)) = engine.generate(&request) else {
            panic!("{param} is not supported")
        };
        assert_eq!(error.param.as_deref(), Some(param));
        assert!(error.message.contains(param), "{}", error.message);
    }
}

#[test]
fn spelled_out_special_tokens_stay_text() {
    let folder = Folder::new();
    let engine = engine(&folder, 1, 0);
    let tokens = |text: &str| {
        collect(engine.generate(&request(text, 1)).expect("a valid request"))
            .usage
            .input_tokens
    };
    let base = tokens("");
    // One token a character, not one for the whole; also nested, where taking one away leaves another.
    for text in [
        "<|im_end|>",
        "<|im_start|>",
        "<|im_<|im_end|>end|>",
        "\u{fdd0}<|im_end|>\u{fdd1}",
    ] {
        assert_eq!(tokens(text) - base, text.len() as u64, "{text}");
    }
}
