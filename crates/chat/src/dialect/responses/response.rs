//! The life of a response: created, perhaps queued, in progress, over.
//!
//! What happens within its output is in `output.rs`; how it is used, in `write.rs`.

use super::event::{Body, Pen};
use super::object::{IncompleteDetails, Object, ResponseError, WireUsage};
use super::output::Output;
use super::rename::rename_body;
use super::{Settings, Status};
use crate::dialect::openai::ErrorBody;
use crate::{Delta, End, Failure, Update, Usage, Verdict, transcript};

/// One response, as far as it has come.
#[derive(Clone, Debug)]
pub(super) struct Response {
    id: String,
    created_at: u64,
    model: String,
    settings: Settings,
    pub(super) status: Status,
    stage: Stage,
    pub(super) output: Output,
    usage: Option<Usage>,
    /// Set by the end, after which nothing changes.
    pub(super) verdict: Option<Verdict>,
    /// Why it failed, and which of the reference's codes stands for that.
    failure: Option<(&'static str, ErrorBody)>,
}

/// Which of the first events were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    New,
    /// `response.created`.
    Created,
    /// `response.in_progress`: the source has begun.
    Begun,
}

impl Response {
    pub(super) fn new(id: String, model: String, created_at: u64, settings: Settings) -> Self {
        let status = if settings.background {
            Status::Queued
        } else {
            Status::InProgress
        };
        let output = Output::new(id.strip_prefix("resp_").unwrap_or(&id), transcript::DEFAULT_LIMIT);
        Self {
            id,
            created_at,
            model,
            settings,
            status,
            stage: Stage::New,
            output,
            usage: None,
            verdict: None,
            failure: None,
        }
    }

    pub(super) fn create(&mut self, pen: &mut Pen<'_>) {
        if self.stage != Stage::New {
            return;
        }
        self.stage = Stage::Created;
        self.emit("response.created", pen);
        if self.status == Status::Queued {
            self.emit("response.queued", pen);
        }
    }

    pub(super) fn update(&mut self, update: &Update, pen: &mut Pen<'_>) {
        if self.verdict.is_some() {
            return;
        }
        self.create(pen);
        match update {
            Update::Start(start) => {
                if !start.model.is_empty() && self.stage == Stage::Created {
                    self.model.clone_from(&start.model);
                }
                self.begin(pen);
            }
            Update::Delta(delta) => {
                self.begin(pen);
                self.delta(delta, pen);
            }
            Update::Notice(_) => {}
            Update::End(end) => self.end(end, pen),
        }
    }

    /// The response object as it is now.
    pub(super) fn object(&self) -> Object<'_> {
        let incomplete = self.verdict.filter(|_| self.status == Status::Incomplete);
        Object {
            id: &self.id,
            object: "response",
            created_at: self.created_at,
            status: self.status.as_str(),
            error: self
                .failure
                .as_ref()
                .map(|(code, error)| ResponseError::of(code, error)),
            incomplete_details: incomplete.and_then(IncompleteDetails::of_verdict),
            model: &self.model,
            output: self.output.items(),
            settings: &self.settings,
            usage: self.usage.map(WireUsage::of),
        }
    }

    /// The source has begun.
    fn begin(&mut self, pen: &mut Pen<'_>) {
        if self.stage == Stage::Created {
            self.stage = Stage::Begun;
            self.status = Status::InProgress;
            self.emit("response.in_progress", pen);
        }
    }

    fn delta(&mut self, delta: &Delta, pen: &mut Pen<'_>) {
        match delta {
            Delta::Usage(usage) => self.usage = Some(*usage),
            // The end has the finish reason that counts, and what it amounts to.
            Delta::Finish(_) => {}
            delta => {
                if let Err(failure) = self.output.push(delta, pen) {
                    self.end(&End::of_failure(failure), pen);
                }
            }
        }
    }

    fn end(&mut self, end: &End, pen: &mut Pen<'_>) {
        self.verdict = Some(end.verdict);
        match end.to_report() {
            Some(failure) => self.break_off(&failure, end.verdict, pen),
            None => self.finish(end.verdict, pen),
        }
    }

    /// An answer that came to its end, be it by a limit.
    fn finish(&mut self, verdict: Verdict, pen: &mut Pen<'_>) {
        self.begin(pen);
        let whole = verdict == Verdict::Complete;
        self.output.finish(whole, pen);
        self.status = Status::of_verdict(verdict);
        let kind = if whole {
            "response.completed"
        } else {
            "response.incomplete"
        };
        self.emit(kind, pen);
    }

    /// An answer that did not come to its end.
    fn break_off(&mut self, failure: &Failure, verdict: Verdict, pen: &mut Pen<'_>) {
        self.output.break_off();
        let error = rename_body(ErrorBody::from(failure));
        if verdict == Verdict::Cancelled {
            self.status = Status::Cancelled;
        } else {
            self.status = Status::Failed;
            self.failure = Some((ResponseError::code_of(failure), error.clone()));
            self.emit("response.failed", pen);
        }
        let body = Body::Error {
            code: error.code.as_deref().unwrap_or(&error.error_type),
            message: &error.message,
            param: error.param.as_deref(),
            error: &error,
        };
        pen.emit("error", &body);
    }

    fn emit(&self, kind: &'static str, pen: &mut Pen<'_>) {
        let response = self.object();
        pen.emit(kind, &Body::Response { response });
    }
}
