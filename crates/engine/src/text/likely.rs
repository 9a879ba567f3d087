//! Log probabilities: measured from a step's logits, and told with the text they belong to.

use std::collections::VecDeque;

use aurora_chat::{ChatRequest, Likely, TokenLogprob};

use super::tokenizer::Tokenizer;

/// Measures how likely tokens are by the model alone, whatever biases, penalties, temperature or a grammar make of it.
#[derive(Debug)]
pub(crate) struct Measure {
    /// Alternatives to tell besides the token that was chosen.
    top: usize,
    /// The logits of this step, before anything changed them.
    logits: Vec<f32>,
}

impl Measure {
    /// What a request asks for: nothing, unless `logprobs` is true.
    pub(crate) fn wanted(request: &ChatRequest) -> Option<Self> {
        let field = |name: &str| request.extra.get(name);
        field("logprobs").filter(|wanted| **wanted == true)?;
        let top = field("top_logprobs")
            .and_then(serde_json::Value::as_u64)
            .unwrap_or(0);
        Some(Self {
            top: usize::try_from(top).unwrap_or(0).min(20),
            logits: Vec::new(),
        })
    }

    /// Takes the logits of a step as they came from the model.
    pub(crate) fn note(&mut self, logits: &[f32]) {
        self.logits.clear();
        self.logits.extend_from_slice(logits);
    }

    /// What is known of the token that was chosen in this step.
    pub(crate) fn of(&self, token: u32, tokenizer: &Tokenizer) -> TokenLogprob {
        let largest = self.logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let total: f64 = self
            .logits
            .iter()
            .map(|logit| f64::from((logit - largest).exp()))
            .sum();
        let base = f64::from(largest) + total.ln();
        let likely = |id: u32| {
            let logit = self.logits.get(id as usize).copied().unwrap_or(f32::NEG_INFINITY);
            Likely {
                logprob: round(f64::from(logit) - base),
                ..spell(id, tokenizer)
            }
        };
        TokenLogprob {
            chosen: likely(token),
            top_logprobs: self.best().into_iter().map(likely).collect(),
        }
    }

    /// The likeliest tokens, the best first; of equals the one with the lower id.
    fn best(&self) -> Vec<u32> {
        if self.top == 0 {
            return Vec::new();
        }
        let order = |a: &u32, b: &u32| {
            self.logits[*b as usize]
                .total_cmp(&self.logits[*a as usize])
                .then(a.cmp(b))
        };
        let mut ids: Vec<u32> = (0_u32..).take(self.logits.len()).collect();
        if self.top < ids.len() {
            ids.select_nth_unstable_by(self.top, order);
            ids.truncate(self.top);
        }
        ids.sort_unstable_by(order);
        ids
    }
}

/// To a millionth, which is more than the arithmetic behind it is good for. What is impossible gets the API's number for
/// "very unlikely", since JSON has no infinity.
fn round(logprob: f64) -> f64 {
    const UNLIKELY: f64 = -9999.0;
    if logprob.is_finite() {
        ((logprob * 1e6).round() / 1e6).clamp(UNLIKELY, 0.0) + 0.0
    } else {
        UNLIKELY
    }
}

/// A token's text and bytes; a control token's are its spelling.
fn spell(id: u32, tokenizer: &Tokenizer) -> Likely {
    let bytes = match tokenizer.bytes(id) {
        [] => tokenizer.spelling(id as usize).unwrap_or_default().as_bytes(),
        bytes => bytes,
    };
    Likely {
        token: String::from_utf8_lossy(bytes).into_owned(),
        logprob: 0.0,
        bytes: Some(bytes.to_vec()),
    }
}

/// Log probabilities of tokens whose text was not given out yet.
///
/// A place is a number of bytes of the answer's text, as the assembler gives it. A token is told with the text that
/// holds its last byte; where a stop string cuts one in two, with what is left of it.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    tokens: VecDeque<Placed>,
}

#[derive(Debug)]
struct Placed {
    token: TokenLogprob,
    start: usize,
    /// Not known while the token's last character lacks bytes.
    end: Option<usize>,
    /// Its bytes, and those of the tokens before it.
    bytes: usize,
}

impl Waiting {
    /// Adds a token that was chosen when the text had `start` bytes and the answer, this token included, `bytes`.
    pub(crate) fn push(&mut self, token: TokenLogprob, start: usize, bytes: usize) {
        self.tokens.push_back(Placed {
            token,
            start,
            end: None,
            bytes,
        });
    }

    /// All bytes of the answer up to `bytes` are in the text, which has `end` bytes now.
    pub(crate) fn settle(&mut self, bytes: usize, end: usize) {
        for placed in &mut self.tokens {
            if placed.end.is_none() && placed.bytes <= bytes {
                placed.end = Some(end);
            }
        }
    }

    /// Takes out the tokens that are told now that the text is given out up to `given`.
    pub(crate) fn told(&mut self, given: usize) -> Vec<TokenLogprob> {
        self.take(|placed| placed.end.is_some_and(|end| end <= given))
    }

    /// The same where nothing more is given out.
    pub(crate) fn told_at_last(&mut self, given: usize) -> Vec<TokenLogprob> {
        self.take(|placed| placed.start < given)
    }

    /// Forgets the tokens of text up to this place: it is no text of the answer.
    pub(crate) fn forget(&mut self, end: usize) {
        self.take(|placed| placed.start < end);
    }

    fn take(&mut self, is_told: impl Fn(&Placed) -> bool) -> Vec<TokenLogprob> {
        let mut told = Vec::new();
        while self.tokens.front().is_some_and(&is_told) {
            told.extend(self.tokens.pop_front().map(|placed| placed.token));
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_come_in_order_and_a_tie_goes_to_the_lower_id() {
        let best = |top, logits: &[f32]| {
            let logits = logits.to_vec();
            Measure { top, logits }.best()
        };
        assert_eq!(best(3, &[1.0, 4.0, 2.0, 4.0, 3.0]), [1, 3, 4]);
        assert_eq!(best(9, &[1.0, 2.0]), [1, 0]);
        assert_eq!(best(0, &[1.0]), [0_u32; 0]);
    }

    #[test]
    fn what_is_impossible_is_a_number_too() {
        assert_eq!(round(f64::NEG_INFINITY), -9999.0);
        assert_eq!(round(f64::NAN), -9999.0);
        assert_eq!(round(1e-9), 0.0);
        assert_eq!(round(-0.123_456_78), -0.123_457);
    }
}
