//! What a run may still spend: `--max-total-tokens`.
//!
//! What is under way is counted with what it is expected to cost, so that a budget is not exceeded by all that runs at its
//! end. What servers do not count is estimated by its length.

use aurora_chat::Usage;

use crate::many::Outcome;

/// Bytes of text to a token, about right for English and for Chinese.
const BYTES_A_TOKEN: u64 = 4;

/// Tokens spent and expected.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    limit: Option<u64>,
    input: u64,
    output: u64,
    /// Tokens that were estimated, since no server counted them.
    estimated: u64,
    expected: u64,
    answers: u64,
}

/// What an attempt that runs is expected to cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expected(u64);

impl Budget {
    /// A budget of this many tokens.
    pub(crate) fn new(limit: Option<u64>) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }

    /// Whether nothing more is to be begun.
    pub(crate) fn is_spent(&self) -> bool {
        self.limit
            .is_some_and(|limit| self.spent().saturating_add(self.expected) >= limit)
    }

    /// An attempt begins whose prompt is about this long.
    pub(crate) fn begin(&mut self, prompt: u64) -> Expected {
        let answer = self.output.checked_div(self.answers).unwrap_or(0);
        let expected = prompt.saturating_add(answer);
        self.expected += expected;
        Expected(expected)
    }

    /// It has ended, with this; `prompt` is again about how long its prompt was.
    pub(crate) fn end(&mut self, expected: Expected, prompt: u64, outcome: &Outcome) {
        self.forget(expected);
        let usage = outcome.usage().or_else(|| {
            // What was refused has cost nothing.
            (!outcome.answer.is_empty()).then(|| {
                let answer = outcome.answer.text.len() + outcome.answer.reasoning.len();
                let answer = u64::try_from(answer).unwrap_or(u64::MAX).div_ceil(BYTES_A_TOKEN);
                self.estimated += prompt + answer;
                Usage {
                    input_tokens: prompt,
                    output_tokens: answer,
                    ..Usage::default()
                }
            })
        });
        if let Some(usage) = usage {
            self.input = self.input.saturating_add(usage.input_tokens);
            self.output = self.output.saturating_add(usage.output_tokens);
            self.answers += 1;
        }
    }

    /// It is known no more what becomes of it.
    pub(crate) fn forget(&mut self, expected: Expected) {
        self.expected = self.expected.saturating_sub(expected.0);
    }

    /// Tokens of prompts, and of answers.
    pub(crate) fn tokens(&self) -> (u64, u64) {
        (self.input, self.output)
    }

    /// How many of them are estimates.
    pub(crate) fn estimated(&self) -> u64 {
        self.estimated
    }

    /// All tokens.
    pub(crate) fn spent(&self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aurora_chat::{End, Transcript};

    use super::*;

    fn outcome(text: &str, usage: Option<(u64, u64)>) -> Outcome {
        let mut answer = Transcript::new();
        text.clone_into(&mut answer.text);
        answer.usage = usage.map(|(input_tokens, output_tokens)| Usage {
            input_tokens,
            output_tokens,
            ..Usage::default()
        });
        Outcome {
            start: None,
            answer,
            end: End::cancelled(),
            attempts: 1,
            first: None,
            elapsed: Duration::ZERO,
        }
    }

    #[test]
    fn what_runs_counts_with_what_it_is_expected_to_cost() {
        let mut budget = Budget::new(Some(100));
        let first = budget.begin(10);
        assert!(!budget.is_spent());
        budget.end(first, 10, &outcome("x", Some((12, 30))));
        assert_eq!((budget.spent(), budget.tokens()), (42, (12, 30)));
        // The next ones are expected to be answered as the first one was.
        let second = budget.begin(10);
        assert!(!budget.is_spent());
        let third = budget.begin(10);
        assert!(budget.is_spent());
        budget.forget(third);
        assert!(!budget.is_spent());
        budget.end(second, 10, &outcome("x", Some((10, 48))));
        assert!(budget.is_spent());
    }

    #[test]
    fn what_nobody_counts_is_estimated_and_nothing_is_for_nothing() {
        let mut budget = Budget::new(None);
        let run = budget.begin(10);
        budget.end(run, 10, &outcome("12345678", None));
        let refused = budget.begin(10);
        budget.end(refused, 10, &outcome("", None));
        assert_eq!((budget.spent(), budget.estimated()), (12, 12));
        assert!(!budget.is_spent());
    }
}
