//! A linear layer over quantised weights, with one way for few rows and another for many.
//!
//! Few rows (decoding) are bound by reading the weights: candle's quantised dot products read them once, 8 bits a
//! value. Many rows (a prompt) are bound by arithmetic: there it pays to turn the weights into floats once and let a
//! dense product run over them. [`DENSE_ROWS`] is where the two cross, as `cargo bench -p aurora-local` measures it.
//!
//! The two round differently. So which one a row takes depends on its own prompt alone, never on what else is in the
//! step; that is why the caller says it.

use std::ops::Range;

use candle_core::quantized::GgmlDType;

use super::blocks::{Blocks, blocks};
use super::gemm::{Matrix, multiply};
use super::parallel::{for_each_chunk, threads};
use crate::error::Result;
use crate::gguf::RawTensor;

/// From a prompt of this many tokens on its rows should take the dense way.
pub(crate) const DENSE_ROWS: usize = 24;
/// Weight rows dequantised at a time by one thread.
const DEQUANTISE_ROWS: usize = 64;

/// `y = x · Wᵀ` for quantised W.
pub(super) struct Linear {
    blocks: Box<dyn Blocks>,
    inputs: usize,
    outputs: usize,
}

impl Linear {
    /// A layer from one tensor.
    pub(super) fn new(tensor: &RawTensor) -> Result<Self> {
        Ok(Self {
            blocks: blocks(tensor)?,
            inputs: tensor.columns,
            outputs: tensor.rows,
        })
    }

    /// Layers from tensors with the same number of columns: one, whose rows hold the tensors' one after the other, where
    /// their quantisations agree, else one for each.
    pub(super) fn stacked(tensors: &[RawTensor]) -> Result<Vec<Self>> {
        let [first, rest @ ..] = tensors else {
            return Ok(Vec::new());
        };
        if rest
            .iter()
            .any(|tensor| tensor.dtype != first.dtype || tensor.columns != first.columns)
        {
            return tensors.iter().map(Self::new).collect();
        }
        let bytes = tensors.iter().flat_map(|tensor| &tensor.bytes).copied().collect();
        let rows = tensors.iter().map(|tensor| tensor.rows).sum();
        Ok(vec![Self::new(&RawTensor {
            dtype: first.dtype,
            rows,
            columns: first.columns,
            bytes,
        })?])
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
    pub(super) fn apply(&self, x: &[f32], dense_rows: usize, out: &mut [f32], weights: &mut Vec<f32>) {
        let (dense_x, x) = x.split_at(dense_rows * self.inputs);
        let (dense_out, out) = out.split_at_mut(dense_rows * self.outputs);
        if !dense_x.is_empty() {
            self.apply_dense(dense_x, dense_out, weights);
        }
        if !x.is_empty() {
            self.blocks.multiply(self.inputs, x, out);
        }
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
        for (row, out) in rows.zip(out.chunks_exact_mut(self.inputs)) {
            self.blocks.row(self.inputs, row, out);
        }
    }
}

impl std::fmt::Debug for Linear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Linear({} -> {}, {:?})",
            self.inputs,
            self.outputs,
            self.dtype()
        )
    }
}
