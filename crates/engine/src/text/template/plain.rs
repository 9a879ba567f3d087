//! Tools for a model whose template knows none: they are told in words, and calls are text.

use aurora_chat::{ChatRequest, Role};

use super::messages::Turn;

/// Tells what may be called, and how a call is written. It is the form that [`Syntax::Tagged`] reads and its grammar
/// enforces, so what is called is certain to be a call; how well it is chosen is up to a model that never learned to.
///
/// [`Syntax::Tagged`]: crate::tools::Syntax::Tagged
pub(super) fn explain(request: &ChatRequest) -> String {
    let mut text =
        "These functions can be called. Each is described as JSON, with a schema of its arguments:\n"
            .to_owned();
    for tool in &request.tools {
        if let Some(function) = tool.get("function") {
            text += &format!("{function}\n");
        }
    }
    text + "Call the one that helps with what was asked. Write the call, and nothing else, as JSON between two tags:\n\
            <tool_call>\n{\"name\": \"the function's name\", \"arguments\": {\"an argument's name\": \"its value\"}}\n</tool_call>"
}

/// Puts text at the end of the system prompt; where the template knows none, before the first message.
pub(super) fn add(turns: &mut Vec<Turn>, text: String, knows_system: bool) {
    match turns.first_mut() {
        Some(first) if first.role == Role::System => {
            first.text = format!("{}\n\n{text}", first.text);
        }
        Some(first) if !knows_system => first.text = format!("{text}\n\n{}", first.text),
        _ => turns.insert(0, Turn::text(Role::System, text)),
    }
}

/// Makes text of calls and results.
pub(super) fn spell(turns: &mut [Turn]) {
    for turn in turns {
        for call in std::mem::take(&mut turn.calls) {
            if !turn.text.is_empty() {
                turn.text.push('\n');
            }
            turn.text += &format!("<tool_call>\n{}\n</tool_call>", call["function"]);
        }
        if turn.role == Role::Tool {
            turn.role = Role::User;
            turn.text = format!("<tool_response>\n{}\n</tool_response>", turn.text);
        }
    }
}
