//! What is said on stderr about an answer, a line each: notices on the way, and its end with the verdict, what happened,
//! and what a person can do about it.

use std::time::Duration;

use aurora_chat::{Deadline, End, Failure, FailureKind, Notice, Usage, Verdict};

use super::Meter;
use super::visible::line;

/// The line for a verdict that is not complete. `partial` says whether something of the answer was printed.
pub(super) fn explain(end: &End, partial: bool) -> String {
    let happened = end.failure.as_ref().map(|failure| line(&failure.message));
    let happened = happened.as_deref().unwrap_or_default();
    match end.verdict {
        Verdict::Complete => "complete".to_owned(),
        Verdict::Length => {
            "length: the answer reached the limit on tokens and stops there; --max-tokens raises it"
                .to_owned()
        }
        Verdict::Filtered => {
            "filtered: the provider's content filter stopped the answer; try other words".to_owned()
        }
        Verdict::Truncated => sentence("truncated", happened, kept(partial)),
        Verdict::Interrupted => sentence("interrupted", happened, kept(partial)),
        Verdict::Failed(_) => sentence("failed", happened, end.failure.as_ref().map_or("", remedy)),
        Verdict::TimedOut(deadline) => sentence(
            &format!("timed out ({})", deadline.as_str()),
            happened,
            deadline_remedy(deadline),
        ),
        Verdict::Cancelled if partial => "cancelled; the answer above is not whole".to_owned(),
        Verdict::Cancelled => "cancelled".to_owned(),
    }
}

/// The line for something that does not end the answer.
pub(super) fn notice(notice: &Notice) -> String {
    match notice {
        Notice::Warning { kind, message } => format!("warning: {} ({kind})", line(message)),
        Notice::Retry {
            attempt,
            wait,
            reason,
        } => format!("retry {attempt} in {} s: {}", seconds(*wait), line(reason)),
        Notice::Resume { cursor } if cursor.is_empty() => {
            "connection lost before the first event, and resumed from the start".to_owned()
        }
        Notice::Resume { cursor } => format!("connection lost and resumed after {}", line(cursor)),
    }
}

/// The line for `--usage`.
pub(super) fn usage(meter: &Meter) -> String {
    let tokens = match meter.usage {
        Some(usage) => {
            let cached = usage.cached_input_tokens.filter(|cached| *cached > 0);
            let cached = cached.map_or_else(String::new, |cached| format!(" ({cached} cached)"));
            format!(
                "{} input tokens{cached}, {} output tokens{}",
                usage.input_tokens,
                usage.output_tokens,
                reasoning(usage)
            )
        }
        None => "the server counted no tokens".to_owned(),
    };
    format!("usage: {tokens}{}", times(meter, ", "))
}

/// The line a person on a terminal gets about an answer in a few words.
pub(super) fn summary(verdict: Verdict, model: &str, meter: &Meter) -> String {
    let verdict = verdict.as_str().replace('_', " ");
    let model = if model.is_empty() {
        String::new()
    } else {
        format!(" · {model}")
    };
    let tokens = meter.usage.map_or_else(String::new, |usage| {
        format!(" · {} tokens{}", usage.output_tokens, reasoning(usage))
    });
    format!("{verdict}{model}{tokens}{}", times(meter, " · "))
}

/// How many of the tokens were thoughts, where the server counts them.
fn reasoning(usage: Usage) -> String {
    let tokens = usage.reasoning_tokens.filter(|tokens| *tokens > 0);
    tokens.map_or_else(String::new, |tokens| format!(" ({tokens} reasoning)"))
}

fn times(meter: &Meter, between: &str) -> String {
    let mut text = String::new();
    if let Some(rate) = meter.tokens_per_second() {
        text += &format!("{between}{rate:.1} tokens/s");
    }
    if let Some(first) = meter.first_token {
        text += &format!("{between}first after {:.2} s", first.as_secs_f64());
    }
    text + &format!("{between}{:.2} s in all", meter.elapsed.as_secs_f64())
}

fn sentence(verdict: &str, happened: &str, remedy: &str) -> String {
    let happened = happened.trim_end_matches('.');
    match (happened, remedy) {
        ("", "") => verdict.to_owned(),
        (happened, "") => format!("{verdict}: {happened}"),
        ("", remedy) => format!("{verdict}: {remedy}"),
        (happened, remedy) => format!("{verdict}: {happened}; {remedy}"),
    }
}

fn kept(partial: bool) -> &'static str {
    if partial {
        "what came of the answer is printed and not whole; ask again"
    } else {
        "ask again"
    }
}

fn remedy(failure: &Failure) -> &'static str {
    match (failure.kind, failure.status) {
        (_, Some(401 | 403)) => {
            "check the key of this endpoint (aurora config show tells where it comes from)"
        }
        (_, Some(404)) => "check the model's name and the endpoint's address",
        (FailureKind::Connect, _) => "check the endpoint's address and that its server runs",
        _ if failure.is_quota() => "the account's quota is used up",
        (_, Some(429)) => "ask again later",
        _ => "",
    }
}

fn deadline_remedy(deadline: Deadline) -> &'static str {
    match deadline {
        Deadline::Connect => "--connect-timeout changes the limit",
        // The flag covers the headers, so with it this deadline is not set.
        Deadline::Headers => "--first-timeout, or headers_timeout in the configuration, changes the limit",
        Deadline::FirstEvent => "--first-timeout changes the limit",
        Deadline::Idle => "--idle-timeout changes the limit",
        Deadline::Total => "--total-timeout changes the limit",
    }
}

/// Seconds with as many decimals as a person wants.
fn seconds(wait: Duration) -> String {
    let seconds = wait.as_secs_f64();
    if seconds < 10.0 {
        format!("{seconds:.1}")
    } else {
        format!("{seconds:.0}")
    }
}
