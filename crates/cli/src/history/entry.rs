//! What is kept of a conversation, as values: its heading, and its messages with how each answer ended.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aurora_chat::{Content, Message, Part, Role, Usage, Verdict};
use serde_json::{Map, Value, json};

/// A time as the file keeps it: milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(pub(crate) i64);

/// Who answers: what `-e` and `-m` would have to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answerer {
    /// `local`, the name of an endpoint in the configuration, or the address of one that was given as such.
    pub(crate) endpoint: String,
    /// The model's name there.
    pub(crate) model: String,
}

/// What a list shows of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heading {
    /// The number by which the file knows it.
    pub(super) key: i64,
    /// The id that people type.
    pub(crate) id: String,
    /// The first line of the first prompt, unless it was renamed.
    pub(crate) title: String,
    /// Who answered last.
    pub(crate) answerer: Answerer,
    /// When it began.
    pub(crate) created: Moment,
    /// When something was last added.
    pub(crate) updated: Moment,
    /// How many messages the person has written.
    pub(crate) turns: u64,
}

/// One message and what is known about it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// Who said what.
    pub(crate) message: Message,
    /// What the model thought aloud before it said that.
    pub(crate) reasoning: String,
    /// When it was said or, for an answer, begun.
    pub(crate) created: Moment,
    /// How it was answered, for an answer.
    pub(crate) answer: Option<Answer>,
}

/// What is known about an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Answer {
    /// Who gave it.
    pub(crate) answerer: Answerer,
    /// How it ended; `None` while it comes, and if whoever received it did not live to know.
    pub(crate) ending: Option<Ending>,
    /// A program that runs was writing it when it was read.
    pub(crate) is_live: bool,
    /// Where it was continued by another request.
    pub(crate) seams: Vec<Seam>,
}

/// How an answer ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Ending {
    /// [`Verdict::as_str`]; text, because a later version may know more of them.
    pub(crate) verdict: String,
    /// The finish reason, as the server gave it.
    pub(crate) finish_reason: Option<String>,
    /// What went wrong.
    pub(crate) error: Option<String>,
    /// What it cost, where the server counted.
    pub(crate) usage: Option<Usage>,
    /// From the request to the first delta.
    pub(crate) first: Option<Duration>,
    /// From the request to the end.
    pub(crate) elapsed: Duration,
}

/// A place in an answer's text at which another request went on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seam {
    /// How many bytes of the text were there before.
    pub(crate) at: usize,
    /// How it was gone on.
    pub(crate) how: Manner,
}

/// How a partial answer is gone on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// It was sent as the beginning of the assistant's turn.
    Prefix,
    /// The model was asked to go on.
    Asked,
}

impl Moment {
    /// Now.
    pub(crate) fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

impl Answerer {
    /// Both in one, `endpoint/model`; of an address the host and the port.
    pub(crate) fn name(&self) -> String {
        let endpoint = match self.endpoint.split_once("://") {
            Some((_, rest)) => rest.split('/').next().unwrap_or_default(),
            None => self.endpoint.as_str(),
        };
        format!("{endpoint}/{}", self.model)
    }
}

#[cfg(test)]
impl Heading {
    /// One for tests of what is shown.
    pub(crate) fn sample(id: &str, title: &str, answerer: Answerer) -> Self {
        Self {
            key: 1,
            id: id.to_owned(),
            title: title.to_owned(),
            answerer,
            created: Moment::default(),
            updated: Moment::default(),
            turns: 1,
        }
    }
}

impl Entry {
    /// A message that is said now.
    pub(crate) fn said(message: Message) -> Self {
        Self {
            message,
            reasoning: String::new(),
            created: Moment::now(),
            answer: None,
        }
    }

    /// Whether this is an answer that may be gone on with: not a whole one, nor one that a filter stopped.
    pub(crate) fn is_partial(&self) -> bool {
        let verdict = self.answer.as_ref().map(Answer::verdict);
        self.message.role == Role::Assistant && !matches!(verdict, None | Some(Some("complete" | "filtered")))
    }
}

impl Answer {
    /// How it ended, in the words of [`Verdict::as_str`].
    pub(crate) fn verdict(&self) -> Option<&str> {
        self.ending.as_ref().map(|ending| ending.verdict.as_str())
    }

    /// What a person is told about an answer that is not whole; `None` of one that is.
    pub(crate) fn remark(&self) -> Option<String> {
        let Some(ending) = &self.ending else {
            return Some(match self.is_live {
                true => "still being written".to_owned(),
                false => {
                    "cut off: the program that received it was ended, or could not keep the rest".to_owned()
                }
            });
        };
        match ending.verdict.as_str() {
            verdict if verdict == Verdict::Complete.as_str() => None,
            verdict => Some(match &ending.error {
                Some(error) => format!("{}: {error}", verdict.replace('_', " ")),
                None => verdict.replace('_', " "),
            }),
        }
    }
}

impl Manner {
    /// Its name in the file and in exports.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Prefix => "prefix",
            Self::Asked => "asked",
        }
    }
}

/// The first line that says anything, short enough for a list; the whole prompt is in the message.
pub(crate) fn title_of(prompt: &str) -> String {
    /// In characters.
    const LONGEST: usize = 80;
    let line = prompt.lines().map(str::trim).find(|line| !line.is_empty());
    let line = line
        .unwrap_or_default()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    match line.char_indices().nth(LONGEST) {
        None => line,
        Some((end, _)) => format!("{}…", line[..end].trim_end()),
    }
}

/// The seams as they are written into the file and into exports.
pub(crate) fn seams_to_json(seams: &[Seam]) -> Value {
    seams
        .iter()
        .map(|seam| json!({"at": seam.at, "how": seam.how.as_str()}))
        .collect()
}

/// Reads what [`seams_to_json`] wrote; what is not understood is left out.
pub(super) fn seams_from_json(text: &str) -> Vec<Seam> {
    let seams: Vec<Map<String, Value>> = serde_json::from_str(text).unwrap_or_default();
    let seam = |seam: &Map<String, Value>| {
        let how = match seam.get("how")?.as_str()? {
            "prefix" => Manner::Prefix,
            "asked" => Manner::Asked,
            _ => return None,
        };
        let at = usize::try_from(seam.get("at")?.as_u64()?).ok()?;
        Some(Seam { at, how })
    };
    seams.iter().filter_map(seam).collect()
}

/// The parts of a content that is not one text, in the form of the chat completions API; `None` of one that is.
pub(crate) fn parts_to_json(content: &Content) -> Option<Value> {
    let Content::Parts(parts) = content else {
        return None;
    };
    let part = |part: &Part| match part {
        Part::Text(text) => json!({"type": "text", "text": text}),
        Part::Other(part) => Value::Object(part.clone()),
    };
    Some(parts.iter().map(part).collect())
}

/// Reads what [`parts_to_json`] wrote; `None` if it is nothing of the kind.
pub(super) fn parts_from_json(text: &str) -> Option<Content> {
    let parts: Vec<Map<String, Value>> = serde_json::from_str(text).ok()?;
    let part = |part: Map<String, Value>| match part.get("text") {
        Some(Value::String(text)) if part.get("type").is_some_and(|kind| kind == "text") => {
            Part::Text(text.clone())
        }
        _ => Part::Other(part),
    };
    Some(Content::Parts(parts.into_iter().map(part).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_the_first_line_that_says_anything() {
        for (prompt, title) in [
            ("", ""),
            ("\n\n  why is\tthe  sky blue?\nreally", "why is the sky blue?"),
            ("天空为什么是蓝色的？", "天空为什么是蓝色的？"),
        ] {
            assert_eq!(title_of(prompt), title);
        }
        let long = title_of(&"word ".repeat(100));
        assert_eq!(
            (long.chars().count(), long.ends_with("word…")),
            (80, true),
            "{long}"
        );
    }

    #[test]
    fn parts_and_seams_are_read_as_they_were_written() {
        let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}});
        let Value::Object(image) = image else {
            panic!("an object")
        };
        let content = Content::Parts(vec![Part::Text("what is \"this\"?".into()), Part::Other(image)]);
        let written = parts_to_json(&content).unwrap().to_string();
        assert_eq!(parts_from_json(&written), Some(content));
        assert_eq!(parts_to_json(&Content::Text("a".into())), None);
        let seams = [(3, Manner::Prefix), (9, Manner::Asked)].map(|(at, how)| Seam { at, how });
        assert_eq!(seams_from_json(&seams_to_json(&seams).to_string()), seams);
        assert_eq!(seams_from_json("{"), []);
    }

    #[test]
    fn an_answer_that_is_not_whole_says_so() {
        let ended = |verdict: &str, error: Option<&str>| Answer {
            ending: Some(Ending {
                verdict: verdict.into(),
                error: error.map(str::to_owned),
                ..Ending::default()
            }),
            ..Answer::default()
        };
        assert_eq!(ended("complete", None).remark(), None);
        assert_eq!(
            ended("timed_out", Some("idle for 60 s")).remark().unwrap(),
            "timed out: idle for 60 s"
        );
        assert!(Answer::default().remark().unwrap().starts_with("cut off"));
        let entry = |answer| Entry {
            answer: Some(answer),
            ..Entry::said(Message::text(Role::Assistant, "a"))
        };
        assert!(entry(Answer::default()).is_partial());
        assert!(entry(ended("length", None)).is_partial());
        assert!(!entry(ended("complete", None)).is_partial());
        assert!(!Entry::said(Message::text(Role::User, "a")).is_partial());
    }
}
