//! A tiny model file, and ways to use it.

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use aurora_chat::{ChatRequest, Delta, End, Message, Role, TokenLogprob, ToolCallDelta, Update, Usage};
use aurora_local::{Engine, Generation, Options};
use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};

/// Tokens the tiny model can look back on.
pub(crate) const CONTEXT: u32 = 512;

const HEADS: usize = 4;
const KV_HEADS: usize = 2;
const BLOCKS: usize = 2;

/// What a tiny model is like; the plain one is a Llama whose norms change nothing.
#[derive(Clone, Debug)]
pub(crate) struct Family {
    pub(crate) architecture: &'static str,
    pub(crate) width: usize,
    pub(crate) feed_forward: usize,
    /// Values a head; said in the metadata where it is not what the width gives each head.
    pub(crate) head_width: usize,
    /// Queries, keys and values have biases.
    pub(crate) biases: bool,
    /// Queries and keys are normalised.
    pub(crate) head_norms: bool,
    /// The output has a matrix of its own.
    pub(crate) untied: bool,
    /// Norms change something.
    pub(crate) norms: bool,
    /// What the frequencies of positions are divided by, one for each pair.
    pub(crate) rope_factors: Vec<f32>,
    pub(crate) vocabulary: Vocabulary,
    /// More metadata; keys without the architecture's name.
    pub(crate) more: Metadata,
}

impl Default for Family {
    fn default() -> Self {
        Self {
            architecture: "llama",
            width: 64,
            feed_forward: 96,
            head_width: 16,
            biases: false,
            head_norms: false,
            untied: false,
            norms: false,
            rope_factors: Vec::new(),
            vocabulary: Vocabulary::Bytes,
            more: Vec::new(),
        }
    }
}

/// A token that begins a call as text, and one that does so as a control token.
pub(crate) const TOOL_CALL: u32 = 260;
pub(crate) const TOOL_CALLS: u32 = 261;

/// What tokens a tiny model has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vocabulary {
    /// Two special tokens, a token for each byte, and two merged ones.
    Bytes,
    /// The same, and two that begin calls.
    Calls,
    /// Those of bytes, and every pair of bytes of a few common characters: so the tokens tell where a text was cut into words.
    Pairs,
    /// SentencePiece's: bytes, and some pieces of two or three characters with scores.
    SentencePiece,
}

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
        let family = Family {
            vocabulary: Vocabulary::Calls,
            ..Family::default()
        };
        self.family("tiny", &family, dtype, change)
    }

    /// Writes a tiny model of some family with changed metadata.
    pub(crate) fn family(
        &self,
        name: &str,
        family: &Family,
        dtype: GgmlDType,
        change: impl FnOnce(&mut Metadata),
    ) -> PathBuf {
        let path = self.0.join(format!("{name}.gguf"));
        let mut metadata = metadata(family);
        change(&mut metadata);
        let tensors = tensors(family, dtype);
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

/// The settings all tests begin with: `AURORA_TEST_BACKEND` names what runs the model, candle by default.
pub(crate) fn options() -> Options {
    let mut options = Options::named("tiny");
    if let Ok(name) = std::env::var("AURORA_TEST_BACKEND") {
        options.backend = name.parse().expect("a backend's name");
    }
    options
}

/// Asserts that texts are the same. A backend that is not exact may part from itself wherever two tokens are nearly as
/// likely, which with random weights they often are; there, half of the texts have to begin alike.
pub(crate) fn assert_alike(found: &[String], expected: &[String]) {
    if options().backend.is_exact() {
        assert_eq!(found, expected);
        return;
    }
    assert_eq!(found.len(), expected.len());
    let pairs = found.iter().zip(expected);
    let alike = pairs.filter(|(found, expected)| found.chars().next() == expected.chars().next());
    assert!(alike.count() * 2 >= found.len(), "{found:?}, {expected:?}");
}

/// An engine on the tiny model.
pub(crate) fn engine(folder: &Folder, max_streams: usize, max_queue: usize) -> Engine {
    let mut options = options();
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
    /// The fragments of its calls.
    pub(crate) calls: Vec<ToolCallDelta>,
    /// What is known of its tokens, and how much text there was with the last of each delta's.
    pub(crate) likely: Vec<(TokenLogprob, usize)>,
    pub(crate) usage: Usage,
    pub(crate) end: End,
    /// How many updates of each kind came, in order.
    pub(crate) starts: usize,
    pub(crate) ends: usize,
}

pub(crate) fn collect(mut generation: Generation) -> Answer {
    let mut answer = Answer {
        text: String::new(),
        calls: Vec::new(),
        likely: Vec::new(),
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
            Update::Delta(Delta::ToolCall(call)) => answer.calls.push(call),
            Update::Delta(Delta::Logprobs(tokens)) => {
                assert!(!tokens.is_empty());
                let before = answer.text.len();
                answer
                    .likely
                    .extend(tokens.into_iter().map(|token| (token, before)));
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

fn metadata(family: &Family) -> Metadata {
    let (tokens, types, merges) = family.vocabulary.tokens();
    let count = tokens.len();
    let texts = |texts: Vec<String>| Value::Array(texts.into_iter().map(Value::String).collect());
    let number = |number: usize| Value::U32(number as u32);
    let mut own = vec![
        ("block_count", number(BLOCKS)),
        ("context_length", Value::U32(CONTEXT)),
        ("embedding_length", number(family.width)),
        ("feed_forward_length", number(family.feed_forward)),
        ("attention.head_count", number(HEADS)),
        ("attention.head_count_kv", number(KV_HEADS)),
        ("attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
    ];
    if family.head_width * HEADS != family.width {
        own.push(("attention.key_length", number(family.head_width)));
        own.push(("attention.value_length", number(family.head_width)));
    }
    own.extend(family.more.iter().cloned());
    // A key is a name for as long as the test runs.
    let key = |part: &str| &*format!("{}.{part}", family.architecture).leak();
    let mut metadata: Metadata = vec![("general.architecture", Value::String(family.architecture.into()))];
    metadata.extend(own.into_iter().map(|(part, value)| (key(part), value)));
    metadata.extend([
        ("tokenizer.ggml.tokens", texts(tokens)),
        (
            "tokenizer.ggml.token_type",
            Value::Array(types.into_iter().map(Value::I32).collect()),
        ),
        ("tokenizer.ggml.eos_token_id", Value::U32(1)),
        (
            "tokenizer.chat_template",
            Value::String(
                "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}\
                 {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
                    .into(),
            ),
        ),
    ]);
    if family.vocabulary == Vocabulary::SentencePiece {
        // The later, the rarer.
        let scores = (0..count).map(|id| Value::F32(-(id as f32)));
        metadata.push(("tokenizer.ggml.scores", Value::Array(scores.collect())));
        metadata.push(("tokenizer.ggml.model", Value::String("llama".into())));
    } else {
        metadata.push(("tokenizer.ggml.model", Value::String("gpt2".into())));
        metadata.push(("tokenizer.ggml.pre", Value::String("smollm".into())));
        metadata.push(("tokenizer.ggml.merges", texts(merges)));
    }
    metadata
}

impl Vocabulary {
    /// The tokens, their types, and the merges.
    fn tokens(self) -> (Vec<String>, Vec<i32>, Vec<String>) {
        let mut tokens: Vec<String> = vec!["<|im_start|>".into(), "<|im_end|>".into()];
        let mut types = vec![3, 3];
        if self == Self::SentencePiece {
            tokens.push("<unk>".into());
            types.push(2);
            tokens.extend((0..=255).map(|byte| format!("<0x{byte:02X}>")));
            types.extend([6; 256]);
            let pieces = "▁ t h e a o ▁t he th ▁a ▁the er r ▁o on n é ▁é 漢 字 漢字".split(' ');
            tokens.extend(pieces.map(str::to_owned));
            types.resize(tokens.len(), 1);
            return (tokens, types, Vec::new());
        }
        let mut letters = Vec::new();
        let mut moved = 0x100_u32;
        for byte in 0..=255_u8 {
            letters.push(match byte {
                b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff => char::from(byte),
                _ => {
                    moved += 1;
                    char::from_u32(moved - 1).expect("Latin extended")
                }
            });
        }
        tokens.extend(letters.iter().map(char::to_string));
        let mut merges: Vec<String> = vec!["t h".into(), "th e".into()];
        if self == Self::Pairs {
            let common = b"aBcs12'./ \n\t\xe6\xbc\xa2\xc3\xa9\xcc\x81".map(|byte| letters[usize::from(byte)]);
            let pairs = common
                .iter()
                .flat_map(|a| common.iter().map(move |b| format!("{a} {b}")));
            merges.extend(pairs);
        }
        tokens.extend(merges.iter().map(|merge| merge.replace(' ', "")));
        types.resize(tokens.len(), 1);
        if self == Self::Calls {
            tokens.extend(["<tool_call>".to_owned(), "[TOOL_CALLS]".to_owned()]);
            types.extend([4, 3]);
        }
        (tokens, types, merges)
    }
}

fn tensors(family: &Family, dtype: GgmlDType) -> Vec<(String, QTensor)> {
    let (width, forward) = (family.width, family.feed_forward);
    let vocabulary = family.vocabulary.tokens().0.len();
    let (query, kv) = (HEADS * family.head_width, KV_HEADS * family.head_width);
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
    add("token_embd.weight".into(), vocabulary, width);
    for block in 0..BLOCKS {
        for (name, rows, columns) in [
            ("attn_q", query, width),
            ("attn_k", kv, width),
            ("attn_v", kv, width),
            ("attn_output", width, query),
            ("ffn_gate", forward, width),
            ("ffn_up", forward, width),
            ("ffn_down", width, forward),
        ] {
            add(format!("blk.{block}.{name}.weight"), rows, columns);
        }
    }
    if family.untied {
        add("output.weight".into(), vocabulary, width);
    }
    let mut vector = |name: String, values: Vec<f32>| {
        let length = values.len();
        let values = Tensor::from_vec(values, length, &Device::Cpu).expect("a tensor");
        tensors.push((name, QTensor::quantize(&values, GgmlDType::F32).expect("floats")));
    };
    let mut seed = 100;
    let mut around = |middle: f32, length: usize| {
        seed += 1;
        let noise = noise(seed).take(length);
        noise.map(|value| middle + value / 8.0).collect::<Vec<f32>>()
    };
    let mut norm = |length: usize| {
        if family.norms {
            around(1.0, length)
        } else {
            vec![1.0; length]
        }
    };
    vector("output_norm.weight".into(), norm(width));
    for block in 0..BLOCKS {
        vector(format!("blk.{block}.attn_norm.weight"), norm(width));
        vector(format!("blk.{block}.ffn_norm.weight"), norm(width));
        if family.head_norms {
            vector(format!("blk.{block}.attn_q_norm.weight"), norm(family.head_width));
            vector(format!("blk.{block}.attn_k_norm.weight"), norm(family.head_width));
        }
    }
    if family.biases {
        for block in 0..BLOCKS {
            for (name, length) in [("attn_q", query), ("attn_k", kv), ("attn_v", kv)] {
                vector(format!("blk.{block}.{name}.bias"), around(0.0, length));
            }
        }
    }
    if !family.rope_factors.is_empty() {
        vector("rope_freqs.weight".into(), family.rope_factors.clone());
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
