//! Which fragment belongs to which tool call.
//!
//! The reference says: `index` tells the calls apart, `id` and `name` come with the first fragment only. Real servers
//! leave the index out (comet-ml/opik#8362), send 0 for every parallel call (vercel/ai#14277), repeat the id, or send it
//! and the name empty on continuations (symfony/ai#2220). The rule here: a new id with a name begins a new call; without ids, a
//! fragment that names a function begins one if the call before it is complete or has another name; everything else
//! continues the last call with that index.

use serde_json::{Map, Value};

use super::error::error_event;
use crate::dialect::progress::Progress;
use crate::{Delta, Failure, FailureKind, ToolCallDelta};

/// How many tool calls one answer may make.
const CALLS_MAX: usize = 1024;

/// The tool calls of one answer so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Calls {
    calls: Vec<Call>,
}

/// What must be known of a call to recognise its next fragment.
#[derive(Clone, Debug, Default)]
struct Call {
    /// `index` on the wire, if there was one.
    index: Option<u64>,
    id: Option<String>,
    name: Option<String>,
    arguments: Progress,
}

/// One fragment as the wire has it; empty strings count as absent.
struct Fragment<'a> {
    index: Option<u64>,
    id: Option<&'a str>,
    name: Option<&'a str>,
    arguments: String,
}

impl Calls {
    /// Reads the `tool_calls` of one chunk.
    ///
    /// # Errors
    /// [`FailureKind::Protocol`] beyond 1024 calls.
    pub(super) fn read(&mut self, tool_calls: &Value, out: &mut Vec<Delta>) -> Result<(), Failure> {
        let fragments = match tool_calls {
            Value::Array(fragments) => fragments.as_slice(),
            Value::Object(_) => std::slice::from_ref(tool_calls),
            _ => return Ok(()),
        };
        // Whether an earlier fragment of this chunk had no index: two of those are two calls.
        let mut unplaced = false;
        for fragment in fragments.iter().filter_map(Value::as_object) {
            let fragment = Fragment::of(fragment);
            let fresh = unplaced && fragment.index.is_none() && fragment.name.is_some();
            unplaced |= fragment.index.is_none();
            self.add(fragment, fresh, out)?;
        }
        Ok(())
    }

    /// Reads the `function_call` of one chunk, the form that `tool_calls` replaced: one call without index or id.
    ///
    /// # Errors
    /// As [`Calls::read`].
    pub(super) fn read_legacy(
        &mut self,
        function: &Map<String, Value>,
        out: &mut Vec<Delta>,
    ) -> Result<(), Failure> {
        self.add(Fragment::new(None, None, function), false, out)
    }

    fn add(&mut self, fragment: Fragment<'_>, fresh: bool, out: &mut Vec<Delta>) -> Result<(), Failure> {
        let known = if fresh { None } else { self.find(&fragment) };
        let place = match known {
            Some(place) => place,
            None if self.calls.len() == CALLS_MAX => {
                let message = format!("the answer makes more than {CALLS_MAX} tool calls");
                return Err(Failure {
                    kind: FailureKind::Protocol,
                    ..error_event(&message)
                });
            }
            None => {
                self.calls.push(Call {
                    index: fragment.index,
                    ..Call::default()
                });
                self.calls.len() - 1
            }
        };
        let call = &mut self.calls[place];
        call.arguments.advance(&fragment.arguments);
        let delta = ToolCallDelta {
            index: u32::try_from(place).unwrap_or(u32::MAX),
            id: learn(&mut call.id, fragment.id),
            name: learn(&mut call.name, fragment.name),
            arguments: fragment.arguments,
        };
        // A fragment that brings nothing, such as a late `type` (vercel/ai#5350), is no delta.
        if known.is_none() || delta.id.is_some() || delta.name.is_some() || !delta.arguments.is_empty() {
            out.push(Delta::ToolCall(delta));
        }
        Ok(())
    }

    /// The call that the fragment continues.
    fn find(&self, fragment: &Fragment<'_>) -> Option<usize> {
        let same_index = |call: &&Call| fragment.index.is_none() || call.index == fragment.index;
        let last = self.calls.iter().rposition(|call| same_index(&call))?;
        let call = &self.calls[last];
        match (fragment.id, &call.id) {
            (Some(id), Some(known)) if id == known => Some(last),
            // A repeated id may belong to an earlier call than the last. A new one without a name does not begin a call
            // that could be made: some servers invent an id for every fragment.
            (Some(id), Some(_)) => {
                let nameless =
                    fragment.index.is_some() && fragment.name.is_none() && !call.arguments.is_complete();
                self.calls
                    .iter()
                    .rposition(|call| same_index(&call) && call.id.as_deref() == Some(id))
                    .or(nameless.then_some(last))
            }
            // The first id of a call that began without one, or no id at all.
            _ => match (fragment.name, &call.name) {
                (Some(name), Some(known)) => (name == known && !call.arguments.is_complete()).then_some(last),
                _ => Some(last),
            },
        }
    }
}

impl<'a> Fragment<'a> {
    fn of(fields: &'a Map<String, Value>) -> Self {
        let index = match fields.get("index") {
            Some(Value::Number(index)) => index.as_u64(),
            Some(Value::String(index)) => index.parse().ok(),
            _ => None,
        };
        // Custom tools have `custom` with `input` in place of `function` with `arguments`.
        let function = ["function", "custom"]
            .iter()
            .find_map(|name| fields.get(*name)?.as_object());
        Self::new(
            index,
            fields.get("id").and_then(non_empty),
            function.unwrap_or(fields),
        )
    }

    fn new(index: Option<u64>, id: Option<&'a str>, function: &'a Map<String, Value>) -> Self {
        let arguments = match function.get("arguments").or_else(|| function.get("input")) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(arguments)) => arguments.clone(),
            // Some servers send the arguments as the object they stand for.
            Some(other) => other.to_string(),
        };
        Self {
            index,
            id,
            name: function.get("name").and_then(non_empty),
            arguments,
        }
    }
}

/// Takes over what is said for the first time, and returns it then.
fn learn(known: &mut Option<String>, said: Option<&str>) -> Option<String> {
    if known.is_some() {
        return None;
    }
    *known = said.map(str::to_owned);
    known.clone()
}

fn non_empty(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.is_empty())
}
