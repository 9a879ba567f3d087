//! The model without requests, sampling or a thread: token ids in, numbers out. For checks against a reference
//! evaluation, and for benchmarks.

use std::path::Path;

use aurora_chat::{ChatRequest, RequestError};

use crate::error::Result;
use crate::gguf::Gguf;
use crate::nn::{DENSE_ROWS, KvCache, Llama, Logits, Outcome, Pool, Slot, Workspace};
use crate::text::{Template, Tokenizer};

/// A loaded model, to be driven by hand.
#[derive(Debug)]
pub struct Evaluator {
    model: Llama,
    tokenizer: Tokenizer,
    template: Template,
    pool: Pool,
}

/// A sequence of tokens that a model has read.
#[derive(Debug)]
pub struct Sequence {
    cache: KvCache,
    workspace: Workspace,
}

impl Evaluator {
    /// Loads a GGUF file.
    ///
    /// # Errors
    /// As [`crate::Engine::load`].
    pub fn load(path: &Path) -> Result<Self> {
        let mut gguf = Gguf::open(path)?;
        let model = Llama::read(&mut gguf)?;
        let tokenizer = Tokenizer::read(&gguf)?;
        let template = Template::read(&gguf, &tokenizer)?;
        let pool = Pool::new(None)?;
        Ok(Self {
            model,
            tokenizer,
            template,
            pool,
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

    /// The tokens of a conversation, rendered with the model's chat template; with the beginning of the answer after
    /// them where `add_generation_prompt` says so.
    ///
    /// # Errors
    /// If the template or the model refuses the conversation.
    pub fn conversation(
        &self,
        request: &ChatRequest,
        add_generation_prompt: bool,
    ) -> Result<Vec<u32>, RequestError> {
        self.template
            .tokens(request, &self.tokenizer, add_generation_prompt)
    }

    /// Whether a token ends an answer.
    #[must_use]
    pub fn is_end(&self, id: u32) -> bool {
        self.tokenizer.is_end(id)
    }

    /// An empty sequence for at most `capacity` tokens.
    #[must_use]
    pub fn sequence(&self, capacity: usize) -> Sequence {
        Sequence {
            cache: KvCache::new(self.model.config(), capacity),
            workspace: Workspace::default(),
        }
    }

    /// Reads tokens in one step; returns the logits after the last, or after each.
    ///
    /// # Errors
    /// If the tokens are outside the vocabulary or beyond the sequence's capacity.
    pub fn read<'a>(&self, sequence: &'a mut Sequence, tokens: &[u32], all: bool) -> Result<Vec<&'a [f32]>> {
        let logits = if all { Logits::All } else { Logits::Last };
        let dense = tokens.len() >= DENSE_ROWS;
        let mut slots = [Slot {
            tokens,
            cache: &mut sequence.cache,
            logits,
            dense,
        }];
        match self
            .pool
            .run(|| self.model.step(&mut slots, &mut sequence.workspace, &|| false))?
        {
            Outcome::Done | Outcome::Stopped => {}
        }
        let vocabulary = self.model.config().vocabulary;
        Ok(sequence.workspace.logits_mut().chunks_exact(vocabulary).collect())
    }

    /// One step of several sequences, a token each; returns the best next token of each.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_together(&self, sequences: &mut [Sequence], tokens: &[u32]) -> Result<Vec<u32>> {
        let mut workspace = sequences
            .first_mut()
            .map(|first| std::mem::take(&mut first.workspace))
            .unwrap_or_default();
        let mut slots: Vec<Slot<'_>> = sequences
            .iter_mut()
            .zip(tokens)
            .map(|(sequence, token)| Slot {
                tokens: std::slice::from_ref(token),
                cache: &mut sequence.cache,
                logits: Logits::Last,
                dense: false,
            })
            .collect();
        let outcome = self
            .pool
            .run(|| self.model.step(&mut slots, &mut workspace, &|| false))?;
        debug_assert_eq!(outcome, Outcome::Done, "nothing stops this step");
        let vocabulary = self.model.config().vocabulary;
        let best_of = workspace
            .logits_mut()
            .chunks_exact(vocabulary)
            .map(best)
            .collect();
        if let Some(first) = sequences.first_mut() {
            first.workspace = workspace;
        }
        Ok(best_of)
    }
}

/// The token with the largest logit, the first of equals.
#[must_use]
pub fn best(logits: &[f32]) -> u32 {
    crate::text::best(logits)
}
