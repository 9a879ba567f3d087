//! The model without requests, sampling or a thread: token ids in, numbers out. For checks against a reference
//! evaluation, and for benchmarks.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aurora_chat::{ChatRequest, RequestError};

use crate::backend::{Loaded, Weights};
use crate::constraint::Grammars;
use crate::engine::Options;
use crate::error::Result;
use crate::model::{Logits, Model, Outcome, Run};
use crate::text::{Template, Tokenizer};
use crate::tools::Tools;

/// A loaded model, to be driven by hand.
#[derive(Debug)]
pub struct Evaluator {
    weights: Weights,
    tokenizer: Arc<Tokenizer>,
    template: Template,
}

/// Sequences of tokens that a model reads, numbered from 0.
#[derive(Debug)]
pub struct Sequences {
    model: Box<dyn Model + Send>,
    lengths: Vec<usize>,
}

/// What it costs to hold an answer to a schema.
#[derive(Clone, Debug)]
pub struct SchemaCost {
    /// Building the trees of tokens, once for a model.
    pub trees: Duration,
    /// Compiling the schema, the first mask included.
    pub compile: Duration,
    /// Each mask; the first was computed before.
    pub masks: Vec<Duration>,
}

impl Evaluator {
    /// Loads a GGUF file. Of the options only those that say what runs it count.
    ///
    /// # Errors
    /// As [`crate::Engine::load`].
    pub fn load(path: &Path, options: &Options) -> Result<Self> {
        let Loaded {
            weights,
            tokenizer,
            template,
            ..
        } = Loaded::read(path, options)?;
        Ok(Self {
            weights,
            tokenizer,
            template,
        })
    }

    /// The tokens of plain text: nothing in it is special.
    #[must_use]
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        self.tokenizer.encode(text, &mut ids);
        ids
    }

    /// The bytes of tokens; control tokens have none.
    #[must_use]
    pub fn decode(&self, ids: &[u32]) -> Vec<u8> {
        ids.iter()
            .flat_map(|&id| self.tokenizer.bytes(id))
            .copied()
            .collect()
    }

    /// The tokens of a conversation and of the tools in it, rendered with the model's chat template; with the beginning of
    /// the answer after them where `add_generation_prompt` says so.
    ///
    /// # Errors
    /// If the template or the model refuses the conversation.
    pub fn conversation(
        &self,
        request: &ChatRequest,
        add_generation_prompt: bool,
    ) -> Result<Vec<u32>, RequestError> {
        let with_tools = Tools::wanted(request)?.is_some();
        let prompt = self
            .template
            .prompt(request, &self.tokenizer, add_generation_prompt, with_tools)?;
        Ok(prompt.tokens)
    }

    /// What it costs to hold an answer to a JSON schema: compiling it, and then the mask of each token of a text that
    /// obeys it.
    ///
    /// # Errors
    /// Why the schema cannot be obeyed, or that the text does not obey it.
    pub fn cost_of_schema(&self, schema: serde_json::Value, text: &str) -> Result<SchemaCost, String> {
        let grammars = Grammars::new(Arc::clone(&self.tokenizer));
        // The first grammar of a model also builds its trees of tokens.
        let began = Instant::now();
        grammars.compile_schema(serde_json::json!({"const": 1}))?;
        let trees = began.elapsed();
        let began = Instant::now();
        let mut constraint = grammars.compile_schema(schema)?;
        let compile = began.elapsed();
        let mut masks = Vec::new();
        for token in self.tokenizer.encode_said(text) {
            let began = Instant::now();
            constraint.mask()?;
            masks.push(began.elapsed());
            constraint.accept(token)?;
        }
        Ok(SchemaCost {
            trees,
            compile,
            masks,
        })
    }

    /// Whether a token ends an answer.
    #[must_use]
    pub fn is_end(&self, id: u32) -> bool {
        self.tokenizer.is_end(id)
    }

    /// So many empty sequences of at most `tokens` tokens each.
    ///
    /// # Errors
    /// If there is no memory for them.
    pub fn sequences(&self, count: usize, tokens: usize) -> Result<Sequences> {
        // llama.cpp's caches come in multiples of this many tokens, and no larger than asked for.
        let room = count * self.weights.kv_bytes(tokens.next_multiple_of(256));
        Ok(Sequences {
            model: self.weights.model(count, room)?,
            lengths: vec![0; count],
        })
    }
}

impl Sequences {
    /// Reads tokens of one sequence in one step, the way a prompt of as many would be; returns the logits after the
    /// last.
    ///
    /// # Errors
    /// If the tokens are outside the vocabulary or beyond the sequences' room.
    pub fn read(&mut self, sequence: usize, tokens: &[u32]) -> Result<&[f32]> {
        let all = self.read_as(sequence, tokens, Logits::Last)?;
        Ok(all)
    }

    /// As [`Self::read`], but returns the logits after each token.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_all(&mut self, sequence: usize, tokens: &[u32]) -> Result<Vec<&[f32]>> {
        let vocabulary = self.model.shape().vocabulary;
        let all = self.read_as(sequence, tokens, Logits::All)?;
        Ok(all.chunks_exact(vocabulary).collect())
    }

    /// One step of all sequences, a token each; returns the best next token of each.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_together(&mut self, tokens: &[u32]) -> Result<Vec<u32>> {
        let runs = tokens.iter().zip(&self.lengths).enumerate();
        let runs: Vec<Run<'_>> = runs
            .map(|(sequence, (token, &position))| Run {
                sequence,
                position,
                tokens: std::slice::from_ref(token),
                logits: Logits::Last,
                bulk: false,
            })
            .collect();
        let outcome = self.model.step(&runs, &|| false)?;
        debug_assert_eq!(outcome, Outcome::Done, "nothing stops this step");
        self.lengths[..runs.len()]
            .iter_mut()
            .for_each(|length| *length += 1);
        let vocabulary = self.model.shape().vocabulary;
        Ok(self.model.logits().chunks_exact(vocabulary).map(best).collect())
    }

    fn read_as(&mut self, sequence: usize, tokens: &[u32], logits: Logits) -> Result<&[f32]> {
        let run = Run {
            sequence,
            position: self.lengths[sequence],
            tokens,
            logits,
            bulk: tokens.len() >= self.model.shape().bulk,
        };
        let outcome = self.model.step(&[run], &|| false)?;
        debug_assert_eq!(outcome, Outcome::Done, "nothing stops this step");
        self.lengths[sequence] += tokens.len();
        Ok(self.model.logits())
    }
}

/// The token with the largest logit, the first of equals.
#[must_use]
pub fn best(logits: &[f32]) -> u32 {
    crate::text::best(logits)
}
