//! A linear layer over quantised weights, with one way for few rows and another for many.
//!
//! Few rows (decoding) are bound by reading the weights: candle's quantised dot products read them once, 8 bits a
//! value. Many rows (a prompt) are bound by arithmetic: there it pays to turn the weights into floats once and let a
//! dense product run over them. [`DENSE_ROWS`] is where the two cross, as `cargo bench -p aurora-local` measures it.
//!
//! The two round differently. So which one a row takes depends on its own prompt alone, never on what else is in the
//! step; that is why the caller says it.

use std::ops::Range;

use candle_core::quantized::{GgmlDType, QuantizedType};

use super::gemm::{Matrix, multiply};
use super::parallel::{for_each_chunk, threads};
use crate::error::{Error, ErrorKind, Result};
use crate::gguf::{RawTensor, f32_values};

/// From a prompt of this many tokens on its rows should take the dense way.
pub(crate) const DENSE_ROWS: usize = 24;
/// Weight rows dequantised at a time by one thread.
const DEQUANTISE_ROWS: usize = 64;

/// `y = x · Wᵀ` for quantised W.
pub(super) struct Linear {
    blocks: Box<dyn QuantizedType>,
    inputs: usize,
    outputs: usize,
}

impl Linear {
    /// A layer from tensors with the same number of columns, stacked: a row of its result holds theirs one after the
    /// other. `None` if their quantisations differ.
    pub(super) fn stacked(tensors: Vec<RawTensor>) -> std::result::Result<Self, Vec<RawTensor>> {
        let Some(first) = tensors.first() else { return Err(tensors) };
        let (dtype, inputs) = (first.dtype, first.columns);
        if tensors.iter().any(|tensor| tensor.dtype != dtype || tensor.columns != inputs) {
            return Err(tensors);
        }
        let outputs = tensors.iter().map(|tensor| tensor.rows).sum();
        let mut bytes = Vec::with_capacity(tensors.iter().map(|tensor| tensor.bytes.len()).sum());
        for tensor in tensors {
            bytes.extend_from_slice(&tensor.bytes);
        }
        let blocks = RawTensor { dtype, rows: outputs, columns: inputs, bytes }.into_blocks();
        Ok(Self { blocks, inputs, outputs })
    }

    /// A layer from one tensor.
    pub(super) fn new(tensor: RawTensor) -> Self {
        let (inputs, outputs) = (tensor.columns, tensor.rows);
        Self { blocks: tensor.into_blocks(), inputs, outputs }
    }

    pub(super) fn inputs(&self) -> usize {
        self.inputs
    }

    pub(super) fn outputs(&self) -> usize {
        self.outputs
    }

    pub(super) fn dtype(&self) -> GgmlDType {
        self.blocks.dtype()
    }

    /// Applies the layer to the rows of `x`: the first `dense_rows` the dense way, the rest the quantised. `weights` is
    /// scratch that grows to the size of the weights as floats.
    pub(super) fn apply(&self, x: &[f32], dense_rows: usize, out: &mut [f32], weights: &mut Vec<f32>) -> Result<()> {
        let (dense_x, x) = x.split_at(dense_rows * self.inputs);
        let (dense_out, out) = out.split_at_mut(dense_rows * self.outputs);
        if !dense_x.is_empty() {
            self.apply_dense(dense_x, dense_out, weights);
        }
        if x.is_empty() { Ok(()) } else { self.apply_quantised(x, out) }
    }

    fn apply_quantised(&self, x: &[f32], out: &mut [f32]) -> Result<()> {
        let rows = x.len() / self.inputs;
        let applied = self.blocks.matmul_t((rows, self.inputs, self.outputs), x, out);
        applied.map_err(|source| Error::new(ErrorKind::Unsupported, "a matrix product failed").with_source(source))
    }

    fn apply_dense(&self, x: &[f32], out: &mut [f32], weights: &mut Vec<f32>) {
        let (inputs, outputs) = (self.inputs, self.outputs);
        if weights.len() < inputs * outputs {
            weights.resize(inputs * outputs, 0.0);
        }
        let weights = &mut weights[..inputs * outputs];
        for_each_chunk(weights, DEQUANTISE_ROWS * inputs, |index, chunk| {
            let first = index * DEQUANTISE_ROWS;
            self.dequantise(first..first + chunk.len() / inputs, chunk);
        });
        let weights = &*weights;
        // Two blocks a thread: few enough that packing the weights again for each costs little, enough that a thread
        // that was held up does not hold up the rest.
        let block = (x.len() / inputs).div_ceil(2 * threads()).max(8);
        for_each_chunk(out, block * outputs, |index, out| {
            let rows = out.len() / outputs;
            let x = &x[index * block * inputs..][..rows * inputs];
            let (left, right) = (Matrix::rows(x, inputs), Matrix::transposed(weights, inputs));
            multiply((rows, inputs, outputs), 1.0, left, right, out, outputs);
        });
    }

    /// The weights of some rows, as floats.
    ///
    /// # Panics
    /// If a row is out of range.
    pub(super) fn dequantise(&self, rows: Range<usize>, out: &mut [f32]) {
        assert!(rows.end <= self.outputs, "row {} of {}", rows.end, self.outputs);
        #[expect(clippy::cast_possible_truncation, reason = "no vocabulary or layer has 2^32 rows")]
        let ids: Vec<u32> = rows.map(|row| row as u32).collect();
        let values = self.blocks.embedding(&ids, self.outputs, self.inputs);
        match values.as_ref().map(f32_values) {
            Ok(Ok(values)) => out.copy_from_slice(values),
            // Rows were checked, and every quantisation that loads has this conversion.
            _ => unreachable!("rows in range of a loaded tensor are readable"),
        }
    }
}

impl std::fmt::Debug for Linear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Linear({} -> {}, {:?})", self.inputs, self.outputs, self.dtype())
    }
}
