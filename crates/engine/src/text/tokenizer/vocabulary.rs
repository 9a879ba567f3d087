//! The vocabulary of a GGUF file: tokens, their kinds, and the model that merges them.

use tokenizers::models::bpe::BPE;

use super::{ByteAlphabet, words};
use crate::error::{Result, corrupt, unsupported};
use crate::gguf::Gguf;

/// Tokens that end an answer wherever a vocabulary has them, besides the one it names itself: the ends of turn and of
/// text of the model families in use, and the repository mark, which models trained on code put behind a file's end.
const ENDS: &[&str] = &[
    "<|endoftext|>",
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "<|end|>",
    "<end_of_turn>",
    "<|end_of_turn|>",
    "<reponame>",
    "<|fim_repo|>",
    "<|fim_pad|>",
];

/// What a token is, by GGUF's `tokenizer.ggml.token_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// Not text: marks who speaks, where an answer ends, …
    Control,
    /// Text that is never cut.
    UserDefined,
    /// One byte, spelled `<0x0A>`.
    Byte,
}

/// The tokens of a file.
#[derive(Debug)]
pub(super) struct Vocabulary {
    pub(super) tokens: Vec<String>,
    pub(super) kinds: Vec<Kind>,
    pub(super) is_sentencepiece: bool,
}

impl Vocabulary {
    pub(super) fn read(gguf: &Gguf) -> Result<Self> {
        let file = gguf.path().display();
        let is_sentencepiece = match gguf.string("tokenizer.ggml.model")? {
            Some("gpt2") => false,
            Some("llama") => true,
            Some(other) => {
                return Err(unsupported(format!(
                    "{file}: a vocabulary of type {other} is not supported"
                )));
            }
            None => return Err(corrupt(format!("{file} has no vocabulary"))),
        };
        let tokens: Vec<String> = gguf
            .strings("tokenizer.ggml.tokens")?
            .into_iter()
            .map(str::to_owned)
            .collect();
        let types = gguf.numbers("tokenizer.ggml.token_type")?;
        if !types.is_empty() && types.len() != tokens.len() {
            return Err(corrupt(format!(
                "{file}: {} token types for {} tokens",
                types.len(),
                tokens.len()
            )));
        }
        #[expect(clippy::cast_possible_truncation, reason = "types are 1 to 6")]
        let kind = |index: usize| match types.get(index).map(|&kind| kind as i32) {
            Some(2 | 3 | 5) => Kind::Control,
            Some(4) => Kind::UserDefined,
            Some(6) => Kind::Byte,
            _ => Kind::Text,
        };
        let kinds = (0..tokens.len()).map(kind).collect();
        Ok(Self {
            tokens,
            kinds,
            is_sentencepiece,
        })
    }

    /// The model that merges the vocabulary's letters.
    pub(super) fn model(&self, gguf: &Gguf) -> Result<BPE> {
        let merges = if self.is_sentencepiece {
            self.merges_by_score(gguf)?
        } else {
            merges(gguf)?
        };
        #[expect(
            clippy::cast_possible_truncation,
            reason = "Vocabulary::read counted them, and files are smaller"
        )]
        let ids = self
            .tokens
            .iter()
            .enumerate()
            .map(|(id, token)| (token.clone(), id as u32));
        let ids: ahash::AHashMap<String, u32> = ids.collect();
        let mut builder = BPE::builder().vocab_and_merges(ids, merges);
        if self.is_sentencepiece {
            builder = builder.byte_fallback(true).fuse_unk(true);
            if let Some(unknown) = gguf
                .integer("tokenizer.ggml.unknown_token_id")?
                .and_then(|id| self.tokens.get(id))
            {
                builder = builder.unk_token(unknown.clone());
            }
        } else {
            builder = builder.ignore_merges(words::are_whole(gguf)?);
        }
        builder.build().map_err(|source| {
            corrupt(format!(
                "{}: the vocabulary's merges do not fit its tokens",
                gguf.path().display()
            ))
            .with_source(source)
        })
    }

    /// SentencePiece's merges, which a file does not list: every way a token is made of two, best score first.
    fn merges_by_score(&self, gguf: &Gguf) -> Result<Vec<(String, String)>> {
        let scores = gguf.numbers("tokenizer.ggml.scores")?;
        if scores.len() != self.tokens.len() {
            return Err(corrupt(format!(
                "{}: a SentencePiece vocabulary without scores",
                gguf.path().display()
            )));
        }
        let ids: super::Ids = (0_u32..)
            .zip(&self.tokens)
            .map(|(id, token)| (token.clone(), id))
            .collect();
        let mut merges = Vec::new();
        for (token, score) in self.tokens.iter().zip(&scores) {
            for (at, _) in token.char_indices().skip(1) {
                let (left, right) = token.split_at(at);
                if let (Some(&l), Some(&r)) = (ids.get(left), ids.get(right)) {
                    merges.push((*score, l, r, (left.to_owned(), right.to_owned())));
                }
            }
        }
        merges.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        Ok(merges.into_iter().map(|(_, _, _, merge)| merge).collect())
    }

    /// The bytes a token stands for.
    pub(super) fn bytes(&self, token: &str, kind: Kind) -> Box<[u8]> {
        match kind {
            Kind::Control => Box::default(),
            Kind::UserDefined => token.as_bytes().into(),
            Kind::Byte => {
                let digits = token.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
                let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                byte.map_or_else(|| token.as_bytes().into(), |byte| Box::from([byte].as_slice()))
            }
            Kind::Text if self.is_sentencepiece => {
                token.replace('\u{2581}', " ").into_bytes().into_boxed_slice()
            }
            Kind::Text => ByteAlphabet::bytes(token),
        }
    }

    /// Whether a token is part of how a conversation is written, such as a mark of who speaks: those that are not text,
    /// and those that look like a tag. The others that are never cut are text, most often spaces.
    pub(super) fn is_mark(&self, id: usize) -> bool {
        let spelling = &self.tokens[id];
        match self.kinds[id] {
            Kind::Control => true,
            Kind::UserDefined => is_tag(spelling),
            Kind::Byte | Kind::Text => false,
        }
    }

    /// The ids of the tokens that are recognised by their spelling.
    pub(super) fn special(&self) -> Vec<u32> {
        let special = |kind: &Kind| matches!(kind, Kind::Control | Kind::UserDefined);
        (0_u32..)
            .zip(self.kinds.iter().zip(&self.tokens))
            .filter_map(|(id, (kind, token))| (special(kind) && !token.is_empty()).then_some(id))
            .collect()
    }

    /// The token to put before everything, where the file wants one.
    pub(super) fn bos(&self, gguf: &Gguf) -> Result<Option<u32>> {
        let wanted = match gguf.boolean("tokenizer.ggml.add_bos_token")? {
            Some(wanted) => wanted,
            None => self.is_sentencepiece || words::begin_with_bos(gguf)?,
        };
        let bos = if wanted {
            self.id(gguf, "tokenizer.ggml.bos_token_id")?
        } else {
            None
        };
        Ok(bos)
    }

    /// The tokens that end an answer.
    pub(super) fn ends(&self, gguf: &Gguf) -> Result<Vec<u32>> {
        let mut ends: Vec<u32> = (0_u32..)
            .zip(self.tokens.iter().zip(&self.kinds))
            .filter_map(|(id, (token, &kind))| {
                (kind == Kind::Control && ENDS.contains(&token.as_str())).then_some(id)
            })
            .collect();
        for key in [
            "tokenizer.ggml.eos_token_id",
            "tokenizer.ggml.eot_token_id",
            "tokenizer.ggml.eom_token_id",
        ] {
            ends.extend(self.id(gguf, key)?);
        }
        if ends.is_empty() {
            return Err(corrupt(format!(
                "{} names no token that ends an answer",
                gguf.path().display()
            )));
        }
        ends.sort_unstable();
        ends.dedup();
        Ok(ends)
    }

    fn id(&self, gguf: &Gguf, key: &str) -> Result<Option<u32>> {
        match gguf.integer(key)? {
            Some(id) if id >= self.tokens.len() => Err(corrupt(format!(
                "{}: {key} is outside the vocabulary",
                gguf.path().display()
            ))),
            id => Ok(id.and_then(|id| u32::try_from(id).ok())),
        }
    }
}

/// Whether a spelling looks like a tag.
pub(super) fn is_tag(spelling: &str) -> bool {
    let between = |open, close| spelling.starts_with(open) && spelling.ends_with(close);
    between('<', '>') || between('[', ']')
}

/// The merges a file lists.
fn merges(gguf: &Gguf) -> Result<Vec<(String, String)>> {
    let split = |merge: &str| {
        // The first character may itself be a space only where an encoder wrote it so; the alphabet has none.
        let (left, right) = merge.split_once(' ')?;
        Some((left.to_owned(), right.to_owned()))
    };
    let listed = gguf.strings("tokenizer.ggml.merges")?;
    let merges: Option<Vec<_>> = listed.into_iter().map(split).collect();
    merges.ok_or_else(|| {
        corrupt(format!(
            "{}: a merge without a space between its two parts",
            gguf.path().display()
        ))
    })
}
