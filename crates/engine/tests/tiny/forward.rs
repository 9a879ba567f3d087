//! The forward pass of every family against an independent one in float64 (`reference/forward.py`), and every
//! quantisation against the same weights as floats.

use std::path::Path;

use aurora_local::evaluate::{Evaluator, best};
use candle_core::Device;
use candle_core::quantized::gguf_file::{self, Content, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use serde_json::Value as Json;

use crate::families::families;
use crate::fixture::{Family, Folder, options};

/// The logits after each of the tokens, which are read in pieces of so many.
fn logits(path: &Path, ids: &[u32], piece: usize) -> Vec<Vec<f32>> {
    let model = Evaluator::load(path, &options()).expect("the tiny model loads");
    let mut sequences = model.sequences(1, ids.len()).expect("there is memory");
    let mut all = Vec::new();
    for piece in ids.chunks(piece) {
        let rows = sequences.read_all(0, piece).expect("ids of the vocabulary");
        all.extend(rows.into_iter().map(<[f32]>::to_vec));
    }
    all
}

/// The largest difference, in standard deviations of what is expected.
fn difference(found: &[f32], expected: &[f32]) -> f32 {
    let count = expected.len() as f32;
    let mean = expected.iter().sum::<f32>() / count;
    let variance = expected.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / count;
    let pairs = found.iter().zip(expected);
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / variance.sqrt()
}

#[test]
fn every_family_computes_what_an_independent_evaluation_does() {
    let lines = include_str!("../data/families.jsonl").lines();
    let expected: Vec<Json> = lines
        .map(|line| serde_json::from_str(line).expect("valid JSON"))
        .collect();
    let families = families();
    assert_eq!(families.len(), expected.len());
    for (name, family) in families {
        let case = expected
            .iter()
            .find(|case| case["name"] == name)
            .expect("a known name");
        let numbers = |key: &str| {
            let values = case[key].as_array().expect("a list").iter();
            values
                .map(|value| value.as_f64().expect("a number") as f32)
                .collect::<Vec<f32>>()
        };
        let ids: Vec<u32> = numbers("ids").into_iter().map(|id| id as u32).collect();
        let folder = Folder::new();
        let path = folder.family(name, &family, GgmlDType::F32, |_| {});
        // At once, and so the dense way; a token at a time; and a start the one way and the rest the other.
        for piece in [ids.len(), 1, 20] {
            let found = logits(&path, &ids, piece);
            let off = difference(&found[ids.len() - 1], &numbers("last"));
            assert!(off < 0.01, "{name} in pieces of {piece}: off by {off}");
            let chosen: Vec<f32> = found.iter().map(|row| best(row) as f32).collect();
            assert_eq!(chosen, numbers("best"), "{name} in pieces of {piece}");
        }
    }
}

#[test]
fn every_quantisation_computes_what_its_weights_say() {
    use GgmlDType::{BF16, F16, Q2K, Q3K, Q4_0, Q4_1, Q4K, Q5_0, Q5_1, Q5K, Q6K, Q8_0};
    // Blocks of 256 values.
    let family = Family {
        width: 256,
        feed_forward: 512,
        head_width: 64,
        norms: true,
        ..Family::default()
    };
    let ids: Vec<u32> = (0..24).map(|i| i * 37 % 260).collect();
    for dtype in [F16, BF16, Q2K, Q3K, Q4_0, Q4_1, Q5_0, Q5_1, Q4K, Q5K, Q6K, Q8_0] {
        let folder = Folder::new();
        let path = folder.family("quantised", &family, dtype, |_| {});
        let floats = folder.0.join("floats.gguf");
        dequantise(&path, &floats);
        let expected = logits(&floats, &ids, ids.len());
        let dense = logits(&path, &ids, ids.len());
        // A token at a time, activations are rounded to 8 bits too, and random weights make the most of it; logits of
        // another model would be 4 apart.
        let few = logits(&path, &ids, 1);
        let converted = matches!(dtype, Q4_1 | Q5_0 | Q5_1);
        assert!(
            converted || !options().backend.is_exact() || dense == expected,
            "{dtype:?}: the dense way rounds nothing else"
        );
        for found in [dense, few] {
            for (row, (found, expected)) in found.iter().zip(&expected).enumerate() {
                let off = difference(found, expected);
                assert!(off < 0.6, "{dtype:?}, row {row}: off by {off}");
            }
        }
    }
}

/// Writes a model with its weights as the floats they stand for.
fn dequantise(from: &Path, to: &Path) {
    let mut file = std::fs::File::open(from).expect("it was just written");
    let content = Content::read(&mut file).expect("it is sound");
    let tensors: Vec<(&str, QTensor)> = content
        .tensor_infos
        .keys()
        .map(|name| {
            let tensor = content
                .tensor(&mut file, name, &Device::Cpu)
                .expect("it is sound");
            let floats = tensor.dequantize(&Device::Cpu).expect("a known quantisation");
            (
                name.as_str(),
                QTensor::quantize(&floats, GgmlDType::F32).expect("floats"),
            )
        })
        .collect();
    let tensors: Vec<(&str, &QTensor)> = tensors.iter().map(|(name, tensor)| (*name, tensor)).collect();
    let metadata: Vec<(&str, &Value)> = content
        .metadata
        .iter()
        .map(|(key, value)| (key.as_str(), value))
        .collect();
    let mut file = std::fs::File::create(to).expect("a writable folder");
    gguf_file::write(&mut file, &metadata, &tensors).expect("a writable file");
}
