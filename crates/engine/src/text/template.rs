//! The model's own chat template, and text that cannot pretend to be it.
//!
//! A template turns messages into one text in which special tokens mark who speaks. A message that contains the
//! spelling of such a token must stay text. So before rendering, every such spelling in a message gets a marker put
//! into it, a character that occurs nowhere in the messages or the template; what is then still spelled right was
//! written by the template itself. The markers are taken out again before the text is tokenised.

mod json;
mod messages;
mod plain;

use std::path::Path;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error as TemplateError, ErrorKind as TemplateErrorKind, Value, context};

use aurora_chat::{ChatRequest, Message, RequestError, Role};
use serde_json::Value as Json;

use super::thoughts::Thoughts;
use super::tokenizer::Tokenizer;
use crate::error::{Error, ErrorKind, Result, refuse, unsupported};
use crate::gguf::Gguf;
use crate::tools::Syntax;

/// Template instructions one rendering may take: a template that loops for ever is an error, not a hang.
const FUEL: u64 = 20_000_000;

/// A conversation as the model reads it.
#[derive(Debug)]
pub(crate) struct Prompt {
    pub(crate) tokens: Vec<u32>,
    /// What of the answer to it will be reasoning.
    pub(crate) thoughts: Thoughts,
}

/// A compiled chat template.
#[derive(Debug)]
pub(crate) struct Template {
    environment: Environment<'static>,
    source: String,
    bos: String,
    eos: String,
    /// Whether it shows tools to the model.
    knows_tools: bool,
    /// How it writes calls, if that is known.
    syntax: Option<Syntax>,
}

impl Template {
    /// Reads and compiles the template of a file.
    pub(crate) fn read(gguf: &Gguf, tokenizer: &Tokenizer) -> Result<Self> {
        let Some(source) = gguf.string("tokenizer.chat_template")? else {
            return Err(Self::missing(gguf.path()));
        };
        let special = |key: &str| -> Result<String> {
            Ok(gguf
                .integer(key)?
                .and_then(|id| tokenizer.spelling(id))
                .unwrap_or_default()
                .to_owned())
        };
        let bos = special("tokenizer.ggml.bos_token_id")?;
        let eos = special("tokenizer.ggml.eos_token_id")?;
        Self::of(source, bos, eos, gguf.path())
    }

    /// Compiles the template of a file.
    ///
    /// # Errors
    /// If it is no template; it names the file.
    pub(crate) fn of(source: &str, bos: String, eos: String, path: &Path) -> Result<Self> {
        Self::compile(source, bos, eos).map_err(|source| {
            Error::new(
                ErrorKind::Unsupported,
                format!("{}: the chat template: {source:#}", path.display()),
            )
        })
    }

    /// That a file has none.
    pub(crate) fn missing(path: &Path) -> Error {
        unsupported(format!(
            "{} has no chat template: it is a base model; use one trained for conversation (\"instruct\", \"chat\")",
            path.display()
        ))
    }

    fn compile(source: &str, bos: String, eos: String) -> std::result::Result<Self, TemplateError> {
        let mut environment = Environment::new();
        // As the transformers library sets Jinja up for chat templates.
        environment.set_syntax(
            SyntaxConfig::builder()
                .trim_blocks(true)
                .lstrip_blocks(true)
                .build()?,
        );
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.set_fuel(Some(FUEL));
        environment.add_function(
            "raise_exception",
            |message: String| -> std::result::Result<Value, TemplateError> {
                Err(TemplateError::new(TemplateErrorKind::InvalidOperation, message))
            },
        );
        environment.add_filter("tojson", json::tojson);
        environment.add_template_owned("chat", source.to_owned())?;
        let variables = environment.get_template("chat")?.undeclared_variables(false);
        let knows_tools = variables.contains("tools");
        Ok(Self {
            environment,
            knows_tools,
            syntax: Syntax::of_template(source).filter(|_| knows_tools),
            source: source.to_owned(),
            bos,
            eos,
        })
    }

    /// Whether the template shows tools to the model; one that does not gets them told in words.
    pub(crate) fn knows_tools(&self) -> bool {
        self.knows_tools
    }

    /// How the model writes calls, if its template shows a way that is known.
    pub(crate) fn syntax(&self) -> Option<Syntax> {
        self.syntax
    }

    /// The prompt of a conversation: special tokens where the template wrote them, plain text everywhere else. With
    /// `add_generation_prompt` they end where the model's answer begins or, if the conversation [goes on](begun) with an
    /// answer, where that stops. The request's tools are told with `with_tools` only.
    ///
    /// # Errors
    /// If a message holds what the model cannot read, or the template refuses the conversation.
    pub(crate) fn prompt(
        &self,
        request: &ChatRequest,
        tokenizer: &Tokenizer,
        add_generation_prompt: bool,
        with_tools: bool,
    ) -> Result<Prompt, RequestError> {
        let (text, marker, thoughts) = self.render(request, tokenizer, add_generation_prompt, with_tools)?;
        let mut tokens = tokenizer.encode_marked(&text, marker);
        tokenizer.add_bos(&mut tokens);
        Ok(Prompt { tokens, thoughts })
    }

    /// The rendered text, the marker in it, and where the answer to it begins.
    fn render(
        &self,
        request: &ChatRequest,
        tokenizer: &Tokenizer,
        add_generation_prompt: bool,
        with_tools: bool,
    ) -> Result<(String, char, Thoughts), RequestError> {
        let begun = if add_generation_prompt {
            begun(request)?
        } else {
            None
        };
        let said = &request.messages[..request.messages.len() - usize::from(begun.is_some())];
        let mut turns = messages::turns(said)?;
        if !self.source.contains("tool_calls") {
            plain::spell(&mut turns);
        }
        let shown = with_tools && self.knows_tools;
        if with_tools && !shown {
            plain::add(
                &mut turns,
                plain::explain(request),
                self.source.contains("system"),
            );
        }
        let begun = begun.map(|message| text_of(said.len(), message)).transpose()?;
        let mut texts: Vec<&str> = Vec::new();
        turns
            .iter()
            .for_each(|turn| turn.each_text(&mut |text| texts.push(text)));
        request
            .tools
            .iter()
            .filter(|_| shown)
            .for_each(|tool| messages::each_text(tool, &mut |text| texts.push(text)));
        texts.extend(begun.as_deref());
        let marker = self.unused_character(&texts);
        let mark = |text: &str| tokenizer.mark(text, marker);
        let messages: Vec<Value> = turns.iter().map(|turn| turn.to_value(&mark)).collect();
        let settings = settings(request, mark)?;
        let template = self.environment.get_template("chat");
        let rendered = template.and_then(|template| {
            template.render(context! {
                messages => messages,
                tools => if shown { messages::tools(request, &mark) } else { Value::UNDEFINED },
                add_generation_prompt => add_generation_prompt,
                bos_token => self.bos.as_str(),
                eos_token => self.eos.as_str(),
                ..settings
            })
        });
        let refused = |error: TemplateError| {
            let why = format!("the model's chat template refuses this conversation: {error}");
            refuse("messages", &why)
        };
        let mut rendered = rendered.map_err(refused)?;
        let thoughts = Thoughts::of(&self.source, &rendered, begun.as_deref());
        if let Some(begun) = begun {
            rendered += &mark(&begun);
        }
        Ok((rendered, marker, thoughts))
    }

    /// A character that neither the template nor any text contains: one of the noncharacters, else any other.
    fn unused_character(&self, texts: &[&str]) -> char {
        let free = |c: &char| !self.source.contains(*c) && texts.iter().all(|text| !text.contains(*c));
        ('\u{fdd0}'..='\u{fdef}')
            .chain('\u{e000}'..=char::MAX)
            .find(free)
            .unwrap_or('\u{fdd0}')
    }
}

/// The last message, where the request says that it is the beginning of the answer: `continue_final_message`, as vLLM and
/// SGLang have it. Their `add_generation_prompt` says nothing more here.
pub(crate) fn begun(request: &ChatRequest) -> Result<Option<&Message>, RequestError> {
    const FIELD: &str = "continue_final_message";
    match request.extra.get(FIELD) {
        None | Some(Json::Null | Json::Bool(false)) => Ok(None),
        Some(Json::Bool(true)) => match request.messages.last() {
            Some(last) if last.role == Role::Assistant => Ok(Some(last)),
            Some(_) | None => Err(refuse(
                FIELD,
                "the last message is not the assistant's, so there is no answer to go on with",
            )),
        },
        Some(_) => Err(refuse(FIELD, "expected a boolean")),
    }
}

/// What a request tells the template besides the conversation: `chat_template_kwargs`, as llama.cpp's server, vLLM and
/// SGLang have it; Qwen 3 takes `enable_thinking` there. What the conversation itself sets cannot be set so.
fn settings(request: &ChatRequest, mark: impl Fn(&str) -> String) -> Result<Value, RequestError> {
    const FIELD: &str = "chat_template_kwargs";
    let given = match request.extra.get(FIELD) {
        None | Some(Json::Null) => return Ok(context! {}),
        Some(Json::Object(given)) => given,
        Some(_) => return Err(refuse(FIELD, "expected an object")),
    };
    let value = |(name, value): (&String, &Json)| match value {
        Json::String(text) => Ok((name.clone(), Value::from(mark(text)))),
        Json::Bool(value) => Ok((name.clone(), Value::from(*value))),
        Json::Number(number) => Ok((
            name.clone(),
            number
                .as_i64()
                .map_or_else(|| Value::from(number.as_f64()), Value::from),
        )),
        Json::Null | Json::Array(_) | Json::Object(_) => Err(refuse(
            &format!("{FIELD}.{name}"),
            "expected a boolean, a number or a string",
        )),
    };
    let values = given.iter().map(value).collect::<Result<Vec<_>, _>>()?;
    Ok(Value::from_pairs(values))
}

/// A message's text.
fn text_of(index: usize, message: &Message) -> Result<String, RequestError> {
    if let Some((part, value)) = message.first_other_part() {
        let kind = value
            .get("type")
            .and_then(|kind| kind.as_str())
            .unwrap_or("unknown");
        let param = format!("messages[{index}].content[{part}]");
        let why = format!("the local model reads text only, and this part is of type '{kind}'");
        return Err(refuse(&param, &why));
    }
    Ok(message.plain_text().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_that_never_ends_is_refused() {
        let source = "{% for a in range(9999) %}{% for b in range(9999) %}{{ b }}{% endfor %}{% endfor %}";
        let template = Template::compile(source, String::new(), String::new()).expect("it compiles");
        let chat = template.environment.get_template("chat").expect("it was added");
        assert!(chat.render(context! {}).is_err());
    }

    #[test]
    fn python_methods_work_as_templates_expect() {
        let source = "{{ ' a '.strip() }}{% if x is defined %}b{% endif %}\n  {% set y = 1 %}\n";
        let template = Template::compile(source, String::new(), String::new()).expect("it compiles");
        let chat = template.environment.get_template("chat").expect("it was added");
        assert_eq!(chat.render(context! {}).expect("it renders"), "a");
    }
}
