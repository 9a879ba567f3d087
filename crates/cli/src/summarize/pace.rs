//! How far the work is: what has been read and written, how fast, and how long the rest may take. It is told the time.

use std::time::Duration;

/// Before so much has been done, nothing is said about the time that is left.
const SOON: Duration = Duration::from_secs(3);

/// What has been done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Pace {
    /// Parts whose notes have come, of how many that are known; those taken over from an earlier run are among them.
    pub(crate) done: usize,
    pub(crate) known: usize,
    /// Tokens that were read and written in this run.
    pub(crate) read: usize,
    pub(crate) written: usize,
    /// Tokens that are yet to be read, as far as can be told.
    pub(crate) ahead: usize,
    /// Since the first was asked.
    pub(crate) elapsed: Duration,
}

impl Pace {
    /// Tokens read and written a second.
    fn rate(&self) -> Option<f64> {
        let seconds = self.elapsed.as_secs_f64();
        (self.read > 0 && seconds > 0.0).then(|| (self.read + self.written) as f64 / seconds)
    }

    /// How long the rest may take: reading it is as fast as it has been.
    pub(crate) fn left(&self) -> Option<Duration> {
        if self.read == 0 || self.elapsed < SOON {
            return None;
        }
        let left = self.elapsed.as_secs_f64() * self.ahead as f64 / self.read as f64;
        Duration::try_from_secs_f64(left).ok()
    }

    /// For a person, from the longest form to the shortest, in ASCII.
    pub(crate) fn forms(&self) -> Vec<String> {
        let parts = format!("part {} of {}", self.done, self.known);
        let rate = self
            .rate()
            .map_or_else(String::new, |rate| format!(", {rate:.0} tokens/s"));
        let left = self
            .left()
            .map_or_else(String::new, |left| format!(", {} left", span(left)));
        vec![format!("{parts}{rate}{left}"), format!("{parts}{left}"), parts]
    }
}

/// A span of time for a person.
pub(crate) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..=59 => format!("{seconds} s"),
        60..=3599 => format!("{}:{:02} min", seconds / 60, seconds % 60),
        _ => format!("{}:{:02} h", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_follows_from_what_was_done() {
        let mut pace = Pace {
            done: 3,
            known: 12,
            read: 3000,
            written: 600,
            ahead: 9500,
            elapsed: Duration::from_secs(30),
        };
        assert_eq!(pace.forms()[0], "part 3 of 12, 120 tokens/s, 1:35 min left");
        assert_eq!(pace.forms()[2], "part 3 of 12");
        pace.elapsed = Duration::from_secs(1);
        assert_eq!(pace.forms()[0], "part 3 of 12, 3600 tokens/s");
        assert_eq!(
            Pace {
                known: 2,
                ..Pace::default()
            }
            .forms()[0],
            "part 0 of 2"
        );
    }

    #[test]
    fn spans_are_for_people() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1:00 min"),
            (3600, "1:00 h"),
            (90_000, "25:00 h"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
    }
}
