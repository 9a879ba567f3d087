//! Rotary position embedding (Su et al., 2021), and the ways in which models stretch it over longer contexts.

use super::config::Config;
use crate::error::{Result, corrupt, unsupported};
use crate::gguf::Gguf;

/// Which values of a head are turned together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pairing {
    /// The first with the second, the third with the fourth, …
    Neighbours,
    /// Each of the first half of those that are turned with the one as far into the second half.
    Halves,
}

/// How positions beyond those a model was first trained on are made to look like them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scaling {
    None,
    /// Positions are divided by this.
    Linear(f32),
    Yarn(Yarn),
}

/// YaRN (Peng et al., 2023): what turns slowly is divided, what turns fast is left as it is, with a ramp between.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Yarn {
    factor: f32,
    /// Positions of the first training.
    original: usize,
    /// What turns this often within them, or more often, is left as it is.
    fast: f32,
    /// What turns this often, or less often, is divided.
    slow: f32,
    /// What queries and keys are multiplied with besides.
    magnitude: f32,
}

impl Scaling {
    /// Reads the scaling of a model whose keys begin with `prefix`, and whose context is `context`.
    pub(super) fn read(gguf: &Gguf, prefix: &str, context: usize) -> Result<Self> {
        let file = gguf.path().display();
        let number = |part: &str| gguf.float(&format!("{prefix}.rope.scaling.{part}"));
        let positive = |number: f32| {
            if number > 0.0 {
                Ok(number)
            } else {
                Err(corrupt(format!(
                    "{file}: a constant of the scaling of positions must be positive and is not"
                )))
            }
        };
        let kind = gguf.string(&format!("{prefix}.rope.scaling.type"))?;
        let factor = match number("factor")? {
            // The older name.
            None => gguf.float(&format!("{prefix}.rope.scale_linear"))?,
            factor => factor,
        };
        // Some converters write 0 for "not scaled".
        let factor = factor.filter(|&factor| factor != 0.0).unwrap_or(1.0);
        match kind {
            Some("none") => Ok(Self::None),
            None | Some("linear") => Ok(Self::Linear(positive(factor)?)),
            Some("yarn") => {
                let factor = positive(factor)?;
                let original = format!("{prefix}.rope.scaling.original_context_length");
                let original = match gguf.integer(&original)? {
                    Some(_) => gguf.required(&original, 1..=1 << 24)?,
                    None => context,
                };
                let attention = positive(number("attn_factor")?.unwrap_or(1.0))?;
                Ok(Self::Yarn(Yarn {
                    factor,
                    original,
                    fast: positive(number("yarn_beta_fast")?.unwrap_or(32.0))?,
                    slow: positive(number("yarn_beta_slow")?.unwrap_or(1.0))?,
                    magnitude: attention * (1.0 + 0.1 * factor.ln()),
                }))
            }
            Some(other) => Err(unsupported(format!(
                "{file}: {other} scaling of positions is not supported (linear and yarn are)"
            ))),
        }
    }
}

impl Yarn {
    /// How much of a pair's own frequency remains: 1 where it turns fast, 0 where slowly.
    fn share(&self, pair: usize, width: usize, base: f32) -> f32 {
        #[expect(
            clippy::cast_precision_loss,
            reason = "head widths and contexts are below 2^24"
        )]
        let (pair, width, original) = (pair as f32, width as f32, self.original as f32);
        // The pair that turns so often within the first training's positions.
        let turning =
            |times: f32| width * (original / (times * 2.0 * std::f32::consts::PI)).ln() / (2.0 * base.ln());
        let first = turning(self.fast).floor().max(0.0);
        let last = turning(self.slow).ceil().min(width - 1.0);
        1.0 - ((pair - first) / (last - first).max(0.001)).clamp(0.0, 1.0)
    }
}

/// The angle each pair of values turns by from one position to the next.
#[derive(Debug)]
pub(super) struct Rope {
    head_width: usize,
    pairing: Pairing,
    frequencies: Vec<f32>,
    /// What turned values are multiplied with; 1 but for YaRN.
    magnitude: f32,
}

impl Rope {
    /// The frequencies of a model; `factors`, one for each pair or none, divide them (Llama 3's long contexts).
    pub(super) fn new(config: &Config, factors: &[f32]) -> Self {
        let width = config.rope_width;
        let frequency = |pair: usize| {
            #[expect(clippy::cast_precision_loss, reason = "head widths are small")]
            let own = config.rope_base.powf(-2.0 * pair as f32 / width as f32)
                / factors.get(pair).copied().unwrap_or(1.0);
            match &config.rope_scaling {
                Scaling::None => own,
                Scaling::Linear(factor) => own / factor,
                Scaling::Yarn(yarn) => {
                    let share = yarn.share(pair, width, config.rope_base);
                    own / yarn.factor * (1.0 - share) + own * share
                }
            }
        };
        Self {
            head_width: config.head_width,
            pairing: config.rope_pairing,
            frequencies: (0..width / 2).map(frequency).collect(),
            magnitude: match &config.rope_scaling {
                Scaling::Yarn(yarn) => yarn.magnitude,
                Scaling::None | Scaling::Linear(_) => 1.0,
            },
        }
    }

    /// The cosine and sine of every pair at a position, to be shared by all heads and blocks.
    pub(super) fn angles(&self, position: usize, out: &mut Vec<(f32, f32)>) {
        #[expect(clippy::cast_precision_loss, reason = "positions are below 2^24")]
        let position = position as f32;
        out.extend(self.frequencies.iter().map(|frequency| {
            let (sin, cos) = (position * frequency).sin_cos();
            (cos * self.magnitude, sin * self.magnitude)
        }));
    }

    /// How many (cosine, sine) pairs a position has.
    pub(super) fn pairs(&self) -> usize {
        self.frequencies.len()
    }

    /// Turns every head in `heads` by the angles of one position.
    pub(super) fn rotate(&self, heads: &mut [f32], angles: &[(f32, f32)]) {
        let turn = |a: &mut f32, b: &mut f32, (cos, sin): (f32, f32)| {
            (*a, *b) = (*a * cos - *b * sin, *a * sin + *b * cos);
        };
        for head in heads.chunks_exact_mut(self.head_width) {
            match self.pairing {
                Pairing::Neighbours => {
                    let (pairs, _) = head.as_chunks_mut::<2>();
                    for ([a, b], &angle) in pairs.iter_mut().zip(angles) {
                        turn(a, b, angle);
                    }
                }
                Pairing::Halves => {
                    let (first, second) = head.split_at_mut(angles.len());
                    for ((a, b), &angle) in first.iter_mut().zip(second).zip(angles) {
                        turn(a, b, angle);
                    }
                }
            }
        }
    }
}
