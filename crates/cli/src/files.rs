//! How many files this process may open.

/// Lets this process open as many files as it may. Every stream takes one or two, and the usual limit of 1024 is low only for
/// the sake of programs that use `select`; whoever wants fewer lowers the hard limit.
#[cfg(unix)]
pub(crate) fn raise_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};

    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

/// Lets this process open as many files as it may.
#[cfg(not(unix))]
pub(crate) fn raise_limit() {}
