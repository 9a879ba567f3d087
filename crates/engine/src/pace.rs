//! How many rows of a prompt are read beside answers: as many as take little time on this machine, now.

use std::time::Duration;

use crate::model::Run;

/// What a prompt's piece may add to a step in which others are answering. With it no stream of four waited longer than
/// 200 ms at the 99th percentile, on two cores of which other machines took half (`bench/README.md`).
const BUDGET: Duration = Duration::from_millis(60);
/// The most rows, however quick they are.
const MOST: usize = 512;
/// The weight of the last step; those before it have the rest.
const LAST: f64 = 0.25;

/// How long rows of prompts took in the last steps: a graphics processor reads a hundred while a core reads one.
#[derive(Debug)]
pub(crate) struct Pace {
    least: usize,
    /// Seconds a row; `None` before the first prompt.
    row: Option<f64>,
}

impl Pace {
    /// For a backend with which fewer rows than `least` take as long.
    pub(crate) fn new(least: usize) -> Self {
        Self { least, row: None }
    }

    /// Counts a whole step, if it read a prompt.
    pub(crate) fn step(&mut self, runs: &[Run<'_>], took: Duration) {
        // Rows of answers are slow for what they are, and are there anyway.
        let rows = runs.iter().map(|run| run.tokens.len()).max().unwrap_or(0);
        if rows < self.least / 2 {
            return;
        }
        let now = took.as_secs_f64() / rows as f64;
        self.row = Some(self.row.map_or(now, |before| before + (now - before) * LAST));
    }

    /// How many rows of a prompt may be read beside answers.
    pub(crate) fn rows(&self) -> usize {
        // A row that took no time has an infinite number of them, which saturates.
        let rows = self.row.map_or(0.0, |row| BUDGET.as_secs_f64() / row);
        (rows as usize).clamp(self.least, MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Logits;

    const LEAST: usize = 16;

    fn steps(pace: &mut Pace, rows: usize, took: Duration, times: usize) {
        let tokens = vec![1; rows];
        let piece = Run {
            sequence: 0,
            position: 0,
            tokens: &tokens,
            logits: Logits::None,
            bulk: false,
        };
        let answer = Run {
            sequence: 1,
            tokens: &tokens[..1],
            ..piece
        };
        for _ in 0..times {
            pace.step(&[piece, answer], took);
        }
    }

    #[test]
    fn as_many_rows_are_read_beside_answers_as_take_little_time() {
        let mut pace = Pace::new(LEAST);
        assert_eq!(pace.rows(), LEAST);
        steps(&mut pace, 512, Duration::from_millis(512), 1);
        assert_eq!(pace.rows(), 60);
        steps(&mut pace, 1, Duration::from_millis(20), 100);
        assert_eq!(pace.rows(), 60);
        steps(&mut pace, 16, Duration::from_secs(1), 100);
        assert_eq!(pace.rows(), LEAST);
        steps(&mut pace, 512, Duration::ZERO, 1000);
        assert_eq!(pace.rows(), MOST);
    }

    #[test]
    fn pieces_settle_at_what_their_budget_allows() {
        let mut pace = Pace::new(LEAST);
        // 30 ms for any step, and 0.5 for each row.
        for _ in 0..100 {
            let rows = pace.rows();
            steps(
                &mut pace,
                rows,
                Duration::from_micros(30_000 + 500 * rows as u64),
                1,
            );
        }
        assert!((58..=61).contains(&pace.rows()), "{}", pace.rows());
    }
}
