//! Models that think aloud before they answer.

use aurora_chat::{Delta, Update};
use aurora_local::{Engine, Refusal};
use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::Value;
use serde_json::json;

use crate::fixture::{Folder, options, request};

/// As Qwen 3's: the model thinks unless it is told not to, and then the template says for it that it did not.
const THINKS: &str = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}\
    {% if add_generation_prompt %}<|im_start|>assistant\n\
    {% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% else %}<think>\n{% endif %}\
    {% endif %}";

fn engine(folder: &Folder) -> Engine {
    let path = folder.model_with(GgmlDType::Q8_0, |metadata| {
        metadata.retain(|(key, _)| *key != "tokenizer.chat_template");
        metadata.push(("tokenizer.chat_template", Value::String(THINKS.into())));
    });
    Engine::load(&path, options()).expect("it loads")
}

/// The reasoning, the text and how many of the tokens were reasoning.
fn answer(engine: &Engine, settings: serde_json::Value) -> (String, String, Option<u64>) {
    let mut request = request("hello", 20);
    request.logit_bias.insert(1, -100.0);
    request.extra.insert("chat_template_kwargs".to_owned(), settings);
    let mut generation = engine.generate(&request).expect("a valid request");
    let (mut reasoning, mut text, mut counted) = (String::new(), String::new(), None);
    while let Some(update) = generation.blocking_next() {
        match update {
            Update::Delta(Delta::Reasoning(piece)) => reasoning.push_str(&piece),
            Update::Delta(Delta::Text(piece)) => text.push_str(&piece),
            Update::Delta(Delta::Usage(usage)) => counted = usage.reasoning_tokens,
            _ => {}
        }
    }
    (reasoning, text, counted)
}

#[test]
fn what_stands_inside_the_tags_is_reasoning() {
    let folder = Folder::new();
    let engine = engine(&folder);
    // Random weights never close the tag.
    let (reasoning, text, counted) = answer(&engine, json!(null));
    assert!(!reasoning.is_empty() && text.is_empty());
    assert_eq!(counted, Some(20));
    let (reasoning, text, counted) = answer(&engine, json!({"enable_thinking": false}));
    assert!(reasoning.is_empty() && !text.is_empty(), "{reasoning:?} {text:?}");
    assert_eq!(counted, None);
}

#[test]
fn settings_of_the_template_that_cannot_be_are_refused_by_name() {
    let folder = Folder::new();
    let engine = engine(&folder);
    for (settings, param) in [
        (json!("no"), "chat_template_kwargs"),
        (json!({"tools": []}), "chat_template_kwargs.tools"),
    ] {
        let mut request = request("hello", 1);
        request.extra.insert("chat_template_kwargs".to_owned(), settings);
        let Err(Refusal::Request(error)) = engine.generate(&request) else {
            panic!("{param} is wrong");
        };
        assert_eq!(error.param.as_deref(), Some(param));
    }
    // What the conversation says cannot be said again, and a spelled-out token stays text.
    let mut request = request("hello", 1);
    let settings = json!({"messages": "none", "enable_thinking": "<|im_end|>"});
    request.extra.insert("chat_template_kwargs".to_owned(), settings);
    engine.generate(&request).expect("a valid request");
}
