//! SmolLM2 held to schemas, and what that costs.

use std::path::Path;

use aurora_chat::{ChatRequest, FinishReason, Message, Role, Transcript, Update};
use aurora_local::evaluate::Evaluator;
use aurora_local::{Engine, Generation};
use serde_json::{Value, json};

use crate::checker::assert_valid;

/// A schema of some size, whose values are short.
fn person() -> Value {
    json!({
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 20},
            "age": {"type": "integer", "minimum": 0, "maximum": 130},
            "city": {"enum": ["Rome", "São Paulo", "北京"]},
            "height": {"type": ["number", "null"], "minimum": 0, "maximum": 3},
            "children": {"type": "array", "items": {"$ref": "#/$defs/child"}, "maxItems": 2},
        },
        "required": ["name", "age", "city", "height", "children"],
        "additionalProperties": false,
        "$defs": {"child": {
            "type": "object",
            "properties": {"name": {"type": "string", "maxLength": 12}, "plays": {"type": "boolean"}},
            "required": ["name"],
            "additionalProperties": false,
        }},
    })
}

fn asked(seed: i64, temperature: f32) -> ChatRequest {
    ChatRequest {
        messages: vec![Message::text(
            Role::User,
            "Anna lives in Rome with her two children. Who is she? Answer in JSON.",
        )],
        temperature: Some(temperature),
        seed: Some(seed),
        max_tokens: Some(220),
        ..ChatRequest::default()
    }
}

fn held(schema: &Value, seed: i64, temperature: f32) -> ChatRequest {
    ChatRequest {
        response_format: Some(json!({"type": "json_schema", "json_schema": {"name": "s", "schema": schema}})),
        ..asked(seed, temperature)
    }
}

fn collect(mut generation: Generation) -> Transcript {
    let mut transcript = Transcript::new();
    while let Some(update) = generation.blocking_next() {
        if let Update::Delta(delta) = update {
            transcript.push(&delta).expect("it is small");
        }
    }
    transcript
}

fn ask(engine: &Engine, request: &ChatRequest) -> Transcript {
    collect(engine.generate(request).expect("a valid request"))
}

fn load(path: &Path) -> Engine {
    super::load(path)
}

pub(crate) fn obey(_: &Evaluator, path: &Path) {
    let engine = load(path);
    let mut whole = 0;
    for seed in 0..24 {
        let answer = ask(
            &engine,
            &held(&person(), seed, [0.0, 0.7, 1.3, 2.0][seed as usize % 4]),
        );
        if answer.finish_reason == Some(FinishReason::Stop) {
            assert_valid(&serde_json::from_str(&answer.text).expect("JSON"), &person());
            whole += 1;
        }
    }
    println!("  {whole} of 24 answers came to their end, and every one obeys");
    assert!(whole >= 20);
}

pub(crate) fn together(_: &Evaluator, path: &Path) {
    let engine = load(path);
    let requests: Vec<ChatRequest> = (0..8)
        .map(|n| ChatRequest {
            max_tokens: Some(48),
            ..if n % 2 == 0 {
                held(&person(), n, 1.0)
            } else {
                asked(n, 1.0)
            }
        })
        .collect();
    let alone: Vec<String> = requests
        .iter()
        .map(|request| ask(&engine, request).text)
        .collect();
    let running: Vec<Generation> = requests
        .iter()
        .map(|request| engine.generate(request).expect("a valid request"))
        .collect();
    let batched: Vec<String> = running
        .into_iter()
        .map(|generation| collect(generation).text)
        .collect();
    if crate::options().backend.is_exact() {
        assert_eq!(alone, batched);
    } else {
        // Rounding alone leads a sampled answer elsewhere, but rarely in its first token.
        let alike = |(a, b): &(&String, &String)| a.chars().next() == b.chars().next();
        let pairs = alone.iter().zip(&batched);
        assert!(
            pairs.filter(alike).count() * 2 > alone.len(),
            "{alone:?}, {batched:?}"
        );
    }
}

pub(crate) fn calls(_: &Evaluator, path: &Path) {
    let engine = load(path);
    for seed in 0..4 {
        let request = ChatRequest {
            tools: vec![json!({"type": "function", "function": {"name": "greet", "parameters": person()}})],
            tool_choice: Some(json!("required")),
            ..asked(seed, 1.0)
        };
        let answer = ask(&engine, &request);
        let [call] = &answer.tool_calls[..] else {
            panic!("one call: {answer:?}")
        };
        assert_eq!(call.name.as_deref(), Some("greet"));
        if answer.finish_reason == Some(FinishReason::ToolCalls) {
            assert_valid(&serde_json::from_str(&call.arguments).expect("JSON"), &person());
        }
    }
}

/// Beside the logits of the model itself.
pub(crate) fn likely(model: &Evaluator, path: &Path) {
    let engine = load(path);
    let mut request = asked(1, 0.0);
    request.max_tokens = Some(6);
    request.extra.insert("logprobs".to_owned(), json!(true));
    request.extra.insert("top_logprobs".to_owned(), json!(5));
    let answer = ask(&engine, &request);
    let prompt = model.conversation(&request, true).expect("a valid request");
    let mut sequences = model.sequences(1, prompt.len() + 8).expect("there is memory");
    let mut logits = sequences
        .read(0, &prompt)
        .expect("ids of the vocabulary")
        .to_vec();
    for told in &answer.logprobs {
        let best = aurora_local::evaluate::best(&logits);
        let expected = -crate::surprise(&logits, best);
        assert_eq!(told.chosen.bytes.as_deref(), Some(&model.decode(&[best])[..]));
        assert!(
            (told.chosen.logprob - expected).abs() < 1e-3,
            "{} {expected}",
            told.chosen.logprob
        );
        assert_eq!(told.top_logprobs[0], told.chosen);
        logits = sequences.read(0, &[best]).expect("there is room").to_vec();
    }
    assert_eq!(answer.logprobs.len(), 6);
}

pub(crate) fn cost(model: &Evaluator, _: &Path) {
    let text = r#"{"name": "Anna Rossi", "age": 31, "city": "São Paulo", "height": 1.7, "children": [{"name": "Tom", "plays": true}]}"#;
    let object = json!({"type": "object"});
    for (name, schema) in [("a schema", person()), ("any object", object)] {
        let cost = model.cost_of_schema(schema, text).expect("it obeys");
        let mut masks = cost.masks[1..].to_vec();
        masks.sort_unstable();
        let at = |share: usize| masks[(masks.len() - 1) * share / 100].as_micros();
        println!(
            "  {name}: trees of tokens {} ms once, compiling {} ms, masks {} us at the median, {} at p95, {} at most",
            cost.trees.as_millis(),
            cost.compile.as_millis(),
            at(50),
            at(95),
            at(100)
        );
        assert!(masks.len() > 20);
    }
    let refused = model.cost_of_schema(person(), "{\"name\": 1}").map(|_| ());
    assert!(refused.is_err());
}
