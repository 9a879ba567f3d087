//! Where prompts come from: an editor on a terminal, lines elsewhere.
//!
//! The editor needs a terminal on all three standard streams that understands escape sequences. On one that does not
//! (`TERM=dumb`), and where prompts are piped in, a prompt is a line; `"""` and a backslash at its end make more of it.

use std::borrow::Cow;
use std::io::{self, BufRead as _, Read as _};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use nu_ansi_term::{Color, Style};
use reedline::{
    ColumnarMenu, DefaultHinter, EditCommand, EditMode, Emacs, FileBackedHistory, Highlighter, HistoryItem,
    KeyCode, KeyModifiers, Keybindings, MenuBuilder as _, Prompt, PromptEditMode, PromptHistorySearch,
    PromptViMode, Reedline, ReedlineEvent, ReedlineMenu, Signal, StyledText, ValidationResult, Validator, Vi,
    default_emacs_keybindings, default_vi_insert_keybindings, default_vi_normal_keybindings,
    default_vi_visual_keybindings,
};

use super::complete::Words;
use super::slash;
use crate::args::EditKeys;
use crate::console;
use crate::delivery::Delivery;
use crate::problem::{Problem, Result};

/// How many prompts the arrow keys go back.
pub(super) const REMEMBERED: usize = 1000;

/// The longest prompt that is read as lines, in bytes.
const MAX_BYTES: usize = 16 << 20;

/// The name by which the editor knows the menu of completions.
const MENU: &str = "completions";

/// What was typed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// This, whole.
    Text(String),
    /// Something that was thrown away.
    Nothing,
    /// Nothing more comes.
    End,
}

/// Where prompts come from.
pub(super) enum Input {
    /// A terminal.
    Editor(Box<Reedline>),
    /// Anything else; told whether a person sees a prompt.
    Lines { prompted: bool },
}

impl Input {
    /// An editor that knows these prompts already, the latest last. It stops reading when `over` is set.
    pub(super) fn editor(
        keys: EditKeys,
        words: Words,
        said: impl Iterator<Item = String>,
        color: bool,
        over: Arc<AtomicBool>,
    ) -> Result<Self> {
        let unusable =
            |error: reedline::ReedlineError| Problem::internal(format!("cannot edit prompts: {error}"));
        let mut history = FileBackedHistory::new(REMEMBERED).map_err(unusable)?;
        for prompt in said {
            let item = HistoryItem::from_command_line(prompt);
            reedline::History::save(&mut history, item).map_err(unusable)?;
        }
        let menu = ColumnarMenu::default().with_name(MENU).with_marker("> ");
        let mut editor = Reedline::create()
            .with_history(Box::new(history))
            .with_edit_mode(edit_mode(keys))
            .with_completer(Box::new(words))
            .with_menu(ReedlineMenu::EngineCompleter(Box::new(menu)))
            .with_quick_completions(true)
            .with_partial_completions(true)
            .with_validator(Box::new(Whole))
            .with_highlighter(Box::new(AsTyped))
            .with_ansi_colors(color)
            .with_break_signal(over)
            .use_bracketed_paste(true);
        if color {
            let hinter = DefaultHinter::default().with_style(Style::new().fg(Color::DarkGray));
            editor = editor.with_hinter(Box::new(hinter));
        }
        Ok(Self::Editor(Box::new(editor)))
    }

    /// Waits for what is typed next.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn next(&mut self, delivery: &Delivery) -> Result<Typed> {
        match self {
            Self::Editor(editor) => match editor.read_line(&Mark) {
                Ok(Signal::Success(text)) => Ok(Typed::Text(text)),
                Ok(Signal::CtrlC) => Ok(Typed::Nothing),
                Ok(Signal::CtrlD | Signal::ExternalBreak(_)) => Ok(Typed::End),
                Ok(_) => Ok(Typed::Nothing),
                Err(error) => Err(Problem::internal(format!(
                    "cannot read from the terminal: {error}"
                ))),
            },
            Self::Lines { prompted } => {
                let mut text = String::new();
                loop {
                    if *prompted {
                        console::tell_raw(if text.is_empty() { "> " } else { "… " });
                    }
                    // Standard input may keep this process waiting for ever, so it is read by a thread of its own.
                    match delivery.unless_stopped(read_line)? {
                        None => return Ok(Typed::End),
                        Some(None) if text.is_empty() => return Ok(Typed::End),
                        // What was left open at the end is what there is.
                        Some(None) => return Ok(Typed::Text(text)),
                        Some(Some(line)) => text += &line,
                    }
                    if text.len() > MAX_BYTES {
                        return Err(Problem::usage("a prompt is longer than the limit of 16 MiB"));
                    }
                    if !slash::is_open(text.strip_suffix('\n').unwrap_or(&text)) {
                        let end = text.trim_end_matches(['\n', '\r']).len();
                        text.truncate(end);
                        return Ok(Typed::Text(text));
                    }
                }
            }
        }
    }
}

/// One line, its line feed included; `None` at the end.
fn read_line() -> Result<Option<String>> {
    let mut bytes = Vec::new();
    let wrong = |what: &dyn std::fmt::Display| Problem::usage(format!("standard input: {what}"));
    io::stdin()
        .lock()
        .take(MAX_BYTES as u64 + 1)
        .read_until(b'\n', &mut bytes)
        .map_err(|error| wrong(&error))?;
    match String::from_utf8(bytes) {
        Ok(line) => Ok((!line.is_empty()).then_some(line)),
        Err(_) => Err(wrong(&"not UTF-8 text")),
    }
}

fn edit_mode(keys: EditKeys) -> Box<dyn EditMode> {
    match keys {
        EditKeys::Emacs => Box::new(Emacs::new(ours(default_emacs_keybindings()))),
        EditKeys::Vi => Box::new(Vi::new(
            ours(default_vi_insert_keybindings()),
            default_vi_normal_keybindings(),
            default_vi_visual_keybindings(),
        )),
    }
}

/// Tab completes, and Alt-Enter begins another line.
fn ours(mut keys: Keybindings) -> Keybindings {
    let complete = ReedlineEvent::UntilFound(vec![
        ReedlineEvent::Menu(MENU.to_owned()),
        ReedlineEvent::MenuNext,
    ]);
    keys.add_binding(KeyModifiers::NONE, KeyCode::Tab, complete);
    keys.add_binding(
        KeyModifiers::ALT,
        KeyCode::Enter,
        ReedlineEvent::Edit(vec![EditCommand::InsertNewline]),
    );
    keys
}

/// Tells the editor whether a text goes on.
struct Whole;

impl Validator for Whole {
    fn validate(&self, text: &str) -> ValidationResult {
        if slash::is_open(text) {
            ValidationResult::Incomplete
        } else {
            ValidationResult::Complete
        }
    }
}

/// What is typed has the terminal's own colour, which is right on a light background too.
struct AsTyped;

impl Highlighter for AsTyped {
    fn highlight(&self, line: &str, _cursor: usize) -> StyledText {
        let mut text = StyledText::new();
        text.push((Style::new(), line.to_owned()));
        text
    }
}

/// What stands before what is typed: short, since a terminal may have 20 columns.
struct Mark;

impl Prompt for Mark {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_indicator(&self, mode: PromptEditMode) -> Cow<'_, str> {
        Cow::Borrowed(match mode {
            PromptEditMode::Vi(PromptViMode::Normal) => ": ",
            _ => "> ",
        })
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        Cow::Borrowed("… ")
    }

    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        Cow::Owned(format!("(search: {}) ", search.term))
    }
}
