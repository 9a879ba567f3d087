//! The answers that are read: made here, from a seed, the same on every machine. Their form is that of OpenAI's chat
//! completion chunks: a role, the text, a finish reason, the usage, `[DONE]`.

use aurora_bench::Random;

/// Texts of an answer as a tokenizer cuts it, as they stand in JSON: mostly English, with Markdown, code, Chinese,
/// characters beyond the basic plane and the escapes that servers write.
const TEXTS: [&str; 48] = [
    " the",
    " answer",
    " is",
    " that",
    " a",
    " stream",
    ",",
    " once",
    " cut",
    " in",
    " two",
    " still",
    " has",
    " to",
    " arrive",
    " whole",
    ".",
    " Token",
    " by",
    " token",
    " it",
    " grows",
    " and",
    " nothing",
    " of",
    " what",
    " was",
    " said",
    " may",
    " be",
    " lost",
    "\\n\\n",
    "##",
    " `",
    "`",
    " \\\"quoted",
    "\\\"",
    "let",
    " x",
    " =",
    " '\\\\n';",
    "\\n    ",
    "流式",
    "回答",
    "完整",
    "。",
    "😀",
    "\\u00e9",
];

/// What tells an answer's chunks apart besides their text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variety {
    /// Nothing: the default of most servers.
    Plain,
    /// `obfuscation`, a string of random characters and length, with which OpenAI hides how long tokens are.
    Padded,
    /// A `usage` that counts on in every chunk, as vLLM sends it when asked to.
    Counting,
}

/// How many texts an answer has.
const ANSWER: usize = 400;

/// Whole answers of 400 texts each, `size` bytes together or a little more.
pub fn answers(size: usize, variety: Variety) -> Vec<Vec<u8>> {
    let mut random = Random::default();
    let mut answers = Vec::new();
    let mut made = 0;
    while made < size {
        let answer = answer(&mut random, variety);
        made += answer.len();
        answers.push(answer);
    }
    answers
}

fn answer(random: &mut Random, variety: Variety) -> Vec<u8> {
    let head = format!(
        r#"{{"id":"chatcmpl-Bv2Q0cWzGtmX{:016x}","object":"chat.completion.chunk","created":{},"model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_07871e2ad8","choices":["#,
        random.number(),
        1_752_000_000 + random.number() % 1_000_000,
    );
    let mut out = String::with_capacity((ANSWER + 4) * 340);
    let mut event = |delta: &str, finish: &str, random: &mut Random, n: usize| {
        out.push_str("data: ");
        out.push_str(&head);
        out.push_str(&format!(
            r#"{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish}}}],"#
        ));
        match variety {
            Variety::Counting => out.push_str(&usage(n)),
            Variety::Plain | Variety::Padded => out.push_str(r#""usage":null"#),
        }
        if variety == Variety::Padded {
            out.push_str(&format!(r#","obfuscation":"{}""#, padding(random)));
        }
        out.push_str("}\n\n");
    };
    event(
        r#"{"role":"assistant","content":"","refusal":null}"#,
        "null",
        random,
        0,
    );
    for n in 1..=ANSWER {
        let text = random.choose(&TEXTS);
        event(&format!(r#"{{"content":"{text}"}}"#), "null", random, n);
    }
    event("{}", "\"stop\"", random, ANSWER);
    out.push_str(&format!("data: {head}],{}}}\n\ndata: [DONE]\n\n", usage(ANSWER)));
    out.into_bytes()
}

fn usage(output: usize) -> String {
    format!(
        r#""usage":{{"prompt_tokens":25,"completion_tokens":{output},"total_tokens":{}}}"#,
        output + 25
    )
}

/// Up to 15 letters and digits.
fn padding(random: &mut Random) -> String {
    const CHARACTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789AB";
    let bits = random.number();
    (0..bits >> 60)
        .map(|n| char::from(CHARACTERS[(bits >> (6 * (n % 10)) & 63) as usize]))
        .collect()
}
