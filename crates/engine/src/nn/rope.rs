//! Rotary position embedding (Su et al., 2021) on interleaved pairs, as Llama models in GGUF files want it.

use super::config::Config;

/// The angle each pair of values turns by from one position to the next.
#[derive(Debug)]
pub(super) struct Rope {
    head_width: usize,
    frequencies: Vec<f32>,
}

impl Rope {
    /// The frequencies of a model; `factors`, one for each pair or none, divide them (Llama 3's long contexts).
    pub(super) fn new(config: &Config, factors: &[f32]) -> Self {
        let width = config.rope_width;
        #[expect(clippy::cast_precision_loss, reason = "head widths are small")]
        let frequency =
            |pair: usize| config.rope_base.powf(-2.0 * pair as f32 / width as f32) / config.rope_scale;
        let factor = |pair: usize| factors.get(pair).copied().unwrap_or(1.0);
        let frequencies = (0..width / 2)
            .map(|pair| frequency(pair) / factor(pair))
            .collect();
        Self {
            head_width: config.head_width,
            frequencies,
        }
    }

    /// The cosine and sine of every pair at a position, to be shared by all heads and blocks.
    pub(super) fn angles(&self, position: usize, out: &mut Vec<(f32, f32)>) {
        #[expect(clippy::cast_precision_loss, reason = "positions are below 2^24")]
        let position = position as f32;
        out.extend(self.frequencies.iter().map(|frequency| {
            let (sin, cos) = (position * frequency).sin_cos();
            (cos, sin)
        }));
    }

    /// How many (cosine, sine) pairs a position has.
    pub(super) fn pairs(&self) -> usize {
        self.frequencies.len()
    }

    /// Turns every head in `heads` by the angles of one position.
    pub(super) fn rotate(&self, heads: &mut [f32], angles: &[(f32, f32)]) {
        for head in heads.chunks_exact_mut(self.head_width) {
            let (pairs, _) = head.as_chunks_mut::<2>();
            for (pair, &(cos, sin)) in pairs.iter_mut().zip(angles) {
                let [a, b] = *pair;
                *pair = [a * cos - b * sin, a * sin + b * cos];
            }
        }
    }
}
