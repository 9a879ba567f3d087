//! The flags of `aurora summarize`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// `aurora summarize …`
#[derive(Clone, Debug, Args)]
pub(crate) struct SummarizeArgs {
    /// Text, Markdown, HTML or PDF files; - is standard input, which is also read where no file is named
    #[arg(value_name = "FILE")]
    pub(crate) inputs: Vec<PathBuf>,
    /// The form of the summary
    #[arg(
        long,
        value_name = "STYLE",
        default_value = "bullets",
        help_heading = "Summary"
    )]
    pub(crate) style: SummaryStyle,
    /// About how many words it is to have [default: 120; abstract 200, title 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=20_000), help_heading = "Summary")]
    pub(crate) words: Option<u32>,
    /// The language of the summary, a name or a code such as fr [default: the text's]
    #[arg(long, value_name = "LANG", value_parser = phrase, help_heading = "Summary")]
    pub(crate) lang: Option<String>,
    /// What the reader wants to know: the summary is about that
    #[arg(long, value_name = "TEXT", value_parser = phrase, help_heading = "Summary")]
    pub(crate) focus: Option<String>,
    /// A summary of each file, one after the other, instead of one of all
    #[arg(long, help_heading = "Summary")]
    pub(crate) per_file: bool,
    /// How many parts are summarised side by side
    #[arg(short, long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64), help_heading = "Work")]
    pub(crate) jobs: u8,
    /// Show on stderr what comes of each part
    #[arg(long, help_heading = "Work")]
    pub(crate) watch: bool,
    /// At most this many tokens of text in one request [default: what the context holds; local models 2048]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Work")]
    pub(crate) part_tokens: Option<u32>,
    /// The model's context in tokens, where it is not a local one [default: 8192]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(256..), help_heading = "Work")]
    pub(crate) context: Option<u32>,
    /// The files' encoding, such as gb18030 or latin1 [default: found out]
    #[arg(long, value_name = "NAME", value_parser = encoding, help_heading = "Work")]
    pub(crate) encoding: Option<&'static encoding_rs::Encoding>,
    /// Neither keep what comes of parts nor use what an earlier run has kept
    #[arg(long, help_heading = "Work")]
    pub(crate) no_cache: bool,
}

/// `--style`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum SummaryStyle {
    /// A list of points.
    #[default]
    Bullets,
    /// One paragraph.
    Paragraph,
    /// As at the head of an article.
    Abstract,
    /// One line.
    Title,
}

fn phrase(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("is empty".to_owned()),
        text if text.len() > 4096 => Err("is longer than 4096 bytes".to_owned()),
        text => Ok(text.to_owned()),
    }
}

fn encoding(label: &str) -> Result<&'static encoding_rs::Encoding, String> {
    encoding_rs::Encoding::for_label(label.as_bytes()).ok_or_else(|| {
        "is no encoding; known are utf-8, utf-16, latin1, gb18030, big5, shift_jis, euc-kr and more"
            .to_owned()
    })
}
