//! Shows how far the work is: a bar on a terminal, and a line for each part elsewhere; with `--watch` also what comes of parts.
//!
//! The bar is there until the summary begins on the same terminal. From then on the printer has it, and what is to be told is
//! left for [`Told`], which the printer's side asks for.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aurora_render::visible;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use unicode_width::UnicodeWidthChar as _;

use super::pace::Pace;
use crate::console;
use crate::output::{Place, Style};

/// How often the bar is drawn anew, so that its times go on.
const TICK: Duration = Duration::from_millis(250);

/// The least time between two lines about parts where there is no bar.
const LINES: Duration = Duration::from_secs(1);

/// The most that waits for the printer.
const MAX_WAITING: usize = 256;

/// How much of a part's text is kept for its tail.
const TAIL: usize = 256;

/// Where progress is shown.
pub(crate) struct Progress {
    shown: Shown,
    watch: bool,
    beside_answer: bool,
    told: Told,
    /// When the last line was written.
    last: Option<Duration>,
}

enum Shown {
    Lines,
    Bars {
        all: MultiProgress,
        /// Drawn from the first part on: before that, a model may be fetched, which has a bar of its own.
        main: ProgressBar,
        /// The parts under way, where they are watched.
        parts: BTreeMap<usize, (ProgressBar, String, String)>,
    },
    /// The printer has the terminal.
    Printer,
}

/// What the printer's side is to show.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    lines: VecDeque<String>,
    forms: Vec<String>,
    has_bar: bool,
    kept: usize,
}

impl Told {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lines that have come since.
    pub(crate) fn take_lines(&self) -> Vec<String> {
        self.lock().lines.drain(..).collect()
    }

    /// How many answers were kept for the next run.
    pub(crate) fn kept(&self) -> usize {
        self.lock().kept
    }

    /// What may be said while nothing comes; `None` while a bar says it.
    pub(crate) fn forms(&self) -> Option<Vec<String>> {
        let waiting = self.lock();
        (!waiting.has_bar).then(|| waiting.forms.clone())
    }
}

impl Progress {
    /// Begins to show it.
    pub(crate) fn new(style: Style, watch: bool) -> Self {
        let told = Told::default();
        let has_bar = style.countdown != Place::Nowhere;
        told.lock().has_bar = has_bar;
        Self {
            shown: if has_bar { bars() } else { Shown::Lines },
            watch,
            beside_answer: matches!(style.countdown, Place::BesideAnswer | Place::BeforeAnswer),
            told,
            last: None,
        }
    }

    /// What the printer's side is to show.
    pub(crate) fn told(&self) -> Told {
        self.told.clone()
    }

    /// So far the work is.
    pub(crate) fn pace(&mut self, pace: &Pace, part_done: bool) {
        let forms = pace.forms();
        match &self.shown {
            Shown::Bars { main, .. } => {
                let is_first = main.length() == Some(0);
                main.set_length(pace.known as u64);
                main.set_position(pace.done as u64);
                main.set_message(forms[0].clone());
                if is_first {
                    main.enable_steady_tick(TICK);
                }
            }
            Shown::Lines => {
                let due =
                    self.last.is_none_or(|last| pace.elapsed >= last + LINES) || pace.done == pace.known;
                if part_done && due {
                    self.last = Some(pace.elapsed);
                    console::tell(&forms[0]);
                }
            }
            Shown::Printer => {}
        }
        self.told.lock().forms = forms;
    }

    /// A part is asked for.
    pub(crate) fn begun(&mut self, id: usize, name: &str) {
        if let Shown::Bars { all, parts, .. } = &mut self.shown
            && self.watch
        {
            let bar = all.add(ProgressBar::no_length());
            bar.set_style(plain_style());
            bar.set_message(format!("{name}:"));
            parts.insert(id, (bar, format!("{name}: "), String::new()));
        }
    }

    /// This has come of it.
    pub(crate) fn text(&mut self, id: usize, text: &str) {
        if let Shown::Bars { parts, .. } = &mut self.shown
            && let Some((bar, name, tail)) = parts.get_mut(&id)
        {
            visible::within_line(text, tail);
            if tail.len() > 2 * TAIL {
                let keep = tail.ceil_char_boundary(tail.len() - TAIL);
                tail.drain(..keep);
            }
            let room = console::size().columns.saturating_sub(name.len() + 1);
            bar.set_message(format!("{name}{}", last_columns(tail, room)));
        }
    }

    /// It is over, and this is all of it.
    pub(crate) fn ended(&mut self, id: usize, name: &str, text: Option<&str>) {
        if let Shown::Bars { all, parts, .. } = &mut self.shown
            && let Some((bar, ..)) = parts.remove(&id)
        {
            bar.finish_and_clear();
            all.remove(&bar);
        }
        if let Some(text) = text.filter(|_| self.watch) {
            let text = text
                .trim()
                .lines()
                .map(|line| format!("  {}\n", visible::line(line)))
                .collect::<String>();
            self.say(&format!("{name}:\n{}", text.trim_end()));
        }
    }

    /// Tells something, a line or several.
    pub(crate) fn tell(&mut self, message: &str) {
        self.say(&format!("aurora: {}", visible::line(message)));
    }

    fn say(&mut self, text: &str) {
        match &self.shown {
            Shown::Bars { all, .. } => all.suspend(|| console::tell_raw(&format!("{text}\n"))),
            Shown::Lines => console::tell_raw(&format!("{text}\n")),
            Shown::Printer => {
                let mut waiting = self.told.lock();
                if waiting.lines.len() < MAX_WAITING {
                    waiting.lines.extend(text.lines().map(str::to_owned));
                }
            }
        }
    }

    /// The summary begins: where it is shown on the same terminal, nothing else is from now on.
    pub(crate) fn give_way(&mut self) {
        if self.beside_answer {
            self.close();
        }
    }

    /// Whether the printer has the terminal.
    pub(crate) fn is_printers(&self) -> bool {
        matches!(self.shown, Shown::Printer)
    }

    /// Another answer is kept for the next run.
    pub(crate) fn kept(&self) {
        self.told.lock().kept += 1;
    }

    /// Takes the bar away.
    pub(crate) fn close(&mut self) {
        if let Shown::Bars { all, main, parts } = &mut self.shown {
            for (bar, ..) in std::mem::take(parts).into_values() {
                bar.finish_and_clear();
            }
            main.finish_and_clear();
            let _ = all.clear();
            self.shown = Shown::Printer;
            self.told.lock().has_bar = false;
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.close();
    }
}

fn bars() -> Shown {
    let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
    let main = all.add(ProgressBar::new(0));
    let style =
        ProgressStyle::with_template("[{bar:24}] {msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
    main.set_style(style.progress_chars("=> "));
    Shown::Bars {
        all,
        main,
        parts: BTreeMap::new(),
    }
}

fn plain_style() -> ProgressStyle {
    ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// The end of a text that takes at most so many columns.
fn last_columns(text: &str, columns: usize) -> &str {
    let mut width = 0;
    let start = text
        .char_indices()
        .rev()
        .take_while(|(_, c)| {
            width += c.width().unwrap_or(0);
            width <= columns
        })
        .last()
        .map_or(text.len(), |(at, _)| at);
    &text[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_fits_its_columns() {
        assert_eq!(last_columns("abcdef", 3), "def");
        assert_eq!(last_columns("雪停了", 5), "停了");
        assert_eq!(last_columns("ab", 0), "");
        assert_eq!(last_columns("ab", 9), "ab");
    }

    #[test]
    fn what_comes_after_the_summary_began_waits_for_the_printer() {
        let style = Style {
            countdown: Place::BesideAnswer,
            ..Style::default()
        };
        let mut progress = Progress::new(style, true);
        let told = progress.told();
        assert_eq!(told.forms(), None);
        progress.give_way();
        progress.pace(
            &Pace {
                done: 1,
                known: 2,
                ..Pace::default()
            },
            true,
        );
        progress.ended(0, "part 1 of 2", Some("It \u{1b}[31mrained.\n\nThen not."));
        assert_eq!(
            told.take_lines(),
            ["part 1 of 2:", "  It \u{241b}[31mrained.", "  ", "  Then not."]
        );
        assert_eq!(told.forms().unwrap()[2], "part 1 of 2");
        assert!(told.take_lines().is_empty());
    }
}
