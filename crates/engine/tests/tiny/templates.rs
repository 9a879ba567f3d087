//! The chat templates of published models, rendered as Jinja renders them, and the calls of tools that they show.
//!
//! `AURORA_TEST_TEMPLATES` names a folder with what `reference/templates.py` has written, which `.ci/run` has it write.

use std::fs;
use std::path::Path;

use aurora_chat::{ChatRequest, Message, Role};
use aurora_local::evaluate::Evaluator;
use aurora_local::{Engine, Refusal};
use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::Value as Field;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::fixture::{Family, Folder, options};
use crate::tools::{ask, calls, with_tools};

/// Models that write calls in a way that is known: they may be left to choose whether to call.
const CALL: [&str; 4] = ["qwen3", "qwen2_5", "llama3_2", "mistral_nemo"];

#[derive(Deserialize)]
struct Published {
    name: String,
    template: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    request: Value,
    /// `None`: the template refuses it.
    text: Option<String>,
}

/// What was written.
fn published() -> Vec<Published> {
    let folder = std::env::var_os("AURORA_TEST_TEMPLATES").expect("AURORA_TEST_TEMPLATES is set");
    let lines =
        fs::read_to_string(Path::new(&folder).join("templates.jsonl")).expect("templates.py wrote it");
    let all: Vec<Published> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("a template and its cases"))
        .collect();
    assert!(all.len() >= CALL.len());
    all
}

fn model(folder: &Folder, template: &str) -> std::path::PathBuf {
    folder.family("published", &Family::default(), GgmlDType::Q8_0, |metadata| {
        metadata.retain(|(key, _)| !matches!(*key, "tokenizer.chat_template" | "llama.context_length"));
        metadata.push(("tokenizer.chat_template", Field::String(template.to_owned())));
        // A token a byte: tools alone are some thousand.
        metadata.push(("llama.context_length", Field::U32(8192)));
    })
}

#[test]
#[ignore = "needs AURORA_TEST_TEMPLATES, which .ci/run sets"]
fn published_templates_are_rendered_as_jinja_renders_them() {
    for published in published() {
        let folder = Folder::new();
        let model = Evaluator::load(&model(&folder, &published.template), &options()).expect("it loads");
        for (n, case) in published.cases.iter().enumerate() {
            if case.request.get("tools").is_some() && !CALL.contains(&&*published.name) {
                // Jinja passes the functions over; the engine explains them in words of its own.
                continue;
            }
            let request =
                ChatRequest::from_json(case.request.to_string().as_bytes()).expect("a valid request");
            let rendered = model.conversation(&request, true);
            let text = rendered
                .as_ref()
                .map(|tokens| String::from_utf8(model.decode(tokens)).expect("text"));
            match (&text, &case.text) {
                (Ok(text), Some(expected)) => assert_eq!(text, expected, "{}, case {n}", published.name),
                (Err(error), None) => assert!(error.message.contains("template"), "{error}"),
                _ => panic!(
                    "{}, case {n}: {text:?} where Jinja has {:?}",
                    published.name, case.text
                ),
            }
        }
    }
}

#[test]
#[ignore = "needs AURORA_TEST_TEMPLATES, which .ci/run sets"]
fn published_templates_show_how_calls_are_written() {
    for published in published() {
        let folder = Folder::new();
        let mut options = options();
        options.max_streams = 1;
        let engine = Engine::load(&model(&folder, &published.template), options).expect("it loads");
        let may_choose = CALL.contains(&&*published.name);
        match engine.generate(&with_tools(json!("auto"), 0)) {
            Ok(generation) if may_choose => drop(generation),
            Err(Refusal::Request(error)) if !may_choose => {
                assert!(error.message.contains("template"), "{error}")
            }
            other => panic!("{}: {other:?}", published.name),
        }
        // What it calls, it reads again with the result.
        let mut asked = with_tools(json!("required"), 3);
        let made = calls(&ask(&engine, &asked));
        let first = &made[0];
        let mut said = Message::text(Role::Assistant, "");
        said.tool_calls = vec![json!({"id": first.id, "type": "function",
            "function": {"name": first.name, "arguments": first.arguments}})];
        let mut result = Message::text(Role::Tool, "7");
        result.tool_call_id.clone_from(&first.id);
        asked.messages.extend([said, result]);
        let again = engine.generate(&asked);
        assert!(again.is_ok(), "{}: {again:?}", published.name);
    }
}
