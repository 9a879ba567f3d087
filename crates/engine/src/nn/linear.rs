//! A linear layer over quantised weights, with one way for few rows and another for many.
//!
//! Few rows (decoding) are bound by reading the weights: candle's quantised dot products read them once, 8 bits a
//! value. Many rows (a prompt) are bound by arithmetic: there it pays to turn the weights into floats once and let a
//! dense product run over them, a panel at a time, so that the floats never leave a core's own cache.
//! [`DENSE_ROWS`] is where the two cross.
//!
//! The two round differently. So which one a row takes depends on its own prompt alone, never on what else is in the
//! step; that is why the caller says it. Within the dense way a row's result is the same to the last bit whatever the
//! rows beside it and however many they are.

use std::cell::RefCell;
use std::ops::Range;

use candle_core::quantized::GgmlDType;

use super::blocks::{Blocks, blocks};
use super::gemm::{LEAST_ROWS, Matrix, multiply};
use super::parallel::for_each_chunk;
use crate::error::Result;
use crate::gguf::RawTensor;

/// From a prompt of this many tokens on its rows should take the dense way: 11 rows of SmolLM2 take as long either way.
pub(crate) const DENSE_ROWS: usize = 12;
/// Weight rows of a panel: as floats, 576 columns of them are 221 KB, which a core's own cache holds beside the rest.
const PANEL: usize = 96;
/// Rows of the result that one piece of work puts together.
const ROWS_TO_GATHER: usize = 16;
/// Rows of one product over a panel no wider than this. The product cuts long sums elsewhere where both sides are that
/// small, so how many rows there are must not decide it.
const SMALL: usize = 64;

thread_local! {
    static WEIGHTS: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Buffers of the dense way. They grow to the largest layer and step.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// The rows, where there are too few, with empty ones after them.
    padded: Vec<f32>,
    /// The result, panel after panel.
    panels: Vec<f32>,
}

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

    /// Applies the layer to the rows of `x`: the first `dense_rows` the dense way, the rest the quantised.
    pub(super) fn apply(&self, x: &[f32], dense_rows: usize, out: &mut [f32], scratch: &mut Scratch) {
        let (dense_x, x) = x.split_at(dense_rows * self.inputs);
        let (dense_out, out) = out.split_at_mut(dense_rows * self.outputs);
        if dense_rows >= LEAST_ROWS {
            self.apply_dense(dense_x, dense_out, &mut scratch.panels);
        } else if dense_rows > 0 {
            let Scratch { padded, panels } = scratch;
            padded.clear();
            padded.extend_from_slice(dense_x);
            padded.resize(LEAST_ROWS * self.inputs, 0.0);
            self.apply_dense(padded, dense_out, panels);
        }
        if !x.is_empty() {
            self.blocks.multiply(self.inputs, x, out);
        }
    }

    /// Fills the rows of `out`, which may be fewer than those of `x`.
    fn apply_dense(&self, x: &[f32], out: &mut [f32], panels: &mut Vec<f32>) {
        let (inputs, outputs) = (self.inputs, self.outputs);
        let rows = x.len() / inputs;
        // As even as can be, so that no panel is a sliver.
        let width = outputs.div_ceil(outputs.div_ceil(PANEL));
        panels.resize(rows * outputs, 0.0);
        for_each_chunk(panels, width * rows, |index, panel| {
            let width_here = panel.len() / rows;
            let first = index * width;
            // In parts as even as can be, of which none is a sliver either.
            let at_once = match width_here {
                0..=SMALL => rows.div_ceil(rows.div_ceil(SMALL)),
                _ => rows,
            };
            WEIGHTS.with_borrow_mut(|weights| {
                weights.resize(width_here * inputs, 0.0);
                self.dequantise(first..first + width_here, weights);
                let pairs = x
                    .chunks(at_once * inputs)
                    .zip(panel.chunks_mut(at_once * width_here));
                for (x, panel) in pairs {
                    let size = (x.len() / inputs, inputs, width_here);
                    let (left, right) = (Matrix::rows(x, inputs), Matrix::transposed(weights, inputs));
                    multiply(size, 1.0, left, right, panel, width_here);
                }
            });
        });
        let panels = &*panels;
        for_each_chunk(out, ROWS_TO_GATHER * outputs, |index, out| {
            for (offset, out) in out.chunks_exact_mut(outputs).enumerate() {
                let row = index * ROWS_TO_GATHER + offset;
                for (out, panel) in out.chunks_mut(width).zip(panels.chunks(width * rows)) {
                    let width = out.len();
                    out.copy_from_slice(&panel[row * width..][..width]);
                }
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dense_row_does_not_depend_on_the_rows_beside_it() {
        // The second is cut into several sums, the third has one narrow panel.
        for (inputs, outputs) in [(64, 192), (1536, 200), (1024, 48)] {
            let values: Vec<f32> = (0..inputs * outputs)
                .map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0)
                .collect();
            let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            let tensor = RawTensor {
                dtype: GgmlDType::F32,
                rows: outputs,
                columns: inputs,
                bytes,
            };
            let layer = Linear::new(&tensor).expect("floats");
            let x: Vec<f32> = (0..200 * inputs)
                .map(|i| (i * 29 % 8191) as f32 / 4096.0 - 1.0)
                .collect();
            let apply = |x: &[f32]| {
                let rows = x.len() / inputs;
                let mut out = vec![0.0; rows * outputs];
                layer.apply(x, rows, &mut out, &mut Scratch::default());
                out
            };
            let whole = apply(&x);
            for piece in [1, 2, 7, 15, 16, 17, 63, 64, 65, 130] {
                let pieces: Vec<f32> = x.chunks(piece * inputs).flat_map(apply).collect();
                assert!(whole == pieces, "{inputs} to {outputs} in pieces of {piece}");
            }
        }
    }
}
