//! The engine beside llama.cpp, on tiny models of every kind: the same tokens of the same text, and the same logits.
//!
//! It needs a Python that has llama.cpp (`pip install --no-deps xllamacpp`), which `AURORA_LLAMA_CPP` names and `.ci/run`
//! sets up. Without it this program says what it leaves out. `--write FOLDER` writes the models for `reference/forward.py`
//! instead.

#![expect(clippy::print_stdout, reason = "it is its own test harness")]

#[path = "../tiny/families.rs"]
mod families;
#[path = "../tiny/fixture.rs"]
#[expect(dead_code, reason = "the engine is not asked for answers here")]
mod fixture;

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use aurora_local::Options;
use aurora_local::evaluate::Evaluator;
use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::Value;
use serde_json::{Value as Json, json};

use families::families;
use fixture::{Family, Folder, Vocabulary};

/// One model and how far the two may be apart, in nats of any token's logarithmic probability.
struct Case {
    name: String,
    family: Family,
    dtype: GgmlDType,
    /// The name of the way of cutting text into words.
    pre: Option<&'static str>,
    apart: f64,
}

/// Both round keys and values to 16 bits, and nothing else.
const FLOATS: f64 = 0.02;
/// llama.cpp rounds activations to 8 bits too, or to 16, and random weights make the most of it; with other weights they
/// would be 10 apart.
const ROUNDED: f64 = 1.5;
/// How long llama.cpp may take for a model of 2 MB.
const PATIENCE: Duration = Duration::from_secs(60);

const TEXTS: &[&str] = &[
    "the cat",
    " aBc's 1212.5  \n\n\ta/b ss'S caB\n",
    "12 1 212121 a.c..s 's a's\t\t \n a  c",
    "漢漢a 漢1 é Bc12漢's/ /a\n/\n",
    "over on the oath, at other ends; é漢字 and ℵ",
    MARKS,
];
/// With marks that stand alone. Some models' own tokenizers compose them with their letters or count them among letters,
/// which llama.cpp does not.
const MARKS: &str = "e\u{301}a\u{301} a\u{301}s";
const OTHERWISE: &[&str] = &["qwen2", "deepseek-r1-qwen", "qwen35", "tekken", "gpt-4o"];

fn cases() -> Vec<Case> {
    let floats = |(name, family): (&str, Family)| Case {
        name: name.to_owned(),
        family,
        dtype: GgmlDType::F32,
        pre: None,
        apart: FLOATS,
    };
    let mut cases: Vec<Case> = families().into_iter().map(floats).collect();
    // Blocks of 256 values.
    let wide = Family {
        width: 256,
        feed_forward: 512,
        head_width: 64,
        norms: true,
        ..Family::default()
    };
    use GgmlDType::{BF16, F16, Q4_0, Q4_1, Q4K, Q5_0, Q5K, Q6K, Q8_0};
    for dtype in [F16, BF16, Q4_0, Q4_1, Q5_0, Q8_0, Q4K, Q5K, Q6K] {
        cases.push(Case {
            name: format!("llama-{dtype:?}"),
            family: wide.clone(),
            dtype,
            pre: None,
            apart: ROUNDED,
        });
    }
    for pre in [
        "smollm",
        "gpt-2",
        "llama-bpe",
        "smaug-bpe",
        "glm4",
        "qwen2",
        "deepseek-r1-qwen",
        "stablelm2",
        "qwen35",
        "tekken",
        "gpt-4o",
        "seed-coder",
        "deepseek-coder",
        "deepseek-v3",
        "default",
    ] {
        cases.push(Case {
            name: format!("words-{pre}"),
            family: Family {
                vocabulary: Vocabulary::Pairs,
                ..Family::default()
            },
            dtype: GgmlDType::F32,
            pre: Some(pre),
            apart: FLOATS,
        });
    }
    cases.push(floats((
        "sentencepiece",
        Family {
            vocabulary: Vocabulary::SentencePiece,
            ..Family::default()
        },
    )));
    cases
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [write, folder] = &arguments[..]
        && write == "--write"
    {
        let folder = std::mem::ManuallyDrop::new(Folder(folder.into()));
        for (name, family) in families() {
            let path = folder.family(name, &family, GgmlDType::F32, |_| {});
            println!("{}", path.display());
        }
        return ExitCode::SUCCESS;
    }
    let cases = cases();
    let Some(python) = std::env::var_os("AURORA_LLAMA_CPP") else {
        println!(
            "left out: {} models beside llama.cpp; AURORA_LLAMA_CPP does not name a Python that has it (.ci/run sets it)",
            cases.len()
        );
        return ExitCode::SUCCESS;
    };
    let mut failed = 0;
    for case in &cases {
        match check(case, &python) {
            Ok(apart) => println!("check {} ... ok, {apart:.4} apart", case.name),
            Err(why) => {
                failed += 1;
                println!("check {} ... FAILED: {why}", case.name);
            }
        }
    }
    println!("{} passed, {failed} failed", cases.len() - failed);
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs both; returns how far they were apart.
fn check(case: &Case, python: &OsStr) -> Result<f64, String> {
    let folder = Folder::new();
    let path = folder.family("model", &case.family, case.dtype, |metadata| {
        if let Some(pre) = case.pre {
            metadata.retain(|(key, _)| *key != "tokenizer.ggml.pre");
            metadata.push(("tokenizer.ggml.pre", Value::String(pre.into())));
        }
    });
    let ids: Vec<u32> = (0..40).map(|i| 3 + i * 37 % 250).collect();
    let theirs = llama_cpp(python, &path, &ids)?;
    let model = Evaluator::load(&path, &Options::default()).map_err(|error| error.to_string())?;
    for (text, tokens) in TEXTS.iter().zip(theirs["tokens"].as_array().ok_or("no tokens")?) {
        let ours = json!(model.encode(text));
        let otherwise = *text == MARKS && case.pre.is_some_and(|pre| OTHERWISE.contains(&pre));
        if (ours == *tokens) == otherwise {
            return Err(format!("{text:?} is {ours} here and {tokens} there"));
        }
    }
    let mut sequences = model.sequences(1, ids.len()).map_err(|error| error.to_string())?;
    let logits = sequences.read(0, &ids).map_err(|error| error.to_string())?;
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&x| f64::from(x - largest).exp()).sum();
    let log = |id: usize| f64::from(logits[id] - largest) - sum.ln();
    let mut apart: f64 = 0.0;
    let all = theirs["logprobs"].as_array().ok_or("no probabilities")?;
    if all.len() < logits.len() / 2 {
        return Err(format!("{} probabilities of {}", all.len(), logits.len()));
    }
    for pair in all {
        let id = pair[0].as_u64().and_then(|id| usize::try_from(id).ok());
        let (Some(id), Some(theirs)) = (id, pair[1].as_f64()) else {
            return Err(format!("{pair} is no token with its probability"));
        };
        apart = apart.max((log(id) - theirs).abs());
    }
    if apart > case.apart {
        return Err(format!("{apart:.4} apart, more than {}", case.apart));
    }
    Ok(apart)
}

/// What llama.cpp makes of the texts and the tokens.
fn llama_cpp(python: &OsStr, model: &Path, ids: &[u32]) -> Result<Json, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/llama_cpp.py");
    let mut child = Command::new(python)
        .arg(script)
        .arg(model)
        .arg(json!({"ids": ids, "texts": TEXTS}).to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("{}: {error}", python.display()))?;
    let since = Instant::now();
    // What it prints fits into the pipe.
    while child.try_wait().map_err(|error| error.to_string())?.is_none() {
        if since.elapsed() > PATIENCE {
            let _ = child.kill();
            let _ = child.wait();
            return Err("llama.cpp does not come to an end".to_owned());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    let line = output
        .stdout
        .rsplit(|&byte| byte == b'\n')
        .find(|line| line.starts_with(b"{"));
    line.and_then(|line| serde_json::from_slice(line).ok())
        .ok_or_else(|| format!("llama.cpp cannot run it: {}", output.status))
}
