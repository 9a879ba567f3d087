//! Dense single-precision matrix products, through the `gemm` crate, behind a signature that cannot be misused.
//!
//! The crate takes raw pointers, because only its caller knows how the matrices lie. [`multiply`] checks that every
//! index its strides can reach lies inside the slices, which is all the safety the call needs.

use gemm::Parallelism;

/// With this many rows on the left and more than 16 columns on the right, a row's result is the same to the last bit
/// whatever the other rows are and however many: the crate has other ways of summing for fewer, and one for all beyond.
pub(super) const LEAST_ROWS: usize = 16;

/// A matrix inside a slice: `rows` × `columns`, the value at (r, c) at `r * row_stride + c * column_stride`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Matrix<'a> {
    pub(super) data: &'a [f32],
    pub(super) row_stride: usize,
    pub(super) column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// A matrix whose rows follow each other every `row_stride` values.
    pub(super) fn rows(data: &'a [f32], row_stride: usize) -> Self {
        Self {
            data,
            row_stride,
            column_stride: 1,
        }
    }

    /// The transpose: the slice's rows are the matrix's columns.
    pub(super) fn transposed(data: &'a [f32], row_stride: usize) -> Self {
        Self {
            data,
            row_stride: 1,
            column_stride: row_stride,
        }
    }

    fn holds(&self, rows: usize, columns: usize) -> bool {
        (rows - 1) * self.row_stride + (columns - 1) * self.column_stride < self.data.len()
    }
}

/// `out = scale * left · right`, where `left` is `m` × `k`, `right` is `k` × `n`, and `out` is `m` rows of `n` values
/// that lie `out_stride` apart. Runs on the calling thread.
///
/// # Panics
/// If a matrix does not lie inside its slice.
pub(super) fn multiply(
    size: (usize, usize, usize),
    scale: f32,
    left: Matrix<'_>,
    right: Matrix<'_>,
    out: &mut [f32],
    out_stride: usize,
) {
    run(size, scale, left, right, out, out_stride, false);
}

/// As [`multiply`], but adds to what `out` holds.
pub(super) fn multiply_add(
    size: (usize, usize, usize),
    scale: f32,
    left: Matrix<'_>,
    right: Matrix<'_>,
    out: &mut [f32],
    out_stride: usize,
) {
    run(size, scale, left, right, out, out_stride, true);
}

fn run(
    (m, k, n): (usize, usize, usize),
    scale: f32,
    left: Matrix<'_>,
    right: Matrix<'_>,
    out: &mut [f32],
    out_stride: usize,
    add: bool,
) {
    if m == 0 || n == 0 {
        return;
    }
    assert!(
        k > 0 && left.holds(m, k) && right.holds(k, n),
        "a matrix reaches beyond its slice"
    );
    assert!(
        out_stride >= n && (m - 1) * out_stride + n <= out.len(),
        "the result reaches beyond its slice"
    );
    #[expect(
        clippy::cast_possible_wrap,
        reason = "strides were just shown to lie within a slice, so below isize::MAX"
    )]
    let stride = |stride: usize| stride as isize;
    #[expect(
        unsafe_code,
        reason = "the crate's only interface; measured at 2.4x candle's quantised product for prefill"
    )]
    // SAFETY: the asserts above show that every (row, column) of the three matrices lies inside its slice; `out` is
    // borrowed mutably, so it overlaps neither of the others; its rows do not overlap as out_stride >= n. `out` is
    // initialised, whether it is read or only written.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            stride(out_stride),
            add,
            left.data.as_ptr(),
            stride(left.column_stride),
            stride(left.row_stride),
            right.data.as_ptr(),
            stride(right.column_stride),
            stride(right.row_stride),
            1.0,
            scale,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same product by definition.
    fn multiply_slowly(
        (m, k, n): (usize, usize, usize),
        scale: f32,
        left: Matrix<'_>,
        right: Matrix<'_>,
        out: &mut [f32],
        out_stride: usize,
    ) {
        let at = |x: &Matrix<'_>, r: usize, c: usize| x.data[r * x.row_stride + c * x.column_stride];
        for r in 0..m {
            for c in 0..n {
                out[r * out_stride + c] =
                    scale * (0..k).map(|i| at(&left, r, i) * at(&right, i, c)).sum::<f32>();
            }
        }
    }

    #[test]
    fn equals_its_safe_twin() {
        for (m, k, n) in [(1, 1, 1), (3, 64, 5), (17, 33, 48), (64, 96, 31)] {
            let left: Vec<f32> = (0..m * (k + 2))
                .map(|i| ((i * 7 % 23) as f32 - 11.0) / 8.0)
                .collect();
            let right: Vec<f32> = (0..n * (k + 3))
                .map(|i| ((i * 5 % 19) as f32 - 9.0) / 8.0)
                .collect();
            let (left, right) = (Matrix::rows(&left, k + 2), Matrix::transposed(&right, k + 3));
            let mut fast = vec![7.0; m * (n + 4)];
            let mut slow = fast.clone();
            multiply((m, k, n), 0.5, left, right, &mut fast, n + 4);
            multiply_slowly((m, k, n), 0.5, left, right, &mut slow, n + 4);
            assert!(
                fast.iter()
                    .zip(&slow)
                    .all(|(fast, slow)| (fast - slow).abs() < 1e-3),
                "{m}x{k}x{n}"
            );
            multiply_add((m, k, n), 0.5, left, right, &mut fast, n + 4);
            for (fast, slow) in fast.chunks(n + 4).zip(slow.chunks(n + 4)) {
                let twice = |(fast, slow): (&f32, &f32)| (fast - 2.0 * slow).abs() < 2e-3;
                assert!(fast[..n].iter().zip(slow).all(twice), "{m}x{k}x{n} added");
            }
        }
    }

    #[test]
    #[should_panic(expected = "beyond its slice")]
    fn a_short_slice_is_refused() {
        let data = [0.0; 5];
        multiply(
            (2, 3, 1),
            1.0,
            Matrix::rows(&data, 3),
            Matrix::rows(&data, 1),
            &mut [0.0; 2],
            1,
        );
    }
}
