//! The small vector operations between the matrix products. Plain loops over fixed-width lanes, which the compiler
//! turns into vector instructions; none of them allocates.

/// How many values are accumulated side by side, so that sums need no order the compiler may not change.
const LANES: usize = 16;

/// The sum of the products of two vectors of the same length.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..LANES {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    lanes.iter().sum::<f32>() + rest
}

/// `out += x`.
pub(super) fn add(out: &mut [f32], x: &[f32]) {
    for (out, x) in out.iter_mut().zip(x) {
        *out += x;
    }
}

/// `out += scale * x`.
pub(super) fn add_scaled(out: &mut [f32], scale: f32, x: &[f32]) {
    for (out, x) in out.iter_mut().zip(x) {
        *out += scale * x;
    }
}

/// Root-mean-square normalisation of each row of `x` into `out` (Zhang and Sennrich, 2019).
pub(super) fn rms_norm(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
    let width = weight.len();
    for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
        let scale = rms_scale(x, epsilon);
        for ((out, x), weight) in out.iter_mut().zip(x).zip(weight) {
            *out = x * scale * weight;
        }
    }
}

/// As [`rms_norm`], with the result where the rows were.
pub(super) fn rms_norm_in_place(x: &mut [f32], weight: &[f32], epsilon: f32) {
    for x in x.chunks_exact_mut(weight.len()) {
        let scale = rms_scale(x, epsilon);
        for (x, weight) in x.iter_mut().zip(weight) {
            *x = *x * scale * weight;
        }
    }
}

fn rms_scale(row: &[f32], epsilon: f32) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "widths are far below 2^24")]
    let mean = dot(row, row) / row.len() as f32;
    1.0 / (mean + epsilon).sqrt()
}

/// `silu(gate) * up`, where each row of `gate_up` holds the gate's values, then the up projection's.
pub(super) fn silu_and_multiply(gate_up: &[f32], width: usize, out: &mut [f32]) {
    for (gate_up, out) in gate_up.chunks_exact(2 * width).zip(out.chunks_exact_mut(width)) {
        let (gate, up) = gate_up.split_at(width);
        for ((out, &gate), up) in out.iter_mut().zip(gate).zip(up) {
            *out = gate / (1.0 + exp(-gate)) * up;
        }
    }
}

/// Turns scores into weights that sum to one.
pub(super) fn softmax(scores: &mut [f32]) {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = scores.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] = lanes[lane].max(chunk[lane]);
        }
    }
    let largest = lanes
        .iter()
        .chain(rest)
        .fold(f32::NEG_INFINITY, |largest, &x| largest.max(x));
    let mut sums = [0.0_f32; LANES];
    let (chunks, rest) = scores.as_chunks_mut::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            chunk[lane] = exp(chunk[lane] - largest);
            sums[lane] += chunk[lane];
        }
    }
    let mut sum: f32 = sums.iter().sum();
    for score in rest {
        *score = exp(*score - largest);
        sum += *score;
    }
    let scale = 1.0 / sum;
    for score in scores {
        *score *= scale;
    }
}

/// `e^x` within two units in the last place, in steps the compiler can do on many values at once; the library's `exp`
/// is a call for every value, which took a third of a long prompt's attention.
///
/// `x = n ln 2 + r` with |r| ≤ ln 2 / 2, then a polynomial in r (Cephes' `expf`) and n into the exponent.
fn exp(x: f32) -> f32 {
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 88.0);
    let n = (x * std::f32::consts::LOG2_E + 0.5).floor();
    let r = x - n * LN_2_HIGH - n * LN_2_LOW;
    let p = 1.987_569_1e-4_f32;
    let p = p * r + 1.398_2e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 5.000_000_3e-1;
    let power = p * r * r + r + 1.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "n is between -126 and 127"
    )]
    let scale = f32::from_bits((((n as i32) + 127) as u32) << 23);
    power * scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_close_to_the_librarys() {
        for step in -8700..=8700 {
            let x = step as f32 / 100.0;
            let (ours, exact) = (exp(x), f64::from(x).exp());
            let error = (f64::from(ours) - exact).abs() / exact;
            assert!(error < 3e-7, "exp({x}) = {ours}, off by {error}");
        }
        assert!(exp(f32::NEG_INFINITY) < 1e-37);
    }

    #[test]
    fn softmax_sums_to_one_and_ignores_a_shift() {
        for length in [1, 3, 16, 17, 40] {
            let mut a: Vec<f32> = (0..length).map(|i| (i as f32).sin() * 5.0).collect();
            let mut b: Vec<f32> = a.iter().map(|x| x + 300.0).collect();
            softmax(&mut a);
            softmax(&mut b);
            assert!((a.iter().sum::<f32>() - 1.0).abs() < 1e-6);
            assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-4));
        }
    }

    #[test]
    fn dot_takes_every_value() {
        for length in [0, 1, 15, 16, 17, 64, 100] {
            let a: Vec<f32> = (0..length).map(|i| i as f32).collect();
            let b = vec![2.0; length];
            assert_eq!(dot(&a, &b), (0..length).map(|i| 2.0 * i as f32).sum::<f32>());
        }
    }
}
