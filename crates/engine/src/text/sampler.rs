//! Choosing the next token from its logits.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

use aurora_chat::{ChatRequest, RequestError};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::constraint::Mask;
use crate::error::refuse;

/// The sampling of a request that says nothing about it. SmolLM2's authors recommend temperature 0.2 and top_p 0.9 (model
/// card, "How to use"), for answers of 50 tokens; longer ones then soon repeat themselves for ever. With these settings
/// 7 of 8 stories ended by themselves within 1500 tokens, with theirs 1 of 5.
const DEFAULT: Settings = Settings {
    temperature: 0.7,
    top_p: 0.9,
    top_k: 0,
    min_p: 0.0,
    repetition: 1.1,
};
/// How far back the repetition penalty looks, in tokens of the answer.
const REPETITION_WINDOW: usize = 64;

/// Fields that OpenAI's reference does not have and other servers do, with their bounds.
const MIN_P: (&str, f32, f32) = ("min_p", 0.0, 1.0);
const REPETITION: (&str, f32, f32) = ("repetition_penalty", 0.01, 10.0);

/// Checks the fields of sampling that are not part of a request's own.
///
/// # Errors
/// If one is no number, or out of its bounds.
pub(crate) fn check_extra(request: &ChatRequest) -> Result<(), RequestError> {
    for field in [MIN_P, REPETITION] {
        let (name, least, most) = field;
        let given = request.extra.get(name).filter(|value| !value.is_null());
        if given.is_some() && extra(request, field).is_none() {
            return Err(refuse(name, &format!("expected a number from {least} to {most}")));
        }
    }
    Ok(())
}

/// A field's number, if it is within its bounds.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the loss of precision is what the sampler's type asks for"
)]
fn extra(request: &ChatRequest, (name, least, most): (&str, f32, f32)) -> Option<f32> {
    let number = request.extra.get(name)?.as_f64()? as f32;
    (least..=most).contains(&number).then_some(number)
}

/// Temperature and what may be drawn from.
#[derive(Clone, Copy, Debug)]
struct Settings {
    temperature: f32,
    top_p: f32,
    /// 0: all.
    top_k: usize,
    /// Tokens less likely than this part of the likeliest one are not drawn; 0 is off.
    min_p: f32,
    /// Logits of recent tokens are divided by this where positive, else multiplied (Keskar et al., 2019); 1 is off.
    repetition: f32,
}

impl Settings {
    /// What a request asks for. One that sets anything about sampling gets exactly what it asks, with the values of the
    /// API reference for the rest.
    fn of(request: &ChatRequest) -> Self {
        let (min_p, repetition) = (extra(request, MIN_P), extra(request, REPETITION));
        let decimals = [
            request.temperature,
            request.top_p,
            request.presence_penalty,
            request.frequency_penalty,
            min_p,
            repetition,
        ];
        if request.top_k.is_none() && decimals.iter().all(Option::is_none) {
            return DEFAULT;
        }
        Self {
            temperature: request.temperature.unwrap_or(1.0),
            top_p: request.top_p.unwrap_or(1.0),
            top_k: request.top_k.unwrap_or(0) as usize,
            min_p: min_p.unwrap_or(0.0),
            repetition: repetition.unwrap_or(1.0),
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

    /// Chooses a token, one of those in `mask` if there is one. `logits` are changed by biases, penalties and the mask.
    ///
    /// Where a mask leaves but one token, nothing is drawn: an answer is the same whether what is certain is asked for
    /// here or only [noted](Self::note).
    pub(crate) fn sample(&mut self, logits: &mut [f32], mask: Option<&Mask>) -> u32 {
        if let Some(only) = mask.and_then(only) {
            self.note(only);
            return only;
        }
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
        if let Some(mask) = mask {
            forbid_others(logits, mask);
        }
        let Settings {
            temperature,
            top_p,
            top_k,
            ..
        } = self.settings;
        let greedy = temperature == 0.0 || top_p == 0.0 || top_k == 1;
        let token = if greedy { best(logits) } else { self.draw(logits) };
        self.note(token);
        token
    }

    /// Takes a token that was chosen otherwise as one of the answer's.
    pub(crate) fn note(&mut self, token: u32) {
        *self.counts.entry(token).or_insert(0.0) += 1.0;
        if self.recent.len() == REPETITION_WINDOW {
            self.recent.pop_front();
        }
        self.recent.push_back(token);
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
            min_p,
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
        let floor = ((1.0 - top_p) * total / candidates.len() as f32).max(min_p);
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

/// The only token of a mask, if it has but one.
fn only(mask: &Mask) -> Option<u32> {
    let first = mask.first_bit_set()?;
    (mask.num_set() == 1).then(|| u32::try_from(first).ok())?
}

/// Makes what is not in the mask impossible.
fn forbid_others(logits: &mut [f32], mask: &Mask) {
    for (index, logit) in logits.iter_mut().enumerate() {
        if index >= mask.len() || !mask.get(index) {
            *logit = f32::NEG_INFINITY;
        }
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
        (0..n)
            .map(|_| sampler.sample(&mut logits.to_vec(), None))
            .collect()
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

    #[test]
    fn min_p_leaves_out_what_is_much_less_likely() {
        let mut asked = request();
        asked.extra.insert("min_p".to_owned(), serde_json::json!(0.3));
        let logits: Vec<f32> = [8.0_f32, 4.0, 2.0, 1.0].iter().map(|w| w.ln()).collect();
        let drawn = draws(&asked, &logits, 2000);
        assert_eq!(drawn.iter().max(), Some(&1));
        for (name, value) in [("min_p", 2.0), ("repetition_penalty", 0.0)] {
            let mut wrong = request();
            wrong.extra.insert(name.to_owned(), serde_json::json!(value));
            assert_eq!(check_extra(&wrong).unwrap_err().param.as_deref(), Some(name));
        }
    }

    #[test]
    fn a_mask_holds_whatever_bias_there_is() {
        let mut biased = request();
        biased.logit_bias.insert(0, 100.0);
        let mut mask = Mask::alloc(5);
        mask.allow_token(2);
        mask.allow_token(4);
        let mut sampler = Sampler::new(&biased);
        let drawn: Vec<u32> = (0..200)
            .map(|_| sampler.sample(&mut [9.0, 8.0, 1.0, 7.0, 1.0, 9.0], Some(&mask)))
            .collect();
        assert!(drawn.iter().all(|id| [2, 4].contains(id)) && drawn.contains(&2) && drawn.contains(&4));
    }

    #[test]
    fn what_is_certain_draws_nothing() {
        let mut only = Mask::alloc(4);
        only.allow_token(3);
        let (mut asked, mut noted) = (Sampler::new(&request()), Sampler::new(&request()));
        for _ in 0..20 {
            assert_eq!(asked.sample(&mut [0.0; 4], Some(&only)), 3);
            noted.note(3);
            assert_eq!(
                asked.sample(&mut [0.0; 4], None),
                noted.sample(&mut [0.0; 4], None)
            );
        }
    }
}
