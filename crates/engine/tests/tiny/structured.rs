//! Answers that are JSON.

use std::cell::Cell;

use aurora_chat::{ChatRequest, FinishReason, Message, Role, Verdict};
use aurora_local::{Engine, Refusal};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::checker::assert_valid;
use crate::fixture::{Answer, Folder, assert_alike, collect, engine, options, request};

/// A request at a high temperature for JSON of this schema.
pub(crate) fn wild(schema: &Value, seed: i64, max_tokens: u32) -> ChatRequest {
    let format =
        json!({"type": "json_schema", "json_schema": {"name": "test", "strict": true, "schema": schema}});
    ChatRequest {
        temperature: Some(2.0),
        seed: Some(seed),
        response_format: Some(format),
        ..request("the", max_tokens)
    }
}

fn ask(engine: &Engine, request: &ChatRequest) -> Answer {
    collect(engine.generate(request).expect("a valid request"))
}

/// Why a request is refused.
fn refused(engine: &Engine, request: &ChatRequest) -> (String, String) {
    match engine.generate(request) {
        Err(Refusal::Request(error)) => (error.param.unwrap_or_default(), error.message),
        other => panic!("it is not refused: {other:?}"),
    }
}

/// Schemas of values that are short, so that answers come to their end.
fn schemas() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({"type": "boolean"})),
        Just(json!({"type": "null"})),
        Just(json!({"const": "é\"\\\n世"})),
        Just(json!({"enum": ["a", 1, null, {"b": [true]}]})),
        (-50_i64..50, 0_i64..100)
            .prop_map(|(least, more)| json!({"type": "integer", "minimum": least, "maximum": least + more})),
        (0_u64..3, 0_u64..4).prop_map(
            |(least, more)| json!({"type": "string", "minLength": least, "maxLength": least + more})
        ),
        Just(json!({"type": ["string", "null"], "maxLength": 3})),
        Just(json!({"$ref": "#/$defs/pair"})),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            (inner.clone(), 0_u64..2, 1_u64..3).prop_map(|(items, least, more)| {
                json!({"type": "array", "items": items, "minItems": least, "maxItems": least + more})
            }),
            prop::collection::vec(inner.clone(), 1..3).prop_map(|any| json!({"anyOf": any})),
            prop::collection::vec((inner, any::<bool>()), 0..4).prop_map(|members| {
                let name = |index: usize| ["z", "a b", "\"", "ü"][index].to_owned();
                let properties: serde_json::Map<String, Value> =
                    members.iter().enumerate().map(|(index, (schema, _))| (name(index), schema.clone())).collect();
                let required: Vec<String> =
                    members.iter().enumerate().filter(|(_, (_, required))| *required).map(|(index, _)| name(index)).collect();
                json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
            }),
        ]
    })
    .prop_map(|mut schema| {
        schema["$defs"] = json!({"pair": {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 2}});
        schema
    })
}

#[test]
fn every_answer_obeys_its_schema() {
    const CASES: u32 = 150;
    let folder = Folder::new();
    let engine = engine(&folder, 1, 0);
    let whole = Cell::new(0);
    let check = |(schema, seed): (Value, i64)| {
        let answer = ask(&engine, &wild(&schema, seed, 400));
        if answer.end.finish_reason == Some(FinishReason::Stop) {
            let value: Value = serde_json::from_str(&answer.text).expect("a whole answer is JSON");
            assert_valid(&value, &schema);
            whole.set(whole.get() + 1);
        } else {
            assert_eq!(answer.end.verdict, Verdict::Length);
        }
        Ok(())
    };
    let mut runner = TestRunner::new(Config::with_cases(CASES));
    runner
        .run(&(schemas(), any::<i64>()), check)
        .expect("every answer obeys");
    assert!(whole.get() > CASES / 2, "only {} came to their end", whole.get());
}

#[test]
fn json_without_a_schema_is_an_object() {
    let folder = Folder::new();
    let engine = engine(&folder, 1, 0);
    let mut whole = 0;
    for seed in 0..40 {
        let request = ChatRequest {
            response_format: Some(json!({"type": "json_object"})),
            ..wild(&json!({}), seed, 60)
        };
        let answer = ask(&engine, &request);
        assert!(answer.text.starts_with('{'), "{}", answer.text);
        if answer.end.verdict == Verdict::Complete {
            whole += 1;
            let value: Value = serde_json::from_str(&answer.text).expect("a whole answer is JSON");
            assert!(value.is_object());
        }
    }
    assert!(whole > 0, "none came to its end");
}

/// What the model would say without a choice is not asked of it: the answer is the same, in fewer steps.
#[test]
fn what_is_certain_is_the_same_with_and_without_log_probabilities() {
    let folder = Folder::new();
    let engine = engine(&folder, 1, 0);
    let schema = json!({
        "type": "object",
        "properties": {
            "a name that is long enough to be more than one step has rows for": {"type": "boolean"},
            "another": {"enum": ["with a value of its own", "or with one that begins as it does: with"]},
        },
        "required": ["a name that is long enough to be more than one step has rows for", "another"],
        "additionalProperties": false,
    });
    for seed in 0..20 {
        let mut request = wild(&schema, seed, 450);
        let forced = ask(&engine, &request);
        request.extra.insert("logprobs".to_owned(), json!(true));
        let asked = ask(&engine, &request);
        // A backend that computes several rows otherwise than one draws other things where there is a choice.
        if options().backend.is_exact() {
            assert_eq!((&forced.text, &forced.end), (&asked.text, &asked.end));
            assert_eq!(forced.usage.output_tokens, asked.usage.output_tokens);
        }
        for answer in [&forced, &asked] {
            assert_valid(&serde_json::from_str(&answer.text).expect("JSON"), &schema);
        }
    }
}

#[test]
fn an_answer_depends_on_its_request_alone_also_where_it_is_json() {
    let folder = Folder::new();
    let engine = engine(&folder, 6, 12);
    let schema = json!({
        "type": "object",
        "properties": {"one": {"type": "string", "maxLength": 12}, "two": {"type": "array", "items": {"type": "integer"}}},
        "required": ["one", "two"],
    });
    let requests: Vec<ChatRequest> = (0..12)
        .map(|n| match n % 3 {
            0 => wild(&schema, n, 60),
            1 => ChatRequest {
                stop: vec!["t\"".to_owned(), "1".to_owned()],
                ..wild(&schema, n, 60)
            },
            _ => ChatRequest {
                temperature: Some(1.5),
                seed: Some(n),
                ..request(&"the cat ".repeat(n as usize * 3), 60)
            },
        })
        .collect();
    let texts = |answers: Vec<Answer>| -> Vec<_> {
        answers
            .into_iter()
            .map(|answer| (answer.text, answer.end))
            .collect()
    };
    let alone = texts(requests.iter().map(|request| ask(&engine, request)).collect());
    let running: Vec<_> = requests
        .iter()
        .map(|request| engine.generate(request).expect("a valid request"))
        .collect();
    let together = texts(running.into_iter().map(collect).collect());
    if options().backend.is_exact() {
        assert_eq!(together, alone);
    } else {
        let [together, alone] =
            [together, alone].map(|answers| answers.into_iter().map(|(text, _)| text).collect::<Vec<_>>());
        assert_alike(&together, &alone);
    }
}

#[test]
fn an_answer_that_reaches_its_limit_says_so_and_is_a_beginning() {
    let folder = Folder::new();
    let engine = engine(&folder, 1, 0);
    let schema = json!({"type": "object", "properties": {"name": {"const": "lighthouse"}}, "required": ["name"], "additionalProperties": false});
    let whole = ask(&engine, &wild(&schema, 1, 250));
    assert_eq!(whole.end.verdict, Verdict::Complete);
    let tokens = u32::try_from(whole.usage.output_tokens).expect("a few");
    // With exactly as many tokens as it takes, it is whole.
    assert_eq!(
        ask(&engine, &wild(&schema, 1, tokens)).end.verdict,
        Verdict::Complete
    );
    let cut = ask(&engine, &wild(&schema, 1, tokens - 2));
    assert_eq!(cut.end.verdict, Verdict::Length);
    assert!(whole.text.starts_with(&cut.text) && cut.text.len() < whole.text.len());
}

#[test]
fn a_stop_string_ends_json_too() {
    let folder = Folder::new();
    let engine = engine(&folder, 1, 0);
    let request = ChatRequest {
        stop: vec!["ho".to_owned()],
        ..wild(&json!({"const": "lighthouse"}), 1, 100)
    };
    let answer = ask(&engine, &request);
    assert_eq!(
        (answer.text.as_str(), answer.end.finish_reason),
        ("\"light", Some(FinishReason::Stop))
    );
}

#[test]
fn an_answer_that_has_begun_is_gone_on_with() {
    let folder = Folder::new();
    let engine = engine(&folder, 1, 0);
    let schema = json!({"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"], "additionalProperties": false});
    let begun = |text: &str| {
        let mut request = wild(&schema, 3, 50);
        request.messages.push(Message::text(Role::Assistant, text));
        request
            .extra
            .insert("continue_final_message".to_owned(), json!(true));
        request
    };
    let answer = ask(&engine, &begun("{\"ok\": t"));
    assert!(answer.text.starts_with("rue"), "{}", answer.text);
    for text in ["no", "{\"ok\": true}"] {
        assert_eq!(refused(&engine, &begun(text)).0, "messages", "{text}");
    }
}

#[test]
fn what_cannot_be_obeyed_is_refused_with_the_reason() {
    let folder = Folder::new();
    let engine = engine(&folder, 1, 0);
    for (schema, reason) in [
        (json!({"not": {"type": "string"}}), "not"),
        (json!({"type": "strong"}), "strong"),
        (json!({"type": "array", "uniqueItems": true}), "uniqueItems"),
        (
            json!({"oneOf": [{"type": "number"}, {"type": "integer"}]}),
            "oneOf",
        ),
        (json!({"$ref": "https://example.com/schema"}), "$ref"),
        (json!({"type": "integer", "minimum": 3, "maximum": 2}), "minimum"),
        (json!({"type": "string", "format": "no such format"}), "format"),
        (json!({"type": "string", "pattern": "(?=a)"}), "look"),
    ] {
        let (param, message) = refused(&engine, &wild(&schema, 1, 10));
        assert_eq!(param, "response_format", "{schema}");
        assert!(
            message.starts_with("response_format: ") && message.contains(reason),
            "{message}"
        );
        assert!(!message.contains('\n') && message.len() < 400, "{message}");
    }
}

/// Schemas that multiply, recurse or repeat without end cost their request, and neither the process nor anybody else.
#[test]
fn hostile_schemas_cost_no_more_than_their_request() {
    let folder = Folder::new();
    let engine = engine(&folder, 1, 0);
    let many = |count: usize| -> serde_json::Map<String, Value> {
        (0..count)
            .map(|n| (format!("p{n}"), json!({"type": "string"})))
            .collect()
    };
    let alternatives: Vec<Value> = (0..60)
        .map(|n| json!({"required": [format!("p{n}")], "properties": many(20)}))
        .collect();
    let mut nested = json!({});
    for _ in 0..100 {
        nested = json!({"anyOf": [{"type": "array", "items": nested}, {"type": "null"}]});
    }
    for schema in [
        json!({"type": "object", "properties": many(1000), "additionalProperties": false}),
        json!({"type": "object", "properties": many(1000), "required": ["p999"]}),
        json!({"allOf": vec![json!({"anyOf": alternatives}); 8]}),
        json!({"type": "string", "minLength": 1_000_000_000}),
        json!({"type": "string", "maxLength": 1_000_000_000}),
        json!({"type": "array", "items": {"type": "null"}, "minItems": 1_000_000_000}),
        json!({"type": "array", "items": {"type": "string"}, "maxItems": 1_000_000_000}),
        json!({"type": "string", "pattern": "((a{1,999}){1,999}){1,999}"}),
        json!({"type": "string", "pattern": "^(.*)*(.*)*x(.*)*$"}),
        json!({"$ref": "#"}),
        json!({"$ref": "#/$defs/a", "$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}}),
        json!({"enum": (0..1000).map(|n| "x".repeat(n % 100)).collect::<Vec<_>>()}),
        nested,
    ] {
        // Whatever becomes of it, it ends.
        if let Ok(generation) = engine.generate(&wild(&schema, 1, 5)) {
            assert_eq!(collect(generation).ends, 1);
        }
    }
    assert_eq!(ask(&engine, &wild(&json!({"const": 1}), 1, 5)).text, "1");
}
