//! The `aurora` command: arguments, settings, commands, and the only code that touches a terminal.
//!
//! Everything that makes or moves answers is in the libraries. Here an answer is one stream of updates, wherever it
//! comes from, that one printer writes; its verdict is the exit code. `--help` and `--version` read no file and start
//! no thread.

use std::ffi::OsString;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

mod args;
mod batch;
mod claimed;
mod code;
mod commands;
mod console;
mod cpu;
mod delivery;
mod files;
mod history;
mod log;
mod many;
mod output;
mod private;
mod problem;
mod prompt;
mod recording;
mod roles;
mod schema;
mod settings;
mod signals;
mod source;
mod summarize;
mod terminal;

use problem::Result;

/// What a processor lacks is found before any code that may need it.
fn main() -> ExitCode {
    let missing = cpu::missing();
    if missing.is_empty() {
        return run();
    }
    let missing = missing.join(", ");
    console::tell(&format!(
        "this build of aurora needs a newer processor ({missing}); build it with RUSTFLAGS=\"-C target-cpu=native\" on this machine"
    ));
    ExitCode::from(3)
}

/// Not inlined into `main`, whose own code must not need anything the check has not seen yet.
#[inline(never)]
fn run() -> ExitCode {
    panic::set_hook(Box::new(|info| {
        console::tell(&format!("bug: {info}"));
        console::tell("this is a mistake in aurora, please report it with the line above");
    }));
    let result = panic::catch_unwind(AssertUnwindSafe(|| dispatch(std::env::args_os().collect())));
    match result {
        Ok(Ok(code)) => ExitCode::from(code),
        Ok(Err(problem)) => {
            if !problem.is_quiet() {
                console::tell(&problem.to_string());
            }
            ExitCode::from(problem.exit_code())
        }
        // The hook has told what there is to tell.
        Err(_) => ExitCode::from(1),
    }
}

fn dispatch(line: Vec<OsString>) -> Result<u8> {
    if let Some(code) = summarize::outside::serve(&line) {
        return Ok(code);
    }
    let wants_end = args::wants_events(&line);
    let cli = match args::parse(line) {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            let message = error.render().to_string();
            console::tell_raw(&message);
            if wants_end {
                delivery::refuse(args::summary(&message))?;
            }
            return Ok(2);
        }
        Err(help_or_version) => {
            console::print(&help_or_version.render().to_string())?;
            return Ok(0);
        }
    };
    let (command, flags) = cli.into_parts();
    commands::run(command, &flags)
}
