//! Answers of the local engine. A model that is not there is fetched when it is first asked; one that is loaded stays.

use std::fmt;
use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, PoisonError};

use aurora_chat::{ChatRequest, End, Failure, FailureKind, Fault, Update};
use aurora_local::models::{KNOWN, Progress, Store};
use aurora_local::{Backend, Engine, Error, ErrorKind, Options, Refusal};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::console;
use crate::problem::{Problem, Result};
use crate::settings::Settings;

/// One local model, by name; loaded at most once.
#[derive(Clone)]
pub(crate) struct Local {
    name: Arc<str>,
    store: Store,
    options: Options,
    engine: Arc<Mutex<Option<Engine>>>,
}

impl Local {
    /// The model of this name. Looks at no file yet.
    ///
    /// # Errors
    /// There is no folder to keep models in (configuration).
    pub(crate) fn new(name: &str, settings: &Settings) -> Result<Self> {
        Ok(Self {
            name: name.into(),
            store: store(settings)?,
            options: settings.local.options(name),
            engine: Arc::default(),
        })
    }

    /// Whether the file is there, so that loading it takes no download.
    pub(crate) fn is_fetched(&self) -> bool {
        self.store.path(&self.name).is_some()
    }

    /// What tells this model's file from another one of its name, once it is there: its size, and when it was written.
    pub(crate) fn fingerprint(&self) -> Option<(u64, Option<std::time::SystemTime>)> {
        let data = self.store.path(&self.name)?.metadata().ok()?;
        Some((data.len(), data.modified().ok()))
    }

    /// Loads the model, fetching it first if need be. Blocking; the second caller waits for the first.
    ///
    /// # Errors
    /// What went wrong, for a person: it is not known, cannot be fetched, is damaged or not supported.
    pub(crate) fn load(&self) -> std::result::Result<Engine, String> {
        // A panic while loading leaves `None`, which is as good as before.
        let mut engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = &*engine {
            return Ok(engine.clone());
        }
        let told = |error: Error| {
            let hint = match (error.kind(), self.options.backend) {
                (ErrorKind::Unsupported, Backend::Candle) if Backend::LlamaCpp.is_compiled() => {
                    " (llama.cpp may run it: set AURORA_LOCAL_BACKEND=llama-cpp, or backend under [local])"
                }
                _ => "",
            };
            format!("local/{}: {}{hint}", self.name, chain(&error))
        };
        let path = match self.store.path(&self.name) {
            Some(path) => path,
            None if is_known(&self.name) => pull(&self.store, &self.name).map_err(told)?.path,
            // Not pulled: a name of no known model would be taken for a path.
            None => return Err(self.unknown()),
        };
        let loaded = Engine::load(&path, self.options.clone()).map_err(told)?;
        Ok(engine.insert(loaded).clone())
    }

    /// That there is no such model, and which there are.
    pub(crate) fn unknown(&self) -> String {
        let there = self
            .store
            .list()
            .unwrap_or_default()
            .into_iter()
            .map(|entry| entry.name);
        let mut names: Vec<String> = KNOWN
            .iter()
            .map(|known| known.name.to_owned())
            .chain(there)
            .collect();
        names.sort();
        names.dedup();
        let names = names.join(", ");
        format!(
            "there is no local model \"{}\"; known: {names} (aurora model pull fetches one from a path or address)",
            self.name
        )
    }

    /// As [`crate::source::Source::ask`]. The stream keeps the contract of [`Update`] and stops all work when it is dropped.
    pub(super) async fn ask(self, mut request: ChatRequest) -> Result<BoxStream<'static, Update>> {
        request.model = self.name.to_string();
        let loaded = tokio::task::spawn_blocking(move || self.load()).await;
        let engine = loaded
            .map_err(|_| Problem::internal("the thread that loads the model ended"))?
            .map_err(Problem::config)?;
        Ok(match engine.generate(&request) {
            // The last handle of an engine stops it when dropped, so the answer keeps this one.
            Ok(generation) => Box::pin(generation.inspect(move |_| _ = &engine)),
            Err(refusal) => Box::pin(stream::iter([Update::End(refused(refusal))])),
        })
    }
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Local").field(&self.name).finish()
    }
}

/// The folder of the local models.
///
/// # Errors
/// There is no home folder and none was named (configuration).
pub(crate) fn store(settings: &Settings) -> Result<Store> {
    match &settings.data_dir {
        Some(folder) => Ok(Store::new(folder.value.join("models"))),
        None => Err(Problem::config(
            "there is no home folder to keep models in; set AURORA_DATA_DIR",
        )),
    }
}

/// The names of the models that are there and readable. None if that cannot be told: a server need not have any.
pub(crate) fn names(settings: &Settings) -> Vec<String> {
    let entries = store(settings)
        .ok()
        .and_then(|store| store.list().ok())
        .unwrap_or_default();
    // A context of 0 is how the store marks a file that candle cannot read.
    let reads_all = settings.local.backend.value != Backend::Candle;
    entries
        .into_iter()
        .filter(|entry| reads_all || entry.context > 0)
        .map(|entry| entry.name)
        .collect()
}

/// Whether a name without `local/` is one of a local model.
pub(crate) fn knows(name: &str, settings: &Settings) -> bool {
    is_known(name) || store(settings).is_ok_and(|store| store.path(name).is_some())
}

fn is_known(name: &str) -> bool {
    KNOWN.iter().any(|known| known.name == name)
}

/// Fetches a model and shows on stderr how far that is.
///
/// # Errors
/// The engine's.
pub(crate) fn pull(store: &Store, source: &str) -> std::result::Result<aurora_local::models::Pulled, Error> {
    let mut bar = Bar::new();
    let pulled = store.pull(source, &mut |progress| bar.show(progress));
    bar.finish();
    pulled
}

/// The message of an error and of what caused it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn refused(refusal: Refusal) -> End {
    match refusal {
        Refusal::Request(error) => End::of_failure(Failure::from(error)),
        Refusal::Busy { .. } => End::failed(
            Fault::Server,
            Failure::new(FailureKind::Internal, "the local engine is busy"),
        ),
        Refusal::Stopped => End::failed(
            Fault::Server,
            Failure::new(FailureKind::Internal, "the local engine stopped"),
        ),
    }
}

/// A bar on a terminal, a line for each step elsewhere.
struct Bar(Option<ProgressBar>);

impl Bar {
    fn new() -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self(
            (std::io::stderr().is_terminal() && !dumb)
                .then(|| ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())),
        )
    }

    fn show(&mut self, progress: Progress) {
        match (progress, &self.0) {
            (Progress::Step(step), None) => console::tell(&step),
            (Progress::Step(step), Some(bar)) => bar.println(format!("aurora: {step}")),
            (Progress::Bytes { .. }, None) => {}
            (Progress::Bytes { done, total }, Some(bar)) => {
                if bar.length() != total || bar.position() == 0 {
                    bar.set_style(style(total.is_some()));
                    total.into_iter().for_each(|total| bar.set_length(total));
                }
                bar.set_position(done);
            }
        }
    }

    fn finish(&self) {
        self.0.iter().for_each(ProgressBar::finish_and_clear);
    }
}

fn style(with_total: bool) -> ProgressStyle {
    let template = if with_total {
        "{bytes:>10} of {total_bytes} [{bar:30}] {eta}"
    } else {
        "{bytes:>10} {spinner}"
    };
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}
