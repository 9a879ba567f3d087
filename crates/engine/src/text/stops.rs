//! Stop strings, found wherever they lie across tokens, and never shown in part.

/// Looks for stop strings in text that comes in pieces.
///
/// The stop string that is completed first ends the answer; of two completed by the same character, the longer. Text
/// that may still become a stop string is held back, so that what was given out never has to be taken back. The answer
/// does not depend on how the text was cut.
#[derive(Debug, Default)]
pub(crate) struct Stops {
    stops: Vec<String>,
    /// Text not given out yet: a proper prefix of some stop string.
    held: String,
}

impl Stops {
    /// `stops` are not empty strings.
    pub(crate) fn new(stops: &[String]) -> Self {
        Self {
            stops: stops.iter().filter(|stop| !stop.is_empty()).cloned().collect(),
            held: String::new(),
        }
    }

    /// Adds text; appends to `out` what can be given out. True: a stop string was found, and nothing more comes.
    pub(crate) fn push(&mut self, text: &str, out: &mut String) -> bool {
        if self.stops.is_empty() {
            out.push_str(text);
            return false;
        }
        self.held.push_str(text);
        // By the end first, then by the start: (end, start) of the earliest match.
        let found = self.stops.iter().filter_map(|stop| {
            let start = self.held.find(stop.as_str())?;
            Some((start + stop.len(), start))
        });
        if let Some((_, start)) = found.min() {
            out.push_str(&self.held[..start]);
            self.held.clear();
            return true;
        }
        let keep = self
            .stops
            .iter()
            .map(|stop| overlap(&self.held, stop))
            .max()
            .unwrap_or(0);
        let give = self.held.len() - keep;
        out.push_str(&self.held[..give]);
        self.held.drain(..give);
        false
    }

    /// How many bytes are held back.
    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }

    /// The end: gives out what was held back.
    pub(crate) fn finish(&mut self, out: &mut String) {
        out.push_str(&self.held);
        self.held.clear();
    }
}

/// The length of the longest end of `text` that is a proper beginning of `stop`.
pub(crate) fn overlap(text: &str, stop: &str) -> usize {
    let longest = text.len().min(stop.len() - 1);
    (1..=longest)
        .rev()
        .find(|&n| text.as_bytes().ends_with(&stop.as_bytes()[..n]))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(stops: &[&str], pieces: &[&str]) -> (String, bool) {
        let mut filter = Stops::new(&stops.iter().map(|&s| s.to_owned()).collect::<Vec<_>>());
        let mut out = String::new();
        for piece in pieces {
            if filter.push(piece, &mut out) {
                return (out, true);
            }
        }
        filter.finish(&mut out);
        (out, false)
    }

    #[test]
    fn a_stop_string_split_across_pieces_is_found_and_not_shown() {
        assert_eq!(run(&["END"], &["one E", "N", "D two"]), ("one ".into(), true));
        assert_eq!(run(&["END"], &["one EN", "d"]), ("one ENd".into(), false));
        assert_eq!(run(&["aab"], &["aa", "ab"]), ("a".into(), true));
        assert_eq!(
            run(&["语言"], &["中文语", "文语", "言"]),
            ("中文语文".into(), true)
        );
        assert_eq!(run(&["x"], &["y"]), ("y".into(), false));
    }

    #[test]
    fn the_first_completed_wins() {
        assert_eq!(run(&["abcd", "c"], &["abcd"]), ("ab".into(), true));
        assert_eq!(run(&["bc", "abc"], &["abc"]), (String::new(), true));
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same(
            text in "[abc]{0,24}", stops in prop::collection::vec("[abc]{1,4}", 0..4), cuts: Vec<usize>,
        ) {
            let stops: Vec<&str> = stops.iter().map(String::as_str).collect();
            let (mut pieces, mut rest) = (Vec::new(), &text[..]);
            for cut in cuts {
                let (head, tail) = rest.split_at(cut % (rest.len() + 1));
                pieces.push(head);
                rest = tail;
            }
            pieces.push(rest);
            prop_assert_eq!(run(&stops, &pieces), run(&stops, &[&text]));
        }
    }
}
