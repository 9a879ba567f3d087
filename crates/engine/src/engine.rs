//! The engine's handle: loads a model, checks requests, hands them to the thread that runs them.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use aurora_chat::{ChatRequest, RequestError, Start};

use crate::backend::{Backend, Loaded};
use crate::checks::check;
use crate::error::{Error, ErrorKind, Result, refuse};
use crate::generation::{Generation, Place, generation};
use crate::model::Model as _;
use crate::plan::{Plan, Planner};
use crate::scheduler::{Job, Scheduler, sequences};
use crate::text::{Prompt, Template, Tokenizer};
use crate::worker::{self, Answer};

/// Keys and values that are kept beside those of running requests, unless a setting says otherwise.
const KEEP_BYTES: usize = 256 << 20;
/// What a single request may take at most, unless a setting says otherwise.
const MOST_BYTES: usize = 2 << 30;

/// How to run a model. Build it with `..Options::default()`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The name answers carry; the file's name without its ending by default.
    pub name: Option<String>,
    /// What runs the model, candle by default.
    pub backend: Backend,
    /// Requests answered at the same time, 8 by default. llama.cpp takes 192 at most.
    pub max_streams: usize,
    /// Threads that steps run on; one for each core by default.
    pub threads: Option<usize>,
    /// Requests that may wait besides, 64 by default; more are refused as [`Refusal::Busy`].
    pub max_queue: usize,
    /// Bytes that the keys and values of all requests may take; SmolLM2 takes 23 KB a token. What finished requests have
    /// left is kept within it for those that begin with the same text. A prompt and its answer together can be no longer
    /// than fits. By default 256 MiB, or a whole context if that takes more, but no more than 2 GiB; of which 256 MiB
    /// are used to keep what has finished. llama.cpp takes all of it when the model is loaded, candle as it is needed.
    pub kv_bytes: Option<usize>,
    /// Layers whose weights go to a graphics processor, the last ones first; all by default. Only llama.cpp built for one
    /// asks.
    pub gpu_layers: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: None,
            backend: Backend::default(),
            threads: None,
            max_streams: 8,
            max_queue: 64,
            kv_bytes: None,
            gpu_layers: None,
        }
    }
}

impl Options {
    /// The defaults, with a name.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: Some(name.into()),
            ..Self::default()
        }
    }
}

/// What is known of a loaded model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelInfo {
    /// The name answers carry.
    pub name: String,
    /// What runs it.
    pub backend: Backend,
    /// Tokens of prompt and answer together: what the model can look back on, or what [`Options::kv_bytes`] hold if
    /// that is less.
    pub context: usize,
    /// Tokens of its vocabulary.
    pub vocabulary: usize,
    /// The quantisation of most of its weights, such as `Q8_0`.
    pub quantisation: String,
    /// Threads a step runs on.
    pub threads: usize,
}

/// Why a request is not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It cannot be answered as it is.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// Too many are waiting.
    #[error("the local model has too many requests waiting; try again in {} s", .retry_after.as_secs())]
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// The engine's thread has ended.
    #[error("the local engine has stopped")]
    Stopped,
}

/// A loaded model and the thread that runs it.
///
/// Cheap to clone; when the last clone is dropped the thread ends, and with it every answer that still runs.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    info: ModelInfo,
    tokenizer: Arc<Tokenizer>,
    template: Template,
    planner: Planner,
    max_jobs: usize,
    jobs: Arc<AtomicUsize>,
    /// `None` only while dropping.
    sender: Option<Sender<Job>>,
    /// Tells the thread that there is something to do.
    called: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Engine {
    /// Loads a GGUF file. Blocks while it is read, some 0.2 s for 140 MB.
    ///
    /// # Errors
    /// If the file is missing or damaged, or of a kind that this engine does not run.
    pub fn load(path: &Path, options: Options) -> Result<Self> {
        let Loaded {
            weights,
            tokenizer,
            template,
            quantisation,
        } = Loaded::read(path, &options)?;
        let max_streams = options.max_streams.max(1);
        let kv_bytes = options
            .kv_bytes
            .unwrap_or_else(|| weights.kv_bytes(weights.context()).clamp(KEEP_BYTES, MOST_BYTES));
        let keep = weights.pages(options.kv_bytes.unwrap_or(KEEP_BYTES));
        let model = weights.model(sequences(max_streams), kv_bytes)?;
        let shape = model.shape();
        let stem = || {
            path.file_stem()
                .map(|stem| stem.to_string_lossy().into_owned())
                .unwrap_or_default()
        };
        let info = ModelInfo {
            name: options.name.unwrap_or_else(stem),
            backend: options.backend,
            context: weights.context().min(shape.pages * shape.page),
            vocabulary: shape.vocabulary,
            quantisation,
            threads: weights.threads(),
        };
        // Unbounded in type, bounded in fact: a job needs a place, and there are max_jobs of them.
        let (sender, jobs) = channel();
        let called = Arc::new(AtomicBool::new(false));
        let scheduler = Scheduler::new(model, max_streams, keep);
        let thread = std::thread::Builder::new()
            .name("aurora-engine".to_owned())
            .spawn({
                let called = Arc::clone(&called);
                move || worker::run(scheduler, &jobs, &called)
            });
        let thread = thread
            .map_err(|source| Error::new(ErrorKind::Machine, "cannot start a thread").with_source(source))?;
        Ok(Self(Arc::new(Inner {
            info,
            planner: Planner::new(Arc::clone(&tokenizer)),
            tokenizer,
            template,
            max_jobs: max_streams + options.max_queue,
            jobs: Arc::default(),
            sender: Some(sender),
            called,
            thread: Mutex::new(Some(thread)),
        })))
    }

    /// What is known of the model.
    #[must_use]
    pub fn info(&self) -> &ModelInfo {
        &self.0.info
    }

    /// The tokens of a text by itself: nothing in it is special, and nothing is put before it. Blocks for about a second a
    /// megabyte.
    #[must_use]
    pub fn count_tokens(&self, text: &str) -> usize {
        let mut ids = Vec::new();
        self.0.tokenizer.encode(text, &mut ids);
        ids.len()
    }

    /// How many tokens the prompt of this request is to the model, template included. Takes as long as
    /// [`Engine::generate`] takes before it returns.
    ///
    /// # Errors
    /// The model cannot answer the request as it is.
    pub fn count(&self, request: &ChatRequest) -> Result<usize, RequestError> {
        check(request, self.0.info.vocabulary)?;
        let Plan { with_tools, .. } = self.0.planner.plan(request, &self.0.template)?;
        self.0
            .prompt(request, with_tools)
            .map(|prompt| prompt.tokens.len())
    }

    /// The tokens that end an answer.
    pub(crate) fn ends(&self) -> &[u32] {
        self.0.tokenizer.ends()
    }

    /// Checks a request and begins its answer.
    ///
    /// The prompt is rendered and tokenised on the calling thread, which takes about a second for a megabyte of text, and
    /// a JSON schema is compiled there; in async code call it from a blocking task. It never waits for other requests. Without a token limit an answer
    /// may fill the context; a limit beyond it is cut to it.
    ///
    /// # Errors
    /// [`Refusal::Request`] if the model cannot answer the request as it is, [`Refusal::Busy`] if too many wait.
    pub fn generate(&self, request: &ChatRequest) -> Result<Generation, Refusal> {
        let inner = &*self.0;
        check(request, inner.info.vocabulary)?;
        let place = Place::take(&inner.jobs, inner.max_jobs).ok_or(Refusal::Busy { retry_after: BUSY })?;
        let Plan {
            mut voice,
            with_tools,
        } = inner.planner.plan(request, &inner.template)?;
        let Prompt {
            tokens: prompt,
            thoughts,
        } = inner.prompt(request, with_tools)?;
        voice.think(thoughts);
        let limit = request.max_tokens.map_or(usize::MAX, |limit| limit as usize);
        let limit = limit.clamp(1, inner.info.context - prompt.len());
        let start = Start {
            model: inner.info.name.clone(),
            endpoint: "local".to_owned(),
            stream: None,
        };
        let (writer, generation) = generation(start, prompt.len(), limit, voice, place);
        let job = Job {
            capacity: prompt.len() + limit,
            prompt,
            sink: Box::new(Answer {
                writer,
                tokenizer: Arc::clone(&inner.tokenizer),
            }),
        };
        let sender = inner.sender.as_ref().ok_or(Refusal::Stopped)?;
        sender.send(job).map_err(|_| Refusal::Stopped)?;
        inner.called.store(true, Ordering::Release);
        Ok(generation)
    }
}

/// What a client is told to wait when the queue is full: about the time a short answer takes.
const BUSY: Duration = Duration::from_secs(2);

impl Inner {
    /// The prompt, whose tokens are fewer than the context.
    fn prompt(&self, request: &ChatRequest, with_tools: bool) -> Result<Prompt, RequestError> {
        let context = self.info.context;
        // A prompt that cannot fit whatever it says is refused before it costs a second of tokenising.
        let bytes = request
            .messages
            .iter()
            .map(|message| message.plain_text().len())
            .sum();
        let least = self.tokenizer.least_tokens(bytes);
        if least >= context {
            return Err(too_long(&format!("at least {least}"), context));
        }
        let prompt = self.template.prompt(request, &self.tokenizer, true, with_tools)?;
        if prompt.tokens.is_empty() {
            let why = "the model's chat template made an empty prompt of them";
            return Err(refuse("messages", why));
        }
        if prompt.tokens.len() >= context {
            Err(too_long(&prompt.tokens.len().to_string(), context))
        } else {
            Ok(prompt)
        }
    }
}

fn too_long(tokens: &str, context: usize) -> RequestError {
    RequestError {
        message: format!(
            "messages: this model's context is {context} tokens, the answer included, and the prompt alone is {tokens} \
             tokens; shorten the messages"
        ),
        param: Some("messages".to_owned()),
        code: Some("context_length_exceeded"),
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Without a sender the thread ends after the step it is in.
        self.sender = None;
        self.called.store(true, Ordering::Release);
        let thread = self
            .thread
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the engine's thread had panicked");
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("info", &self.0.info)
            .finish_non_exhaustive()
    }
}
