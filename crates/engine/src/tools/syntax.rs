//! How models write calls of tools: what a chat template shows of it, and the grammar that enforces it.

use std::fmt::Write;

use serde_json::Value;

use super::Function;
use crate::constraint::schema;
use crate::text::Tokenizer;

/// More calls than this a grammar does not allow in one answer.
const CALLS: usize = 16;

/// How a model writes a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syntax {
    /// `<tool_call>\n{"name": …, "arguments": …}\n</tool_call>`, once for each call: Hermes, Qwen 2.5 and 3.
    Tagged,
    /// `<tool_call>[{"name": …, "arguments": …}, …]</tool_call>`: SmolLM2 1.7B.
    TaggedList,
    /// `[TOOL_CALLS][{"name": …, "arguments": …}, …]`: Mistral.
    Mistral,
    /// `[TOOL_CALLS]name[ARGS]{…}`, once for each call: Mistral, since 2025.
    MistralArgs,
    /// `{"name": …, "parameters": …}`, at the beginning of the answer and nothing else: Llama 3.
    Llama,
}

impl Syntax {
    /// The syntax that a template shows; `None` if it shows none that is known.
    pub(crate) fn of_template(source: &str) -> Option<Self> {
        let shows = |mark: &str| source.contains(mark);
        if shows("[TOOL_CALLS]") {
            Some(if shows("[ARGS]") {
                Self::MistralArgs
            } else {
                Self::Mistral
            })
        } else if shows("<tool_call>") {
            // Qwen3-Coder's calls are XML within the same tags.
            match (shows("<function="), shows("<tool_call>[")) {
                (true, _) => None,
                (_, true) => Some(Self::TaggedList),
                _ => Some(Self::Tagged),
            }
        } else if shows("<|python_tag|>") || (shows("<|start_header_id|>") && shows("\"parameters\"")) {
            Some(Self::Llama)
        } else {
            None
        }
    }

    /// What stands before a call, so that it can be told from text. Llama's calls have nothing there.
    pub(super) fn cue(self) -> &'static str {
        match self {
            Self::Tagged | Self::TaggedList => "<tool_call>",
            Self::Mistral | Self::MistralArgs => "[TOOL_CALLS]",
            Self::Llama => "",
        }
    }

    /// What stands behind calls.
    pub(super) fn close(self) -> &'static str {
        match self {
            Self::Tagged | Self::TaggedList => "</tool_call>",
            Self::Mistral | Self::MistralArgs | Self::Llama => "",
        }
    }

    /// Control tokens that are part of a call's syntax, where a vocabulary has them.
    pub(super) fn marks(self) -> &'static [&'static str] {
        match self {
            Self::Tagged | Self::TaggedList => &["<tool_call>", "</tool_call>"],
            Self::Mistral | Self::MistralArgs => &["[TOOL_CALLS]", "[ARGS]"],
            Self::Llama => &["<|python_tag|>"],
        }
    }

    /// Whether calls stand in one list behind one cue.
    fn is_list(self) -> bool {
        matches!(self, Self::TaggedList | Self::Mistral)
    }

    /// Length and alphabet of the ids that templates expect: Mistral's refuse others.
    pub(super) fn id_length(self) -> Option<usize> {
        matches!(self, Self::Mistral | Self::MistralArgs).then_some(9)
    }

    /// The grammar of answers that call some of these functions, and do nothing else; but `content`, a rule of its own, may
    /// stand in their place. With `cued`, of what comes behind the cue.
    ///
    /// # Errors
    /// Which function's parameters cannot be compiled, and why.
    pub(super) fn grammar(
        self,
        functions: &[&Function],
        parallel: bool,
        cued: bool,
        content: Option<&str>,
        tokenizer: &Tokenizer,
    ) -> Result<String, (String, String)> {
        let mark = |text: &str| match tokenizer.control(text) {
            Some(id) => format!("<[{id}]>"),
            None => quote(text),
        };
        let cue = if self == Self::Llama {
            String::new()
        } else {
            mark(self.cue())
        };
        let more = CALLS - 1;
        let (before, after) = match self {
            Self::Tagged => (r#""\n""#.to_owned(), format!(r#""\n" {}"#, mark(self.close()))),
            Self::TaggedList => (r#""[""#.to_owned(), format!(r#""]" {}"#, mark(self.close()))),
            Self::Mistral => (r#""[""#.to_owned(), r#""]""#.to_owned()),
            Self::MistralArgs | Self::Llama => (String::new(), String::new()),
        };
        let again = match self {
            _ if !parallel => String::new(),
            Self::Llama => String::new(),
            Self::TaggedList | Self::Mistral => format!(r#"("," " " call){{0,{more}}}"#),
            Self::Tagged => format!(r#"("\n" {cue} {before} call {after}){{0,{more}}}"#),
            Self::MistralArgs => format!("({cue} call){{0,{more}}}"),
        };
        let calls = if self.is_list() {
            format!("{before} call {again} {after}")
        } else {
            format!("{before} call {after} {again}")
        };
        let calls = if cued { calls } else { format!("{cue} {calls}") };
        let mut grammar = format!(
            "start: calls{}\ncalls: {calls}\ncall: ",
            if content.is_some() { " | content" } else { "" }
        );
        let names: Vec<String> = (0..functions.len())
            .map(|index| format!("call_{index}"))
            .collect();
        grammar += &names.join(" | ");
        for (index, function) in functions.iter().enumerate() {
            let parameters =
                schema::rule(function.parameters.clone()).map_err(|why| (function.name.clone(), why))?;
            let _ = match self {
                Self::MistralArgs => {
                    write!(
                        grammar,
                        "\ncall_{index}: {} {} arguments_{index}",
                        quote(&function.name),
                        mark("[ARGS]")
                    )
                }
                _ => {
                    let key = if self == Self::Llama {
                        "parameters"
                    } else {
                        "arguments"
                    };
                    let name = Value::from(function.name.as_str());
                    let head = format!("{{\"name\": {name}, \"{key}\": ");
                    write!(
                        grammar,
                        "\ncall_{index}: {} arguments_{index} \"}}\"",
                        quote(&head)
                    )
                }
            };
            let _ = write!(grammar, "\narguments_{index}: {parameters}");
        }
        if let Some(content) = content {
            let _ = write!(grammar, "\ncontent: {content}");
        }
        grammar.push('\n');
        Ok(grammar)
    }
}

/// Text as a literal of a grammar.
fn quote(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_show_their_syntax() {
        for (source, syntax) in [
            ("<tool_call>\n{\"name\": <function-name>}", Some(Syntax::Tagged)),
            ("<tool_call>[{\"name\": ", Some(Syntax::TaggedList)),
            ("<tool_call>\n<function=example>", None),
            ("{{ '[TOOL_CALLS][' }}", Some(Syntax::Mistral)),
            ("[TOOL_CALLS]{{ name }}[ARGS]", Some(Syntax::MistralArgs)),
            (
                "<|start_header_id|>ipython {\"name\": n, \"parameters\": p}",
                Some(Syntax::Llama),
            ),
            ("{{ tools }}", None),
        ] {
            assert_eq!(Syntax::of_template(source), syntax, "{source}");
        }
    }
}
