//! Model files, sound and not, and the folder they lie in.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};

use aurora_local::models::{Progress, Store};
use aurora_local::{Backend, Engine, ErrorKind};
use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::Value;

use crate::fixture::{Folder, assert_alike, collect, options, request};

fn load(path: &Path) -> Result<Engine, aurora_local::Error> {
    Engine::load(path, options())
}

#[test]
fn a_file_cut_anywhere_is_an_error_that_says_so() {
    let folder = Folder::new();
    let path = folder.model(GgmlDType::Q8_0);
    let whole = std::fs::read(&path).expect("it was just written");
    let step = whole.len() / 97;
    for length in (0..whole.len()).step_by(step) {
        std::fs::write(&path, &whole[..length]).expect("a writable folder");
        let error = load(&path).expect_err("it is cut short");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "cut at {length}: {error}");
        assert!(error.to_string().contains("tiny.gguf"), "{error}");
    }
}

#[test]
fn damage_in_the_header_never_panics() {
    let folder = Folder::new();
    let path = folder.model(GgmlDType::Q8_0);
    let whole = std::fs::read(&path).expect("it was just written");
    load_damaged(&path, &whole);
}

/// Damages a file in many places of its header, one at a time.
fn load_damaged(path: &Path, whole: &[u8]) {
    for position in (0..1500).step_by(7).chain((1500..12_000).step_by(331)) {
        for value in [0x00, 0x7f, 0xff] {
            let mut damaged = whole.to_vec();
            damaged[position] = value;
            std::fs::write(path, &damaged).expect("a writable folder");
            // It may still be a sound file, or not; either is fine.
            let _ = load(path);
        }
    }
}

#[test]
fn what_is_no_model_says_what_it_is() {
    let folder = Folder::new();
    let missing = folder.0.join("missing.gguf");
    assert_eq!(
        load(&missing).expect_err("it is not there").kind(),
        ErrorKind::NotFound
    );
    let text = folder.0.join("text.gguf");
    std::fs::write(&text, "hello").expect("a writable folder");
    let error = load(&text).expect_err("it is text");
    assert!(
        error.kind() == ErrorKind::Corrupt && error.to_string().contains("not a GGUF file"),
        "{error}"
    );

    let with = |key: &'static str, value: Value| {
        folder.model_with(GgmlDType::Q8_0, |metadata| {
            metadata.retain(|(other, _)| *other != key);
            metadata.push((key, value));
        })
    };
    // llama.cpp runs some of these, and names others in its own words.
    if options().backend == Backend::Candle {
        what_candle_does_not_run_is_named(&with);
    }
    let heads = load(&with("llama.attention.head_count", Value::U32(3))).expect_err("3 does not fit");
    assert_eq!(heads.kind(), ErrorKind::Corrupt, "{heads}");
    let alignment = load(&with("general.alignment", Value::U32(0))).expect_err("it divides by zero");
    assert!(
        alignment.kind() == ErrorKind::Corrupt && alignment.to_string().contains("alignment"),
        "{alignment}"
    );
    let template = load(&with("tokenizer.chat_template", Value::String("{% if".into()))).expect_err("broken");
    assert_eq!(template.kind(), ErrorKind::Unsupported, "{template}");
    let base = folder.model_with(GgmlDType::Q8_0, |metadata| {
        metadata.retain(|(key, _)| *key != "tokenizer.chat_template");
    });
    assert!(
        load(&base)
            .expect_err("a base model")
            .to_string()
            .contains("chat template")
    );
}

fn what_candle_does_not_run_is_named(with: &dyn Fn(&'static str, Value) -> PathBuf) {
    let mamba = load(&with("general.architecture", Value::String("mamba".into()))).expect_err("not llama");
    assert!(
        mamba.kind() == ErrorKind::Unsupported
            && mamba.to_string().contains("mamba")
            && mamba.to_string().contains("qwen3"),
        "{mamba}"
    );
    let scaling =
        load(&with("llama.rope.scaling.type", Value::String("longrope".into()))).expect_err("unknown");
    assert!(
        scaling.kind() == ErrorKind::Unsupported && scaling.to_string().contains("longrope"),
        "{scaling}"
    );
    let experts = load(&with("llama.expert_count", Value::U32(8))).expect_err("a mixture");
    assert!(experts.to_string().contains("mixture of experts"), "{experts}");
    let words = load(&with("tokenizer.ggml.pre", Value::String("deepthought".into()))).expect_err("unknown");
    assert!(
        words.kind() == ErrorKind::Unsupported && words.to_string().contains("deepthought"),
        "{words}"
    );
}

#[test]
fn a_type_of_tensors_that_cannot_be_run_is_named() {
    let folder = Folder::new();
    let path = folder.model(GgmlDType::Q8_0);
    let mut bytes = std::fs::read(&path).expect("it was just written");
    let name = b"blk.0.ffn_down.weight";
    let at = bytes
        .windows(name.len())
        .position(|window| window == name)
        .expect("it has that tensor");
    // Behind the name: the number of dimensions, two of them, the type.
    let at = at + name.len() + 4 + 16;
    bytes[at..at + 4].copy_from_slice(&23_u32.to_le_bytes());
    std::fs::write(&path, &bytes).expect("a writable folder");
    let error = load(&path).expect_err("no such product");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().to_uppercase().contains("IQ4_XS"), "{error}");
}

/// A sound file whose tensors are of a type that candle does not know, and llama.cpp does: IQ4_NL, whose blocks are laid out as
/// those of Q4_0.
fn foreign(folder: &Folder) -> PathBuf {
    let path = folder.model(GgmlDType::Q4_0);
    let mut bytes = std::fs::read(&path).expect("it was just written");
    let mut changed = 0;
    for at in 0..bytes.len() - 32 {
        // The end of a name, two dimensions of the tiny model's sizes, the type of Q4_0.
        let is_size = |bytes: &[u8]| bytes[2..].iter().all(|&byte| byte == 0) && bytes[..2] != [0, 0];
        if bytes[at..].starts_with(b".weight\x02\0\0\0")
            && is_size(&bytes[at + 11..at + 19])
            && is_size(&bytes[at + 19..at + 27])
            && bytes[at + 27..at + 31] == 2_u32.to_le_bytes()
        {
            bytes[at + 27] = 20;
            changed += 1;
        }
    }
    assert!(changed > 4, "{changed}");
    std::fs::write(&path, &bytes).expect("a writable folder");
    path
}

#[test]
fn files_that_candle_cannot_read_are_refused_or_as_safe_as_others() {
    let folder = Folder::new();
    let path = foreign(&folder);
    if options().backend == Backend::Candle {
        let error = load(&path).expect_err("candle does not know it");
        assert!(error.to_string().to_uppercase().contains("IQ4_NL"), "{error}");
        return;
    }
    let engine = load(&path).expect("llama.cpp knows it");
    let answer = collect(engine.generate(&request("the", 5)).expect("a valid request"));
    assert!(answer.end.failure.is_none(), "{:?}", answer.end);
    let whole = std::fs::read(&path).expect("it was just written");
    for length in (0..whole.len()).step_by(whole.len() / 97) {
        std::fs::write(&path, &whole[..length]).expect("a writable folder");
        let error = load(&path).expect_err("it is cut short");
        // Where the list of tensors is cut, llama.cpp's own words do not tell it from one of another kind.
        let in_list = error.to_string().contains("failed to read tensor info");
        assert!(
            error.kind() == ErrorKind::Corrupt || in_list,
            "cut at {length}: {error}"
        );
        assert!(error.to_string().contains("tiny.gguf"), "{error}");
    }
    load_damaged(&path, &whole);
}

#[test]
fn every_quantisation_answers() {
    for dtype in [
        GgmlDType::F32,
        GgmlDType::F16,
        GgmlDType::Q4_0,
        GgmlDType::Q4_1,
        GgmlDType::Q5_0,
        GgmlDType::Q8_0,
    ] {
        let folder = Folder::new();
        let engine = load(&folder.model(dtype)).expect("it loads");
        // Long enough for the dense way, and decoding after it.
        let answer = collect(
            engine
                .generate(&request(&"the ".repeat(20), 5))
                .expect("a valid request"),
        );
        assert!(answer.end.failure.is_none(), "{dtype:?}: {:?}", answer.end);
    }
}

#[test]
fn pulling_a_file_converts_it_and_leaves_the_original() {
    let folder = Folder::new();
    let original = folder.model(GgmlDType::Q4_1);
    let store = Store::new(folder.0.join("models"));
    let pulled = store
        .pull(original.to_str().expect("UTF-8"), &mut |_| {})
        .expect("it can be pulled");
    assert_eq!((pulled.name.as_str(), pulled.is_new), ("tiny", true));
    assert!(original.exists());
    let entries = store.list().expect("a readable folder");
    assert_eq!(
        (
            entries.len(),
            entries[0].quantisation.as_str(),
            entries[0].context
        ),
        (1, "Q8_0", 512)
    );
    // Nothing else is left but the lock.
    let left: Vec<_> = std::fs::read_dir(folder.0.join("models"))
        .expect("a folder")
        .collect();
    assert_eq!(left.len(), 3, "{left:?}");
    // Converted once or at every start, it is the same model.
    let ask = |path: &Path| {
        collect(
            load(path)
                .expect("it loads")
                .generate(&request("x", 30))
                .expect("valid"),
        )
        .text
    };
    assert_alike(&[ask(&original)], &[ask(&pulled.path)]);
    assert!(
        !store
            .pull(original.to_str().expect("UTF-8"), &mut |_| {})
            .expect("it is there")
            .is_new
    );
    store.remove("tiny").expect("it is there");
    assert_eq!(store.list().expect("a readable folder"), []);
    let error = store.remove("tiny").expect_err("it is gone");
    assert!(error.to_string().contains("tiny"));
}

#[test]
fn a_model_cut_after_it_was_pulled_is_not_used() {
    let folder = Folder::new();
    let original = folder.model(GgmlDType::Q8_0);
    let store = Store::new(folder.0.join("models"));
    let pulled = store
        .pull(original.to_str().expect("UTF-8"), &mut |_| {})
        .expect("it can be pulled");
    let file = std::fs::File::options()
        .write(true)
        .open(&pulled.path)
        .expect("it is there");
    file.set_len(1000).expect("a writable file");
    assert_eq!(store.path("tiny"), None);
    assert!(
        store
            .pull(original.to_str().expect("UTF-8"), &mut |_| {})
            .expect("it can be pulled again")
            .is_new
    );
    assert!(store.path("tiny").is_some());
}

#[test]
fn another_file_of_the_same_name_is_refused() {
    let (folder, other) = (Folder::new(), Folder::new());
    let store = Store::new(folder.0.join("models"));
    let pull = |path: &Path| store.pull(path.to_str().expect("UTF-8"), &mut |_| {});
    pull(&folder.model(GgmlDType::Q8_0)).expect("it can be pulled");
    let error = pull(&other.model(GgmlDType::Q8_0)).expect_err("the name is taken");
    assert!(error.to_string().contains("'tiny' already"), "{error}");
    let known = other.0.join("SmolLM2.gguf");
    std::fs::copy(other.model(GgmlDType::Q8_0), &known).expect("a writable folder");
    assert!(
        pull(&known)
            .expect_err("the name is a known model's")
            .to_string()
            .contains("known model")
    );
}

#[test]
fn names_cannot_leave_the_folder() {
    let folder = Folder::new();
    let outside = folder.model(GgmlDType::Q8_0);
    let store = Store::new(folder.0.join("models"));
    assert_eq!(store.path("../tiny"), None);
    assert!(store.remove("../tiny").is_err() && store.remove("").is_err());
    assert!(outside.exists());
    for source in ["nonsense", "/etc/hostname", "http://127.0.0.1:9/x.bin"] {
        assert_eq!(
            store.pull(source, &mut |_| {}).expect_err(source).kind(),
            ErrorKind::NotFound
        );
    }
}

#[test]
fn two_that_pull_the_same_model_fetch_it_once() {
    let folder = Folder::new();
    let served = Served::new(
        std::fs::read(folder.model(GgmlDType::Q8_0)).expect("it was written"),
        usize::MAX,
    );
    let store = Store::new(folder.0.join("models"));
    let url = format!("http://{}/some/tiny.gguf?token=secret", served.address);
    let pull = || store.pull(&url, &mut |_| {}).expect("it can be pulled");
    let (a, b) = std::thread::scope(|scope| {
        let (a, b) = (scope.spawn(pull), scope.spawn(pull));
        (a.join().expect("no panic"), b.join().expect("no panic"))
    });
    assert_eq!(usize::from(a.is_new) + usize::from(b.is_new), 1);
    assert_eq!(a.path, b.path);
    let source = store.list().expect("a readable folder")[0]
        .source
        .clone()
        .expect("it is recorded");
    assert!(!source.contains("secret"), "{source}");
}

#[test]
fn a_download_that_breaks_off_is_not_used() {
    let folder = Folder::new();
    let whole = std::fs::read(folder.model(GgmlDType::Q8_0)).expect("it was written");
    let served = Served::new(whole, 10_000);
    let store = Store::new(folder.0.join("models"));
    let mut bytes = 0;
    let mut progress = |step| {
        if let Progress::Bytes { done, .. } = step {
            bytes = done;
        }
    };
    let error = store
        .pull(&format!("http://{}/tiny.gguf", served.address), &mut progress)
        .expect_err("it breaks off");
    assert_eq!(error.kind(), ErrorKind::Download, "{error}");
    assert!(bytes <= 10_000);
    assert_eq!(store.list().expect("a readable folder"), []);
}

/// A server that answers every request with the same file, or the first bytes of it.
struct Served {
    address: std::net::SocketAddr,
}

impl Served {
    fn new(file: Vec<u8>, cut: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let address = listener.local_addr().expect("it is bound");
        std::thread::spawn(move || {
            for stream in listener.incoming().take(8).flatten() {
                let _ = answer(stream, &file, cut);
            }
        });
        Self { address }
    }
}

fn answer(mut stream: TcpStream, file: &[u8], cut: usize) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte)? == 1 {
        head.push(byte[0]);
    }
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        file.len()
    )?;
    stream.write_all(&file[..file.len().min(cut)])
}
