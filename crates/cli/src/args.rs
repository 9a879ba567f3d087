//! The command line as it is typed: names, help, and ranges of single flags.
//!
//! Nothing is resolved here; what a flag means together with variables and the configuration file is decided in
//! [`crate::settings`]. The first word decides: if it names a command, it is that command, otherwise all words are a
//! prompt and the command is `ask`. Flags work before and after the command, because the command is moved to the front
//! before clap sees the line.

mod batch;
mod config;
mod history;
mod model;
mod summarize;

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::code::Block;
use crate::roles;
use crate::settings::{MAX_RETRIES, file, units};

pub(crate) use batch::BatchArgs;
pub(crate) use config::ConfigCommand;
pub(crate) use history::{ExportFormat, HistoryCommand};
pub(crate) use model::ModelCommand;
pub(crate) use summarize::{SummarizeArgs, SummaryStyle};

/// What was typed.
#[derive(Debug, Parser)]
#[command(
    name = "aurora",
    version,
    about = "Stream answers of large language models, in a terminal and as a server.",
    after_help = "The first word decides: `aurora serve` is the command, `aurora -- serve` asks the model.\n\
                  More: aurora --help, aurora help COMMAND, aurora man",
    after_long_help = LONG_HELP,
    args_override_self = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    /// The prompt; words are joined by spaces, and piped standard input is added after a blank line
    #[arg(value_name = "PROMPT", allow_negative_numbers = true)]
    prompt: Vec<String>,
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    command: Option<Command>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Ask for one answer (the long form of `aurora PROMPT`)
    Ask {
        /// The prompt; words are joined by spaces, and piped standard input is added after a blank line
        #[arg(value_name = "PROMPT", allow_negative_numbers = true)]
        prompt: Vec<String>,
    },
    /// Ask for code, and print nothing but what stands inside its fence, as it is generated
    Code {
        /// What the code is to do; words are joined by spaces, and piped standard input is added after a blank line
        #[arg(value_name = "PROMPT", allow_negative_numbers = true)]
        prompt: Vec<String>,
        /// Write the code to this file once it is complete; until then, and if it never is, to FILE.partial
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Which of several code blocks: a number from 1, or all of them, one after the other
        #[arg(long, value_name = "N|all", default_value = "1")]
        block: Block,
        /// Ask for this programming language, and take only code labelled with it, or with nothing
        #[arg(long, value_name = "LANG", value_parser = language)]
        lang: Option<String>,
    },
    /// Talk with a model: a conversation with editing, history and completion (-c goes on with the latest)
    Chat {
        /// The first prompt
        #[arg(value_name = "PROMPT", allow_negative_numbers = true)]
        prompt: Vec<String>,
        /// Keys at the prompt [default: emacs]
        #[arg(long, value_name = "KEYS")]
        edit_keys: Option<EditKeys>,
    },
    /// Ask for thousands of answers, side by side: items in, results out, a line each; goes on where it was stopped
    Batch(BatchArgs),
    /// Play a recording that --record made: the same answer, verdict and exit code
    Replay {
        /// The recording; - is standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// How many times as fast as it was; 0 or max waits for nothing
        #[arg(long, value_name = "N", default_value = "1", value_parser = speed)]
        speed: Speed,
    },
    /// Summarize texts of any length: split, summarised side by side, merged, and shown as it grows
    Summarize(SummarizeArgs),
    /// Serve models over an OpenAI-style HTTP API
    Serve {
        /// Address and port to listen on [default: 127.0.0.1:8080]
        #[arg(long, value_name = "ADDR", value_parser = file::listen)]
        listen: Option<SocketAddr>,
    },
    /// List, show, search, export and remove conversations that were kept
    History {
        /// What to do [default: list]
        #[command(subcommand)]
        command: Option<HistoryCommand>,
    },
    /// List, pull, remove and measure local models
    #[command(subcommand)]
    Model(ModelCommand),
    /// Show, check and create the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        #[arg(value_name = "SHELL")]
        shell: clap_complete::Shell,
    },
    /// Print the manual page (roff; read it with `aurora man | man -l -`)
    Man {
        /// The page of this command instead of the main page
        #[arg(value_name = "COMMAND")]
        command: Option<String>,
    },
}

/// The flags that work with every command.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Common {
    /// Model: endpoint/NAME, local/NAME or an alias
    #[arg(short, long, global = true, value_name = "NAME", help_heading = "Model")]
    pub(crate) model: Option<String>,
    /// Endpoint: a name from the configuration, or the address of an API such as http://127.0.0.1:9000/v1
    #[arg(short, long, global = true, value_name = "NAME|URL", help_heading = "Model")]
    pub(crate) endpoint: Option<String>,
    /// Wire format of an endpoint given as an address
    #[arg(long, global = true, value_name = "DIALECT", help_heading = "Model")]
    pub(crate) dialect: Option<Dialect>,
    /// System prompt: a text, or the name of a file in the folder of roles; none unless given
    #[arg(short, long, global = true, value_name = "TEXT|NAME", help_heading = "Prompt")]
    pub(crate) system: Option<String>,
    /// What {{NAME}} is in a role (repeatable); {{os}}, {{shell}}, {{date}}, {{cwd}} and {{lang}} are known
    #[arg(long = "var", global = true, value_name = "NAME=VALUE", action = ArgAction::Append, value_parser = variable, help_heading = "Prompt")]
    pub(crate) vars: Vec<(String, String)>,
    /// Add a text or image file to the prompt, or those of a quoted pattern such as 'src/**/*.rs'; - is standard input (repeatable)
    #[arg(short, long = "file", global = true, value_name = "FILE", action = ArgAction::Append, help_heading = "Prompt")]
    pub(crate) files: Vec<PathBuf>,
    /// Go on with the latest conversation, or with the one of this id; without a prompt, with its unfinished answer
    #[arg(
        short,
        long = "continue",
        global = true,
        value_name = "ID",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "",
        help_heading = "Prompt"
    )]
    pub(crate) continue_: Option<String>,
    /// Sampling temperature, 0 to 2; 0 always takes the likeliest token
    #[arg(long, global = true, value_name = "T", value_parser = temperature, allow_negative_numbers = true, help_heading = "Generation")]
    pub(crate) temperature: Option<f32>,
    /// Nucleus sampling, above 0 up to 1
    #[arg(long, global = true, value_name = "P", value_parser = top_p, allow_negative_numbers = true, help_heading = "Generation")]
    pub(crate) top_p: Option<f32>,
    /// At most this many tokens of answer
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Generation")]
    pub(crate) max_tokens: Option<u32>,
    /// Seed of the sampling; with the local engine, the same seed gives the same text
    #[arg(
        long,
        global = true,
        value_name = "N",
        allow_negative_numbers = true,
        help_heading = "Generation"
    )]
    pub(crate) seed: Option<i64>,
    /// End the answer before this text (repeatable, at most four)
    #[arg(long, global = true, value_name = "TEXT", action = ArgAction::Append, value_parser = stop, allow_hyphen_values = true, help_heading = "Generation")]
    pub(crate) stop: Vec<String>,
    /// Answer in JSON that obeys the JSON schema in this file; a local model always does
    #[arg(long, global = true, value_name = "FILE", help_heading = "Generation")]
    pub(crate) json_schema: Option<PathBuf>,
    /// Print the answer's events as JSON, one object a line
    #[arg(long, global = true, help_heading = "Output")]
    pub(crate) json: bool,
    /// Plain text without decoration, Markdown as it came; to a pipe, the model's bytes unchanged
    #[arg(long, global = true, help_heading = "Output")]
    pub(crate) plain: bool,
    /// Show on stderr what the model thinks aloud
    #[arg(long, global = true, help_heading = "Output")]
    pub(crate) show_reasoning: bool,
    /// Tell on stderr what the answer cost: tokens and times
    #[arg(long, global = true, help_heading = "Output")]
    pub(crate) usage: bool,
    /// On a terminal, write what comes within this many milliseconds at once; 0 writes every piece [default: 16]
    #[arg(long, global = true, value_name = "N", value_parser = frame, help_heading = "Output")]
    pub(crate) frame_ms: Option<Frame>,
    /// Colour on a terminal [default: auto]
    #[arg(long, global = true, value_name = "WHEN", help_heading = "Output")]
    pub(crate) color: Option<ColorWhen>,
    /// Limit on connecting [default: 10s]
    #[arg(long, global = true, value_name = "DURATION", value_parser = deadline, help_heading = "Network")]
    pub(crate) connect_timeout: Option<Timeout>,
    /// Limit from sending the request to the first event [default: 120s]
    #[arg(long, global = true, value_name = "DURATION", value_parser = deadline, help_heading = "Network")]
    pub(crate) first_timeout: Option<Timeout>,
    /// Limit on silence in mid-stream [default: 60s]
    #[arg(long, global = true, value_name = "DURATION", value_parser = deadline, help_heading = "Network")]
    pub(crate) idle_timeout: Option<Timeout>,
    /// Limit on the whole call [default: off]
    #[arg(long, global = true, value_name = "DURATION", value_parser = deadline, help_heading = "Network")]
    pub(crate) total_timeout: Option<Timeout>,
    /// How often a failed call is tried again before the answer has begun [default: 4]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u32).range(..=i64::from(MAX_RETRIES)), help_heading = "Network")]
    pub(crate) retries: Option<u32>,
    /// Write the exchange with the upstream to this file, prompt and answer included, for aurora replay
    #[arg(long, global = true, value_name = "FILE", help_heading = "Network")]
    pub(crate) record: Option<PathBuf>,
    /// Configuration file instead of the usual one
    #[arg(long, global = true, value_name = "FILE", help_heading = "Settings")]
    pub(crate) config: Option<PathBuf>,
    /// Keep neither the prompt nor the answer in the history
    #[arg(long, global = true, help_heading = "Settings")]
    pub(crate) no_history: bool,
    /// Log to stderr: -v what happens, -vv details, -vvv everything, prompts included
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Settings")]
    pub(crate) verbose: u8,
    /// Write the log to this file as JSON lines instead
    #[arg(long, global = true, value_name = "FILE", help_heading = "Settings")]
    pub(crate) log_file: Option<PathBuf>,
}

/// `--dialect`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Dialect {
    /// The chat completions API of OpenAI and of everyone who copied it.
    Openai,
}

/// `--edit-keys`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum EditKeys {
    /// As in Emacs and most shells.
    #[default]
    Emacs,
    /// As in vi.
    Vi,
}

/// `--color`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorWhen {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Also where it is not a terminal; never with `TERM=dumb`.
    Always,
    /// Never.
    Never,
}

/// A deadline flag: a duration, or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timeout(pub(crate) Option<Duration>);

/// `--frame-ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame(pub(crate) Duration);

/// `--speed`: a factor above 0; infinity waits for nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Speed(pub(crate) f64);

impl Cli {
    /// The command, with a prompt alone read as `ask`.
    pub(crate) fn into_parts(self) -> (Command, Common) {
        let Self {
            prompt,
            common,
            command,
        } = self;
        (command.unwrap_or(Command::Ask { prompt }), common)
    }
}

/// Reads the command line, the program's name first.
///
/// # Errors
/// clap's, which is also how help and version are returned.
pub(crate) fn parse(line: Vec<OsString>) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(command_first(&Cli::command(), line))
}

/// Whether this line, be it ever so wrong, asks for an answer as JSON lines, which always have an end.
pub(crate) fn wants_events(line: &[OsString]) -> bool {
    let line = command_first(&Cli::command(), line.to_vec());
    let answers = line.get(1).is_none_or(|word| {
        ["ask", "batch", "chat", "code", "replay", "summarize"]
            .iter()
            .any(|command| word == command)
    });
    answers
        && line
            .iter()
            .take_while(|word| *word != "--")
            .filter_map(|word| word.to_str())
            .any(|word| word == "--json" || word.starts_with("--json="))
}

/// What a rendered mistake says at first: without tips and usage.
pub(crate) fn summary(message: &str) -> &str {
    let first = message.split("\n\n").next().unwrap_or_default().trim();
    first.strip_prefix("error: ").unwrap_or(first)
}

/// Moves the command in front of the flags, and puts `ask` in front where the first word is not a command.
///
/// Without it, a flag between two words of a prompt would let the second word be taken for a command, and values of
/// flags that were given on both sides of the command would be lost.
fn command_first(cli: &clap::Command, mut line: Vec<OsString>) -> Vec<OsString> {
    let Some(first) = first_word(cli, &line) else {
        return line;
    };
    let is_command = |word: &OsStr| {
        word.to_str()
            .is_some_and(|word| cli.get_subcommands().any(|command| command.get_name() == word))
    };
    let word = line[first].clone();
    if word == "--" {
        line.insert(1, "ask".into());
    } else if is_command(&word)
        || (word == "help" && line[first + 1..].iter().take(1).all(|word| is_command(word)))
    {
        line.remove(first);
        line.insert(1, word);
    } else {
        line.insert(1, "ask".into());
    }
    line
}

/// The place of the first word that is neither a flag nor the value of one; also of `--`.
fn first_word(cli: &clap::Command, line: &[OsString]) -> Option<usize> {
    let mut at = 1;
    while at < line.len() {
        let Some(text) = line[at].to_str() else {
            return Some(at);
        };
        let takes_next = match text.strip_prefix("--") {
            Some("") => return Some(at),
            Some(long) if long.contains('=') => false,
            Some(long) => takes_value(cli, |arg| arg.get_long() == Some(long)),
            None => match text.strip_prefix('-') {
                None | Some("") => return Some(at),
                Some(digits) if digits.starts_with(|c: char| c.is_ascii_digit()) => return Some(at),
                Some(cluster) => {
                    // In `-vm NAME` the first flag that takes a value takes the rest, or the next word.
                    let valued = cluster
                        .char_indices()
                        .find(|(_, c)| takes_value(cli, |arg| arg.get_short() == Some(*c)));
                    valued.is_some_and(|(at, c)| at + c.len_utf8() == cluster.len())
                }
            },
        };
        at += if takes_next { 2 } else { 1 };
    }
    None
}

fn takes_value(cli: &clap::Command, is_it: impl Fn(&clap::Arg) -> bool) -> bool {
    cli.get_arguments()
        .any(|arg| is_it(arg) && arg.get_action().takes_values() && !arg.is_require_equals_set())
}

fn temperature(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(value) if (0.0..=2.0).contains(&value) => Ok(value),
        Ok(_) | Err(_) => Err("a number from 0 to 2".to_owned()),
    }
}

fn top_p(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(value) if value > 0.0 && value <= 1.0 => Ok(value),
        Ok(_) | Err(_) => Err("a number above 0, at most 1".to_owned()),
    }
}

fn stop(text: &str) -> Result<String, String> {
    if text.is_empty() {
        Err("is empty".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

fn language(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("is empty".to_owned()),
        name if name.contains(char::is_whitespace) => Err("is one word, such as python".to_owned()),
        name => Ok(name.to_owned()),
    }
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if roles::is_variable(name) => Ok((name.to_owned(), value.to_owned())),
        Some(_) | None => Err("is written NAME=VALUE; a name has letters, digits, - and _".to_owned()),
    }
}

fn deadline(text: &str) -> Result<Timeout, String> {
    units::deadline(text).map(Timeout)
}

/// Reads a number of milliseconds from 0 to 1000.
///
/// # Errors
/// A message with the range.
pub(crate) fn frame(text: &str) -> Result<Frame, String> {
    match text.trim().parse() {
        Ok(millis @ 0..=1000) => Ok(Frame(Duration::from_millis(millis))),
        Ok(_) | Err(_) => Err(format!("\"{text}\" is not a whole number from 0 to 1000")),
    }
}

fn speed(text: &str) -> Result<Speed, String> {
    match text.parse() {
        _ if text == "max" => Ok(Speed(f64::INFINITY)),
        Ok(0.0) => Ok(Speed(f64::INFINITY)),
        Ok(factor) if factor > 0.0 && f64::is_finite(factor) => Ok(Speed(factor)),
        Ok(_) | Err(_) => Err("a number above 0, or max".to_owned()),
    }
}

const LONG_HELP: &str = "\
The first word decides: `aurora serve` is the command, `aurora -- serve` asks the model about it.
Answers go to stdout, everything else to stderr. Durations: 500ms, 10s, 2m; a bare number is seconds, 0 or off is none.

Examples:
  aurora why is the sky blue
  git diff | aurora \"write a commit message\"
  aurora -f notes.txt --json \"list the open questions\"
  aurora -f invoice.txt --json-schema invoice.schema.json \"read this invoice\"
  aurora code --lang python -o primes.py \"print the first hundred primes\"
  aurora -e http://127.0.0.1:9000/v1 -m some-model --record call.jsonl hello
  aurora replay call.jsonl --speed 10
  aurora summarize --style abstract --words 150 book.txt
  aurora -c and at night?
  aurora batch prompts.jsonl -o answers.jsonl -j 16
  aurora history search sky
  aurora serve --listen 127.0.0.1:8080

Variables, each overridden by its flag:
  AURORA_MODEL, AURORA_ENDPOINT     as --model, --endpoint
  AURORA_CONFIG, AURORA_DATA_DIR    the configuration file; where models and conversations are kept
  AURORA_CONNECT_TIMEOUT, AURORA_FIRST_TIMEOUT, AURORA_IDLE_TIMEOUT, AURORA_TOTAL_TIMEOUT, AURORA_RETRIES
  AURORA_LISTEN, AURORA_FRAME_MS    as serve --listen, --frame-ms
  AURORA_LOCAL_BACKEND, _THREADS, _KV_BUDGET, _MAX_STREAMS, _MAX_QUEUE, _GPU_LAYERS    as [local] in the file
  AURORA_HISTORY                    off keeps no conversations, as --no-history
  AURORA_EDIT_KEYS                  as chat --edit-keys
  AURORA_API_KEY                    the key for an endpoint given as an address
  OPENAI_API_KEY, OPENAI_BASE_URL   the endpoint `openai`; the key goes to no other host
  NO_COLOR, TERM=dumb               no colour; no escape sequences at all

Exit codes:
  0  complete                       6    timed out
  1  a bug of ours, or stdout lost  7    truncated or interrupted
  2  usage                          8    length: the token limit
  3  configuration or model file    9    content filter
  4  the request was refused        130  cancelled
  5  the server failed        10   a batch whose items are not all complete";

#[cfg(test)]
mod tests;
