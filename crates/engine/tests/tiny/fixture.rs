//! A tiny model file, and ways to use it.

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use aurora_chat::{ChatRequest, Delta, End, Message, Role, Update, Usage};
use aurora_local::{Engine, Generation, Options};
use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};

/// Tokens the tiny model can look back on.
pub(crate) const CONTEXT: u32 = 512;

const WIDTH: usize = 64;
const FEED_FORWARD: usize = 96;
const HEADS: usize = 4;
const KV_HEADS: usize = 2;
const BLOCKS: usize = 2;

/// Metadata by key.
pub(crate) type Metadata = Vec<(&'static str, Value)>;

/// A folder of this test's own, removed when dropped.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "aurora-tiny-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a writable temporary folder");
        Self(path)
    }

    /// Writes the tiny model with its matrices in this quantisation.
    pub(crate) fn model(&self, dtype: GgmlDType) -> PathBuf {
        self.model_with(dtype, |_| {})
    }

    /// Writes the tiny model with changed metadata.
    pub(crate) fn model_with(&self, dtype: GgmlDType, change: impl FnOnce(&mut Metadata)) -> PathBuf {
        let path = self.0.join("tiny.gguf");
        let mut metadata = metadata();
        change(&mut metadata);
        let tensors = tensors(dtype);
        let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(key, value)| (*key, value)).collect();
        let tensors: Vec<(&str, &QTensor)> = tensors
            .iter()
            .map(|(name, tensor)| (name.as_str(), tensor))
            .collect();
        let mut file = File::create(&path).expect("a writable folder");
        gguf_file::write(&mut file, &metadata, &tensors).expect("a writable file");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An engine on the tiny model.
pub(crate) fn engine(folder: &Folder, max_streams: usize, max_queue: usize) -> Engine {
    let mut options = Options::named("tiny");
    options.max_streams = max_streams;
    options.max_queue = max_queue;
    Engine::load(&folder.model(GgmlDType::Q8_0), options).expect("the tiny model loads")
}

/// A greedy request for at most so many tokens.
pub(crate) fn request(text: &str, max_tokens: u32) -> ChatRequest {
    ChatRequest {
        messages: vec![Message::text(Role::User, text)],
        temperature: Some(0.0),
        max_tokens: Some(max_tokens),
        ..ChatRequest::default()
    }
}

/// A whole answer.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) usage: Usage,
    pub(crate) end: End,
    /// How many updates of each kind came, in order.
    pub(crate) starts: usize,
    pub(crate) ends: usize,
}

pub(crate) fn collect(mut generation: Generation) -> Answer {
    let mut answer = Answer {
        text: String::new(),
        usage: Usage::default(),
        end: End::cancelled(),
        starts: 0,
        ends: 0,
    };
    while let Some(update) = generation.blocking_next() {
        assert_eq!(answer.ends, 0, "nothing comes after the end");
        match update {
            Update::Start(_) => answer.starts += 1,
            Update::Delta(Delta::Text(text)) => {
                assert!(!text.is_empty());
                answer.text.push_str(&text);
            }
            Update::Delta(Delta::Usage(usage)) => answer.usage = usage,
            Update::End(end) => {
                answer.end = end;
                answer.ends += 1;
            }
            _ => {}
        }
    }
    answer
}

fn metadata() -> Metadata {
    let (tokens, types) = vocabulary();
    let texts = |texts: Vec<String>| Value::Array(texts.into_iter().map(Value::String).collect());
    vec![
        ("general.architecture", Value::String("llama".into())),
        ("llama.block_count", Value::U32(BLOCKS as u32)),
        ("llama.context_length", Value::U32(CONTEXT)),
        ("llama.embedding_length", Value::U32(WIDTH as u32)),
        ("llama.feed_forward_length", Value::U32(FEED_FORWARD as u32)),
        ("llama.attention.head_count", Value::U32(HEADS as u32)),
        ("llama.attention.head_count_kv", Value::U32(KV_HEADS as u32)),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
        ("tokenizer.ggml.model", Value::String("gpt2".into())),
        ("tokenizer.ggml.pre", Value::String("smollm".into())),
        ("tokenizer.ggml.tokens", texts(tokens)),
        (
            "tokenizer.ggml.token_type",
            Value::Array(types.into_iter().map(Value::I32).collect()),
        ),
        ("tokenizer.ggml.merges", texts(vec!["t h".into(), "th e".into()])),
        ("tokenizer.ggml.eos_token_id", Value::U32(1)),
        (
            "tokenizer.chat_template",
            Value::String(
                "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}\
                 {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
                    .into(),
            ),
        ),
    ]
}

/// Two special tokens, a token for each byte, and two merged ones.
fn vocabulary() -> (Vec<String>, Vec<i32>) {
    let mut tokens: Vec<String> = vec!["<|im_start|>".into(), "<|im_end|>".into()];
    let mut types = vec![3, 3];
    let mut moved = 0x100_u32;
    for byte in 0..=255_u8 {
        let letter = match byte {
            b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff => char::from(byte),
            _ => {
                moved += 1;
                char::from_u32(moved - 1).expect("Latin extended")
            }
        };
        tokens.push(letter.to_string());
        types.push(1);
    }
    tokens.extend(["th".to_owned(), "the".to_owned()]);
    types.extend([1, 1]);
    (tokens, types)
}

fn tensors(dtype: GgmlDType) -> Vec<(String, QTensor)> {
    let vocabulary = vocabulary().0.len();
    let (query, kv) = (WIDTH, WIDTH / HEADS * KV_HEADS);
    let mut seed = 1;
    let mut tensors = Vec::new();
    let mut add = |name: String, rows: usize, columns: usize| {
        seed += 1;
        let scale = 1.0 / (columns as f32).sqrt();
        let values: Vec<f32> = noise(seed)
            .take(rows * columns)
            .map(|value| value * scale)
            .collect();
        let tensor = Tensor::from_vec(values, (rows, columns), &Device::Cpu).expect("a tensor");
        tensors.push((name, QTensor::quantize(&tensor, dtype).expect("whole blocks")));
    };
    add("token_embd.weight".into(), vocabulary, WIDTH);
    for block in 0..BLOCKS {
        for (name, rows, columns) in [
            ("attn_q", query, WIDTH),
            ("attn_k", kv, WIDTH),
            ("attn_v", kv, WIDTH),
            ("attn_output", WIDTH, query),
            ("ffn_gate", FEED_FORWARD, WIDTH),
            ("ffn_up", FEED_FORWARD, WIDTH),
            ("ffn_down", WIDTH, FEED_FORWARD),
        ] {
            add(format!("blk.{block}.{name}.weight"), rows, columns);
        }
    }
    let mut norm = |name: String| {
        let ones = Tensor::ones(WIDTH, candle_core::DType::F32, &Device::Cpu).expect("a tensor");
        tensors.push((name, QTensor::quantize(&ones, GgmlDType::F32).expect("floats")));
    };
    norm("output_norm.weight".into());
    for block in 0..BLOCKS {
        norm(format!("blk.{block}.attn_norm.weight"));
        norm(format!("blk.{block}.ffn_norm.weight"));
    }
    tensors
}

/// Numbers between -4 and 4, the same for the same seed.
fn noise(seed: u64) -> impl Iterator<Item = f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    std::iter::repeat_with(move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32 / (1_u64 << 24) as f32 - 0.5) * 8.0
    })
}
