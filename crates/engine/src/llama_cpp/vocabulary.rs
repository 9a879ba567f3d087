//! llama.cpp's own vocabulary and the template as it read it, for files that the engine's reader or tokenizer does not
//! know.

use std::path::Path;
use std::sync::Arc;

use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token_type::LlamaTokenAttr;
use llama_cpp_2::vocab::LlamaVocab;

use super::Weights;
use crate::error::{Result, unsupported};
use crate::text::{Parts, Template, Tokenizer};

/// Longer text is not given to llama.cpp in one piece, whose lengths have 31 bits.
const LONGEST: usize = 1 << 30;

/// A model's vocabulary, for plain text.
#[derive(Clone, Debug)]
pub(crate) struct Vocabulary(Arc<LlamaModel>);

impl Vocabulary {
    /// The tokens of plain text: nothing in it is special.
    pub(crate) fn encode(&self, text: &str, ids: &mut Vec<u32>) {
        let vocabulary = self.0.vocab();
        let mut rest = text;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.floor_char_boundary(LONGEST));
            let tokens = vocabulary.tokenize(piece.as_bytes(), false, false);
            ids.extend(tokens.into_iter().filter_map(id));
            rest = after;
        }
    }
}

/// The tokenizer and the template of a file, as llama.cpp knows them.
///
/// # Errors
/// If the file has no chat template, or one that does not compile, or nothing that ends an answer.
pub(super) fn read(path: &Path, weights: &Weights) -> Result<(Tokenizer, Template)> {
    let model = &weights.model;
    let vocabulary = model.vocab();
    let file = path.display();
    let Ok(source) = model.chat_template(None) else {
        return Err(Template::missing(path));
    };
    let source = source
        .to_str()
        .map_err(|_| unsupported(format!("{file}: the chat template is not UTF-8")))?;
    let all = || vocabulary.tokens();
    let spelling = |token| spelling(&vocabulary, token);
    let ends: Vec<u32> = all()
        .filter(|&token| vocabulary.is_eog(token))
        .filter_map(id)
        .collect();
    if ends.is_empty() {
        return Err(unsupported(format!("{file} names no token that ends an answer")));
    }
    let special = |token: &LlamaToken| {
        let is = |attr| vocabulary.attr(*token).contains(attr);
        (is(LlamaTokenAttr::Control) || is(LlamaTokenAttr::UserDefined)) && !spelling(*token).is_empty()
    };
    let tokenizer = Tokenizer::foreign(Parts {
        vocabulary: Vocabulary(Arc::clone(model)),
        bytes: all()
            .map(|token| vocabulary.token_to_piece(token, false, None).into_boxed_slice())
            .collect(),
        special: all().filter(special).filter_map(id).collect(),
        spellings: all().map(spelling).collect(),
        bos: id(vocabulary.bos()).filter(|_| vocabulary.should_add_bos()),
        ends,
    })?;
    let named = |token: LlamaToken| {
        let known = id(token).filter(|&id| (id as usize) < weights.vocabulary());
        known.map_or_else(String::new, |_| spelling(token))
    };
    let template = Template::of(source, named(vocabulary.bos()), named(vocabulary.eos()), path)?;
    Ok((tokenizer, template))
}

fn id(token: LlamaToken) -> Option<u32> {
    u32::try_from(token.0).ok()
}

fn spelling(vocabulary: &LlamaVocab<'_>, token: LlamaToken) -> String {
    vocabulary
        .text(token)
        .map(|text| text.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// The quantisation of most weights, by GGUF's numbering. Those that candle reads too are told from the weights.
pub(super) fn quantisation(model: &LlamaModel) -> String {
    const NAMES: [(&str, &str); 20] = [
        ("15", "Q4_K_M"),
        ("17", "Q5_K_M"),
        ("19", "IQ2_XXS"),
        ("20", "IQ2_XS"),
        ("22", "IQ3_XS"),
        ("23", "IQ3_XXS"),
        ("24", "IQ1_S"),
        ("25", "IQ4_NL"),
        ("26", "IQ3_S"),
        ("27", "IQ3_M"),
        ("28", "IQ2_S"),
        ("29", "IQ2_M"),
        ("30", "IQ4_XS"),
        ("31", "IQ1_M"),
        ("36", "TQ1_0"),
        ("37", "TQ2_0"),
        ("38", "MXFP4"),
        ("39", "NVFP4"),
        ("40", "Q1_0"),
        ("41", "Q2_0"),
    ];
    let number = model.meta_val_str("general.file_type").unwrap_or_default();
    let name = NAMES.iter().find(|(known, _)| *known == number);
    name.map_or_else(|| format!("file type {number}"), |(_, name)| (*name).to_owned())
}
