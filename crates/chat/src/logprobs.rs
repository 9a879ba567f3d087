//! Log probabilities of an answer's tokens, as the chat completions API has them (`logprobs`, `top_logprobs`).

use serde::Serialize;

/// What one value counts for besides its text, where the size of an answer is limited.
const COST: usize = 32;

/// One token of the answer's text, how likely it was, and what else was likely in its place.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TokenLogprob {
    /// The token and its log probability.
    #[serde(flatten)]
    pub chosen: Likely,
    /// The likeliest tokens at this place, the best first: as many as were asked for, 0 to 20.
    pub top_logprobs: Vec<Likely>,
}

/// A token and its log probability.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Likely {
    /// The token's text. Bytes that are no whole character are U+FFFD here.
    pub token: String,
    /// The natural logarithm of the probability that the model gave it; 0 or less.
    pub logprob: f64,
    /// The token's bytes, where the source tells them: a character may be spread over several tokens.
    pub bytes: Option<Vec<u8>>,
}

impl TokenLogprob {
    /// How much of an answer's limit it takes, in bytes.
    pub(crate) fn cost(&self) -> usize {
        self.chosen.cost() + self.top_logprobs.iter().map(Likely::cost).sum::<usize>()
    }
}

impl Likely {
    fn cost(&self) -> usize {
        COST + self.token.len() + self.bytes.as_ref().map_or(0, Vec::len)
    }
}
