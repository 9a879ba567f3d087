//! Choosing the next token from its logits.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

use aurora_chat::ChatRequest;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// The sampling of a request that says nothing about it. SmolLM2's authors recommend temperature 0.2 and top_p 0.9 (model
/// card, "How to use"), for answers of 50 tokens; longer ones then soon repeat themselves for ever. With these settings
/// 7 of 8 stories ended by themselves within 1500 tokens, with theirs 1 of 5.
const DEFAULT: Settings = Settings {
    temperature: 0.7,
    top_p: 0.9,
    top_k: 0,
    repetition: 1.1,
};
/// How far back the repetition penalty looks, in tokens of the answer.
const REPETITION_WINDOW: usize = 64;

/// Temperature and what may be drawn from.
#[derive(Clone, Copy, Debug)]
struct Settings {
    temperature: f32,
    top_p: f32,
    /// 0: all.
    top_k: usize,
    /// Logits of recent tokens are divided by this where positive, else multiplied (Keskar et al., 2019); 1 is off.
    repetition: f32,
}

impl Settings {
    /// What a request asks for. One that sets anything about sampling gets exactly what it asks, with the values of the
    /// API reference for the rest.
    fn of(request: &ChatRequest) -> Self {
        let penalty = request.presence_penalty.or(request.frequency_penalty);
        let set = request.temperature.or(request.top_p).or(penalty).is_some() || request.top_k.is_some();
        if !set {
            return DEFAULT;
        }
        Self {
            temperature: request.temperature.unwrap_or(1.0),
            top_p: request.top_p.unwrap_or(1.0),
            top_k: request.top_k.unwrap_or(0) as usize,
            repetition: 1.0,
        }
    }
}

/// The sampling of one answer. The same seed, settings and logits give the same tokens, on every machine.
#[derive(Debug)]
pub(crate) struct Sampler {
    settings: Settings,
    presence: f32,
    frequency: f32,
    bias: Vec<(usize, f32)>,
    /// How often each token was chosen so far.
    counts: HashMap<u32, f32>,
    /// The last tokens, for the repetition penalty.
    recent: VecDeque<u32>,
    random: ChaCha8Rng,
    candidates: Vec<(f32, u32)>,
}

impl Sampler {
    /// The sampling a request asks for.
    pub(crate) fn new(request: &ChatRequest) -> Self {
        let seed = request
            .seed
            .map_or_else(|| RandomState::new().hash_one("seed"), i64::cast_unsigned);
        Self {
            settings: Settings::of(request),
            presence: request.presence_penalty.unwrap_or(0.0),
            frequency: request.frequency_penalty.unwrap_or(0.0),
            bias: request
                .logit_bias
                .iter()
                .map(|(&id, &bias)| (id as usize, bias))
                .collect(),
            counts: HashMap::new(),
            recent: VecDeque::with_capacity(REPETITION_WINDOW),
            random: ChaCha8Rng::seed_from_u64(seed),
            candidates: Vec::new(),
        }
    }

    /// Chooses a token. `logits` are changed by biases and penalties.
    pub(crate) fn sample(&mut self, logits: &mut [f32]) -> u32 {
        for &(id, bias) in &self.bias {
            if let Some(logit) = logits.get_mut(id) {
                *logit += bias;
            }
        }
        if self.presence != 0.0 || self.frequency != 0.0 {
            for (&id, &count) in &self.counts {
                logits[id as usize] -= self.presence + self.frequency * count;
            }
        }
        if self.settings.repetition != 1.0 {
            self.discourage_recent(logits);
        }
        let Settings {
            temperature,
            top_p,
            top_k,
            ..
        } = self.settings;
        let greedy = temperature == 0.0 || top_p == 0.0 || top_k == 1;
        let token = if greedy { best(logits) } else { self.draw(logits) };
        *self.counts.entry(token).or_insert(0.0) += 1.0;
        if self.recent.len() == REPETITION_WINDOW {
            self.recent.pop_front();
        }
        self.recent.push_back(token);
        token
    }

    /// Applies the repetition penalty, once to each recent token.
    fn discourage_recent(&self, logits: &mut [f32]) {
        let mut recent: Vec<u32> = self.recent.iter().copied().collect();
        recent.sort_unstable();
        recent.dedup();
        for id in recent {
            let logit = &mut logits[id as usize];
            *logit = if *logit > 0.0 {
                *logit / self.settings.repetition
            } else {
                *logit * self.settings.repetition
            };
        }
    }

    /// Draws from the softmax at the sampler's temperature, cut to the k best and to the nucleus.
    fn draw(&mut self, logits: &[f32]) -> u32 {
        let Settings {
            temperature,
            top_p,
            top_k,
            ..
        } = self.settings;
        let largest = logits[best(logits) as usize];
        let weight = |logit: f32| ((logit - largest) / temperature).exp();
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.clear();
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a vocabulary has less than 2^32 tokens"
        )]
        candidates.extend(
            logits
                .iter()
                .enumerate()
                .map(|(id, &logit)| (weight(logit), id as u32)),
        );
        // Heaviest first; equal weights by id, so that the order, and with it the draw, is the same everywhere.
        let order = |a: &(f32, u32), b: &(f32, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        if 0 < top_k && top_k < candidates.len() {
            candidates.select_nth_unstable_by(top_k - 1, order);
            candidates.truncate(top_k);
        }
        let total: f32 = candidates.iter().map(|(weight, _)| weight).sum();
        // All tokens lighter than this together weigh less than 1 - top_p, so none of them is in the nucleus; leaving
        // them out first makes the sort short and changes nothing.
        #[expect(
            clippy::cast_precision_loss,
            reason = "a vocabulary has less than 2^24 tokens"
        )]
        let floor = (1.0 - top_p) * total / candidates.len() as f32;
        candidates.retain(|(weight, _)| *weight >= floor && *weight > 0.0);
        candidates.sort_unstable_by(order);
        let mut nucleus = 0.0;
        let end = candidates.iter().position(|(weight, _)| {
            nucleus += weight;
            nucleus >= top_p * total
        });
        candidates.truncate(end.map_or(candidates.len(), |end| end + 1));
        let token = self.pick(&candidates);
        self.candidates = candidates;
        token
    }

    fn pick(&mut self, candidates: &[(f32, u32)]) -> u32 {
        let total: f32 = candidates.iter().map(|(weight, _)| weight).sum();
        #[expect(clippy::cast_precision_loss, reason = "24 bits fit a float exactly")]
        let uniform = (self.random.next_u32() >> 8) as f32 / (1_u32 << 24) as f32;
        let mut target = uniform * total;
        for &(weight, id) in candidates {
            target -= weight;
            if target < 0.0 {
                return id;
            }
        }
        candidates.last().map_or(0, |&(_, id)| id)
    }
}

/// The index of the largest logit, the first of equals. Anything is larger than not-a-number.
pub(crate) fn best(logits: &[f32]) -> u32 {
    let mut best = (0, f32::NEG_INFINITY);
    for (id, &logit) in logits.iter().enumerate() {
        if logit > best.1 {
            best = (id, logit);
        }
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a vocabulary has less than 2^32 tokens"
    )]
    let id = best.0 as u32;
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> ChatRequest {
        ChatRequest {
            temperature: Some(1.0),
            top_p: Some(1.0),
            seed: Some(7),
            ..ChatRequest::default()
        }
    }

    fn draws(request: &ChatRequest, logits: &[f32], n: usize) -> Vec<u32> {
        let mut sampler = Sampler::new(request);
        (0..n).map(|_| sampler.sample(&mut logits.to_vec())).collect()
    }

    #[test]
    fn temperature_zero_takes_the_best_whatever_the_seed() {
        let request = ChatRequest {
            temperature: Some(0.0),
            seed: None,
            ..request()
        };
        assert_eq!(draws(&request, &[0.0, 3.0, 2.9, 3.0], 20), [1; 20]);
    }

    #[test]
    fn frequencies_follow_the_softmax() {
        let n = 20_000;
        let drawn = draws(&request(), &[0.0, (3.0_f32).ln(), f32::NEG_INFINITY], n);
        let ones = drawn.iter().filter(|&&id| id == 1).count() as f64 / n as f64;
        assert!((ones - 0.75).abs() < 0.02, "{ones}");
        assert!(!drawn.contains(&2));
    }

    #[test]
    fn the_nucleus_is_the_smallest_set_that_reaches_top_p() {
        // Weights 8, 4, 2, 1, 1 of 16: 0.75 is reached by the first two exactly.
        let logits: Vec<f32> = [8.0_f32, 4.0, 2.0, 1.0, 1.0].iter().map(|w| w.ln()).collect();
        for (top_p, largest) in [(0.3, 0), (0.7, 1), (0.8, 2), (0.9, 3), (1.0, 4)] {
            let drawn = draws(
                &ChatRequest {
                    top_p: Some(top_p),
                    ..request()
                },
                &logits,
                2000,
            );
            assert_eq!(drawn.iter().max(), Some(&largest), "top_p {top_p}");
        }
    }

    #[test]
    fn top_k_keeps_the_k_best() {
        let drawn = draws(
            &ChatRequest {
                top_k: Some(2),
                ..request()
            },
            &[1.0, 3.0, 2.0, 0.0],
            500,
        );
        assert!(drawn.contains(&1) && drawn.contains(&2) && !drawn.contains(&0) && !drawn.contains(&3));
    }

    #[test]
    fn only_a_request_that_says_nothing_is_kept_from_repeating_itself() {
        let silent = ChatRequest {
            seed: Some(7),
            ..ChatRequest::default()
        };
        // Far apart, so that the first is drawn until the penalty has brought it down.
        let logits = [40.0, 38.0, -400.0];
        assert!(draws(&silent, &logits, 4).contains(&1));
        let greedy = ChatRequest {
            temperature: Some(0.0),
            ..silent
        };
        assert_eq!(draws(&greedy, &logits, 4), [0; 4]);
    }

    #[test]
    fn the_seed_decides() {
        let logits = [0.0; 50];
        let other = ChatRequest {
            seed: Some(8),
            ..request()
        };
        assert_eq!(draws(&request(), &logits, 40), draws(&request(), &logits, 40));
        assert_ne!(draws(&request(), &logits, 40), draws(&other, &logits, 40));
        let unseeded = ChatRequest {
            seed: None,
            ..request()
        };
        assert_ne!(draws(&unseeded, &logits, 40), draws(&unseeded, &logits, 40));
    }

    #[test]
    fn bias_and_penalties_move_logits() {
        let mut biased = ChatRequest {
            temperature: Some(0.0),
            ..request()
        };
        biased.logit_bias.insert(0, 100.0);
        biased.logit_bias.insert(99, 5.0);
        assert_eq!(draws(&biased, &[0.0, 3.0], 2), [0, 0]);
        let presence = ChatRequest {
            temperature: Some(0.0),
            presence_penalty: Some(1.0),
            ..request()
        };
        assert_eq!(draws(&presence, &[2.5, 3.0], 4), [1, 0, 1, 1]);
        let frequency = ChatRequest {
            temperature: Some(0.0),
            frequency_penalty: Some(1.0),
            ..request()
        };
        assert_eq!(draws(&frequency, &[2.5, 3.0], 4), [1, 0, 1, 0]);
    }
}
