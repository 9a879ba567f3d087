//! What a request wants its answer to be: plain text, JSON, calls of tools.

use std::sync::Arc;

use aurora_chat::{ChatRequest, RequestError};
use serde_json::Value;

use crate::constraint::{self, Constraint, Grammars, schema};
use crate::error::refuse;
use crate::generation::Voice;
use crate::text::{Measure, Sampler, Stops, Template, Tokenizer, Wording, begun};
use crate::tools::{self, Reader, Syntax, Tools};

/// What makes plans for one model.
pub(crate) struct Planner {
    tokenizer: Arc<Tokenizer>,
    grammars: Grammars,
}

/// How a request is answered.
pub(crate) struct Plan {
    pub(crate) voice: Voice,
    /// Whether the prompt tells the tools.
    pub(crate) with_tools: bool,
}

/// What the answer is held to.
#[derive(Default)]
struct Held {
    constraint: Option<Constraint>,
    call: Option<Constraint>,
    reader: Option<Reader>,
}

impl Planner {
    pub(crate) fn new(tokenizer: Arc<Tokenizer>) -> Self {
        Self {
            grammars: Grammars::new(Arc::clone(&tokenizer)),
            tokenizer,
        }
    }

    /// Plans an answer. Grammars are compiled here, on the caller's time.
    ///
    /// # Errors
    /// If the answer cannot be what the request wants it to be.
    pub(crate) fn plan(&self, request: &ChatRequest, template: &Template) -> Result<Plan, RequestError> {
        let tools = Tools::wanted(request)?;
        let with_tools = tools.is_some();
        let format = constraint::wanted(request)?;
        let held = match tools {
            None => Held {
                constraint: format.map(|schema| self.json(schema, request)).transpose()?,
                ..Held::default()
            },
            Some(tools) if tools.required => self.calls(tools, request, template)?,
            Some(tools) => self.calls_or_text(&tools, format, request, template)?,
        };
        let voice = Voice {
            sampler: Sampler::new(request),
            wording: Wording::new(Stops::new(&request.stop), held.reader),
            measure: Measure::wanted(request),
            constraint: held.constraint,
            call: held.call,
        };
        Ok(Plan { voice, with_tools })
    }

    /// An answer that is JSON.
    fn json(&self, schema: Value, request: &ChatRequest) -> Result<Constraint, RequestError> {
        let compiled = self.grammars.compile_schema(schema);
        self.go_on(compiled.map_err(|why| constraint::cannot(&why))?, request)
    }

    /// An answer that has to be calls.
    fn calls(&self, tools: Tools, request: &ChatRequest, template: &Template) -> Result<Held, RequestError> {
        if begun(request)?.is_some() {
            let why = "an answer that has begun as text cannot be gone on with as a call";
            return Err(refuse("tool_choice", why));
        }
        // A model that never learned to call tools would not know when it has called enough of them.
        let (tools, syntax) = match template.syntax() {
            Some(syntax) => (tools, syntax),
            None => (tools.one_at_a_time(), Syntax::Tagged),
        };
        let grammar = tools.grammar(syntax, false, None, &self.tokenizer)?;
        Ok(Held {
            constraint: Some(self.compile_calls(&grammar)?),
            reader: Some(tools.reader(syntax)),
            ..Held::default()
        })
    }

    /// An answer that may be calls.
    fn calls_or_text(
        &self,
        tools: &Tools,
        format: Option<Value>,
        request: &ChatRequest,
        template: &Template,
    ) -> Result<Held, RequestError> {
        let Some(syntax) = template.syntax() else {
            let knows = if template.knows_tools() {
                "writes calls in a way that this engine does not read"
            } else {
                "knows no tools"
            };
            let why = format!(
                "this model's chat template {knows}, so it cannot be left to the model whether to call one; set tool_choice to \
                 'required', to a function, or to 'none', or use a model that was trained to call tools"
            );
            return Err(refuse("tools", &why));
        };
        let reader = Some(tools.reader(syntax));
        let Some(schema) = format else {
            let grammar = tools.grammar(syntax, true, None, &self.tokenizer)?;
            return Ok(Held {
                call: Some(self.compile_calls(&grammar)?),
                reader,
                constraint: None,
            });
        };
        if syntax == Syntax::Llama {
            let why = "this model's calls are JSON themselves, and could not be told from an answer that has to be JSON; set \
                       tool_choice to 'none' or 'required'";
            return Err(refuse("response_format", why));
        }
        let rule = schema::rule(schema).map_err(|why| constraint::cannot(&why))?;
        let grammar = tools.grammar(syntax, false, Some(&rule), &self.tokenizer)?;
        let compiled = self
            .grammars
            .compile(&grammar)
            .map_err(|why| constraint::cannot(&why))?;
        Ok(Held {
            constraint: Some(self.go_on(compiled, request)?),
            reader,
            call: None,
        })
    }

    fn compile_calls(&self, grammar: &str) -> Result<Constraint, RequestError> {
        self.grammars.compile(grammar).map_err(|why| tools::cannot(&why))
    }

    /// Where the request begins the answer itself, the rest of it.
    fn go_on(&self, mut constraint: Constraint, request: &ChatRequest) -> Result<Constraint, RequestError> {
        if let Some(begun) = begun(request)? {
            let tokens = self.tokenizer.encode_said(&begun.plain_text());
            if !constraint.go_on_from(&tokens) {
                let why = "the last message is not how an answer can begin that obeys response_format";
                return Err(refuse("messages", why));
            }
            if constraint.is_over() {
                let why = "the last message is an answer that obeys response_format already; there is nothing to add";
                return Err(refuse("messages", why));
            }
        }
        Ok(constraint)
    }
}
