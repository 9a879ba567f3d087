//! Which part of an answer is its code: what stands inside of fences, as the markdown parser tells them (CommonMark 4.5).
//!
//! Code is told as soon as it is certain. Text that may turn out to be all there is, because no fence comes, is kept
//! aside, up to [`KEPT`]. Indented code is no fence: it is too often a list that somebody indented. Line ends inside of a
//! fence are line feeds, whatever the answer has.

use std::fmt;
use std::str::FromStr;

use aurora_render::{Event, Limits, Parser};

use crate::output::visible;

/// How much of an answer is kept aside while it is not known whether it is wanted, in bytes. An answer without any fence
/// so far is passed on as it is from there on; a block that might have been the one is not given.
const KEPT: usize = 1 << 20;

/// The longest line that is taken for a fence which is opened again, in bytes.
const FENCE_LINE: usize = 64;

/// The most languages that are named in a message; a model may invent any number.
const NAMED: usize = 8;

/// Which code blocks of an answer are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Which of those in question.
    pub(crate) block: Block,
    /// Only those labelled with this language are in question.
    pub(crate) lang: Option<String>,
}

/// `--block`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    /// All, one after the other.
    All,
    /// The one of this number, from 1.
    Nth(u32),
}

impl Default for Block {
    fn default() -> Self {
        Self::Nth(1)
    }
}

impl FromStr for Block {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            _ if text == "all" => Ok(Self::All),
            Ok(number @ 1..) => Ok(Self::Nth(number)),
            Ok(0) | Err(_) => Err("a number from 1, or all".to_owned()),
        }
    }
}

/// What became of what was wanted, once the answer is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was given.
    Whole,
    /// It was given, and there is more of its kind; a message says how to have that.
    More(String),
    /// There was no fence, so the answer was given as it is.
    AsIs,
    /// It is not whole or not there; a message says why.
    Lacking(String),
}

/// Finds the wanted code of one answer.
pub(crate) struct Extract {
    wanted: Wanted,
    parser: Parser,
    blocks: Blocks,
    /// What may be all there is; see [`KEPT`].
    kept: Held,
    /// There was too much to keep without any fence: what comes is passed on.
    as_is: bool,
    /// The beginning of a rest, as long as it may be a fence that is open already.
    seam: Option<String>,
}

/// What is known of the blocks.
#[derive(Debug, Default)]
struct Blocks {
    inside: Inside,
    /// The label of the one that was begun last.
    current: String,
    /// The label of the first that was given.
    label: Option<String>,
    /// How many had the label in question, or any where none is.
    matching: u32,
    /// How many had no label, where one is in question.
    unlabelled: u32,
    /// The other labels, each once.
    others: Vec<String>,
    /// The wanted ones of those without a label, in case none has the right one.
    aside: Aside,
    /// Whether any was given.
    given: bool,
    /// Whether the answer is over: what is still open now is never closed.
    finishing: bool,
    /// Whether one that was given was never closed.
    unclosed: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Inside {
    /// No fenced block.
    #[default]
    Nothing,
    /// One that is given.
    Given,
    /// One that is kept aside.
    Aside,
    /// One that is not wanted.
    Skipped,
}

/// Code that is given only if nothing better comes.
#[derive(Debug, Default)]
struct Aside {
    code: Held,
    /// Whether there is any, be it empty.
    any: bool,
    /// It was too long to keep.
    too_long: bool,
    /// It was never closed.
    unclosed: bool,
}

/// Text of which it is not known yet whether it is to be given.
#[derive(Debug, Default)]
struct Held {
    text: String,
    /// How much of it, from its beginning, is not to be given in any case.
    forgotten: usize,
}

impl Extract {
    /// Nothing has come yet.
    pub(crate) fn new(wanted: Wanted) -> Self {
        Self {
            wanted,
            parser: Parser::new(Limits::default()),
            blocks: Blocks::default(),
            kept: Held::default(),
            as_is: false,
            seam: None,
        }
    }

    /// Takes the beginning of an answer whose rest comes from now on, as [`Extract::push`]. A model that is asked for the
    /// rest tends to open the fence again that it stands in: that line is no code.
    pub(crate) fn go_on(&mut self, before: &str, out: &mut String) {
        self.push(before, out);
        self.seam = (self.blocks.inside != Inside::Nothing).then(String::new);
    }

    /// Takes the next piece of the answer and appends what is certainly code. Returns true once, where there has been
    /// too much text without a fence and the answer is passed on as it is from now on.
    pub(crate) fn push(&mut self, text: &str, out: &mut String) -> bool {
        let Some(mut seam) = self.seam.take() else {
            return self.read(text, out);
        };
        seam.push_str(text);
        match opened_again(&seam, &self.blocks.current) {
            Some(fence) => self.read(&seam[fence..], out),
            None => {
                self.seam = Some(seam);
                false
            }
        }
    }

    fn read(&mut self, text: &str, out: &mut String) -> bool {
        if self.as_is {
            out.push_str(text);
            return false;
        }
        let (blocks, wanted) = (&mut self.blocks, &self.wanted);
        self.parser
            .push(text, &mut |event: Event<'_>| blocks.see(event, wanted, out));
        if self.blocks.fences() > 0 {
            self.kept = Held::default();
            return false;
        }
        self.kept.text.push_str(text);
        self.as_is = self.kept.text.len() > KEPT && self.wanted.is_met_without_fence();
        if self.as_is {
            out.push_str(&self.kept.take());
        } else if self.kept.text.len() > KEPT {
            self.kept = Held::default();
        }
        self.as_is
    }

    /// What is kept aside by now was given before, to somebody who goes on with it: it is not given again.
    pub(crate) fn forget_held(&mut self) {
        for held in [&mut self.kept, &mut self.blocks.aside.code] {
            held.forgotten = held.text.len();
        }
    }

    /// The language of the code, as far as the answer or the question tells; empty if neither does.
    pub(crate) fn language(&self) -> &str {
        let told = self.blocks.label.as_deref().filter(|label| !label.is_empty());
        told.or(self.wanted.lang.as_deref()).unwrap_or_default()
    }

    /// The answer is over: appends what is only certain now.
    pub(crate) fn finish(&mut self, out: &mut String) -> Outcome {
        if let Some(seam) = self.seam.take() {
            self.read(&seam, out);
        }
        if self.as_is {
            return Outcome::AsIs;
        }
        let (blocks, wanted) = (&mut self.blocks, &self.wanted);
        blocks.finishing = true;
        let parser = std::mem::replace(&mut self.parser, Parser::new(Limits::default()));
        parser.finish(|event: Event<'_>| blocks.see(event, wanted, out));
        if blocks.fences() == 0 && wanted.is_met_without_fence() {
            out.push_str(&self.kept.take());
            return Outcome::AsIs;
        }
        blocks.outcome(wanted, out)
    }
}

impl Blocks {
    fn fences(&self) -> u32 {
        self.matching + self.unlabelled + u32::try_from(self.others.len()).unwrap_or(u32::MAX)
    }

    fn see(&mut self, event: Event<'_>, wanted: &Wanted, out: &mut String) {
        match event {
            Event::Begin {
                block: aurora_render::Block::Code { info: Some(info) },
                ..
            } => self.begin(info, wanted),
            Event::Verbatim(code) => match self.inside {
                Inside::Given => out.push_str(code),
                Inside::Aside => self.aside.push(code),
                Inside::Skipped | Inside::Nothing => {}
            },
            Event::End { closed } => {
                // One that ends with the list or quote it stands in has its end, though nobody wrote it.
                let unclosed = self.finishing && !closed;
                match std::mem::take(&mut self.inside) {
                    Inside::Given => self.unclosed |= unclosed,
                    Inside::Aside => self.aside.unclosed |= unclosed,
                    Inside::Skipped | Inside::Nothing => {}
                }
            }
            _ => {}
        }
    }

    fn begin(&mut self, info: &str, wanted: &Wanted) {
        let label = label_of(info);
        label.clone_into(&mut self.current);
        let matches = wanted
            .lang
            .as_deref()
            .is_none_or(|lang| same_language(lang, label));
        self.inside = if matches {
            self.matching += 1;
            if wanted.block.includes(self.matching) {
                self.given = true;
                self.label.get_or_insert_with(|| label.to_owned());
                Inside::Given
            } else {
                Inside::Skipped
            }
        } else if label.is_empty() {
            self.unlabelled += 1;
            if wanted.block.includes(self.unlabelled) && self.matching == 0 {
                self.aside.any = true;
                Inside::Aside
            } else {
                Inside::Skipped
            }
        } else {
            let label = label.to_lowercase();
            if self.others.len() < NAMED && !self.others.contains(&label) {
                self.others.push(label);
            }
            Inside::Skipped
        };
    }

    fn outcome(&mut self, wanted: &Wanted, out: &mut String) -> Outcome {
        let of_kind = if self.matching == 0 && self.aside.any {
            if self.aside.too_long {
                let message = "the code block without a label is larger than 1 MiB, and was not kept; ask without --lang";
                return Outcome::Lacking(message.to_owned());
            }
            out.push_str(&self.aside.code.take());
            self.given = true;
            self.unclosed |= self.aside.unclosed;
            self.unlabelled
        } else {
            self.matching
        };
        if !self.given {
            return Outcome::Lacking(self.lack(of_kind, wanted));
        }
        if self.unclosed {
            return Outcome::Lacking("the fence around the code was never closed".to_owned());
        }
        match wanted.block {
            Block::Nth(number) if of_kind > number => Outcome::More(format!(
                "the answer has {of_kind} code blocks, of which this is number {number}; --block N or --block all gives others"
            )),
            Block::Nth(_) | Block::All => Outcome::Whole,
        }
    }

    /// Why nothing was given.
    fn lack(&self, of_kind: u32, wanted: &Wanted) -> String {
        let label = wanted
            .lang
            .as_deref()
            .map_or_else(String::new, |lang| format!(" labelled {lang}"));
        let others = match self.others.as_slice() {
            [] => String::new(),
            others => format!(" (others are labelled {})", visible::line(&others.join(", "))),
        };
        match (of_kind, wanted.block) {
            (0, _) => format!("the answer has no code block{label}{others}"),
            (1, Block::Nth(number)) => {
                format!("the answer has one code block{label}, and no number {number}")
            }
            (_, Block::Nth(number)) => {
                format!("the answer has {of_kind} code blocks{label}, and no number {number}")
            }
            (_, Block::All) => format!("the answer has no code block{label}"),
        }
    }
}

impl Aside {
    fn push(&mut self, code: &str) {
        if self.code.text.len() + code.len() > KEPT {
            self.too_long = true;
            self.code = Held::default();
        }
        if !self.too_long {
            self.code.text.push_str(code);
        }
    }
}

impl Held {
    /// What is to be given of it.
    fn take(&mut self) -> String {
        let Self { mut text, forgotten } = std::mem::take(self);
        text.drain(..forgotten);
        text
    }
}

impl Wanted {
    /// Whether an answer without any fence is what was wanted.
    fn is_met_without_fence(&self) -> bool {
        self.block.includes(1)
    }
}

impl Block {
    fn includes(self, number: u32) -> bool {
        match self {
            Self::All => true,
            Self::Nth(wanted) => wanted == number,
        }
    }
}

/// Names that mean one language, the usual one first.
const NAMES: &[&[&str]] = &[
    &["bash", "sh", "shell", "zsh", "console"],
    &["c++", "cpp", "cc", "cxx", "hpp"],
    &["c#", "csharp", "cs"],
    &["f#", "fsharp", "fs"],
    &["go", "golang"],
    &["haskell", "hs"],
    &["javascript", "js", "mjs", "jsx", "node"],
    &["kotlin", "kt"],
    &["makefile", "make"],
    &["markdown", "md"],
    &["objective-c", "objectivec", "objc"],
    &["perl", "pl"],
    &["powershell", "ps1", "pwsh"],
    &["python", "py", "python3"],
    &["ruby", "rb"],
    &["rust", "rs"],
    &["text", "txt", "plain", "plaintext"],
    &["typescript", "ts", "tsx"],
    &["yaml", "yml"],
];

fn label_of(info: &str) -> &str {
    info.split([' ', '\t', ',', '{']).next().unwrap_or_default()
}

/// How much of this text, which stands inside of a fence with this label, is that fence once more; `None` if that is not
/// known yet. One without a label is the end of the fence.
fn opened_again(text: &str, open: &str) -> Option<usize> {
    let fence = text.trim_start_matches(['`', '~']);
    let marks = text.len() - fence.len();
    let line = fence.split_once('\n').map(|(line, _)| line);
    let may_be = line.unwrap_or(fence);
    if fence.is_empty() && marks <= FENCE_LINE {
        return None;
    }
    if marks < 3 || may_be.len() > FENCE_LINE || may_be.contains('`') {
        return Some(0);
    }
    let label = label_of(line?.trim());
    let is_same = !label.is_empty() && (open.is_empty() || same_language(open, label));
    Some(if is_same { marks + may_be.len() + 1 } else { 0 })
}

fn same_language(wanted: &str, label: &str) -> bool {
    let (wanted, label) = (wanted.to_lowercase(), label.to_lowercase());
    wanted == label
        || NAMES
            .iter()
            .any(|names| names.contains(&wanted.as_str()) && names.contains(&label.as_str()))
}

impl fmt::Debug for Extract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extract")
            .field("wanted", &self.wanted)
            .field("blocks", &self.blocks)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
