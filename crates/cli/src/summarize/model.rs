//! What a summary has to know of the model that is asked: how it counts tokens, how many fit, and what makes its answers
//! another's.

use std::sync::Arc;

use aurora_chat::ChatRequest;
use serde_json::{Value, json};

use super::digest::Counter;
use super::{budget, tokens};
use crate::history::Answerer;
use crate::problem::{Problem, Result};
use crate::source::Source;

/// How a model reads.
pub(crate) struct Reader {
    /// Counts the tokens of a text: exactly, or an estimate that is rather too high.
    pub(crate) tokens: Counter,
    /// Tokens of prompt and answer together.
    pub(crate) context: usize,
    pub(crate) is_local: bool,
    /// Everything that makes another's answer another one.
    pub(crate) answerer: Value,
    prompt: Arc<dyn Fn(&ChatRequest) -> usize + Send + Sync>,
}

/// What a chat template puts around messages, at most, where it is not known.
const TEMPLATE: usize = 64;

impl Reader {
    /// Loads what counting takes: of a local model, the model itself. `context` is what the caller says of it.
    ///
    /// # Errors
    /// The model cannot be loaded (configuration), or its context is not what the caller says (usage).
    pub(crate) async fn of(source: &Source, answerer: &Answerer, context: Option<usize>) -> Result<Self> {
        match source {
            Source::Upstream(..) => Ok(Self::estimating(answerer, context)),
            #[cfg(feature = "engine")]
            Source::Local(local) => Self::exact(local.clone(), answerer, context).await,
        }
    }

    fn estimating(answerer: &Answerer, context: Option<usize>) -> Self {
        let prompt = |request: &ChatRequest| {
            let messages = request.messages.iter();
            messages
                .map(|message| tokens::estimate(&message.plain_text()))
                .sum::<usize>()
                + TEMPLATE
        };
        Self {
            tokens: Arc::new(tokens::estimate),
            context: context.unwrap_or(budget::CONTEXT),
            is_local: false,
            answerer: json!([answerer.endpoint, answerer.model]),
            prompt: Arc::new(prompt),
        }
    }

    #[cfg(feature = "engine")]
    async fn exact(
        local: crate::source::local::Local,
        answerer: &Answerer,
        context: Option<usize>,
    ) -> Result<Self> {
        let loading = local.clone();
        let engine = tokio::task::spawn_blocking(move || loading.load())
            .await
            .map_err(|_| Problem::internal("the thread that loads the model ended"))?
            .map_err(Problem::config)?;
        let whole = engine.info().context;
        let context = match context {
            Some(context) if context > whole => {
                return Err(Problem::usage(format!(
                    "--context {context}: local/{} has {whole}",
                    answerer.model
                )));
            }
            context => context.unwrap_or(whole),
        };
        let file = local.fingerprint().map(|(bytes, written)| {
            let written = written.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
            json!([bytes, written.map(|time| time.as_nanos().to_string())])
        });
        let counting = engine.clone();
        Ok(Self {
            tokens: Arc::new(move |text| counting.count_tokens(text)),
            context,
            is_local: true,
            answerer: json!(["local", answerer.model, file]),
            // What does not fit fills the context, and there is no room for anything.
            prompt: Arc::new(move |request| engine.count(request).unwrap_or(whole)),
        })
    }

    /// The tokens of a whole prompt.
    pub(crate) fn prompt(&self, request: &ChatRequest) -> usize {
        (self.prompt)(request)
    }
}
