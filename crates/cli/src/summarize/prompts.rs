//! What a model is asked: for notes on a part, for fewer notes, and in the end for the summary.
//!
//! Short and plain, so that a model of 135 million parameters does something sensible with it: the text first, what is to be
//! done with it behind, since small models do what they read last. A part's place in the whole is not told, so that it is
//! asked for in the same words when the text around it has changed, and what was kept can be used.

use std::fmt::Write as _;

use crate::args::SummaryStyle;

/// What kind of summary is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) style: SummaryStyle,
    /// About how many words.
    pub(crate) words: Option<u32>,
    /// Its language.
    pub(crate) lang: Option<String>,
    /// What it is to be about.
    pub(crate) focus: Option<String>,
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Notes on a part of the text, or on notes, of about so many words.
    Note { words: usize },
    /// The summary.
    Summary,
}

impl Wish {
    /// About how many words the summary is to have.
    pub(crate) fn words(&self) -> u32 {
        self.words.unwrap_or(match self.style {
            SummaryStyle::Bullets | SummaryStyle::Paragraph => 120,
            SummaryStyle::Abstract => 200,
            SummaryStyle::Title => 10,
        })
    }

    /// The prompt; `from_notes` is whether the text is notes instead of what the caller has given.
    pub(crate) fn prompt(&self, purpose: Purpose, from_notes: bool, text: &str) -> String {
        let (what, name) = if from_notes {
            ("These notes were taken from one text, part after part:", "notes")
        } else {
            ("Here is a text:", "text")
        };
        let mut prompt = format!("{what}\n\n{}\n\n-----\n\n", text.trim_matches('\n'));
        let whole = if from_notes {
            "the whole text that the notes are about"
        } else {
            "the text above"
        };
        let words = self.words();
        let _ = match (purpose, self.style) {
            (Purpose::Note { words }, _) => write!(
                prompt,
                "Summarize the {name} above in at most {words} words. Tell what happens or what is said, in order, with the \
                 important names, numbers and results. Write plain sentences, and nothing that is not in the {name}."
            ),
            (Purpose::Summary, SummaryStyle::Bullets) => write!(
                prompt,
                "Summarize {whole} as a list of {} short bullet points, about {words} words in all. Begin each line with \
                 \"- \". Write nothing before or after the list.",
                points(words)
            ),
            (Purpose::Summary, SummaryStyle::Paragraph) => write!(
                prompt,
                "Summarize {whole} in one paragraph of about {words} words. Write nothing but the paragraph."
            ),
            (Purpose::Summary, SummaryStyle::Abstract) => write!(
                prompt,
                "Write an abstract of {whole}, as it would stand at the head of an article, in about {words} words: what it is \
                 about, what it says or tells, and what it comes to. Write nothing but the abstract."
            ),
            (Purpose::Summary, SummaryStyle::Title) => write!(
                prompt,
                "Write a title for {whole}: one line of at most {words} words, without quotation marks. Write nothing but the \
                 title."
            ),
        };
        if let Some(focus) = &self.focus {
            let _ = write!(prompt, " Write only about this: {focus}.");
            if matches!(purpose, Purpose::Note { .. }) {
                let _ = write!(
                    prompt,
                    " If the {name} say nothing about it, answer: nothing about it."
                );
            }
        }
        let _ = match &self.lang {
            Some(lang) => write!(prompt, " Write in {}.", language(lang)),
            None => write!(prompt, " Write in the language of the {name}."),
        };
        prompt
    }
}

/// How many points a list of so many words has.
fn points(words: u32) -> String {
    match words {
        ..=30 => "2 or 3".to_owned(),
        31..=80 => "3 to 5".to_owned(),
        81..=150 => "5 to 7".to_owned(),
        _ => format!("about {}", (words / 20).min(60)),
    }
}

/// The English name of a language's code; a model knows it better than the code.
fn language(given: &str) -> &str {
    match given.to_ascii_lowercase().as_str() {
        "ar" => "Arabic",
        "cs" => "Czech",
        "da" => "Danish",
        "de" => "German",
        "el" => "Greek",
        "en" => "English",
        "es" => "Spanish",
        "fi" => "Finnish",
        "fr" => "French",
        "he" => "Hebrew",
        "hi" => "Hindi",
        "hu" => "Hungarian",
        "id" => "Indonesian",
        "it" => "Italian",
        "ja" => "Japanese",
        "ko" => "Korean",
        "nl" => "Dutch",
        "no" | "nb" => "Norwegian",
        "pl" => "Polish",
        "pt" => "Portuguese",
        "ro" => "Romanian",
        "ru" => "Russian",
        "sv" => "Swedish",
        "th" => "Thai",
        "tr" => "Turkish",
        "uk" => "Ukrainian",
        "vi" => "Vietnamese",
        "zh" | "zh-cn" | "zh-hans" => "Simplified Chinese",
        "zh-tw" | "zh-hant" => "Traditional Chinese",
        _ => given,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(style: SummaryStyle) -> Wish {
        Wish {
            style,
            words: None,
            lang: None,
            focus: None,
        }
    }

    #[test]
    fn a_prompt_has_the_text_once_and_what_is_wished() {
        let wish = Wish {
            words: Some(33),
            lang: Some("zh".to_owned()),
            focus: Some("the ship".to_owned()),
            ..wish(SummaryStyle::Bullets)
        };
        for purpose in [Purpose::Note { words: 50 }, Purpose::Summary] {
            for from_notes in [false, true] {
                let prompt = wish.prompt(purpose, from_notes, "The sea.\n\nIt is wide.\n");
                assert_eq!(
                    prompt.matches("The sea.\n\nIt is wide.\n\n-----").count(),
                    1,
                    "{prompt}"
                );
                assert!(
                    prompt.contains("the ship") && prompt.contains("Simplified Chinese"),
                    "{prompt}"
                );
                let words = if purpose == Purpose::Summary { "33" } else { "50" };
                assert!(prompt.contains(words), "{prompt}");
            }
        }
    }

    #[test]
    fn every_style_has_its_own_words() {
        let styles = [
            SummaryStyle::Bullets,
            SummaryStyle::Paragraph,
            SummaryStyle::Abstract,
            SummaryStyle::Title,
        ];
        let asked = ["list", "one paragraph", "abstract", "title"];
        for (style, word) in styles.into_iter().zip(asked) {
            let wish = wish(style);
            let prompt = wish.prompt(Purpose::Summary, false, "x");
            assert!(
                prompt.contains(word) && prompt.contains(&wish.words().to_string()),
                "{prompt}"
            );
        }
    }
}
