//! From the file as fetched to the file as run.
//!
//! Weights whose quantisation has no fast way in candle are written as Q8_0, once, instead of at every start. All else
//! is kept as it is.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};

use candle_core::Device;
use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};

use crate::backend::{Backend, Loaded};
use crate::engine::Options;
use crate::error::{Error, Result, corrupt, first_line};
use crate::gguf::{Gguf, is_slow};
use crate::nn::Config;
use crate::text;

/// The metadata key that tells what a file's weights were.
const CONVERTED_FROM: &str = "aurora.converted_from";
/// `general.file_type` of a file that is mostly Q8_0.
const MOSTLY_Q8_0: u32 = 7;

/// Checks that a file is a model this engine runs, and writes it to `target` in the form it runs fast. Returns where
/// the result lies: `target` always, so that moving it never takes the caller's own file away.
pub(super) fn convert(source: &Path, target: &Path) -> Result<PathBuf> {
    let gguf = match check(source) {
        Ok(gguf) => gguf,
        // As it is: the weights that llama.cpp alone can read are fast there.
        Err(_) if is_for_another(source) => {
            fs::copy(source, target).map_err(|error| Error::io("copy", source, error))?;
            return Ok(target.to_owned());
        }
        Err(error) => return Err(error),
    };
    let content = gguf.content();
    let slow = content
        .tensor_infos
        .values()
        .find(|info| is_slow(info.ggml_dtype))
        .map(|info| info.ggml_dtype);
    let Some(slow) = slow else {
        fs::copy(source, target).map_err(|error| Error::io("copy", source, error))?;
        return Ok(target.to_owned());
    };
    write(source, target, &gguf, slow).map_err(|error| {
        corrupt(format!(
            "cannot convert {}: {}",
            source.display(),
            first_line(&error)
        ))
    })?;
    Ok(target.to_owned())
}

/// Whether candle runs a file.
fn check(source: &Path) -> Result<Gguf> {
    let gguf = Gguf::open(source)?;
    Config::read(&gguf)?;
    text::read(&gguf)?;
    Ok(gguf)
}

/// Whether another backend that was compiled in reads a file.
fn is_for_another(source: &Path) -> bool {
    let reads = |backend: Backend| {
        let mut options = Options::default();
        (options.backend, options.gpu_layers) = (backend, Some(0));
        backend.is_compiled() && Loaded::read(source, &options).is_ok()
    };
    Backend::ALL
        .into_iter()
        .filter(|&backend| backend != Backend::Candle)
        .any(reads)
}

fn write(source: &Path, target: &Path, gguf: &Gguf, slow: GgmlDType) -> candle_core::Result<()> {
    let content = gguf.content();
    let mut reader = BufReader::with_capacity(1 << 20, File::open(source)?);
    let mut infos: Vec<_> = content.tensor_infos.iter().collect();
    infos.sort_by_key(|(_, info)| info.offset);
    let mut tensors = Vec::with_capacity(infos.len());
    for (name, info) in infos {
        let tensor = content.tensor(&mut reader, name, &Device::Cpu)?;
        let tensor = if is_slow(info.ggml_dtype) {
            QTensor::quantize(&tensor.dequantize(&Device::Cpu)?, GgmlDType::Q8_0)?
        } else {
            tensor
        };
        tensors.push((name.as_str(), tensor));
    }
    let tensors: Vec<(&str, &QTensor)> = tensors.iter().map(|(name, tensor)| (*name, tensor)).collect();
    let mut metadata = content.metadata.clone();
    metadata.insert("general.file_type".to_owned(), Value::U32(MOSTLY_Q8_0));
    metadata.insert(CONVERTED_FROM.to_owned(), Value::String(format!("{slow:?}")));
    let mut metadata: Vec<(&str, &Value)> = metadata
        .iter()
        .map(|(key, value)| (key.as_str(), value))
        .collect();
    metadata.sort_by_key(|(key, _)| *key);
    let mut writer = BufWriter::with_capacity(1 << 20, File::create(target)?);
    gguf_file::write(&mut writer, &metadata, &tensors)?;
    writer
        .into_inner()
        .map_err(|error| candle_core::Error::wrap(error.into_error()))?;
    Ok(())
}
