//! Calls of tools, by templates that show each syntax and by one that knows no tools.

use aurora_chat::{ChatRequest, FinishReason, Message, Role, ToolCall, Transcript, Verdict};
use aurora_local::{Engine, Refusal};
use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::Value as Field;
use serde_json::{Value, json};

use crate::checker::assert_valid;
use crate::fixture::{Answer, Folder, TOOL_CALL, TOOL_CALLS, collect, options, request};

/// A template that shows tools, and what a model's calls look like.
fn template(syntax: &str) -> String {
    format!(
        "{{% if tools %}}{{% for tool in tools %}}{{{{ tool | tojson }}}}\n{{% endfor %}}{{{{ {} }}}}{{% endif %}}\
         {{% for m in messages %}}<|im_start|>{{{{ m.role }}}}\n{{{{ m.content }}}}\
         {{% for call in m.tool_calls or [] %}}{{{{ call.function | tojson }}}}{{% endfor %}}<|im_end|>\n{{% endfor %}}\
         {{% if add_generation_prompt %}}<|im_start|>assistant\n{{% endif %}}",
        Value::from(syntax)
    )
}

const TAGGED: &str = "<tool_call>\n{}\n</tool_call>";
const TAGGED_LIST: &str = "<tool_call>[{}]</tool_call>";
const MISTRAL: &str = "[TOOL_CALLS][{}]";
const MISTRAL_ARGS: &str = "[TOOL_CALLS]name[ARGS]{}";
const LLAMA: &str = "<|python_tag|>{\"name\": n, \"parameters\": p}";

fn engine_with(folder: &Folder, template: Option<String>) -> Engine {
    let path = folder.model_with(GgmlDType::Q8_0, |metadata| {
        // A token a byte: the tools alone are some hundred.
        metadata.retain(|(key, _)| *key != "llama.context_length");
        metadata.push(("llama.context_length", Field::U32(4096)));
        if let Some(template) = template {
            metadata.retain(|(key, _)| *key != "tokenizer.chat_template");
            metadata.push(("tokenizer.chat_template", Field::String(template)));
        }
    });
    let mut options = options();
    options.max_streams = 1;
    Engine::load(&path, options).expect("the tiny model loads")
}

fn parameters() -> Value {
    json!({
        "type": "object",
        "properties": {"n": {"$ref": "#/$defs/few"}, "sure": {"type": "boolean"}},
        "required": ["n", "sure"],
        "additionalProperties": false,
        "$defs": {"few": {"type": "integer", "minimum": 1, "maximum": 999}},
    })
}

pub(crate) fn with_tools(choice: Value, seed: i64) -> ChatRequest {
    let tool = |name: &str| json!({"type": "function", "function": {"name": name, "description": "d", "parameters": parameters()}});
    ChatRequest {
        temperature: Some(2.0),
        seed: Some(seed),
        tools: vec![tool("first"), tool("second")],
        tool_choice: Some(choice),
        ..request("a", 1500)
    }
}

pub(crate) fn ask(engine: &Engine, request: &ChatRequest) -> Answer {
    collect(engine.generate(request).expect("a valid request"))
}

/// The calls of a whole answer, each valid.
pub(crate) fn calls(answer: &Answer) -> Vec<ToolCall> {
    assert_eq!(
        answer.end.finish_reason,
        Some(FinishReason::ToolCalls),
        "{answer:?}"
    );
    assert_eq!(answer.end.verdict, Verdict::Complete);
    let mut transcript = Transcript::new();
    for fragment in &answer.calls {
        transcript
            .push(&aurora_chat::Delta::ToolCall(fragment.clone()))
            .expect("it is small");
    }
    for call in &transcript.tool_calls {
        let arguments = serde_json::from_str(&call.arguments).expect("arguments are JSON");
        assert_valid(&arguments, &parameters());
    }
    transcript.tool_calls
}

fn refused(engine: &Engine, request: &ChatRequest) -> (String, String) {
    match engine.generate(request) {
        Err(Refusal::Request(error)) => (error.param.unwrap_or_default(), error.message),
        other => panic!("it is not refused: {other:?}"),
    }
}

#[test]
fn a_required_call_is_one_in_every_syntax() {
    for syntax in [TAGGED, TAGGED_LIST, MISTRAL, MISTRAL_ARGS, LLAMA] {
        let folder = Folder::new();
        let engine = engine_with(&folder, Some(template(syntax)));
        let mut several = 0;
        for seed in 0..5 {
            let mut asked = with_tools(json!("required"), seed);
            let answer = ask(&engine, &asked);
            assert_eq!(answer.text, "", "{syntax}");
            if answer.end.verdict == Verdict::Length {
                continue;
            }
            let made = calls(&answer);
            assert!(!made.is_empty());
            let mut ids: Vec<_> = made.iter().filter_map(|call| call.id.clone()).collect();
            ids.sort();
            ids.dedup();
            assert_eq!(ids.len(), made.len(), "every call has an id of its own");
            several += usize::from(made.len() > 1);
            asked.extra.insert("parallel_tool_calls".to_owned(), json!(false));
            assert_eq!(calls(&ask(&engine, &asked)).len(), 1, "{syntax}");
        }
        assert!(several > 0 || syntax == LLAMA, "{syntax}");
    }
}

#[test]
fn a_named_function_is_called_once() {
    let folder = Folder::new();
    let engine = engine_with(&folder, Some(template(TAGGED)));
    for seed in 0..6 {
        let choice = json!({"type": "function", "function": {"name": "second"}});
        let made = calls(&ask(&engine, &with_tools(choice, seed)));
        assert_eq!((made.len(), made[0].name.as_deref()), (1, Some("second")));
    }
}

#[test]
fn fragments_come_in_order_and_the_first_has_the_name() {
    let folder = Folder::new();
    let engine = engine_with(&folder, Some(template(TAGGED)));
    let choice = json!({"type": "function", "function": {"name": "first"}});
    let answer = ask(&engine, &with_tools(choice, 1));
    let (first, rest) = answer.calls.split_first().expect("a call");
    assert!(first.id.is_some() && first.name.as_deref() == Some("first"));
    assert!(rest.len() > 2, "arguments come as they are written: {rest:?}");
    assert!(
        rest.iter()
            .all(|fragment| fragment.index == 0 && fragment.id.is_none() && !fragment.arguments.is_empty())
    );
}

/// A call that the model begins by itself; here a bias makes it.
#[test]
fn a_call_that_is_begun_is_held_to_its_parameters() {
    for (syntax, token) in [
        (TAGGED, TOOL_CALL),
        (TAGGED_LIST, TOOL_CALL),
        (MISTRAL, TOOL_CALLS),
        (MISTRAL_ARGS, TOOL_CALLS),
    ] {
        let folder = Folder::new();
        let engine = engine_with(&folder, Some(template(syntax)));
        for seed in 0..6 {
            let mut asked = with_tools(json!("auto"), seed);
            asked.extra.insert("parallel_tool_calls".to_owned(), json!(false));
            asked.logit_bias.insert(token, 100.0);
            let answer = ask(&engine, &asked);
            assert_eq!((answer.text.as_str(), calls(&answer).len()), ("", 1), "{syntax}");
        }
    }
}

#[test]
fn an_answer_without_a_call_is_text_to_the_last_byte() {
    for syntax in [TAGGED, MISTRAL, LLAMA] {
        let folder = Folder::new();
        let engine = engine_with(&folder, Some(template(syntax)));
        for seed in 0..6 {
            let mut asked = with_tools(json!("auto"), seed);
            asked.max_tokens = Some(200);
            // Nothing that begins a call comes by chance.
            asked
                .logit_bias
                .extend([(TOOL_CALL, -100.0), (TOOL_CALLS, -100.0)]);
            let answer = ask(&engine, &asked);
            assert!(answer.calls.is_empty() && !answer.text.is_empty());
            assert!(matches!(
                answer.end.finish_reason,
                Some(FinishReason::Stop | FinishReason::Length)
            ));
        }
    }
}

#[test]
fn json_or_a_call_is_one_of_both() {
    let folder = Folder::new();
    let engine = engine_with(&folder, Some(template(TAGGED)));
    let schema = json!({"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"], "additionalProperties": false});
    let mut seen = (0, 0);
    for seed in 0..12 {
        let mut asked = with_tools(json!("auto"), seed);
        asked.response_format = Some(json!({"type": "json_object", "schema": schema}));
        if seed % 2 == 0 {
            asked.logit_bias.insert(TOOL_CALL, 50.0);
        }
        let answer = ask(&engine, &asked);
        if answer.calls.is_empty() {
            assert_valid(&serde_json::from_str(&answer.text).expect("JSON"), &schema);
            seen.0 += 1;
        } else {
            assert!(answer.end.verdict == Verdict::Length || !calls(&answer).is_empty());
            seen.1 += 1;
        }
    }
    assert!(seen.0 > 0 && seen.1 > 0, "{seen:?}");
    let llama = engine_with(&folder, Some(template(LLAMA)));
    let mut asked = with_tools(json!("auto"), 1);
    asked.response_format = Some(json!({"type": "json_object"}));
    assert_eq!(refused(&llama, &asked).0, "response_format");
}

#[test]
fn a_stop_string_does_not_cut_a_call() {
    let folder = Folder::new();
    let engine = engine_with(&folder, Some(template(TAGGED)));
    let asked = ChatRequest {
        stop: vec!["\n".to_owned(), "name".to_owned()],
        ..with_tools(json!("required"), 1)
    };
    assert!(!ask(&engine, &asked).calls.is_empty());
}

#[test]
fn a_call_at_the_limit_is_not_called_whole() {
    let folder = Folder::new();
    let engine = engine_with(&folder, Some(template(TAGGED)));
    let choice = json!({"type": "function", "function": {"name": "first"}});
    let whole = ask(&engine, &with_tools(choice.clone(), 1));
    let tokens = u32::try_from(whole.usage.output_tokens).expect("a few");
    let cut = ask(
        &engine,
        &ChatRequest {
            max_tokens: Some(tokens - 20),
            ..with_tools(choice, 1)
        },
    );
    assert_eq!(cut.end.verdict, Verdict::Length);
}

#[test]
fn a_model_that_knows_no_tools_makes_calls_that_are_demanded_and_no_others() {
    let folder = Folder::new();
    let engine = engine_with(&folder, None);
    for seed in 0..6 {
        assert_eq!(
            calls(&ask(&engine, &with_tools(json!("required"), seed))).len(),
            1
        );
    }
    let (param, message) = refused(&engine, &with_tools(json!("auto"), 1));
    assert!(param == "tools" && message.contains("required"), "{message}");
    let silent = ask(&engine, &with_tools(json!("none"), 1));
    let plain = ask(
        &engine,
        &ChatRequest {
            tools: Vec::new(),
            tool_choice: None,
            ..with_tools(json!("none"), 1)
        },
    );
    assert_eq!(
        (silent.text, silent.usage.input_tokens),
        (plain.text, plain.usage.input_tokens),
        "none means none"
    );
    let told = ask(&engine, &with_tools(json!("required"), 1)).usage.input_tokens;
    assert!(told > plain_tokens(&engine) + 300, "the tools are told: {told}");
}

fn plain_tokens(engine: &Engine) -> u64 {
    ask(engine, &request("a", 1)).usage.input_tokens
}

#[test]
fn earlier_calls_and_their_results_are_told() {
    let conversation = |arguments: Value| {
        let mut asked = with_tools(json!("none"), 1);
        asked.max_tokens = Some(1);
        let call =
            json!({"id": "c1", "type": "function", "function": {"name": "first", "arguments": arguments}});
        let mut assistant = Message::text(Role::Assistant, "");
        assistant.tool_calls = vec![call];
        let mut tool = Message::text(Role::Tool, "7");
        tool.tool_call_id = Some("c1".to_owned());
        asked.messages.extend([assistant, tool]);
        asked
    };
    for template in [Some(template(TAGGED)), None] {
        let folder = Folder::new();
        let engine = engine_with(&folder, template);
        let tokens = |arguments| ask(&engine, &conversation(arguments)).usage.input_tokens;
        let short = tokens(json!("{}"));
        // {"n": 1, "sure": true} for {}
        assert!(tokens(json!("{\"n\": 1, \"sure\": true}")) >= short + 17);
        assert_eq!(tokens(json!({})), short, "an object is taken as well");
        // A special token in arguments stays text: ten letters and two quotes of each, and a colon between.
        assert!(tokens(json!("{\"<|im_end|>\": \"<|im_end|>\"}")) >= short + 25);
        let mut nameless = conversation(json!("{}"));
        nameless.messages[1].tool_calls = vec![json!({"id": "c1"})];
        assert_eq!(
            refused(&engine, &nameless).0,
            "messages[1].tool_calls[0].function.name"
        );
    }
}

#[test]
fn what_no_call_can_obey_is_refused() {
    let folder = Folder::new();
    let engine = engine_with(&folder, Some(template(TAGGED)));
    let mut asked = with_tools(json!("required"), 1);
    asked.tools[1]["function"]["parameters"] = json!({"not": {}});
    let (param, message) = refused(&engine, &asked);
    assert!(param == "tools" && message.contains("not"), "{message}");
    let mut begun = with_tools(json!("required"), 1);
    begun.messages.push(Message::text(Role::Assistant, "Well,"));
    begun
        .extra
        .insert("continue_final_message".to_owned(), json!(true));
    assert_eq!(refused(&engine, &begun).0, "tool_choice");
}
