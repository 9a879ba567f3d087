//! The rule that the README names every command the program has.
//!
//! The commands are read from the enums that clap derives `--help` from, as rustfmt writes them, so that nothing has to
//! be built for it.

use std::collections::BTreeMap;

use super::Finding;
use super::tree::{Tree, numbered};

/// Where the command line is declared.
const FOLDER: &str = "crates/cli/src/";

/// The enum of the commands that stand right behind the program's name.
const FIRST: &str = "Command";

/// Every command of `aurora --help`, and every command below one, stands in the README.
pub(super) fn named(tree: &Tree, findings: &mut Vec<Finding>) {
    const README: &str = "README.md";
    let readme = tree.text(README).unwrap_or_default();
    let enums = declared(tree);
    if enums.get(FIRST).is_none_or(Vec::is_empty) {
        findings.push(Finding::new(
            README,
            1,
            format!("no command is declared in {FOLDER}, so none can be looked for here"),
            "teach xtask/src/tidy/commands.rs where commands are declared now",
        ));
    }
    for variant in enums.get(FIRST).into_iter().flatten() {
        let below = variant.payload.as_ref().and_then(|payload| enums.get(payload));
        match below {
            Some(below) => {
                for inner in below {
                    look_for(
                        &format!("aurora {} {}", variant.name, inner.name),
                        readme,
                        inner,
                        findings,
                    );
                }
            }
            None => look_for(&format!("aurora {}", variant.name), readme, variant, findings),
        }
    }
}

fn look_for(command: &str, readme: &str, variant: &Variant, findings: &mut Vec<Finding>) {
    let stands = |(at, _): (usize, &str)| {
        !readme[at + command.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '-')
    };
    if !readme.match_indices(command).any(stands) {
        findings.push(Finding::new(
            &variant.path,
            variant.line,
            format!("README.md does not name `{command}`"),
            "say in README.md what it is for",
        ));
    }
}

/// A variant of an enum of commands.
struct Variant {
    path: String,
    line: usize,
    /// As it is typed.
    name: String,
    /// The type it holds, which may be an enum of commands again.
    payload: Option<String>,
}

/// The enums that derive `Subcommand`, by name.
fn declared(tree: &Tree) -> BTreeMap<String, Vec<Variant>> {
    let mut enums = BTreeMap::new();
    for (path, text) in tree.sources().filter(|(path, _)| path.starts_with(FOLDER)) {
        let mut derived = false;
        let mut open: Option<String> = None;
        for (line, content) in numbered(text) {
            if let Some(name) = &open {
                if content == "}" {
                    open = None;
                } else if let Some(variant) = variant(path, line, content) {
                    let variants: &mut Vec<Variant> = enums.entry(name.clone()).or_default();
                    variants.push(variant);
                }
            } else if content.starts_with("#[derive(") {
                derived = content.contains("Subcommand");
            } else if let Some((_, rest)) = content.split_once("enum ").filter(|_| derived) {
                open = Some(identifier(rest).to_owned());
                derived = false;
            }
        }
    }
    enums
}

/// A variant stands four spaces in and begins with a capital letter.
fn variant(path: &str, line: usize, content: &str) -> Option<Variant> {
    let rest = content
        .strip_prefix("    ")
        .filter(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))?;
    let name = identifier(rest);
    let payload = rest[name.len()..]
        .strip_prefix('(')
        .map(|payload| identifier(payload).to_owned());
    Some(Variant {
        path: path.to_owned(),
        line,
        name: kebab(name),
        payload,
    })
}

fn identifier(text: &str) -> &str {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .next()
        .unwrap_or_default()
}

/// A name as clap derives it: `HashKey` becomes `hash-key`.
fn kebab(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 2);
    for (index, c) in name.char_indices() {
        if c.is_ascii_uppercase() && index > 0 {
            out.push('-');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::places_found;
    use super::*;

    const SOURCE: &str = "\
//! Arguments.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Asks.
    Ask {
        /// The prompt
        prompt: Vec<String>,
    },
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    Show,
    HashKey { key: String },
}

#[derive(Debug)]
enum Unrelated {
    Other,
}
";

    fn found(readme: &str) -> Vec<String> {
        places_found(
            named,
            &[("crates/cli/src/args.rs", SOURCE), ("README.md", readme)],
        )
    }

    #[test]
    fn a_command_that_the_readme_leaves_out_is_found() {
        assert!(found("`aurora ask`, `aurora config show`, `aurora config hash-key KEY`").is_empty());
        assert_eq!(
            found("`aurora ask` and `aurora config show`"),
            ["crates/cli/src/args.rs:16"]
        );
        assert_eq!(
            found("aurora asking, aurora config show, aurora config hash-key"),
            ["crates/cli/src/args.rs:5"]
        );
        assert_eq!(found("").len(), 3);
    }

    #[test]
    fn it_is_not_silent_when_there_are_no_commands_to_look_for() {
        assert_eq!(
            places_found(named, &[("crates/cli/src/args.rs", "//! Moved.\n")]),
            ["README.md:1"]
        );
    }
}
