//! How long parts, notes and the summary may be, so that each request fits the model's context.

/// The context of a model that nobody has told us about.
pub(crate) const CONTEXT: usize = 8192;

/// The text in one request where a local model is asked: those that run here read more than that badly.
const LOCAL_PART: usize = 2048;

/// A note is so many times shorter than what it is about.
const SHRINK: usize = 8;

/// The longest note, in tokens.
const MAX_NOTE: usize = 512;

/// The least text that a request must have room for.
const MIN_PART: usize = 32;

/// What is known of a model.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Model {
    /// Tokens of prompt and answer together.
    pub(crate) context: usize,
    /// Tokens of a prompt without its text.
    pub(crate) overhead: usize,
    /// Whether tokens are counted by its own tokenizer, here.
    pub(crate) is_local: bool,
}

/// What the caller has said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) part_tokens: Option<u32>,
    pub(crate) max_tokens: Option<u32>,
    pub(crate) words: u32,
}

/// How long things may be, in tokens unless it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    /// The text in one request.
    pub(crate) part: usize,
    /// What a note is meant to come to.
    pub(crate) note: usize,
    /// The same in words.
    pub(crate) note_words: usize,
    /// What answers are held to. An upstream's notes are not: some models think within this limit before they answer.
    pub(crate) note_limit: Option<u32>,
    pub(crate) summary_limit: Option<u32>,
}

impl Budget {
    /// Divides the context.
    ///
    /// # Errors
    /// It has no room for what is wanted, with the numbers.
    pub(crate) fn new(model: Model, wanted: Wanted) -> Result<Self, String> {
        let summary = wanted
            .max_tokens
            .map_or(wanted.words as usize * 3 + 64, |limit| limit as usize);
        let free = model.context.saturating_sub(model.overhead);
        let room = free.saturating_sub(summary);
        if room < MIN_PART {
            return Err(format!(
                "the context of {} tokens has no room for a summary of {} tokens beside a prompt of {} and some text; fewer \
                 --words, or a model with a larger context, would fit",
                model.context, summary, model.overhead
            ));
        }
        let usual = if model.is_local {
            LOCAL_PART.min(room)
        } else {
            room
        };
        let part = match wanted.part_tokens.map(|part| part as usize) {
            Some(part) if part > room => {
                return Err(format!(
                    "--part-tokens {part}: the context of {} tokens has room for parts of {room}, beside a prompt of {} and a \
                     summary of {summary}",
                    model.context, model.overhead
                ));
            }
            Some(part) => part,
            None => usual,
        };
        let note = (part / SHRINK).clamp(MIN_PART.min(part.div_ceil(2)), MAX_NOTE);
        let part = part.min(free.saturating_sub(note));
        let limit = |tokens: usize| u32::try_from(tokens).ok().filter(|_| model.is_local);
        Ok(Self {
            part,
            note,
            note_words: (note * 2 / 3).max(10),
            note_limit: limit(note),
            summary_limit: wanted.max_tokens.or_else(|| {
                limit(summary * 2).map(|most| most.min(u32::try_from(free - part).unwrap_or(most)))
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: Model = Model {
        context: 8192,
        overhead: 150,
        is_local: true,
    };
    const REMOTE: Model = Model {
        is_local: false,
        ..LOCAL
    };
    const WANTED: Wanted = Wanted {
        part_tokens: None,
        max_tokens: None,
        words: 120,
    };

    #[test]
    fn everything_fits_the_context_whatever_is_wanted() {
        for model in [LOCAL, REMOTE] {
            for context in [300, 600, 2048, 8192, 131_072] {
                for part_tokens in [None, Some(1), Some(40), Some(1000)] {
                    for words in [1, 60, 600] {
                        let model = Model { context, ..model };
                        let Ok(budget) = Budget::new(
                            model,
                            Wanted {
                                part_tokens,
                                words,
                                ..WANTED
                            },
                        ) else {
                            continue;
                        };
                        let answer = budget.note.max(words as usize * 3 + 64);
                        assert!(
                            model.overhead + budget.part + answer <= context,
                            "{model:?} {words} {budget:?}"
                        );
                        assert!(budget.part >= 1 && budget.note <= budget.part, "{budget:?}");
                        let limit = budget.summary_limit.unwrap_or(0) as usize;
                        assert!(model.overhead + budget.part + limit <= context, "{budget:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_told_with_numbers() {
        let error = Budget::new(
            LOCAL,
            Wanted {
                words: 3000,
                ..WANTED
            },
        )
        .unwrap_err();
        assert!(error.contains("8192") && error.contains("9064"), "{error}");
        let error = Budget::new(
            REMOTE,
            Wanted {
                part_tokens: Some(8000),
                ..WANTED
            },
        )
        .unwrap_err();
        assert!(
            error.contains("--part-tokens 8000") && error.contains("7618"),
            "{error}"
        );
    }

    #[test]
    fn a_local_model_gets_shorter_parts_and_limits() {
        let local = Budget::new(LOCAL, WANTED).unwrap();
        assert_eq!((local.part, local.note, local.note_limit), (2048, 256, Some(256)));
        let remote = Budget::new(REMOTE, WANTED).unwrap();
        assert_eq!(
            (remote.part, remote.note_limit, remote.summary_limit),
            (7530, None, None)
        );
    }
}
