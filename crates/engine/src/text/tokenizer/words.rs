//! How a byte-level vocabulary's text is cut into words, by the name the file gives for it (`tokenizer.ggml.pre`).
//!
//! The patterns are those of the models' own tokenizers; the names, and which of them mean the same, are llama.cpp's.

use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::tokenizer::{
    PreTokenizedString, PreTokenizer, Result as PieceResult, SplitDelimiterBehavior,
};

use crate::error::{Result, unsupported};
use crate::gguf::Gguf;

/// GPT-2's words.
const GPT_2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
/// Llama 3's: contractions in any case, numbers in threes.
const LLAMA_3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Qwen 2's: digit by digit.
const QWEN_2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Qwen 3.5's: marks belong to letters.
const QWEN_3_5: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Mistral's Tekken: words are cut where a capital follows.
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// GPT-4o's: the same with contractions, and numbers in threes.
const GPT_4O: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Seed-Coder's.
const SEED: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+";
/// DeepSeek-V3's, after numbers and East Asian script.
const DEEPSEEK_3: &str = r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"##;

/// One way of cutting, and what belongs to it.
struct Way {
    names: &'static [&'static str],
    /// Each digit is a word, before anything else is.
    digits: bool,
    /// Applied one after the other, each to what the last left.
    patterns: &'static [&'static str],
    /// A word that is a token is that token, whatever the merges say.
    whole_words: bool,
    /// Whether a text begins with the beginning-of-sequence token where the file does not say.
    bos: bool,
    /// Whether text is put into the composed form (NFC) first.
    composed: bool,
}

const PLAIN: Way = Way {
    names: &[],
    digits: false,
    patterns: &[],
    whole_words: false,
    bos: false,
    composed: false,
};

const WAYS: &[Way] = &[
    Way {
        names: &[
            "smollm",
            "starcoder",
            "refact",
            "command-r",
            "codeshell",
            "exaone",
            "minerva-7b",
        ],
        digits: true,
        patterns: &[GPT_2],
        ..PLAIN
    },
    Way {
        names: &[
            "gpt-2",
            "phi-2",
            "olmo",
            "mpt",
            "jais",
            "trillion",
            "granite-docling",
        ],
        patterns: &[GPT_2],
        ..PLAIN
    },
    Way {
        names: &[
            "llama-bpe",
            "llama3",
            "llama-v3",
            "falcon3",
            "falcon-h1",
            "pixtral",
            "midm-2.0",
            "lfm2",
        ],
        patterns: &[LLAMA_3],
        whole_words: true,
        bos: true,
        ..PLAIN
    },
    Way {
        names: &["dbrx", "smaug-bpe", "chatglm-bpe"],
        patterns: &[LLAMA_3],
        ..PLAIN
    },
    Way {
        names: &["glm4"],
        patterns: &[LLAMA_3],
        whole_words: true,
        ..PLAIN
    },
    Way {
        names: &["qwen2", "deepseek-r1-qwen", "megrez"],
        patterns: &[QWEN_2],
        composed: true,
        ..PLAIN
    },
    Way {
        names: &["qwen35"],
        patterns: &[QWEN_3_5],
        composed: true,
        ..PLAIN
    },
    Way {
        names: &["stablelm2", "hunyuan", "solar-open"],
        patterns: &[QWEN_2],
        ..PLAIN
    },
    Way {
        names: &["tekken"],
        patterns: &[TEKKEN],
        whole_words: true,
        bos: true,
        ..PLAIN
    },
    Way {
        names: &["gpt-4o", "llama4", "kanana2"],
        patterns: &[GPT_4O],
        ..PLAIN
    },
    Way {
        names: &["seed-coder"],
        patterns: &[SEED],
        ..PLAIN
    },
    Way {
        names: &["deepseek-coder"],
        patterns: &[
            r"[\r\n]",
            r"\s?\p{L}+",
            r"\s?\p{P}+",
            "[\u{4e00}-\u{9fa5}\u{0800}-\u{4e00}\u{ac00}-\u{d7ff}]+",
            r"\p{N}",
        ],
        ..PLAIN
    },
    Way {
        names: &["deepseek-v3"],
        patterns: &[
            r"\p{N}{1,3}",
            "[\u{4e00}-\u{9fa5}\u{3040}-\u{309f}\u{30a0}-\u{30ff}]+",
            DEEPSEEK_3,
        ],
        ..PLAIN
    },
    // What llama.cpp does for files that do not say.
    Way {
        names: &["default"],
        patterns: &[r"[\p{P}\$\+<=>\^~\|]+", GPT_2, r"\p{N}+", "[0-9][0-9][0-9]"],
        ..PLAIN
    },
];

fn way(gguf: &Gguf) -> Result<&'static Way> {
    let name = gguf.string("tokenizer.ggml.pre")?.unwrap_or("default");
    let way = WAYS.iter().find(|way| way.names.contains(&name));
    way.ok_or_else(|| {
        let names: Vec<&str> = WAYS.iter().flat_map(|way| way.names).copied().collect();
        unsupported(format!(
            "{}: words cut as for {name} are not supported (these are: {})",
            gguf.path().display(),
            names.join(", ")
        ))
    })
}

/// Whether a word that is a token is that token, whatever the merges say.
pub(super) fn are_whole(gguf: &Gguf) -> Result<bool> {
    Ok(way(gguf)?.whole_words)
}

/// Whether a text begins with the beginning-of-sequence token where the file does not say.
pub(super) fn begin_with_bos(gguf: &Gguf) -> Result<bool> {
    Ok(way(gguf)?.bos)
}

/// Cuts text into words.
#[derive(Debug)]
pub(super) struct Words {
    digits: Option<Digits>,
    splits: Vec<Split>,
    pub(super) composed: bool,
}

impl Words {
    /// The way a file names.
    pub(super) fn read(gguf: &Gguf) -> Result<Self> {
        let way = way(gguf)?;
        let split = |pattern: &&str| {
            let pattern = SplitPattern::Regex((*pattern).to_owned());
            Split::new(pattern, SplitDelimiterBehavior::Isolated, false)
                .map_err(|source| unsupported("the pattern of words does not compile").with_source(source))
        };
        Ok(Self {
            digits: way.digits.then(|| Digits::new(true)),
            splits: way.patterns.iter().map(split).collect::<Result<_>>()?,
            composed: way.composed,
        })
    }

    /// Cuts every piece into words.
    pub(super) fn cut(&self, pieces: &mut PreTokenizedString) -> PieceResult<()> {
        if let Some(digits) = &self.digits {
            digits.pre_tokenize(pieces)?;
        }
        self.splits
            .iter()
            .try_for_each(|split| split.pre_tokenize(pieces))
    }
}

#[cfg(test)]
mod tests {
    use tokenizers::tokenizer::{OffsetReferential, OffsetType};

    use super::*;

    fn words(name: &str, text: &str) -> Vec<String> {
        let way = WAYS
            .iter()
            .find(|way| way.names.contains(&name))
            .expect("a known name");
        let words = Words {
            digits: way.digits.then(|| Digits::new(true)),
            splits: way
                .patterns
                .iter()
                .map(|pattern| {
                    let pattern = SplitPattern::Regex((*pattern).to_owned());
                    Split::new(pattern, SplitDelimiterBehavior::Isolated, false).expect("it compiles")
                })
                .collect(),
            composed: false,
        };
        let mut pieces = PreTokenizedString::from(text);
        words.cut(&mut pieces).expect("it is cut");
        let pieces = pieces.get_splits(OffsetReferential::Original, OffsetType::Byte);
        pieces.into_iter().map(|(piece, _, _)| piece.to_owned()).collect()
    }

    #[test]
    fn every_way_compiles_keeps_all_text_and_has_a_name_of_its_own() {
        let text =
            "It's 2024: naïve  code\r\n\r\n\tif (x>=10000) {y++;} // 漢字かな 한국어 𝒳 MixedCase\u{301} \n ";
        let mut names: Vec<&str> = WAYS.iter().flat_map(|way| way.names).copied().collect();
        for name in &names {
            assert_eq!(words(name, text).concat(), text, "{name}");
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn numbers_and_capitals_are_cut_as_each_family_does() {
        for (name, text, expected) in [
            (
                "qwen2",
                "I'LL pay 1234",
                &["I", "'LL", " pay", " ", "1", "2", "3", "4"][..],
            ),
            (
                "llama-bpe",
                "I'LL pay 1234",
                &["I", "'LL", " pay", " ", "123", "4"],
            ),
            ("gpt-2", "I'LL pay 1234", &["I", "'", "LL", " pay", " 1234"]),
            ("smollm", "pay 12", &["pay", " ", "1", "2"]),
            ("tekken", "aCamelCase 12", &["a", "Camel", "Case", " ", "1", "2"]),
            ("gpt-4o", "isn't 1234", &["isn't", " ", "123", "4"]),
            ("deepseek-v3", "x.y 12345", &["x", ".y", " ", "123", "45"]),
        ] {
            assert_eq!(words(name, text), expected, "{name}");
        }
    }
}
