//! Settings: typed values in (flags, variables, the configuration file), resolved values out, once.
//!
//! The order is flag, `AURORA_*`, the provider's own variables, the configuration file, default. Every resolved value
//! knows where it came from, for `aurora config show`. Keys are only located here; they are read when a call needs
//! them ([`keys`]). Which endpoint and model a name means is decided in [`target`].

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) mod file;
pub(crate) mod keys;
#[cfg(feature = "engine")]
pub(crate) mod local;
mod locate;
pub(crate) mod server;
pub(crate) mod show;
pub(crate) mod target;
pub(crate) mod template;
pub(crate) mod units;

use aurora_client::OnDrop;

use crate::args::{Common, EditKeys, Timeout};
use crate::problem::{Problem, Result};
use file::{At, EndpointTable, File, KeyPlace};
use server::Server;

/// The most retries that can be asked for.
pub(crate) const MAX_RETRIES: u32 = 100;

/// The model that answers when nothing is configured.
const DEFAULT_MODEL: &str = "local/smollm2";

/// Where the endpoint `openai` is, unless something else is said.
const OPENAI_BASE_URL: &str = "https://api.openai.com/v1";

/// The environment variables as they were when the program started. Its `Debug` shows none: some are keys.
#[derive(Clone, Default)]
pub(crate) struct Env(HashMap<OsString, OsString>);

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// This flag.
    Flag(&'static str),
    /// This environment variable.
    Variable(&'static str),
    /// The configuration file, on this line.
    File(usize),
    /// Nobody said anything.
    Default,
}

/// A value and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sourced<T> {
    pub(crate) value: T,
    pub(crate) origin: Origin,
}

/// All settings, resolved.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The configuration file in use or, where there is none yet, where it would be; `None` without a home folder.
    pub(crate) config_path: Option<Sourced<PathBuf>>,
    /// Whether that file exists.
    pub(crate) config_exists: bool,
    /// Where local models and conversations are kept; `None` without a home folder.
    pub(crate) data_dir: Option<Sourced<PathBuf>>,
    /// Whether conversations are kept.
    pub(crate) keep_history: Sourced<bool>,
    /// The keys at the prompt of a chat, where no flag says otherwise.
    pub(crate) edit_keys: Sourced<EditKeys>,
    /// `--model` or its variable: what this run was asked to use.
    pub(crate) model: Option<Sourced<String>>,
    /// `--endpoint` or its variable, as the name of one of [`Settings::endpoints`].
    pub(crate) endpoint: Option<Sourced<String>>,
    /// The model used where none is named.
    pub(crate) default_model: Sourced<String>,
    /// The endpoints by name, one given as an address included (its name is then host and port).
    pub(crate) endpoints: BTreeMap<String, Endpoint>,
    /// Other names of models.
    pub(crate) aliases: BTreeMap<String, Sourced<String>>,
    /// The server's settings.
    pub(crate) server: Server,
    /// How local models are run.
    #[cfg(feature = "engine")]
    pub(crate) local: local::Local,
    env: Env,
}

/// One upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// Its name in model names, in JSON output and in logs.
    pub(crate) name: String,
    /// The API's address, version part included, no slash at the end.
    pub(crate) base_url: Sourced<String>,
    /// Where its key is; endpoints may have none.
    pub(crate) api_key: Option<Sourced<KeyPlace>>,
    /// Deadlines; `None` is off.
    pub(crate) connect_timeout: Sourced<Option<Duration>>,
    pub(crate) headers_timeout: Sourced<Option<Duration>>,
    pub(crate) first_event_timeout: Sourced<Option<Duration>>,
    pub(crate) idle_timeout: Sourced<Option<Duration>>,
    pub(crate) total_timeout: Sourced<Option<Duration>>,
    /// Attempts after the first.
    pub(crate) retries: Sourced<u32>,
    /// Limits on the rate of calls; `None` is off.
    pub(crate) max_concurrent: Sourced<Option<NonZeroU32>>,
    pub(crate) requests_per_minute: Sourced<Option<NonZeroU32>>,
    pub(crate) tokens_per_minute: Sourced<Option<NonZeroU32>>,
    /// What is done about an answer whose connection is lost.
    pub(crate) on_drop: Sourced<OnDrop>,
}

impl Endpoint {
    /// Whether its server goes on with a partial answer that is sent as the beginning of the assistant's turn.
    pub(crate) fn continues(&self) -> bool {
        self.on_drop.value == OnDrop::Continue
    }
}

/// Reads the configuration file and puts all settings together.
///
/// # Errors
/// A file that was named and is not there, or has mistakes, and variables with unusable values (configuration); an
/// unusable `--endpoint` (usage).
pub(crate) fn load(flags: &Common, listen: Option<SocketAddr>, env: Env) -> Result<Settings> {
    let config_path = locate::config(flags, &env)?;
    let (file, config_exists) = match &config_path {
        Some(path) => match locate::read(&path.value, path.origin == Origin::Default)? {
            Some(text) => (parse(&path.value, &text)?, true),
            None => (File::default(), false),
        },
        None => (File::default(), false),
    };
    let mut settings = resolve(flags, listen, env, file)?;
    settings.config_path = config_path;
    settings.config_exists = config_exists;
    Ok(settings)
}

/// Checks the text of a configuration file.
///
/// # Errors
/// All its mistakes, each on a line of its own.
pub(crate) fn parse(path: &Path, text: &str) -> Result<File> {
    file::parse(path, text).map_err(|mistakes| Problem::config(mistakes.join("\n")))
}

/// The configuration file's place, for commands that must work although it has mistakes.
///
/// # Errors
/// A variable that is not text.
pub(crate) fn config_path(flags: &Common, env: &Env) -> Result<Option<PathBuf>> {
    Ok(locate::config(flags, env)?.map(|path| path.value))
}

/// Reads a configuration file that has to be there.
///
/// # Errors
/// It cannot be read.
pub(crate) fn read_file(path: &Path) -> Result<String> {
    locate::read(path, false).map(Option::unwrap_or_default)
}

fn resolve(flags: &Common, listen: Option<SocketAddr>, env: Env, file: File) -> Result<Settings> {
    let calls = Calls::of(flags, &env)?;
    let default_model = first([in_file(file.default_model)], DEFAULT_MODEL.to_owned());
    let mut endpoints: BTreeMap<String, Endpoint> = BTreeMap::new();
    for (name, table) in file.endpoints {
        endpoints.insert(name.clone(), calls.endpoint(name, table));
    }
    openai(&mut endpoints, &calls, &env)?;

    let endpoint = match first_of([
        flag("--endpoint", flags.endpoint.clone()),
        env.sourced("AURORA_ENDPOINT")?,
    ]) {
        Some(named) if units::is_url(&named.value) => Some(ad_hoc(named, &mut endpoints, &calls, &env)?),
        Some(named) if named.value == target::LOCAL || endpoints.contains_key(&named.value) => Some(named),
        Some(named) => {
            let known: Vec<&str> = endpoints
                .keys()
                .map(String::as_str)
                .chain([target::LOCAL])
                .collect();
            return Err(named.mistake(format!(
                "no endpoint is called \"{}\"; known: {}; or give an address such as http://127.0.0.1:9000/v1",
                named.value,
                known.join(", ")
            )));
        }
        None => None,
    };
    if flags.dialect.is_some()
        && !endpoint
            .as_ref()
            .is_some_and(|endpoint| endpoint.value.contains([':', '.']))
    {
        return Err(Problem::usage(
            "--dialect belongs to an endpoint given as an address (-e http://…)",
        ));
    }
    Ok(Settings {
        config_path: None,
        config_exists: false,
        data_dir: locate::data_dir(&env)?,
        keep_history: first(
            [
                flag("--no-history", flags.no_history.then_some(false)),
                env.read("AURORA_HISTORY", units::switch)?,
                in_file(file.keep_history),
            ],
            true,
        ),
        edit_keys: first(
            [
                env.read("AURORA_EDIT_KEYS", units::edit_keys)?,
                in_file(file.edit_keys),
            ],
            EditKeys::Emacs,
        ),
        model: first_of([flag("--model", flags.model.clone()), env.sourced("AURORA_MODEL")?]),
        endpoint,
        default_model,
        endpoints,
        aliases: file
            .aliases
            .into_iter()
            .map(|(name, target)| (name, target.into()))
            .collect(),
        server: Server::of(listen, &env, file.server, file.streams)?,
        #[cfg(feature = "engine")]
        local: local::Local::of(&env, file.local)?,
        env,
    })
}

/// The endpoint `openai` exists as soon as one of its variables is set, and they go before the file.
fn openai(endpoints: &mut BTreeMap<String, Endpoint>, calls: &Calls, env: &Env) -> Result<()> {
    let base_url = env.read("OPENAI_BASE_URL", units::base_url)?;
    let key = env.sourced("OPENAI_API_KEY")?;
    if base_url.is_none() && key.is_none() && !endpoints.contains_key("openai") {
        return Ok(());
    }
    let make = || calls.endpoint("openai".to_owned(), EndpointTable::default());
    let endpoint = endpoints.entry("openai".to_owned()).or_insert_with(make);
    if let Some(base_url) = base_url {
        endpoint.base_url = base_url;
    }
    if let Some(key) = key {
        endpoint.api_key = Some(Sourced {
            value: KeyPlace::Env("OPENAI_API_KEY".to_owned()),
            origin: key.origin,
        });
    }
    Ok(())
}

/// Adds the endpoint that was given as an address; returns its name.
///
/// It gets `AURORA_API_KEY`. The key for OpenAI goes to OpenAI and to `OPENAI_BASE_URL`, never to any other host.
fn ad_hoc(
    url: Sourced<String>,
    endpoints: &mut BTreeMap<String, Endpoint>,
    calls: &Calls,
    env: &Env,
) -> Result<Sourced<String>> {
    let base_url = units::base_url(&url.value).map_err(|error| url.mistake(error))?;
    let name = units::authority(&base_url);
    let mut endpoint = calls.endpoint(name.clone(), EndpointTable::default());
    let is_openai = units::same_origin(&base_url, OPENAI_BASE_URL)
        || env
            .read("OPENAI_BASE_URL", units::base_url)?
            .is_some_and(|own| units::same_origin(&base_url, &own.value));
    for variable in ["AURORA_API_KEY", "OPENAI_API_KEY"] {
        if endpoint.api_key.is_none() && (is_openai || variable == "AURORA_API_KEY") {
            let place = |found: Sourced<String>| Sourced {
                value: KeyPlace::Env(variable.to_owned()),
                origin: found.origin,
            };
            endpoint.api_key = env.sourced(variable)?.map(place);
        }
    }
    endpoint.base_url = Sourced {
        value: base_url,
        origin: url.origin,
    };
    endpoints.insert(name.clone(), endpoint);
    Ok(Sourced {
        value: name,
        origin: url.origin,
    })
}

/// What flags and variables say about every call, whichever endpoint it goes to.
#[derive(Debug)]
struct Calls {
    connect: Option<Sourced<Option<Duration>>>,
    first: Option<Sourced<Option<Duration>>>,
    idle: Option<Sourced<Option<Duration>>>,
    total: Option<Sourced<Option<Duration>>>,
    retries: Option<Sourced<u32>>,
}

impl Calls {
    fn of(flags: &Common, env: &Env) -> Result<Self> {
        let deadline = |name, value: Option<Timeout>, variable| -> Result<_> {
            Ok(first_of([
                flag(name, value.map(|timeout| timeout.0)),
                env.read(variable, units::deadline)?,
            ]))
        };
        let retries = |text: &str| units::whole(text, 0..=MAX_RETRIES);
        Ok(Self {
            connect: deadline(
                "--connect-timeout",
                flags.connect_timeout,
                "AURORA_CONNECT_TIMEOUT",
            )?,
            first: deadline("--first-timeout", flags.first_timeout, "AURORA_FIRST_TIMEOUT")?,
            idle: deadline("--idle-timeout", flags.idle_timeout, "AURORA_IDLE_TIMEOUT")?,
            total: deadline("--total-timeout", flags.total_timeout, "AURORA_TOTAL_TIMEOUT")?,
            retries: first_of([
                flag("--retries", flags.retries),
                env.read("AURORA_RETRIES", retries)?,
            ]),
        })
    }

    fn endpoint(&self, name: String, table: EndpointTable) -> Endpoint {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        // `--first-timeout` runs from the sending of the request, so it covers the headers.
        let headers = self.first.map(|first| Sourced {
            value: None,
            origin: first.origin,
        });
        Endpoint {
            name,
            base_url: first([in_file(table.base_url)], OPENAI_BASE_URL.to_owned()),
            api_key: table.api_key.map(Into::into),
            connect_timeout: first([self.connect, in_file(table.connect_timeout)], seconds(10)),
            headers_timeout: first([headers, in_file(table.headers_timeout)], seconds(120)),
            first_event_timeout: first([self.first, in_file(table.first_event_timeout)], seconds(120)),
            idle_timeout: first([self.idle, in_file(table.idle_timeout)], seconds(60)),
            total_timeout: first([self.total, in_file(table.total_timeout)], None),
            retries: first([self.retries, in_file(table.retries)], 4),
            max_concurrent: first([in_file(table.max_concurrent)], None),
            requests_per_minute: first([in_file(table.requests_per_minute)], None),
            tokens_per_minute: first([in_file(table.tokens_per_minute)], None),
            on_drop: first([in_file(table.on_drop)], OnDrop::Stop),
        }
    }
}

impl Env {
    /// The variables of this process.
    pub(crate) fn of_process() -> Self {
        Self(std::env::vars_os().collect())
    }

    /// The variables of a test.
    #[cfg(test)]
    pub(crate) fn of_pairs(pairs: &[(&str, &str)]) -> Self {
        Self(
            pairs
                .iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }

    /// A variable's text; a variable that is empty counts as not set.
    ///
    /// # Errors
    /// It is not UTF-8.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>> {
        match self.0.get(std::ffi::OsStr::new(name)) {
            None => Ok(None),
            Some(value) => match value.to_str() {
                Some(text) => Ok(Some(text).filter(|text| !text.is_empty())),
                None => Err(Problem::config(format!("{name}: is not UTF-8 text"))),
            },
        }
    }

    fn sourced(&self, name: &'static str) -> Result<Option<Sourced<String>>> {
        self.read(name, |text| Ok(text.to_owned()))
    }

    /// A variable's value, as `read` understands its text.
    ///
    /// # Errors
    /// It is not text, or not one that `read` understands (configuration).
    pub(crate) fn read<T>(
        &self,
        name: &'static str,
        read: impl Fn(&str) -> std::result::Result<T, String>,
    ) -> Result<Option<Sourced<T>>> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        let value = read(text).map_err(|error| Problem::config(format!("{name}: {error}")))?;
        Ok(Some(Sourced {
            value,
            origin: Origin::Variable(name),
        }))
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env").finish_non_exhaustive()
    }
}

impl<T> Sourced<T> {
    /// The problem of a value that cannot be used: usage if it was typed, configuration if it was set.
    pub(crate) fn mistake(&self, message: impl fmt::Display) -> Problem {
        match self.origin {
            Origin::Flag(name) => Problem::usage(format!("{name}: {message}")),
            Origin::Variable(_) | Origin::File(_) | Origin::Default => {
                Problem::config(format!("{}: {message}", self.origin))
            }
        }
    }
}

impl<T: Copy> Copy for Sourced<T> {}

impl<T> From<At<T>> for Sourced<T> {
    fn from(at: At<T>) -> Self {
        Self {
            value: at.value,
            origin: Origin::File(at.line),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) | Self::Variable(name) => f.write_str(name),
            Self::File(line) => write!(f, "configuration file, line {line}"),
            Self::Default => f.write_str("default"),
        }
    }
}

fn flag<T>(name: &'static str, value: Option<T>) -> Option<Sourced<T>> {
    value.map(|value| Sourced {
        value,
        origin: Origin::Flag(name),
    })
}

fn in_file<T>(value: Option<At<T>>) -> Option<Sourced<T>> {
    value.map(Into::into)
}

fn first_of<T, const N: usize>(candidates: [Option<Sourced<T>>; N]) -> Option<Sourced<T>> {
    candidates.into_iter().flatten().next()
}

fn first<T, const N: usize>(candidates: [Option<Sourced<T>>; N], default: T) -> Sourced<T> {
    first_of(candidates).unwrap_or(Sourced {
        value: default,
        origin: Origin::Default,
    })
}

#[cfg(test)]
mod tests;
