//! Reading GGUF files: typed metadata and whole tensors, each with an error that names what is missing or wrong.
//!
//! The format's parser is candle's; this adds the checks that turn a damaged file into an error instead of a panic
//! further in: every tensor must lie inside the file, and every value must have the type the format's specification
//! gives it.

mod types;

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::quantized::{GgmlDType, QStorage, QTensor};

use crate::error::{Error, ErrorKind, Result, corrupt, unsupported};

pub(crate) use types::name as type_name;

/// An open GGUF file.
pub(crate) struct Gguf {
    path: PathBuf,
    file: BufReader<File>,
    content: Content,
}

/// One tensor's raw blocks.
pub(crate) struct RawTensor {
    pub(crate) dtype: GgmlDType,
    /// Rows, then columns; a vector has one row.
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) bytes: Vec<u8>,
}

impl Gguf {
    /// Opens a file and reads its header.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|source| Error::io("open", path, source))?;
        let length = file
            .metadata()
            .map_err(|source| Error::io("read", path, source))?
            .len();
        let mut file = BufReader::with_capacity(1 << 20, file);
        let mut magic = [0; 4];
        if file.read_exact(&mut magic).is_err() || &magic != b"GGUF" {
            return Err(corrupt(format!(
                "{} is not a GGUF file (it does not begin with \"GGUF\")",
                path.display()
            )));
        }
        file.rewind().map_err(|source| Error::io("read", path, source))?;
        check_alignment(path)?;
        let content = Content::read(&mut file).map_err(|error| damaged(path, &error))?;
        let gguf = Self {
            path: path.to_owned(),
            file,
            content,
        };
        gguf.check_extent(length)?;
        Ok(gguf)
    }

    /// The metadata of a file whose tensors may be of types that candle does not know.
    #[cfg(feature = "llama-cpp")]
    pub(crate) fn metadata(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|source| Error::io("open", path, source))?;
        let mut tensorless = Tensorless {
            file: BufReader::new(file),
            position: 0,
        };
        Ok(Self {
            path: path.to_owned(),
            content: Content::read(&mut tensorless).map_err(|error| damaged(path, &error))?,
            file: tensorless.file,
        })
    }

    /// Every tensor must lie inside the file: a download that broke off is found here.
    fn check_extent(&self, length: u64) -> Result<()> {
        for (name, info) in &self.content.tensor_infos {
            let elements = info
                .shape
                .dims()
                .iter()
                .try_fold(1_usize, |product, &d| product.checked_mul(d));
            let bytes = elements
                .filter(|elements| elements.is_multiple_of(info.ggml_dtype.block_size()))
                .and_then(|elements| {
                    (elements / info.ggml_dtype.block_size()).checked_mul(info.ggml_dtype.type_size())
                });
            let end = bytes
                .and_then(|bytes| info.offset.checked_add(bytes as u64))
                .and_then(|end| end.checked_add(self.content.tensor_data_offset));
            match end {
                Some(end) if end <= length => {}
                Some(end) => {
                    return Err(corrupt(format!(
                        "{} is cut short: tensor {name} ends at byte {end}, the file at byte {length}",
                        self.path.display()
                    )));
                }
                None => {
                    return Err(corrupt(format!(
                        "{}: tensor {name} has an impossible size",
                        self.path.display()
                    )));
                }
            }
        }
        Ok(())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn content(&self) -> &Content {
        &self.content
    }

    pub(crate) fn has_tensor(&self, name: &str) -> bool {
        self.content.tensor_infos.contains_key(name)
    }

    /// The quantisation of most weights.
    pub(crate) fn quantisation(&self) -> String {
        let mut values: Vec<(GgmlDType, usize)> = Vec::new();
        for info in self.content.tensor_infos.values() {
            let dtype = info.ggml_dtype;
            match values.iter_mut().find(|(other, _)| *other == dtype) {
                Some((_, count)) => *count += info.shape.elem_count(),
                None => values.push((dtype, info.shape.elem_count())),
            }
        }
        let most = values
            .into_iter()
            .max_by_key(|&(dtype, count)| (count, type_name(dtype)));
        most.map_or_else(|| "empty".to_owned(), |(dtype, _)| type_name(dtype))
    }

    /// How many weights there are.
    pub(crate) fn parameters(&self) -> u64 {
        let infos = self.content.tensor_infos.values();
        infos.map(|info| info.shape.elem_count() as u64).sum()
    }

    /// The value of a metadata key, if the file has it.
    pub(crate) fn value(&self, key: &str) -> Option<&Value> {
        self.content.metadata.get(key)
    }

    /// A whole number; the specification writes most as u32, some converters as u64 or i32.
    pub(crate) fn integer(&self, key: &str) -> Result<Option<usize>> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        let number = match *value {
            Value::U8(n) => Some(u64::from(n)),
            Value::U16(n) => Some(u64::from(n)),
            Value::U32(n) => Some(u64::from(n)),
            Value::U64(n) => Some(n),
            Value::I32(n) => u64::try_from(n).ok(),
            Value::I64(n) => u64::try_from(n).ok(),
            _ => None,
        };
        match number.and_then(|n| usize::try_from(n).ok()) {
            Some(number) => Ok(Some(number)),
            None => Err(self.wrong_type(key, "a whole number")),
        }
    }

    /// A whole number that must be there and lie in a range.
    pub(crate) fn required(&self, key: &str, range: std::ops::RangeInclusive<usize>) -> Result<usize> {
        let number = self.integer(key)?.ok_or_else(|| self.missing(key))?;
        if range.contains(&number) {
            return Ok(number);
        }
        let message = format!(
            "{}: {key} is {number}, outside {} to {}",
            self.path.display(),
            range.start(),
            range.end()
        );
        Err(corrupt(message))
    }

    pub(crate) fn float(&self, key: &str) -> Result<Option<f32>> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::F32(number)) if number.is_finite() => Ok(Some(*number)),
            #[expect(
                clippy::cast_possible_truncation,
                reason = "these are settings near 1, not data"
            )]
            Some(Value::F64(number)) if number.is_finite() => Ok(Some(*number as f32)),
            Some(_) => Err(self.wrong_type(key, "a number")),
        }
    }

    pub(crate) fn boolean(&self, key: &str) -> Result<Option<bool>> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(_) => Err(self.wrong_type(key, "true or false")),
        }
    }

    pub(crate) fn string(&self, key: &str) -> Result<Option<&str>> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong_type(key, "text")),
        }
    }

    pub(crate) fn strings(&self, key: &str) -> Result<Vec<&str>> {
        let Some(Value::Array(values)) = self.value(key) else {
            return Err(self.missing(key));
        };
        let texts: Option<Vec<&str>> = values
            .iter()
            .map(|value| {
                if let Value::String(text) = value {
                    Some(text.as_str())
                } else {
                    None
                }
            })
            .collect();
        texts.ok_or_else(|| self.wrong_type(key, "a list of texts"))
    }

    /// An array of numbers, empty if the file has none.
    pub(crate) fn numbers(&self, key: &str) -> Result<Vec<f32>> {
        let Some(value) = self.value(key) else {
            return Ok(Vec::new());
        };
        let Value::Array(values) = value else {
            return Err(self.wrong_type(key, "a list"));
        };
        let number = |value: &Value| match *value {
            Value::F32(number) => Ok(number),
            #[expect(clippy::cast_precision_loss, reason = "token types and scores are small")]
            Value::I32(number) => Ok(number as f32),
            #[expect(clippy::cast_precision_loss, reason = "token types and scores are small")]
            Value::U32(number) => Ok(number as f32),
            _ => Err(self.wrong_type(key, "a list of numbers")),
        };
        values.iter().map(number).collect()
    }

    /// Reads a tensor's blocks.
    fn tensor(&mut self, name: &str) -> Result<RawTensor> {
        let Some(info) = self.content.tensor_infos.get(name) else {
            return Err(self.missing(name));
        };
        let dtype = info.ggml_dtype;
        let (rows, columns) = match *info.shape.dims() {
            [columns] => (1, columns),
            [rows, columns] => (rows, columns),
            _ => {
                return Err(corrupt(format!(
                    "{}: tensor {name} has too many dimensions",
                    self.path.display()
                )));
            }
        };
        if columns == 0 || !columns.is_multiple_of(dtype.block_size()) {
            return Err(corrupt(format!(
                "{}: the rows of tensor {name} have {columns} values, not a multiple of the {} in a {dtype:?} block",
                self.path.display(),
                dtype.block_size()
            )));
        }
        let length = rows * columns / dtype.block_size() * dtype.type_size();
        let start = self.content.tensor_data_offset + info.offset;
        let mut bytes = vec![0; length];
        let read = self
            .file
            .seek(SeekFrom::Start(start))
            .and_then(|_| self.file.read_exact(&mut bytes));
        read.map_err(|source| Error::io("read", &self.path, source))?;
        Ok(RawTensor {
            dtype,
            rows,
            columns,
            bytes,
        })
    }

    /// Reads a tensor that must have this shape.
    fn tensor_of(&mut self, name: &str, rows: usize, columns: usize) -> Result<RawTensor> {
        let tensor = self.tensor(name)?;
        if (tensor.rows, tensor.columns) == (rows, columns) {
            return Ok(tensor);
        }
        Err(corrupt(format!(
            "{}: tensor {name} is {}×{}, and the metadata says {rows}×{columns}",
            self.path.display(),
            tensor.rows,
            tensor.columns
        )))
    }

    /// Reads a matrix of weights that must have this shape, in a form that runs fast.
    pub(crate) fn weights(&mut self, name: &str, rows: usize, columns: usize) -> Result<RawTensor> {
        let weights = self.tensor_of(name, rows, columns)?.into_fast();
        weights.map_err(|source| {
            unsupported(format!("{}: tensor {name} cannot be run", self.path.display())).with_source(source)
        })
    }

    /// Reads a vector of this length, as f32.
    pub(crate) fn vector(&mut self, name: &str, length: usize) -> Result<Vec<f32>> {
        self.tensor_of(name, 1, length)?.to_f32()
    }

    fn missing(&self, key: &str) -> Error {
        corrupt(format!(
            "{} has no {key}: it is damaged, or not a language model",
            self.path.display()
        ))
    }

    fn wrong_type(&self, key: &str, expected: &str) -> Error {
        corrupt(format!("{}: {key} should be {expected}", self.path.display()))
    }
}

impl RawTensor {
    /// The tensor's values.
    fn to_f32(&self) -> Result<Vec<f32>> {
        let values = self
            .dtype
            .from_data(Cow::Borrowed(&self.bytes))
            .dequantize(self.rows * self.columns);
        let failed = |source: candle_core::Error| {
            Error::new(
                ErrorKind::Unsupported,
                format!("cannot read {:?} values", self.dtype),
            )
            .with_source(source)
        };
        values
            .and_then(|values| f32_values(&values).map(<[f32]>::to_vec))
            .map_err(failed)
    }

    /// The tensor in a form that runs fast: as it is, or as Q8_0 where candle multiplies its quantisation one value at
    /// a time. That loses next to nothing, as each block of 32 values keeps its scale, with 8 bits a value instead of 4
    /// or 5; and it costs memory, which the models that are still quantised so do not need much of.
    ///
    /// # Errors
    /// If the quantisation cannot be multiplied with at all.
    pub(crate) fn into_fast(self) -> Result<Self> {
        use GgmlDType::{BF16, F16, F32, Q2K, Q3K, Q4_0, Q4K, Q5K, Q6K, Q8_0};
        match self.dtype {
            F32 | F16 | BF16 | Q4_0 | Q8_0 | Q2K | Q3K | Q4K | Q5K | Q6K => Ok(self),
            dtype if is_slow(dtype) => {
                let values = self.to_f32()?;
                let mut blocks = Q8_0.cpu_zeros(values.len());
                blocks.from_float(&values);
                let tensor = QTensor::new(QStorage::Cpu(blocks), (self.rows, self.columns));
                let bytes = tensor
                    .and_then(|tensor| Ok(tensor.data()?.into_owned()))
                    .map_err(|source| {
                        Error::new(
                            ErrorKind::Unsupported,
                            format!("cannot convert {dtype:?} weights"),
                        )
                        .with_source(source)
                    })?;
                Ok(Self {
                    dtype: Q8_0,
                    bytes,
                    ..self
                })
            }
            other => Err(unsupported(format!(
                "weights of type {} are not supported",
                type_name(other)
            ))),
        }
    }
}

/// What the parser's error says of a file.
fn damaged(path: &Path, error: &candle_core::Error) -> Error {
    let error = crate::error::first_line(error);
    match types::unknown(&error) {
        Some(name) => unsupported(format!(
            "{}: tensors of type {name} are not supported; take a file in another quantisation, such as Q4_K_M or Q8_0",
            path.display()
        )),
        None => corrupt(format!("{}: the GGUF header is damaged: {error}", path.display())),
    }
}

/// A file that reads as if it had no tensors, whose number is in bytes 8 to 15.
#[cfg(feature = "llama-cpp")]
struct Tensorless {
    file: BufReader<File>,
    position: u64,
}

#[cfg(feature = "llama-cpp")]
impl Read for Tensorless {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(buffer)?;
        for (byte, position) in buffer[..read].iter_mut().zip(self.position..) {
            if (8..16).contains(&position) {
                *byte = 0;
            }
        }
        self.position += read as u64;
        Ok(read)
    }
}

#[cfg(feature = "llama-cpp")]
impl Seek for Tensorless {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.position = self.file.seek(to)?;
        Ok(self.position)
    }

    fn stream_position(&mut self) -> std::io::Result<u64> {
        Ok(self.position)
    }
}

/// The parser divides by this setting without looking at it; zero is refused here.
fn check_alignment(path: &Path) -> Result<()> {
    const KEY: &[u8] = b"general.alignment";
    /// A u32, by the format's numbering.
    const U32: [u8; 4] = 4_u32.to_le_bytes();
    let mut head = Vec::new();
    let file = File::open(path).map_err(|source| Error::io("open", path, source))?;
    file.take(1 << 24)
        .read_to_end(&mut head)
        .map_err(|source| Error::io("read", path, source))?;
    for at in memchr::memmem::find_iter(&head, KEY) {
        let after = &head[at + KEY.len()..];
        if after.starts_with(&U32) && after[4..].starts_with(&[0; 4]) {
            return Err(corrupt(format!(
                "{}: the GGUF header asks for an alignment of 0 bytes",
                path.display()
            )));
        }
    }
    Ok(())
}

/// Quantisations that are converted to Q8_0 before they run. They share its blocks of 32 values.
pub(crate) fn is_slow(dtype: GgmlDType) -> bool {
    matches!(dtype, GgmlDType::Q4_1 | GgmlDType::Q5_0 | GgmlDType::Q5_1)
}

/// The floats in what candle returns.
fn f32_values(storage: &candle_core::CpuStorage) -> candle_core::Result<&[f32]> {
    use candle_core::backend::BackendStorage;
    match storage {
        candle_core::CpuStorage::F32(values) => Ok(values),
        other => candle_core::bail!("expected f32 values, found {:?}", other.dtype()),
    }
}
