//! Text to token ids and back, from the vocabulary and merges of a GGUF file.
//!
//! The merging is the `tokenizers` crate's; how text is cut before it, which bytes a vocabulary lacks, and what is a
//! special token is read from the file here. [`super::Template`] says which special tokens count.

mod bytes;
mod said;
mod vocabulary;
mod words;

use std::collections::HashMap;

use aho_corasick::{AhoCorasick, MatchKind};
use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::unicode::NFC;
use tokenizers::tokenizer::{
    Model, NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString,
};

use crate::error::Result;
use crate::gguf::Gguf;
use bytes::ByteAlphabet;
use vocabulary::Vocabulary;
#[cfg(feature = "llama-cpp")]
use vocabulary::is_tag;
use words::Words;

/// Text to tokens and back.
#[derive(Debug)]
pub(crate) struct Tokenizer {
    bpe: BPE,
    cut: Cut,
    /// The spelling of every token, by id.
    spellings: Vec<String>,
    /// The bytes of every token, by id; none for control tokens, which are not text.
    bytes: Vec<Box<[u8]>>,
    longest: usize,
    /// Finds special tokens by their spelling, the longest where several begin; ids in the same order.
    special: AhoCorasick,
    special_ids: Vec<u32>,
    /// Which of them are marks of a conversation, in the same order; the others are text.
    are_marks: Vec<bool>,
    bos: Option<u32>,
    ends: Vec<u32>,
}

/// How text is cut into pieces that are merged on their own.
#[derive(Debug)]
enum Cut {
    /// Byte-level: words by a pattern, bytes as printable characters.
    Words {
        words: Box<Words>,
        alphabet: Box<ByteAlphabet>,
    },
    /// SentencePiece: the whole text, spaces as U+2581, one put before it where the file says so.
    Whole { space_before: bool },
    /// By llama.cpp, which merges as well.
    #[cfg(feature = "llama-cpp")]
    Foreign(crate::llama_cpp::Vocabulary),
}

/// What has to be known of a vocabulary that another library cuts and merges text by. By id, where it is a list of all.
#[cfg(feature = "llama-cpp")]
pub(crate) struct Parts {
    pub(crate) vocabulary: crate::llama_cpp::Vocabulary,
    pub(crate) spellings: Vec<String>,
    pub(crate) bytes: Vec<Box<[u8]>>,
    /// Those that are recognised by their spelling, none of which is empty.
    pub(crate) special: Vec<u32>,
    pub(crate) bos: Option<u32>,
    pub(crate) ends: Vec<u32>,
}

impl Tokenizer {
    /// Builds the tokenizer of a file.
    pub(crate) fn read(gguf: &Gguf) -> Result<Self> {
        let vocabulary = Vocabulary::read(gguf)?;
        let bpe = vocabulary.model(gguf)?;
        let spelled: Vec<&str> = vocabulary.tokens.iter().map(String::as_str).collect();
        let alphabet = ByteAlphabet::new(&spelled);
        let bytes: Vec<Box<[u8]>> = spelled
            .iter()
            .zip(&vocabulary.kinds)
            .map(|(token, &kind)| vocabulary.bytes(token, kind))
            .collect();
        let special_ids = vocabulary.special();
        let are_marks = special_ids
            .iter()
            .map(|&id| vocabulary.is_mark(id as usize))
            .collect();
        let special = finder(special_ids.iter().map(|&id| spelled[id as usize]))?;
        let cut = if vocabulary.is_sentencepiece {
            Cut::Whole {
                space_before: gguf.boolean("tokenizer.ggml.add_space_prefix")?.unwrap_or(true),
            }
        } else {
            Cut::Words {
                words: Box::new(Words::read(gguf)?),
                alphabet: Box::new(alphabet),
            }
        };
        let bos = vocabulary.bos(gguf)?;
        let ends = vocabulary.ends(gguf)?;
        Ok(Self {
            bpe,
            cut,
            spellings: vocabulary.tokens,
            longest: longest(&bytes),
            bytes,
            special,
            special_ids,
            are_marks,
            bos,
            ends,
        })
    }

    /// The tokenizer of a vocabulary that another library reads.
    #[cfg(feature = "llama-cpp")]
    pub(crate) fn foreign(parts: Parts) -> Result<Self> {
        let spelled = || parts.special.iter().map(|&id| &parts.spellings[id as usize]);
        let is_mark =
            |&id: &u32| parts.bytes[id as usize].is_empty() || is_tag(&parts.spellings[id as usize]);
        let are_marks = parts.special.iter().map(is_mark).collect();
        Ok(Self {
            special: finder(spelled())?,
            bpe: BPE::default(),
            cut: Cut::Foreign(parts.vocabulary),
            spellings: parts.spellings,
            longest: longest(&parts.bytes),
            bytes: parts.bytes,
            special_ids: parts.special,
            are_marks,
            bos: parts.bos,
            ends: parts.ends,
        })
    }

    /// Whether a token ends an answer.
    pub(crate) fn is_end(&self, id: u32) -> bool {
        self.ends.contains(&id)
    }

    /// The tokens that end an answer; at least one.
    pub(crate) fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// The bytes a token stands for; none for a control token.
    pub(crate) fn bytes(&self, id: u32) -> &[u8] {
        self.bytes.get(id as usize).map_or(&[], |bytes| bytes)
    }

    /// The spelling of a token in the file.
    pub(crate) fn spelling(&self, id: usize) -> Option<&str> {
        self.spellings.get(id).map(String::as_str)
    }

    /// No text of this many bytes has fewer tokens than this, control tokens aside.
    pub(crate) fn least_tokens(&self, bytes: usize) -> usize {
        bytes / self.longest
    }

    /// Puts the beginning-of-sequence token in front, where the file wants one and there is none.
    pub(crate) fn add_bos(&self, ids: &mut Vec<u32>) {
        if let Some(bos) = self.bos
            && ids.first() != Some(&bos)
        {
            ids.insert(0, bos);
        }
    }

    /// Plain text with the marker put into everything that is spelled like a mark of a conversation.
    pub(crate) fn mark(&self, text: &str, marker: char) -> String {
        let mut marked = String::with_capacity(text.len());
        let mut done = 0;
        // Overlapping look-alikes are found too: the search goes on behind the first character of each.
        while let Some(found) = self.special.find(&text[done..]) {
            let start = done + found.start();
            let second = start + text[start..].chars().next().map_or(1, char::len_utf8);
            marked.push_str(&text[done..second]);
            if self.are_marks[found.pattern().as_usize()] {
                marked.push(marker);
            }
            done = second;
        }
        marked.push_str(&text[done..]);
        marked
    }

    /// Encodes a rendered template: special tokens where they are spelled without a marker inside, plain text, less
    /// its markers, between them.
    pub(crate) fn encode_marked(&self, text: &str, marker: char) -> Vec<u32> {
        let mut ids = Vec::with_capacity(text.len() / 3);
        let plain = |text: &str, ids: &mut Vec<u32>| {
            if text.contains(marker) {
                self.encode(&text.replace(marker, ""), ids)
            } else {
                self.encode(text, ids)
            }
        };
        let mut done = 0;
        for found in self.special.find_iter(text) {
            plain(&text[done..found.start()], &mut ids);
            ids.push(self.special_ids[found.pattern().as_usize()]);
            done = found.end();
        }
        plain(&text[done..], &mut ids);
        ids
    }

    /// Encodes plain text: nothing in it is special.
    pub(crate) fn encode(&self, text: &str, ids: &mut Vec<u32>) {
        if text.is_empty() {
            return;
        }
        match &self.cut {
            #[cfg(feature = "llama-cpp")]
            Cut::Foreign(vocabulary) => vocabulary.encode(text, ids),
            Cut::Whole { space_before } => {
                let prefix = if *space_before { " " } else { "" };
                self.merge(&format!("{prefix}{text}").replace(' ', "\u{2581}"), ids);
            }
            Cut::Words { words, alphabet } => {
                let composed = words.composed && !text.is_ascii();
                let mut pieces = PreTokenizedString::from(if composed { compose(text) } else { text.into() });
                let cut = words.cut(&mut pieces);
                if let Err(error) = cut {
                    // A backtracking limit of the pattern engine: merging over the whole text is still an encoding.
                    tracing::warn!(%error, "text could not be cut into words");
                }
                let mut spelled = String::new();
                for (piece, _, _) in pieces.get_splits(OffsetReferential::Original, OffsetType::Byte) {
                    alphabet.spell(piece, &mut spelled, |spelled| self.merge(spelled, ids));
                }
            }
        }
    }

    /// Merges one piece.
    fn merge(&self, piece: &str, ids: &mut Vec<u32>) {
        match self.bpe.tokenize(piece) {
            Ok(tokens) => ids.extend(tokens.iter().map(|token| token.id)),
            // Possible only where an unknown token is named and missing, which building the model rules out.
            Err(error) => tracing::error!(%error, "a piece of text has no tokens"),
        }
    }
}

/// Text in the composed form, NFC.
fn compose(text: &str) -> NormalizedString {
    let mut composed = NormalizedString::from(text);
    if let Err(error) = NFC.normalize(&mut composed) {
        tracing::warn!(%error, "text could not be composed");
    }
    composed
}

/// What finds special tokens by their spelling.
fn finder(spelled: impl Iterator<Item = impl AsRef<[u8]>>) -> Result<AhoCorasick> {
    let finder = AhoCorasick::builder()
        .match_kind(MatchKind::LeftmostLongest)
        .build(spelled);
    finder.map_err(|source| crate::error::unsupported("the special tokens are too many").with_source(source))
}

/// Bytes of the token that has most.
fn longest(bytes: &[Box<[u8]>]) -> usize {
    bytes.iter().map(|bytes| bytes.len()).max().unwrap_or(1).max(1)
}

/// Token ids by spelling.
pub(super) type Ids = HashMap<String, u32>;
