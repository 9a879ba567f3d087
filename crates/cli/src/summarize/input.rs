//! Reads what is to be summarised: files and standard input, of whatever kind, all of them before anything is asked.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use encoding_rs::Encoding;

use super::decode::{self, Decoded};
use super::outside::{self, Kind};
use crate::problem::{Problem, Result};

/// The largest file.
const MAX_FILE: usize = 64 << 20;

/// What all texts may come to.
const MAX_ALL: usize = 256 << 20;

/// The most files.
const MAX_FILES: usize = 10_000;

/// How far into a file the mark of a PDF is looked for, as readers do.
const PDF_HEAD: usize = 1024;

/// A text that was read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Document {
    /// As it was named, and something else for standard input.
    pub(crate) name: String,
    /// Not blank.
    pub(crate) text: String,
    /// What a person should know about how it was read.
    pub(crate) remark: Option<String>,
}

/// Reads all of them, in their order.
///
/// # Errors
/// One is missing, empty, too large or nothing that can be read; it is named (usage).
pub(crate) fn read(paths: &[PathBuf], encoding: Option<&'static Encoding>) -> Result<Vec<Document>> {
    if paths.len() > MAX_FILES {
        return Err(Problem::usage(format!("more than {MAX_FILES} files")));
    }
    if paths.iter().filter(|path| is_stdin(path)).count() > 1 {
        return Err(Problem::usage("-: standard input can be read once"));
    }
    let mut documents = Vec::with_capacity(paths.len());
    let mut bytes = 0;
    for path in paths {
        let name = if is_stdin(path) {
            "standard input".to_owned()
        } else {
            path.display().to_string()
        };
        let document =
            read_one(path, &name, encoding).map_err(|what| Problem::usage(format!("{name}: {what}")))?;
        bytes += document.text.len();
        if bytes > MAX_ALL {
            return Err(Problem::usage(format!(
                "{name}: with it, the texts are larger than the limit of {} MiB",
                MAX_ALL >> 20
            )));
        }
        documents.push(document);
    }
    Ok(documents)
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

fn read_one(
    path: &Path,
    name: &str,
    encoding: Option<&'static Encoding>,
) -> std::result::Result<Document, String> {
    let bytes = if is_stdin(path) {
        bytes(io::stdin().lock())
    } else {
        if path
            .to_str()
            .is_some_and(|path| path.starts_with("http://") || path.starts_with("https://"))
        {
            return Err("addresses are not fetched; give it what another program fetches (curl -sSL … | aurora summarize -)".to_owned());
        }
        let file = File::open(path).map_err(|error| error.to_string())?;
        if file.metadata().is_ok_and(|data| data.is_dir()) {
            return Err("is a folder; name the files in it".to_owned());
        }
        bytes(file)
    }?;
    let is_page = path
        .extension()
        .and_then(|ending| ending.to_str())
        .is_some_and(|ending| {
            matches!(
                ending.to_ascii_lowercase().as_str(),
                "html" | "htm" | "xhtml" | "xht"
            )
        });
    let (text, remark) = text(bytes, is_page, encoding)?;
    Ok(Document {
        name: name.to_owned(),
        text,
        remark,
    })
}

fn bytes(from: impl Read) -> std::result::Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    from.take(MAX_FILE as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    if bytes.len() > MAX_FILE {
        return Err(format!("larger than the limit of {} MiB", MAX_FILE >> 20));
    }
    Ok(bytes)
}

/// The text of a file's bytes, and a remark.
fn text(
    bytes: Vec<u8>,
    is_page: bool,
    encoding: Option<&'static Encoding>,
) -> std::result::Result<(String, Option<String>), String> {
    if bytes.is_empty() {
        return Err("is empty".to_owned());
    }
    let head = &bytes[..bytes.len().min(PDF_HEAD)];
    if memchr::memmem::find(head, b"%PDF-").is_some() && !head.starts_with(b"<") {
        return outside::read(Kind::Pdf, bytes).and_then(|(text, remark)| said(text, remark));
    }
    let declared = encoding.or_else(|| {
        let may_be_page = is_page || head.trim_ascii_start().starts_with(b"<");
        may_be_page.then(|| decode::declared_in_page(&bytes)).flatten()
    });
    let Decoded {
        text,
        encoding,
        damaged,
    } = decode::decode(&bytes, declared)?;
    let remark = match (damaged, encoding) {
        (0, "UTF-8") => None,
        (0, name) => Some(format!("read as {name}")),
        (n, name) => Some(format!(
            "read as {name}; {n} places in it are no characters and became U+FFFD"
        )),
    };
    if is_page || begins_page(&text) {
        return outside::read(Kind::Html, text.into_bytes()).and_then(|(text, _)| said(text, remark));
    }
    said(text, remark)
}

/// Whether a text is a page by its beginning.
fn begins_page(text: &str) -> bool {
    let start: String = text
        .trim_start()
        .chars()
        .take(15)
        .collect::<String>()
        .to_ascii_lowercase();
    start.starts_with("<!doctype html") || start.starts_with("<html")
}

fn said(text: String, remark: Option<String>) -> std::result::Result<(String, Option<String>), String> {
    if text.trim().is_empty() {
        return Err("has no text in it".to_owned());
    }
    Ok((text, remark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_nothing_is_an_error() {
        for (content, what) in [
            (&b""[..], "is empty"),
            (b" \n\t\r\n", "no text"),
            (b"a\0", "not text"),
        ] {
            let error = text(content.to_vec(), false, None).unwrap_err();
            assert!(error.contains(what), "{error}");
        }
        assert!(bytes(io::repeat(b'a')).is_err_and(|what| what.contains("64 MiB")));
    }

    #[test]
    fn pages_are_known_by_their_beginning() {
        for page in ["<!DOCTYPE html><p>", "\n <HTML lang=en>"] {
            assert!(begins_page(page), "{page}");
        }
        for text in ["# <html>", "<p>", "<!-- x", ""] {
            assert!(!begins_page(text), "{text}");
        }
    }

    #[test]
    fn what_is_not_utf8_is_read_and_told() {
        let (bytes, _, _) =
            encoding_rs::GB18030.encode("红楼梦第一回，甄士隐梦幻识通灵，贾雨村风尘怀闺秀。此开卷第一回也。");
        let (text, remark) = text(bytes.into_owned(), false, None).unwrap();
        assert!(text.starts_with("红楼梦"), "{text}");
        assert!(remark.is_some_and(|remark| remark.contains("GBK") || remark.contains("gb18030")));
    }
}
