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
use super::gemm::{Matrix, multiply};
use super::ops::add;
use super::parallel::for_each_chunk;
use crate::error::Result;
use crate::gguf::{Gguf, RawTensor};

/// From a prompt of this many tokens on its rows should take the dense way: 11 rows of SmolLM2 take as long either way.
pub(crate) const DENSE_ROWS: usize = 12;
/// Weight rows of a panel: as floats, 576 columns of them are 221 KB, which a core's own cache holds beside the rest.
const PANEL: usize = 96;
/// Rows of the result that one piece of work puts together.
const ROWS_TO_GATHER: usize = 16;
/// Rows of one product over a panel no wider than this. The product cuts long sums elsewhere where both sides are that
/// small, so how many rows there are must not decide it.
const SMALL: usize = 64;
/// Up to so many rows are few: they are on the left of the product.
const FEW_ROWS: usize = 64;
/// Rows that the product computes side by side, at least.
const VECTOR: usize = 8;

thread_local! {
    static WEIGHTS: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Buffers of the dense way. They grow to the largest layer and step.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// Few rows, column by column.
    turned: Vec<f32>,
    /// The result, panel after panel.
    panels: Vec<f32>,
}

/// A layer's tensors as they are in a file.
pub(super) struct Weights {
    tensor: RawTensor,
    bias: Option<Vec<f32>>,
}

impl Weights {
    /// Reads `name.weight` and, if there is one, `name.bias`.
    pub(super) fn read(gguf: &mut Gguf, name: &str, outputs: usize, inputs: usize) -> Result<Self> {
        let tensor = gguf.weights(&format!("{name}.weight"), outputs, inputs)?;
        let bias = format!("{name}.bias");
        let bias = if gguf.has_tensor(&bias) {
            Some(gguf.vector(&bias, outputs)?)
        } else {
            None
        };
        Ok(Self { tensor, bias })
    }
}

/// `y = x · Wᵀ + b` for quantised W; without b where the model has none.
pub(super) struct Linear {
    blocks: Box<dyn Blocks>,
    bias: Option<Vec<f32>>,
    inputs: usize,
    outputs: usize,
}

impl Linear {
    /// A layer from one tensor.
    pub(super) fn new(weights: &Weights) -> Result<Self> {
        Self::from_tensor(&weights.tensor, weights.bias.clone())
    }

    fn from_tensor(tensor: &RawTensor, bias: Option<Vec<f32>>) -> Result<Self> {
        Ok(Self {
            blocks: blocks(tensor)?,
            bias,
            inputs: tensor.columns,
            outputs: tensor.rows,
        })
    }

    /// Layers from weights with the same number of columns: one, whose rows hold theirs one after the other, where
    /// their quantisations agree, else one for each.
    pub(super) fn stacked(weights: &[Weights]) -> Result<Vec<Self>> {
        let tensors = || weights.iter().map(|weights| &weights.tensor);
        let Some(first) = tensors().next() else {
            return Ok(Vec::new());
        };
        if tensors().any(|tensor| tensor.dtype != first.dtype || tensor.columns != first.columns) {
            return weights.iter().map(Self::new).collect();
        }
        let bytes = tensors().flat_map(|tensor| &tensor.bytes).copied().collect();
        let stacked = RawTensor {
            dtype: first.dtype,
            rows: tensors().map(|tensor| tensor.rows).sum(),
            columns: first.columns,
            bytes,
        };
        let has_bias = weights.iter().any(|weights| weights.bias.is_some());
        let bias = |weights: &Weights| {
            let none = || vec![0.0; weights.tensor.rows];
            weights.bias.clone().unwrap_or_else(none)
        };
        let bias = has_bias.then(|| weights.iter().flat_map(bias).collect());
        Ok(vec![Self::from_tensor(&stacked, bias)?])
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
        self.multiply(x, dense_rows, out, scratch);
        if let Some(bias) = &self.bias {
            for out in out.chunks_exact_mut(self.outputs) {
                add(out, bias);
            }
        }
    }

    fn multiply(&self, x: &[f32], dense_rows: usize, out: &mut [f32], scratch: &mut Scratch) {
        let (dense_x, x) = x.split_at(dense_rows * self.inputs);
        let (dense_out, out) = out.split_at_mut(dense_rows * self.outputs);
        let Scratch { turned, panels } = scratch;
        match dense_rows {
            0 => {}
            1..=FEW_ROWS => self.apply_to_few(dense_x, dense_out, turned, panels),
            _ => self.apply_to_many(dense_x, dense_out, panels),
        }
        if !x.is_empty() {
            self.blocks.multiply(self.inputs, x, out);
        }
    }

    /// Weight rows of a panel: as even as can be, so that none is a sliver.
    fn panel(&self) -> usize {
        self.outputs.div_ceil(self.outputs.div_ceil(PANEL))
    }

    /// The dense way with the rows on the left of the product: they are what it packs, and the weights are read as they
    /// lie.
    fn apply_to_few(&self, x: &[f32], out: &mut [f32], turned: &mut Vec<f32>, panels: &mut Vec<f32>) {
        let (inputs, outputs) = (self.inputs, self.outputs);
        let rows = x.len() / inputs;
        // Empty rows after them, up to whole vectors.
        let padded = rows.next_multiple_of(VECTOR).max(2 * VECTOR);
        turned.clear();
        turned.resize(padded * inputs, 0.0);
        for (row, x) in x.chunks_exact(inputs).enumerate() {
            for (turned, x) in turned[row..].iter_mut().step_by(padded).zip(x) {
                *turned = *x;
            }
        }
        let width = self.panel();
        panels.resize(padded * outputs, 0.0);
        let turned = &*turned;
        for_each_chunk(panels, width * padded, |index, panel| {
            let width_here = panel.len() / padded;
            self.with_weights(index * width, width_here, |weights| {
                let size = (width_here, inputs, padded);
                let (left, right) = (Matrix::rows(weights, inputs), Matrix::rows(turned, padded));
                multiply(size, 1.0, left, right, panel, padded);
            });
        });
        for (row, out) in out.chunks_exact_mut(outputs).enumerate() {
            for (out, panel) in out.iter_mut().zip(panels.chunks_exact(padded)) {
                *out = panel[row];
            }
        }
    }

    /// The dense way with the weights on the left: to pack them costs little beside so many rows.
    fn apply_to_many(&self, x: &[f32], out: &mut [f32], panels: &mut Vec<f32>) {
        let (inputs, outputs) = (self.inputs, self.outputs);
        let rows = x.len() / inputs;
        let width = self.panel();
        panels.resize(rows * outputs, 0.0);
        for_each_chunk(panels, width * rows, |index, panel| {
            let width_here = panel.len() / rows;
            // In parts as even as can be, of which none is a sliver either.
            let at_once = match width_here {
                0..=SMALL => rows.div_ceil(rows.div_ceil(SMALL)),
                _ => rows,
            };
            self.with_weights(index * width, width_here, |weights| {
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

    /// Calls `work` with some rows of weights, as floats.
    fn with_weights(&self, first: usize, rows: usize, work: impl FnOnce(&[f32])) {
        WEIGHTS.with_borrow_mut(|weights| {
            weights.resize(rows * self.inputs, 0.0);
            self.dequantise(first..first + rows, weights);
            work(weights);
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
            let layer = Linear::from_tensor(&tensor, None).expect("floats");
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
