//! Colours for code, line by line, from the grammars of Sublime Text.
//!
//! Grammars are loaded when the first code of a language comes, since they take longer than the start of a program.
//! A colour says what kind of thing a word is, of a handful, whatever the language; most text stays as it is.

use std::sync::LazyLock;

use syntect::parsing::{ParseState, Scope, ScopeStack, SyntaxSet};

use crate::style::{Attrs, Color, Style};

/// How much of one block is highlighted, in bytes; what follows is plain.
pub(crate) const MAX_BLOCK: usize = 256 * 1024;

static SYNTAXES: LazyLock<SyntaxSet> = LazyLock::new(two_face::syntax::extra_newlines);

/// What the scopes of a grammar look like. The innermost scope that is here counts, and of those that fit the last.
static RULES: LazyLock<Vec<(Scope, Style)>> = LazyLock::new(|| {
    let plain = Style::default();
    let color = |color| Style::colored(color, Attrs::NONE);
    [
        ("comment", Style::of(Attrs::DIM)),
        ("string", color(Color::Green)),
        ("meta.interpolation", plain.clone()),
        ("meta.embedded", plain.clone()),
        ("constant", color(Color::Cyan)),
        ("keyword", color(Color::Magenta)),
        ("keyword.operator", plain.clone()),
        ("keyword.operator.word", color(Color::Magenta)),
        ("keyword.operator.logical", plain),
        ("storage", color(Color::Magenta)),
        ("entity.name.function", color(Color::Blue)),
        ("entity.name.tag", color(Color::Blue)),
        ("entity.other.attribute-name", color(Color::Cyan)),
        ("markup.heading", Style::of(Attrs::BOLD)),
        ("markup.bold", Style::of(Attrs::BOLD)),
        ("markup.italic", Style::of(Attrs::ITALIC)),
        ("markup.inserted", color(Color::Green)),
        ("markup.deleted", color(Color::Red)),
        ("meta.diff.range", color(Color::Cyan)),
        ("meta.diff.header", Style::of(Attrs::BOLD)),
    ]
    .into_iter()
    .filter_map(|(scope, style)| Some((Scope::new(scope).ok()?, style)))
    .collect()
});

/// The state of a block's grammar at the beginning of a line.
#[derive(Clone, Debug)]
pub(crate) struct Highlighter {
    state: ParseState,
    scopes: ScopeStack,
    left: usize,
}

impl Highlighter {
    /// For what stands behind an opening fence; `None` for a language that is not known, or plain text.
    pub(crate) fn new(info: &str) -> Option<Self> {
        let end = |c: char| c.is_whitespace() || matches!(c, ',' | '{' | '}' | ':');
        let name = info.trim_start_matches(['{', '.', ' ']).split(end).next()?;
        if name.is_empty() || name.len() > 32 {
            return None;
        }
        let name = match name.to_ascii_lowercase().as_str() {
            "text" | "txt" | "plain" | "plaintext" | "output" => return None,
            "shell" | "console" | "zsh" => "sh".to_owned(),
            "jsonc" | "json5" => "json".to_owned(),
            "c++" => "cpp".to_owned(),
            "csharp" => "cs".to_owned(),
            name => name.to_owned(),
        };
        let syntax = SYNTAXES.find_syntax_by_token(&name)?;
        Some(Self {
            state: ParseState::new(syntax),
            scopes: ScopeStack::new(),
            left: MAX_BLOCK,
        })
    }

    /// Tells the pieces of a line, which has no line feed, and their looks.
    pub(crate) fn line(&mut self, text: &str, mut put: impl FnMut(&str, &Style)) {
        let plain = Style::default();
        self.left = self.left.saturating_sub(text.len() + 1);
        if self.left == 0 {
            put(text, &plain);
            return;
        }
        let Ok(changes) = self.state.parse_line(&format!("{text}\n"), &SYNTAXES) else {
            // A grammar that fails says no more about this block.
            self.left = 0;
            put(text, &plain);
            return;
        };
        let mut told = 0;
        for (at, change) in changes {
            let at = at.min(text.len());
            if at > told {
                put(&text[told..at], self.style().unwrap_or(&plain));
                told = at;
            }
            if self.scopes.apply(&change).is_err() {
                self.left = 0;
                break;
            }
        }
        put(&text[told..], self.style().unwrap_or(&plain));
    }

    fn style(&self) -> Option<&'static Style> {
        let look = |scope: &Scope| {
            let rule = RULES.iter().rev().find(|(rule, _)| rule.is_prefix_of(*scope));
            rule.map(|(_, style)| style)
        };
        self.scopes.scopes.iter().rev().find_map(look)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn colors(info: &str, lines: &[&str]) -> Vec<(String, Style)> {
        let mut highlighter = Highlighter::new(info).unwrap();
        let mut all = Vec::new();
        for line in lines {
            highlighter.line(line, |text, style| all.push((text.to_owned(), style.clone())));
        }
        all.retain(|(_, style)| *style != Style::default());
        all
    }

    #[test]
    fn kinds_of_words_have_colours_whatever_the_language() {
        let shown = colors("rust", &["fn main() { let x = \"a\"; /* b", "c */ 1 }"]);
        let of = |word: &str| {
            let found = shown.iter().find(|(text, _)| text.trim() == word);
            found.unwrap_or_else(|| panic!("{word} in {shown:?}")).1.clone()
        };
        assert_eq!(of("fn"), Style::colored(Color::Magenta, Attrs::NONE));
        assert_eq!(of("main"), Style::colored(Color::Blue, Attrs::NONE));
        assert_eq!(of("a"), Style::colored(Color::Green, Attrs::NONE));
        assert_eq!(of("1"), Style::colored(Color::Cyan, Attrs::NONE));
        assert_eq!(
            of("c"),
            Style::of(Attrs::DIM),
            "the comment goes on in the second line"
        );
    }

    #[test]
    fn languages_are_found_by_the_names_that_models_use() {
        for name in [
            "rust",
            "rs",
            "Rust",
            "python",
            "py",
            "js",
            "javascript",
            "ts",
            "typescript",
            "tsx",
            "jsx",
            "sh",
            "bash",
            "shell",
            "console",
            "zsh",
            "json",
            "jsonc",
            "yaml",
            "yml",
            "toml",
            "html",
            "css",
            "sql",
            "go",
            "java",
            "c",
            "cpp",
            "c++",
            "cs",
            "csharp",
            "kotlin",
            "swift",
            "ruby",
            "rb",
            "php",
            "lua",
            "perl",
            "r",
            "diff",
            "dockerfile",
            "makefile",
            "xml",
            "markdown",
            "md",
            "haskell",
            "scala",
            "elixir",
            "powershell",
            "nix",
            "zig",
            "ini",
            "python title=\"a.py\"",
            "{.python}",
            "rust,ignore",
        ] {
            assert!(Highlighter::new(name).is_some(), "{name}");
        }
        for name in ["", "text", "nonsense-language", "  "] {
            assert!(Highlighter::new(name).is_none(), "{name}");
        }
    }

    #[test]
    fn a_block_that_is_too_long_goes_on_plain() {
        let mut highlighter = Highlighter::new("rust").unwrap();
        let line = "let x = 1; ".repeat(20);
        let lines = MAX_BLOCK / (line.len() + 1);
        let mut last = 0;
        for n in 0..lines + 10 {
            highlighter.line(&line, |_, style| {
                if *style != Style::default() {
                    last = n;
                }
            });
        }
        assert_eq!(last, lines - 1);
    }
}
