//! Rows of quantised weights, and their products with a few rows of activations.
//!
//! The arithmetic is candle's [`GgmlType`]: its dot products and conversions. How the rows are spread over threads is
//! ours, because candle's pool makes every operation wait for every thread: on two cores with one other busy process a
//! token that takes 7 ms alone took 180. Here a thread that is not running takes no work, and nobody waits for it.

use candle_core::quantized::GgmlDType;
use candle_core::quantized::k_quants::{
    BlockQ2K, BlockQ3K, BlockQ4_0, BlockQ4K, BlockQ5K, BlockQ6K, BlockQ8_0, GgmlType,
};

use super::parallel::for_each_chunk;
use crate::error::{Result, unsupported};
use crate::gguf::RawTensor;

/// Weight rows of one piece of work: some 10 µs of it, far more than taking it costs.
const PIECE: usize = 96;

/// A matrix of quantised rows.
pub(super) trait Blocks: Send + Sync {
    /// `out = x · selfᵀ`, for rows of `columns` values.
    fn multiply(&self, columns: usize, x: &[f32], out: &mut [f32]);
    /// The values of one row.
    fn row(&self, columns: usize, row: usize, out: &mut [f32]);
    /// How the rows are quantised.
    fn dtype(&self) -> GgmlDType;
}

/// Takes a tensor's bytes as the blocks they are.
///
/// # Errors
/// If there is no product with this quantisation. [`RawTensor::into_fast`] sees to it that there is.
pub(super) fn blocks(tensor: &RawTensor) -> Result<Box<dyn Blocks>> {
    let bytes = &tensor.bytes[..];
    Ok(match tensor.dtype {
        GgmlDType::F32 => Box::new(read::<f32>(bytes)),
        GgmlDType::F16 => Box::new(read::<half::f16>(bytes)),
        GgmlDType::BF16 => Box::new(read::<half::bf16>(bytes)),
        GgmlDType::Q4_0 => Box::new(read::<BlockQ4_0>(bytes)),
        GgmlDType::Q8_0 => Box::new(read::<BlockQ8_0>(bytes)),
        GgmlDType::Q2K => Box::new(read::<BlockQ2K>(bytes)),
        GgmlDType::Q3K => Box::new(read::<BlockQ3K>(bytes)),
        GgmlDType::Q4K => Box::new(read::<BlockQ4K>(bytes)),
        GgmlDType::Q5K => Box::new(read::<BlockQ5K>(bytes)),
        GgmlDType::Q6K => Box::new(read::<BlockQ6K>(bytes)),
        other => return Err(unsupported(format!("there is no product with {other:?} weights"))),
    })
}

/// Types that any bytes of their size are a value of: plain numbers, and `repr(C)` structures of plain numbers without
/// gaps between them.
trait Plain: GgmlType + Sized + 'static {
    /// The values of some blocks.
    fn values(blocks: &[Self], out: &mut [f32]) {
        Self::to_float(blocks, out);
    }
}

impl Plain for f32 {}
impl Plain for half::f16 {}
impl Plain for half::bf16 {}
impl Plain for BlockQ4_0 {}
impl Plain for BlockQ2K {}
impl Plain for BlockQ3K {}
impl Plain for BlockQ4K {}
impl Plain for BlockQ5K {}
impl Plain for BlockQ6K {}

impl Plain for BlockQ8_0 {
    /// Candle's loop is compiled for the oldest processor there is, and was a third of the time of a step of some 16
    /// rows. This is the same arithmetic compiled for several, of which the one at hand is taken.
    fn values(blocks: &[Self], out: &mut [f32]) {
        let bytes = bytes(blocks);
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                for (block, out) in bytes.chunks_exact(34).zip(out.chunks_exact_mut(32)) {
                    let scale = half::f16::from_le_bytes([block[0], block[1]]).to_f32();
                    for (out, value) in out.iter_mut().zip(&block[2..]) {
                        *out = f32::from(value.cast_signed()) * scale;
                    }
                }
            },
        );
    }
}

/// The bytes of some blocks.
fn bytes<T: Plain>(blocks: &[T]) -> &[u8] {
    #[expect(unsafe_code, reason = "candle's blocks do not let their fields be read")]
    // SAFETY: the region is the blocks' own and is borrowed as long; T is Plain, so all of its bytes have a value.
    unsafe {
        std::slice::from_raw_parts(blocks.as_ptr().cast::<u8>(), size_of_val(blocks))
    }
}

/// Copies bytes into blocks. Bytes that do not fill a block are left out.
fn read<T: Plain>(bytes: &[u8]) -> Vec<T> {
    let count = bytes.len() / size_of::<T>();
    let mut blocks: Vec<T> = (0..count).map(|_| T::zeros()).collect();
    #[expect(
        unsafe_code,
        reason = "candle's blocks cannot be made of bytes otherwise; a copy by value would be as many"
    )]
    // SAFETY: both regions are valid for count * size_of::<T>() bytes, one is just allocated and so apart from the other;
    // T is Plain, so whatever the bytes are, the blocks are values of it.
    unsafe {
        std::ptr::copy_nonoverlapping(
            bytes.as_ptr(),
            blocks.as_mut_ptr().cast::<u8>(),
            count * size_of::<T>(),
        );
    }
    blocks
}

impl<T: Plain> Blocks for Vec<T> {
    fn multiply(&self, columns: usize, x: &[f32], out: &mut [f32]) {
        let row_blocks = columns / T::BLCK_SIZE;
        let (rows, outputs) = (x.len() / columns, self.len() / row_blocks);
        let quantised: Vec<T::VecDotType> = x.chunks_exact(columns).flat_map(quantise::<T>).collect();
        let product = |out: &mut [f32], first: usize| {
            // Column by column of the result, so that a row of weights is read once for all rows of activations.
            for (column, out) in out.chunks_exact_mut(rows).enumerate() {
                let weights = &self[(first + column) * row_blocks..][..row_blocks];
                let width = quantised.len() / rows;
                for (out, x) in out.iter_mut().zip(quantised.chunks_exact(width)) {
                    *out = T::vec_dot(columns, weights, x);
                }
            }
        };
        if rows == 1 {
            return for_each_chunk(out, PIECE, |index, out| product(out, index * PIECE));
        }
        // The other way round, so that pieces of it are not interleaved; then turned.
        let mut turned = vec![0.0; rows * outputs];
        for_each_chunk(&mut turned, PIECE * rows, |index, out| {
            product(out, index * PIECE)
        });
        for (row, out) in out.chunks_exact_mut(outputs).enumerate() {
            for (out, values) in out.iter_mut().zip(turned.chunks_exact(rows)) {
                *out = values[row];
            }
        }
    }

    fn row(&self, columns: usize, row: usize, out: &mut [f32]) {
        let row_blocks = columns / T::BLCK_SIZE;
        T::values(&self[row * row_blocks..][..row_blocks], out);
    }

    fn dtype(&self) -> GgmlDType {
        T::DTYPE
    }
}

/// One row of activations as the weights' dot product takes it.
fn quantise<T: GgmlType>(x: &[f32]) -> Vec<T::VecDotType> {
    let mut blocks: Vec<T::VecDotType> = (0..x.len() / T::VecDotType::BLCK_SIZE)
        .map(|_| T::VecDotType::zeros())
        .collect();
    T::VecDotType::from_float(x, &mut blocks);
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::quantized::QuantizedType;
    use std::borrow::Cow;

    #[test]
    fn products_equal_candles_own() {
        let (rows, columns) = (200, 512);
        let values: Vec<f32> = (0..rows * columns)
            .map(|i| ((i * 37 % 101) as f32 - 50.0) / 50.0)
            .collect();
        for dtype in [
            GgmlDType::F32,
            GgmlDType::F16,
            GgmlDType::BF16,
            GgmlDType::Q4_0,
            GgmlDType::Q8_0,
            GgmlDType::Q2K,
            GgmlDType::Q3K,
            GgmlDType::Q4K,
            GgmlDType::Q5K,
            GgmlDType::Q6K,
        ] {
            let mut made = dtype.cpu_zeros(rows * columns);
            made.from_float(&values);
            let length = made.storage_size_in_bytes();
            let tensor = candle_core::quantized::QTensor::new(
                candle_core::quantized::QStorage::Cpu(made),
                (rows, columns),
            )
            .expect("a matrix");
            let bytes = tensor.data().expect("it is on the CPU").into_owned();
            assert_eq!(bytes.len(), length);
            let theirs: Box<dyn QuantizedType> = dtype.from_data(Cow::Borrowed(&bytes));
            let ours = blocks(&RawTensor {
                dtype,
                rows,
                columns,
                bytes,
            })
            .expect("a known type");
            for m in [1, 3] {
                let x: Vec<f32> = (0..m * columns)
                    .map(|i| ((i * 29 % 83) as f32 - 41.0) / 41.0)
                    .collect();
                let (mut a, mut b) = (vec![0.0; m * rows], vec![0.0; m * rows]);
                ours.multiply(columns, &x, &mut a);
                theirs
                    .matmul_t((m, columns, rows), &x, &mut b)
                    .expect("a product");
                let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-4 * (1.0 + b.abs());
                assert!(a.iter().zip(&b).all(close), "{dtype:?}, {m} rows");
            }
        }
    }
}
