//! `aurora code`: one answer, of which only the code is given.

use std::path::Path;

use crate::args::Common;
use crate::code::partial::Partial;
use crate::code::{CodeOnly, Wanted};
use crate::delivery;
use crate::problem::{Problem, Result};
use crate::roles;
use crate::settings::Env;

use super::ask;

/// Asks, prints the code or writes it to a file, and returns the exit code of the verdict.
///
/// # Errors
/// As `aurora ask`; the file cannot be written.
pub(super) fn run(
    words: &[String],
    output: Option<&Path>,
    wanted: Wanted,
    flags: &Common,
    env: Env,
) -> Result<u8> {
    delivery::with_printer(flags, env, |env, delivery, printer| {
        if flags.json_schema.is_some() {
            let why = "aurora code takes an answer's code, and --json-schema makes all of it JSON: leave out one of them";
            return Err(Problem::usage(why));
        }
        let system = roles::system(flags, &env)?;
        let instruction = match &system {
            Some(_) => None,
            None => Some(instruction(wanted.lang.as_deref())),
        };
        let file = match output.filter(|path| *path != Path::new("-")) {
            Some(path) => {
                let path = path.to_owned();
                // A named pipe has to wait for its reader.
                let Some(file) = delivery.unless_stopped(move || Partial::open(&path))? else {
                    return delivery::cancelled(printer);
                };
                Some(file)
            }
            None => None,
        };
        let mut code = CodeOnly::new(wanted, file, flags.json, printer);
        let lead = ask::Lead {
            system: system.as_deref(),
            instruction: instruction.as_deref(),
        };
        ask::answer(words, lead, flags, env, delivery, &mut code)
    })
}

/// What makes a model write code in a fence, where the caller has no instructions of their own.
fn instruction(lang: Option<&str>) -> String {
    let lang = lang.map_or_else(String::new, |lang| format!(" of {lang}, labelled as such"));
    format!(
        "Answer with exactly one fenced code block{lang}. It holds the whole code, ready to be saved as a file and used. \
         Write nothing before and nothing after it; what has to be explained stands in comments."
    )
}
