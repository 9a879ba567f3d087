//! The commands, one file each.

use crate::args::{Cli, Command, Common, HistoryCommand};
use crate::code::Wanted;
use crate::problem::{Problem, Result};
use crate::settings::{self, Env};
use crate::{console, log};

mod ask;
mod batch;
mod chat;
mod code;
mod config;
mod continuing;
mod history;
mod model;
mod replay;
mod serve;
mod summarize;

/// Runs a command; returns the exit code.
///
/// # Errors
/// What keeps the command from running, as opposed to the verdict of an answer.
pub(crate) fn run(command: Command, flags: &Common) -> Result<u8> {
    let env = Env::of_process();
    if !matches!(
        command,
        Command::Ask { .. }
            | Command::Batch(_)
            | Command::Chat { .. }
            | Command::Code { .. }
            | Command::Replay { .. }
            | Command::Summarize(_)
    ) {
        // Those do it by themselves: with --json, even a log that cannot be started is told in an `end`.
        refuse_record(flags)?;
        log::start(flags)?;
    }
    match command {
        Command::Ask { prompt } => ask::run(&prompt, flags, env),
        Command::Batch(args) => batch::run(&args, flags, env),
        Command::Chat { prompt, edit_keys } => chat::run(&prompt, edit_keys, flags, env),
        Command::Code {
            prompt,
            output,
            block,
            lang,
        } => code::run(&prompt, output.as_deref(), Wanted { block, lang }, flags, env),
        Command::Replay { file, speed } => replay::run(&file, speed, flags, env),
        Command::Summarize(args) => summarize::run(&args, flags, env),
        Command::Serve { listen } => serve::run(&settings::load(flags, listen, env)?),
        Command::History { command } => {
            let list = HistoryCommand::List { number: 20 };
            history::run(command.unwrap_or(list), flags, env)
        }
        Command::Model(command) => model::run(&command, flags, &settings::load(flags, None, env)?),
        Command::Config(command) => config::run(command, flags, env),
        Command::Completions { shell } => completions(shell),
        Command::Man { command } => man(command.as_deref()),
    }
}

pub(crate) use ask::request;

/// `--record` where there is nothing to record.
fn refuse_record(flags: &Common) -> Result<()> {
    match flags.record {
        None => Ok(()),
        Some(_) => Err(Problem::usage(
            "--record keeps the exchange of one answer (aurora PROMPT); this command asks for none",
        )),
    }
}

fn completions(shell: clap_complete::Shell) -> Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(
        shell,
        &mut <Cli as clap::CommandFactory>::command(),
        "aurora",
        &mut script,
    );
    print_bytes(&script)
}

fn man(command: Option<&str>) -> Result<u8> {
    let mut cli = <Cli as clap::CommandFactory>::command();
    cli.build();
    let page = match command {
        None => cli,
        Some(name) => cli
            .find_subcommand(name)
            .cloned()
            .map(|command| command.display_name(format!("aurora-{name}")))
            .ok_or_else(|| {
                Problem::usage(format!(
                    "there is no command \"{name}\"; aurora --help lists them"
                ))
            })?,
    };
    let mut roff = Vec::new();
    clap_mangen::Man::new(page)
        .render(&mut roff)
        .map_err(|error| Problem::internal(format!("cannot render the manual: {error}")))?;
    print_bytes(&roff)
}

fn print_bytes(bytes: &[u8]) -> Result<u8> {
    console::print(&String::from_utf8_lossy(bytes))?;
    Ok(0)
}

/// A runtime for commands that wait for more than one thing.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Problem::internal(format!("cannot start the runtime: {error}")))
}
