//! The streams that are decoded: made here, from a seed, the same on every machine.

use aurora_bench::Random;

/// The events of a long answer in the shape of OpenAI's chat completion chunks, about 307 bytes each, `size` bytes or
/// a little more.
pub fn chat(size: usize) -> Vec<u8> {
    let words = [
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
        ".\\n\\n",
        " Token",
        " by",
        " token",
        " it",
        " grows",
        " \\\"and\\\"",
        " grows",
    ];
    events(size, &words)
}

/// The same in Chinese, not escaped: three bytes a character.
pub fn chinese(size: usize) -> Vec<u8> {
    let words = [
        "的", "流式", "回答", "一个", "被", "切成", "两段", "仍然", "必须", "完整", "到达", "。", "，",
        "逐字",
    ];
    events(size, &words)
}

fn events(size: usize, words: &[&str]) -> Vec<u8> {
    let mut out = Vec::with_capacity(size + 512);
    let mut random = Random::default();
    while out.len() < size {
        let seed = random.number();
        let word = words[(seed % words.len() as u64) as usize];
        // The padding that hides how long a token is: with it events differ in length, as they do on the wire.
        let padding = &"aB3dE5gH7jK9"[..(seed >> 32) as usize % 12];
        out.extend_from_slice(
            br#"data: {"id":"chatcmpl-Bv2Q0cWzGtmXnUyRj4kLhP8sEaD1f","object":"chat.completion.chunk","created":1752000000,"model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_07871e2ad8","choices":[{"index":0,"delta":{"content":""#,
        );
        out.extend_from_slice(word.as_bytes());
        out.extend_from_slice(br#""},"logprobs":null,"finish_reason":null}],"obfuscation":""#);
        out.extend_from_slice(padding.as_bytes());
        out.extend_from_slice(b"\"}\n\n");
    }
    out
}

/// One event of one line, `size` bytes of data.
pub fn one_line(size: usize) -> Vec<u8> {
    let mut out = b"data: ".to_vec();
    out.resize(out.len() + size, b'x');
    out.extend_from_slice(b"\n\n");
    out
}
