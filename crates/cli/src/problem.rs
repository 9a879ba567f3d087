//! Why a run cannot go on, before there is any answer whose verdict could say it: a message and an exit code.

use std::fmt;

/// The result of everything that may end the run.
pub(crate) type Result<T> = std::result::Result<T, Problem>;

/// A reason to end the run. Its message is for a person and holds no key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    kind: Kind,
    message: String,
}

/// What kind of reason it is, which decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Internal,
    Usage,
    Config,
    Output,
    Stdout,
    StdoutClosed,
}

impl Problem {
    /// A failure that is neither the caller's nor a server's: stdout that cannot be written, a thread that cannot be
    /// started, a bug.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self {
            kind: Kind::Internal,
            message: message.into(),
        }
    }

    /// The command line, or what was piped in, is not usable.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            kind: Kind::Usage,
            message: message.into(),
        }
    }

    /// The configuration, a variable, a key or a model file is not usable.
    pub(crate) fn config(message: impl Into<String>) -> Self {
        Self {
            kind: Kind::Config,
            message: message.into(),
        }
    }

    /// A file that was asked for, and could be written at first, cannot be written any more: the disk is full.
    pub(crate) fn output(message: impl Into<String>) -> Self {
        Self {
            kind: Kind::Output,
            message: message.into(),
        }
    }

    /// Writing to stdout failed. That the reader left is no news to anybody, so it has no message; what was not
    /// delivered is not complete, so the exit code is that of a cancelled run.
    pub(crate) fn stdout(error: &std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Self {
                kind: Kind::StdoutClosed,
                message: String::new(),
            };
        }
        Self {
            kind: Kind::Stdout,
            message: format!("cannot write to standard output: {error}"),
        }
    }

    /// The exit code (design: 1 ours, 2 usage, 3 configuration, 130 cancelled).
    pub(crate) fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Internal | Kind::Output | Kind::Stdout => 1,
            Kind::Usage => 2,
            Kind::Config => 3,
            Kind::StdoutClosed => 130,
        }
    }

    /// The kind's name in JSON output; `None` if stdout is the problem, where nothing can be told.
    pub(crate) fn name(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Internal => Some("internal"),
            Kind::Usage => Some("usage"),
            Kind::Config => Some("config"),
            Kind::Output => Some("output"),
            Kind::Stdout | Kind::StdoutClosed => None,
        }
    }

    /// Whether there is nothing to say.
    pub(crate) fn is_quiet(&self) -> bool {
        self.kind == Kind::StdoutClosed
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
