//! How far ahead the best token is, which tells where two computations of the same must agree.

use aurora_local::evaluate::{Evaluator, best};

use crate::{CLEAR, options};

/// The best next tokens after a prompt, read alone, and the margins of each.
pub(crate) fn alone(model: &Evaluator, prompt: &[u32], tokens: usize) -> (Vec<u32>, Vec<f64>) {
    let room = prompt.len() + tokens;
    let mut sequences = model.sequences(1, room).expect("there is memory");
    let (mut chosen, mut margins) = (Vec::new(), Vec::new());
    let mut read = prompt.to_vec();
    for _ in 0..tokens {
        let logits = sequences.read(0, &read).expect("there is room");
        let token = best(logits);
        margins.push(margin(logits));
        chosen.push(token);
        read = vec![token];
    }
    (chosen, margins)
}

/// How many tokens with these margins two computations must agree on.
pub(crate) fn compared(margins: &[f64]) -> usize {
    let narrow = |&margin: &f64| !options().backend.is_exact() && margin < CLEAR;
    margins.iter().position(narrow).unwrap_or(margins.len())
}

/// How much larger the largest logit is than the next.
fn margin(logits: &[f32]) -> f64 {
    let first = best(logits) as usize;
    let others = logits[..first].iter().chain(&logits[first + 1..]);
    f64::from(logits[first] - others.copied().fold(f32::NEG_INFINITY, f32::max))
}
