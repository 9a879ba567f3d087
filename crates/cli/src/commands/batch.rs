//! `aurora batch`: thousands of answers, restartable.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::args::{BatchArgs, Common};
use crate::batch::estimate::Estimate;
use crate::batch::index::{Fate, Index};
use crate::batch::input::Input;
use crate::batch::output::{Output, Survey};
use crate::batch::progress::{Progress, Snapshot};
use crate::batch::run::{Defaults, Halt, Run, Summary};
use crate::batch::sources::Sources;
use crate::batch::tally::items;
use crate::batch::writer::Writer;
use crate::output::{Place, Printer, Style, json_line};
use crate::problem::{Problem, Result};
use crate::settings::{self, Env, Settings};
use crate::signals::{self, Stop};
use crate::{console, delivery, files, log, roles};

/// The exit code where not every item is complete.
const NOT_COMPLETE: u8 = 10;

/// Does what is missing; returns the exit code.
///
/// # Errors
/// The input, the output or the settings cannot be used; nothing is sent then. Or nothing can be written any more.
pub(super) fn run(args: &BatchArgs, flags: &Common, env: Env) -> Result<u8> {
    let result = start(args, flags, env);
    if let Err(problem) = &result
        && flags.json
        && let Some(kind) = problem.name()
    {
        // The message on stderr is the caller's to write.
        let _ = delivery::refuse_as(kind, &problem.to_string());
    }
    result
}

fn start(args: &BatchArgs, flags: &Common, env: Env) -> Result<u8> {
    refuse_others(flags)?;
    let style = console::style(flags, &env)?;
    log::start(flags)?;
    let stop = signals::listen()
        .map_err(|error| Problem::internal(format!("cannot listen for signals: {error}")))?;
    let system = roles::system(flags, &env)?;
    let settings = settings::load(flags, None, env)?;
    let defaults = Defaults::of(flags, system, args.override_, &settings)?;
    let runtime = super::runtime()?;
    let batch = Batch {
        args,
        settings: &settings,
        style,
        stop,
    };
    let result = batch.prepare(&runtime, defaults);
    // Waits for nothing: neither for a connection nor for a thread that reads a model or a pipe.
    runtime.shutdown_background();
    result
}

/// Flags that are about one answer.
fn refuse_others(flags: &Common) -> Result<()> {
    for (given, name, instead) in [
        (
            flags.record.is_some(),
            "--record",
            "keeps the exchange of one answer",
        ),
        (!flags.files.is_empty(), "-f", "adds a file to one prompt"),
        (flags.continue_.is_some(), "-c", "goes on with one conversation"),
    ] {
        if given {
            return Err(Problem::usage(format!(
                "{name} {instead}; a batch takes all it asks for from its input"
            )));
        }
    }
    Ok(())
}

/// A batch before it runs.
struct Batch<'a> {
    args: &'a BatchArgs,
    settings: &'a Settings,
    style: Style,
    stop: Stop,
}

impl Batch<'_> {
    fn prepare(self, runtime: &tokio::runtime::Runtime, defaults: Defaults) -> Result<u8> {
        let Some(input) = self.open_input(runtime)? else {
            return self.cancelled();
        };
        if let Some(output) = &self.args.output
            && input.is(output)
        {
            return Err(Problem::usage(format!(
                "--output {}: is the input",
                output.display()
            )));
        }
        let Some(mut index) = input.index(&|| self.stop.is_requested())? else {
            return self.cancelled();
        };
        let sources = Sources::new(self.settings)?;
        let Some(output) = self.args.output.as_deref().filter(|_| !self.args.dry_run) else {
            return self.tell_only(&input, index, &defaults, sources);
        };
        files::raise_limit();
        let mut output_file = Output::open(output)?;
        let surveyed = output_file.survey(input.name(), &mut index);
        let mut survey = match surveyed {
            Ok(survey) => survey,
            Err(problem) => {
                output_file.discard();
                return Err(problem);
            }
        };
        let mut notes = Vec::new();
        if let Some(mended) = output_file.mend(&mut survey)? {
            notes.push(format!("{}: {mended}", output.display()));
        }
        if self.args.retry_failed {
            let forgotten = output_file.forget_failed(&mut survey, &mut index)?;
            if forgotten > 0 {
                notes.push(format!(
                    "{forgotten} failed results are removed; these items are done again"
                ));
            }
        }
        let (file, end) = output_file.end()?;
        let writer = Writer::start(file, end)
            .map_err(|error| Problem::internal(format!("cannot start a thread: {error}")))?;
        let mut progress = Progress::new(&self.style, self.style.countdown != Place::Nowhere);
        let total = index.len() as u64;
        let snapshot = Snapshot {
            total,
            done: survey.tally.all(),
            ..Snapshot::default()
        };
        let begun = progress.begin(
            &input.name().display().to_string(),
            &output.display().to_string(),
            &snapshot,
        );
        for note in notes {
            progress.note(&note);
        }
        let ran = begun.and_then(|()| {
            let run = Run::new(
                input.items()?,
                index,
                survey.tally,
                defaults,
                sources,
                &writer,
                &mut progress,
                usize::try_from(self.args.jobs).unwrap_or(usize::MAX),
                self.args.max_total_tokens,
            );
            runtime.block_on(run.run(self.stop.clone()))
        });
        progress.clear();
        // Whatever happened, what has ended is written.
        let written = writer.finish().map_err(|error| cannot_write(output, &error));
        let summary = match (written, ran) {
            (Err(problem), _) | (Ok(_), Err(problem)) => return Err(problem),
            (Ok(_), Ok(summary)) => summary,
        };
        output_file.check_place()?;
        for line in told(&summary, self.args.retry_failed) {
            console::tell(&line);
        }
        let code = exit_code(&summary);
        progress.end(&end_fields(&summary, code))?;
        Ok(code)
    }

    /// A signal came before anything was asked.
    fn cancelled(&self) -> Result<u8> {
        let mut printer = Printer::new(self.style, io::stdout().lock(), io::stderr());
        delivery::cancelled(&mut printer)
    }

    /// The input; `None` if a signal came while it was waited for.
    fn open_input(&self, runtime: &tokio::runtime::Runtime) -> Result<Option<Input>> {
        let name = self.args.input.clone();
        let folder = match self.args.output.as_deref().and_then(Path::parent) {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ if self.args.output.is_some() => PathBuf::from("."),
            _ => std::env::temp_dir(),
        };
        let mut stop = self.stop.clone();
        runtime.block_on(async {
            tokio::select! {
                biased;
                () = stop.requested() => Ok(None),
                opened = tokio::task::spawn_blocking(move || Input::open(&name, &folder)) => {
                    opened.map_err(|_| Problem::internal("the thread that opens the input ended"))?.map(Some)
                }
            }
        })
    }

    /// `--dry-run`.
    fn tell_only(
        &self,
        input: &Input,
        mut index: Index,
        defaults: &Defaults,
        sources: Sources<'_>,
    ) -> Result<u8> {
        let survey = match &self.args.output {
            Some(output) => Output::look(output, input.name(), &mut index)?,
            None => None,
        };
        let tally = survey.map(|survey: Survey| survey.tally).unwrap_or_default();
        let failed = tally.failed();
        if self.args.retry_failed {
            index.forget(Fate::Failed);
        }
        let done = tally.all() - if self.args.retry_failed { failed } else { 0 };
        let all = input.items()?;
        let Some(estimate) = Estimate::of(all, &index, defaults, sources, &|| self.stop.is_requested())?
        else {
            return self.cancelled();
        };
        for reason in &estimate.reasons {
            console::tell(reason);
        }
        if self.style.json {
            let fields = [
                ("items", json!(index.len())),
                ("done", json!(done)),
                ("to_do", json!(estimate.items())),
                ("bad", json!(estimate.bad)),
                ("models", estimate.to_json()),
            ];
            console::print(&json_line("dry_run", &fields))?;
        } else {
            let text = format!(
                "{}: {} to do, {done} done, {} that cannot be asked for\n{}",
                items(index.len() as u64),
                estimate.items(),
                estimate.bad,
                estimate.to_text()
            );
            console::print(&text)?;
        }
        Ok(if estimate.bad > 0 { NOT_COMPLETE } else { 0 })
    }
}

fn cannot_write(output: &Path, error: &io::Error) -> Problem {
    Problem::output(format!(
        "cannot write {}: {error}; the results in it are whole, and the same command goes on",
        output.display()
    ))
}

fn exit_code(summary: &Summary) -> u8 {
    match &summary.halt {
        Some(Halt::Signal) => signals::EXIT_CODE,
        _ if summary.tally.complete == summary.snapshot.total => 0,
        _ => NOT_COMPLETE,
    }
}

/// What is told at the end.
fn told(summary: &Summary, retried: bool) -> Vec<String> {
    let snapshot = &summary.snapshot;
    let mut lines = Vec::new();
    let missing = snapshot.total - snapshot.done;
    let left = match missing {
        0 => String::new(),
        missing => format!(", {missing} not done"),
    };
    lines.push(format!("{}: {}{left}", items(snapshot.total), summary.tally));
    if snapshot.done_now > 0 {
        let (input, output, estimated) = summary.tokens;
        let estimated = match estimated {
            0 => String::new(),
            estimated => format!(" ({estimated} of them estimated)"),
        };
        let repeated = match summary.repeated {
            0 => String::new(),
            1 => ", 1 retry".to_owned(),
            more => format!(", {more} retries"),
        };
        lines.push(format!(
            "this run: {} results in {:.1} s ({:.1} a second), {input} tokens of prompts and {output} of answers{estimated}{repeated}",
            snapshot.done_now,
            snapshot.elapsed.as_secs_f64(),
            snapshot.rate(),
        ));
    }
    match &summary.halt {
        Some(Halt::Signal) => lines.push("cancelled; the same command goes on".to_owned()),
        Some(Halt::Budget) => lines.push(format!(
            "stopped: the budget of --max-total-tokens is spent ({} tokens); the same command goes on",
            summary.tokens.0 + summary.tokens.1
        )),
        Some(Halt::TooLong(wait)) => lines.push(format!(
            "stopped: the server asks to wait {} s, which is too long; the same command goes on later",
            wait.as_secs()
        )),
        None => {}
    }
    if summary.tally.failed() > 0 {
        lines.push(match retried {
            true => "failed items say why in the output; --retry-failed does them once more".to_owned(),
            false => "failed items say why in the output; --retry-failed does them again".to_owned(),
        });
    }
    lines
}

fn end_fields(summary: &Summary, code: u8) -> [(&'static str, serde_json::Value); 9] {
    let verdict = match (&summary.halt, code) {
        (Some(Halt::Signal), _) => "cancelled",
        (_, 0) => "complete",
        _ => "failed",
    };
    let error = match &summary.halt {
        Some(Halt::Signal) => Some(("cancelled", "cancelled")),
        Some(Halt::Budget) => Some(("budget", "the budget of tokens is spent")),
        Some(Halt::TooLong(_)) => Some(("wait", "the server asks for a wait that is too long")),
        None if code == NOT_COMPLETE => Some(("items", "not all items are complete")),
        None => None,
    };
    [
        ("verdict", json!(verdict)),
        ("finish_reason", json!(null)),
        (
            "error",
            json!(error.map(|(kind, message)| json!({"kind": kind, "message": message}))),
        ),
        ("elapsed_ms", json!(summary.snapshot.elapsed.as_millis() as u64)),
        ("input_tokens", json!(summary.tokens.0)),
        ("output_tokens", json!(summary.tokens.1)),
        ("items", json!(summary.snapshot.total)),
        ("results", summary.tally.to_json()),
        ("not_done", json!(summary.snapshot.total - summary.snapshot.done)),
    ]
}
