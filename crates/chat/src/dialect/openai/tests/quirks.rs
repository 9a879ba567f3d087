//! Payload.

use super::*;

/// A chunk with this delta.
fn chunk(delta: &str) -> String {
    format!(
        r#"{{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{{"index":0,"delta":{delta},"finish_reason":null}}]}}"#
    )
}

/// The deltas of chunks with these deltas.
#[track_caller]
fn reads(deltas: &[&str], expected: &[Delta]) {
    let chunks: Vec<_> = deltas.iter().map(|delta| chunk(delta)).collect();
    let seen = stream(&chunks.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(seen.deltas, expected);
    assert!(seen.notices.is_empty(), "{:?}", seen.notices);
}

/// The deltas of whole events, which must give no warning.
#[track_caller]
fn events(events: &[&str], expected: &[Delta]) {
    let seen = stream(events);
    assert_eq!(seen.deltas, expected);
    assert!(seen.notices.is_empty(), "{:?}", seen.notices);
}

#[test]
fn reads_the_reference_stream() {
    let mut reader = Reader::new();
    let mut deltas = Vec::new();
    for data in [
        r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1694268190,"model":"gpt-4o-mini","system_fingerprint":"fp","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"usage":null}"#,
        r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1694268190,"model":"gpt-4o-mini","choices":[{"index":0,"delta":{"content":"Hello"},"logprobs":null,"finish_reason":null}],"usage":null}"#,
        r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1694268190,"model":"gpt-4o-mini","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}"#,
        r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1694268190,"model":"gpt-4o-mini","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":0}}}"#,
    ] {
        assert_eq!(reader.read("message", data, &mut deltas), Ok(Flow::Continue));
    }
    assert_eq!(reader.read("", " [DONE]", &mut deltas), Ok(Flow::Done));
    let counts = Usage {
        input_tokens: 9,
        output_tokens: 1,
        cached_input_tokens: Some(4),
        reasoning_tokens: Some(0),
    };
    assert_eq!(deltas, [text("Hello"), STOP, Delta::Usage(counts)]);
    assert_eq!(
        (reader.id(), reader.model(), reader.is_done()),
        (Some("chatcmpl-1"), Some("gpt-4o-mini"), true)
    );
    assert_eq!(reader.end(Ending::Eof).end.verdict, Verdict::Complete);
}

#[test]
fn ignores_pings() {
    let seen = typed_stream(&[
        ("keepalive", ""),
        ("message", " "),
        ("keepalive", "{}"),
        ("ping", "null"),
        ("", FINISH),
    ]);
    assert_eq!(seen.deltas, [STOP]);
    assert_eq!(seen.verdict(), Verdict::Complete);
}

#[test]
fn reads_empty_choices_simonw_llm_294() {
    events(
        &[
            r#"{"choices":[]}"#,
            r#"{"choices":null}"#,
            r#"{"id":"x"}"#,
            r#"{"choices":{}}"#,
            FINISH,
        ],
        &[STOP],
    );
}

#[test]
fn reads_usage_before_an_empty_last_chunk_litellm_17136() {
    events(
        &[
            FINISH,
            r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
            r#"{"choices":[{"delta":{}}]}"#,
        ],
        &[STOP, usage(1, 2)],
    );
}

#[test]
fn reads_usage_on_every_chunk_opencode_cmd_provider_213() {
    let with = |text: &str, n: u32| {
        format!(
            r#"{{"choices":[{{"delta":{{"content":"{text}"}}}}],"usage":{{"prompt_tokens":5,"completion_tokens":{n}}}}}"#
        )
    };
    events(
        &[&with("a", 1), &with("b", 1), &with("c", 2)],
        &[text("a"), usage(5, 1), text("b"), text("c"), usage(5, 2)],
    );
}

#[test]
fn reads_empty_usage_zed_42893() {
    events(
        &[
            r#"{"choices":[],"usage":{}}"#,
            r#"{"usage":null}"#,
            r#"{"usage":[]}"#,
            r#"{"usage":{"prompt_tokens":null}}"#,
        ],
        &[],
    );
}

#[test]
fn reads_usage_in_other_places_and_notations() {
    events(
        &[r#"{"choices":[{"delta":{},"usage":{"prompt_tokens":"3","completion_tokens":4.0}}]}"#],
        &[usage(3, 4)],
    );
    events(
        &[r#"{"x_groq":{"usage":{"input_tokens":3,"output_tokens":4}}}"#],
        &[usage(3, 4)],
    );
    events(
        &[r#"{"usage":{"prompt_tokens":-3,"completion_tokens":1e30,"total_tokens":1}}"#],
        &[],
    );
    let cached = Usage {
        input_tokens: 3,
        cached_input_tokens: Some(2),
        ..Usage::default()
    };
    events(
        &[r#"{"usage":{"prompt_tokens":3,"prompt_cache_hit_tokens":2}}"#],
        &[Delta::Usage(cached)],
    );
}

#[test]
fn reads_null_or_missing_delta_agent_framework_5734_qwen_code_1448() {
    events(
        &[
            r#"{"choices":[{"index":0,"delta":null}]}"#,
            r#"{"choices":[{"index":0}]}"#,
            r#"{"choices":[null]}"#,
            FINISH,
        ],
        &[STOP],
    );
}

#[test]
fn reads_null_content_and_empty_role_opencode_28427() {
    reads(
        &[
            r#"{"role":"","content":null}"#,
            r#"{"role":null,"content":""}"#,
            r#"{"content":"a"}"#,
        ],
        &[text("a")],
    );
}

#[test]
fn reads_empty_finish_reason_sglang_3912() {
    let seen = stream(&[r#"{"choices":[{"delta":{"content":"a"},"finish_reason":""}]}"#]);
    assert_eq!(seen.deltas, [text("a")]);
    assert_eq!(seen.verdict(), Verdict::Truncated);
}

#[test]
fn reads_stop_although_tools_were_called_vllm_9209() {
    let seen = stream(&[
        &chunk(r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}"#),
        FINISH,
    ]);
    // The reader reports what the server said; the transcript knows what it means.
    assert_eq!(seen.deltas, [call(0, "a", "f", "{}"), STOP]);
    assert_eq!(seen.verdict(), Verdict::Complete);
}

#[test]
fn reads_created_null_any_llm_1164_and_missing_ids() {
    events(
        &[
            r#"{"id":null,"created":null,"model":null,"choices":[{"delta":{"content":"a"},"new":[{}]}],"x":1}"#,
        ],
        &[text("a")],
    );
}

#[test]
fn reads_content_as_an_array_symfony_ai_2422() {
    reads(
        &[
            r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]}]}"#,
            r#"{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"},"c"]}"#,
            r#"{"content":{"type":"text","text":"d"}}"#,
            r#"{"content":[]}"#,
            r#"{"content":[{"type":"refusal","refusal":"no"}]}"#,
        ],
        &[thought("hm"), text("abc"), text("d"), Delta::Refusal("no".into())],
    );
}

#[test]
fn warns_of_content_of_an_unknown_kind_and_keeps_the_rest() {
    let seen = stream(&[
        &chunk(r#"{"content":[{"type":"reference","reference_ids":[1]},{"type":"text","text":"a"}]}"#),
        &chunk(r#"{"content":5}"#),
    ]);
    assert_eq!(seen.deltas, [text("a")]);
    assert_eq!(seen.notices, ["bad_event", "bad_event"]);
}

#[test]
fn reads_reasoning_under_every_name_claude_code_router_1205_langchain_dart_793() {
    reads(
        &[
            r#"{"reasoning_content":"a","content":null}"#,
            r#"{"reasoning":"b","content":""}"#,
            r#"{"reasoning_details":[{"type":"reasoning.text","text":"c"},{"type":"reasoning.encrypted","data":"x"},{"type":"reasoning.summary","summary":"d"}]}"#,
            r#"{"reasoning":{"content":"e"}}"#,
        ],
        &[thought("a"), thought("b"), thought("cd"), thought("e")],
    );
}

#[test]
fn reads_reasoning_given_under_several_names_once() {
    reads(
        &[
            r#"{"reasoning_content":"a","reasoning":"a","reasoning_details":[{"type":"reasoning.text","text":"a"}]}"#,
            r#"{"reasoning_content":"","reasoning":"b"}"#,
            r#"{"reasoning_content":null,"reasoning":"c","content":"d"}"#,
        ],
        &[thought("a"), thought("b"), thought("c"), text("d")],
    );
}

#[test]
fn reads_a_tool_call_in_fragments() {
    reads(
        &[
            r#"{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]}"#,
            r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\":"}}]}"#,
            r#"{"tool_calls":[{"index":0,"function":{"arguments":"1}"}},{"index":1,"id":"b","function":{"name":"f","arguments":"{}"}}]}"#,
        ],
        &[
            call(0, "a", "f", ""),
            call(0, "", "", "{\"x\":"),
            call(0, "", "", "1}"),
            call(1, "b", "f", "{}"),
        ],
    );
}

#[test]
fn reads_tool_calls_without_index_opik_8362() {
    reads(
        &[
            r#"{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{"}}]}"#,
            r#"{"tool_calls":[{"function":{"arguments":"}"}}]}"#,
            r#"{"tool_calls":[{"id":"b","function":{"name":"g","arguments":"{}"}},{"id":"c","function":{"name":"g","arguments":"{}"}}]}"#,
        ],
        &[
            call(0, "a", "f", "{"),
            call(0, "", "", "}"),
            call(1, "b", "g", "{}"),
            call(2, "c", "g", "{}"),
        ],
    );
}

#[test]
fn reads_tool_calls_with_neither_index_nor_id() {
    reads(
        &[
            r#"{"tool_calls":[{"function":{"name":"f","arguments":"{\"a\":\"}\\\"\"}"}},{"function":{"name":"f"}}]}"#,
            r#"{"tool_calls":[{"function":{"name":"g","arguments":"{}"}}]}"#,
            r#"{"tool_calls":[{"function":{"name":"g","arguments":"{}"}}]}"#,
        ],
        &[
            call(0, "", "f", "{\"a\":\"}\\\"\"}"),
            call(1, "", "f", ""),
            call(2, "", "g", "{}"),
            call(3, "", "g", "{}"),
        ],
    );
}

#[test]
fn reads_parallel_tool_calls_all_with_index_0_vercel_ai_14277() {
    reads(
        &[
            r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}"#,
            r#"{"tool_calls":[{"index":0,"id":"b","function":{"name":"f","arguments":"{"}}]}"#,
            r#"{"tool_calls":[{"index":0,"function":{"arguments":"}"}}]}"#,
        ],
        &[
            call(0, "a", "f", "{}"),
            call(1, "b", "f", "{"),
            call(1, "", "", "}"),
        ],
    );
}

#[test]
fn keeps_id_and_name_when_continuations_have_empty_ones_symfony_ai_2220() {
    reads(
        &[
            r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}]}"#,
            r#"{"tool_calls":[{"index":0,"id":"","function":{"name":"","arguments":"}"}}]}"#,
            r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":null,"arguments":" "}}]}"#,
        ],
        &[call(0, "a", "f", "{"), call(0, "", "", "}"), call(0, "", "", " ")],
    );
}

#[test]
fn reads_a_new_id_on_every_fragment_as_one_call() {
    reads(
        &[
            r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}]}"#,
            r#"{"tool_calls":[{"index":0,"id":"b","function":{"arguments":"}"}}]}"#,
        ],
        &[call(0, "a", "f", "{"), call(0, "", "", "}")],
    );
}

#[test]
fn reads_a_late_type_and_late_ids_vercel_ai_5350() {
    reads(
        &[
            r#"{"tool_calls":[{"index":0,"function":{"name":"f","arguments":""}}]}"#,
            r#"{"tool_calls":[{"index":0,"type":"function"}]}"#,
            r#"{"tool_calls":[{"index":0,"id":"a","function":{"arguments":"{}"}}]}"#,
        ],
        &[call(0, "", "f", ""), call(0, "a", "", "{}")],
    );
}

#[test]
fn reads_arguments_as_an_object() {
    reads(
        &[r#"{"tool_calls":[{"index":"0","id":"a","function":{"name":"f","arguments":{"x":[1]}}}]}"#],
        &[call(0, "a", "f", r#"{"x":[1]}"#)],
    );
}

#[test]
fn reads_the_legacy_function_call() {
    reads(
        &[
            r#"{"function_call":{"name":"f","arguments":""}}"#,
            r#"{"function_call":{"arguments":"{}"}}"#,
        ],
        &[call(0, "", "f", ""), call(0, "", "", "{}")],
    );
}

#[test]
fn refuses_endless_tool_calls() {
    let calls: Vec<_> = (0..2000)
        .map(|n| format!(r#"{{"index":{n},"id":"i{n}","function":{{"name":"f"}}}}"#))
        .collect();
    let seen = stream(&[&chunk(&format!(r#"{{"tool_calls":[{}]}}"#, calls.join(",")))]);
    assert_eq!(seen.failure().kind, crate::FailureKind::Protocol);
    assert_eq!(seen.deltas.len(), 1024);
}

#[test]
fn reads_only_the_first_choice() {
    events(
        &[
            r#"{"choices":[{"index":1,"delta":{"content":"no"}},{"index":0,"delta":{"content":"a"}}]}"#,
            r#"{"choices":[{"index":1,"delta":{"content":"no"},"finish_reason":"length"}]}"#,
            r#"{"choices":[{"index":"0","delta":{"content":"b"}},{"delta":{"content":"no"}}]}"#,
        ],
        &[text("a"), text("b")],
    );
}

#[test]
fn reads_message_in_place_of_delta_but_never_the_answer_twice() {
    events(
        &[
            r#"{"choices":[{"message":{"content":"a"}}]}"#,
            r#"{"choices":[{"text":"b"}]}"#,
        ],
        &[text("a"), text("b")],
    );
    events(
        &[
            &chunk(r#"{"content":"whole"}"#),
            r#"{"object":"chat.completion","choices":[{"message":{"role":"assistant","content":"whole"},"finish_reason":"stop"}]}"#,
        ],
        &[text("whole"), STOP],
    );
}

#[test]
fn reads_several_finish_chunks_openclaude_21() {
    let seen = stream(&[
        r#"{"choices":[{"delta":{},"finish_reason":"length"}]}"#,
        FINISH,
        FINISH,
    ]);
    assert_eq!(seen.conclusion.end.finish_reason, Some(FinishReason::Stop));
    assert_eq!(seen.verdict(), Verdict::Complete);
}
