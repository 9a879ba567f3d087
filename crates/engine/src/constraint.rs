//! Answers that obey a grammar: which tokens may come next, and which must.
//!
//! Grammars are llguidance's. One is compiled on the thread of whoever asks, and the first mask is computed there too, so
//! the scheduler's thread only ever takes the next step. What a grammar may cost is bounded: the schema's size before it
//! is compiled ([`schema`]), and the work and memory of each stage by llguidance's own limits, each with an error.

mod format;
pub(crate) mod schema;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::{InferenceCapabilities, SimpleVob, TokEnv, TokRxInfo, TokTrie, TokenizerEnv};
use llguidance::{Matcher, ParserFactory};
use serde_json::Value;

use crate::text::Tokenizer;

pub(crate) use format::{cannot, wanted};

/// Which tokens may come next.
pub(crate) type Mask = SimpleVob;

/// Grammars that are kept compiled, for those who ask with the same one again.
const KEPT: usize = 8;
/// The longest grammar that is kept, in bytes of its text.
const KEPT_BYTES: usize = 64 << 10;
/// States of a lexer, of 1 to 2 kB each.
const LEXER_STATES: usize = 30_000;
/// Symbols in the productions of a grammar.
const GRAMMAR_SIZE: usize = 200_000;
/// The stack of the thread that compiles: the compiler recurses over the members of an object.
const STACK: usize = 64 << 20;

/// Compiles grammars for one model's tokens.
pub(crate) struct Grammars {
    tokenizer: Arc<Tokenizer>,
    /// Made for the first request that needs it.
    factory: OnceLock<Result<ParserFactory, String>>,
    /// The one used last is last.
    compiled: Mutex<VecDeque<(String, Constraint)>>,
}

/// What an answer has to be, and how far it has come.
pub(crate) struct Constraint {
    matcher: Matcher,
    /// The mask of the first step, computed when it was compiled.
    first: Option<Mask>,
}

impl Grammars {
    pub(crate) fn new(tokenizer: Arc<Tokenizer>) -> Self {
        Self {
            tokenizer,
            factory: OnceLock::new(),
            compiled: Mutex::default(),
        }
    }

    /// Compiles a grammar in llguidance's syntax. It takes from under a millisecond to some hundred, for the largest
    /// that is allowed.
    ///
    /// # Errors
    /// In words, why there is no answer that obeys it, or none that this engine could make.
    pub(crate) fn compile(&self, grammar: &str) -> Result<Constraint, String> {
        match self.kept(grammar) {
            Some(constraint) => Ok(constraint),
            None => self.compile_anew(grammar),
        }
    }

    /// Compiles the grammar of answers that are JSON which obeys a schema.
    ///
    /// # Errors
    /// As [`Self::compile`].
    pub(crate) fn compile_schema(&self, schema: Value) -> Result<Constraint, String> {
        self.compile(&format!("start: {}\n", schema::rule(schema)?))
    }

    fn kept(&self, grammar: &str) -> Option<Constraint> {
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        let index = compiled.iter().position(|(text, _)| text == grammar)?;
        let found = compiled.remove(index)?;
        let constraint = found.1.copy();
        compiled.push_back(found);
        Some(constraint)
    }

    fn compile_anew(&self, grammar: &str) -> Result<Constraint, String> {
        let factory = self
            .factory
            .get_or_init(|| factory(&self.tokenizer))
            .as_ref()
            .map_err(Clone::clone)?;
        let compile = || {
            let mut matcher =
                Matcher::new(factory.create_parser(TopLevelGrammar::from_lark(grammar.to_owned())));
            if let Some(error) = matcher.get_error() {
                return Err(reason(&error));
            }
            // It also fills the lexer's tables.
            let first = matcher.compute_mask().map_err(|error| reason(&error))?;
            Ok(Constraint {
                matcher,
                first: Some(first),
            })
        };
        let compiled = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new()
                .name("aurora-grammar".to_owned())
                .stack_size(STACK)
                .spawn_scoped(scope, compile);
            match thread {
                Ok(thread) => thread
                    .join()
                    .unwrap_or_else(|_panic| Err("it cannot be compiled".to_owned())),
                Err(error) => Err(format!("there is no thread to compile it on: {error}")),
            }
        });
        let constraint = compiled?;
        if grammar.len() <= KEPT_BYTES {
            let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
            if compiled.len() == KEPT {
                compiled.pop_front();
            }
            compiled.push_back((grammar.to_owned(), constraint.copy()));
        }
        Ok(constraint)
    }
}

impl Constraint {
    /// One like it, with a state of its own.
    fn copy(&self) -> Self {
        Self {
            matcher: self.matcher.deep_clone(),
            first: self.first.clone(),
        }
    }

    /// Goes on from where an answer stands that has begun with these tokens. False: it cannot begin so.
    pub(crate) fn go_on_from(&mut self, tokens: &[u32]) -> bool {
        self.first = None;
        self.matcher
            .try_consume_tokens(tokens)
            .is_ok_and(|taken| taken == tokens.len())
    }

    /// The tokens that may come next; at least one.
    ///
    /// # Errors
    /// If finding out would cost more than is allowed.
    pub(crate) fn mask(&mut self) -> Result<Mask, String> {
        match self.first.take() {
            Some(mask) => Ok(mask),
            None => self.matcher.compute_mask().map_err(|error| reason(&error)),
        }
    }

    /// Takes the next token.
    ///
    /// # Errors
    /// If it may not come next.
    pub(crate) fn accept(&mut self, token: u32) -> Result<(), String> {
        self.first = None;
        self.matcher.consume_token(token).map_err(|error| reason(&error))
    }

    /// The tokens that come next whatever is sampled; those that a mask would force one by one.
    pub(crate) fn forced(&mut self) -> Vec<u32> {
        self.matcher.compute_ff_tokens()
    }

    /// Whether nothing may follow.
    pub(crate) fn is_over(&self) -> bool {
        self.matcher.is_stopped()
    }
}

impl fmt::Debug for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Constraint").finish_non_exhaustive()
    }
}

fn factory(tokenizer: &Arc<Tokenizer>) -> Result<ParserFactory, String> {
    let environment: TokEnv = Arc::new(Vocabulary::new(Arc::clone(tokenizer))?);
    let mut factory = ParserFactory::new(
        &environment,
        InferenceCapabilities::default(),
        &llguidance::earley::SlicedBiasComputer::json_slices(),
    )
    .map_err(|error| reason(&error))?;
    factory.quiet();
    let limits = factory.limits_mut();
    limits.max_lexer_states = LEXER_STATES;
    limits.max_grammar_size = GRAMMAR_SIZE;
    limits.verbose_errors = false;
    Ok(factory)
}

/// A model's tokens, as llguidance wants them.
struct Vocabulary {
    trie: TokTrie,
    tokenizer: Arc<Tokenizer>,
}

impl Vocabulary {
    fn new(tokenizer: Arc<Tokenizer>) -> Result<Self, String> {
        let size = u32::try_from(tokenizer.size()).map_err(|_| "the vocabulary is too large".to_owned())?;
        let ends = tokenizer.ends();
        let end = *ends.first().ok_or("no token ends an answer")?;
        let words: Vec<Vec<u8>> = (0..size).map(|id| word(&tokenizer, id)).collect();
        let trie = TokTrie::from(&TokRxInfo::new(size, end), &words).with_eos_tokens(ends);
        Ok(Self { trie, tokenizer })
    }
}

/// A token's bytes. Control tokens have a mark before their spelling; the one token whose text is that mark, a byte that
/// no text has, can never come.
fn word(tokenizer: &Tokenizer, id: u32) -> Vec<u8> {
    const MARK: u8 = TokTrie::SPECIAL_TOKEN_MARKER;
    /// What llguidance's tree of tokens can hold.
    const LONGEST: usize = 1000;
    match tokenizer.bytes(id) {
        [] => match tokenizer.spelling(id as usize) {
            None | Some("") => Vec::new(),
            Some(spelling) => [&[MARK], spelling.as_bytes()].concat(),
        },
        bytes if bytes.starts_with(&[MARK]) || bytes.len() > LONGEST => Vec::new(),
        bytes => bytes.to_vec(),
    }
}

impl TokenizerEnv for Vocabulary {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<u32> {
        let whole = match str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
        };
        let mut ids = self.tokenizer.encode_said(whole);
        let spelled: usize = ids.iter().map(|&id| self.tokenizer.bytes(id).len()).sum();
        if spelled != whole.len() {
            // The vocabulary lacks some byte of it.
            return self.trie.greedy_tokenize(bytes);
        }
        ids.extend(self.trie.greedy_tokenize(&bytes[whole.len()..]));
        ids
    }
}

/// What an error of llguidance's says, without the state of its parser, and without the place in a grammar that nobody has
/// written.
fn reason(error: &impl ToString) -> String {
    let text = error.to_string();
    if text.starts_with("panic: ") {
        return "it cannot be compiled".to_owned();
    }
    let text = text
        .split_once("failed to compile JSON schema: ")
        .map_or(text.as_str(), |(_, reason)| reason);
    // An excerpt of the grammar has numbered lines.
    let is_excerpt = |line: &str| {
        let number = line
            .trim_start()
            .split_once(" | ")
            .map_or("", |(number, _)| number);
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    let lines = text
        .lines()
        .take_while(|line| !is_excerpt(line) && !line.starts_with('<'));
    let lines: Vec<&str> = lines.collect();
    aurora_chat::redact::printable(&lines.join(" "), 300)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_its_reason_and_nothing_else() {
        for (error, expected) in [
            (
                "at 1(8): failed to compile JSON schema: no such type\n   1 | start: %json {}\n           ^\n",
                "no such type",
            ),
            (
                "regex parse error:\n    (?=a)\n    ^^^\nerror: look-around is not supported\n<non-verbose/>",
                "regex parse error: (?=a) ^^^ error: look-around is not supported",
            ),
            ("panic: index 3\n<backtrace>\n0: main", "it cannot be compiled"),
        ] {
            assert_eq!(reason(&error), expected);
        }
    }
}
