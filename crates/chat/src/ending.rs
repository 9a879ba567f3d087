//! The one place that decides how a stream ended.
//!
//! What goes in: whether the source gave a finish reason, whether it said that it was done, and how the bytes ended.
//! What comes out is an [`End`] whose verdict is true. It knows no dialect: every reader brings its answers here.

use crate::{End, Failure, FailureKind, Fault, FinishReason, Limit, Notice, Verdict};

/// How the bytes of a stream ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As the transport wants: the end of the body, or the reader stopped after `[DONE]`.
    Eof,
    /// Otherwise; [`Failure::kind`] says how: connection lost, a deadline, a limit, an error the server reported,
    /// cancelled.
    Failure(Failure),
}

/// How a stream ended, and what is worth telling about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conclusion {
    /// The end.
    pub end: End,
    /// A warning where the answer is whole although the bytes ended badly. It belongs before the end.
    pub notice: Option<Notice>,
}

/// Decides how a stream ended.
///
/// A finish reason, or `done`, followed by the end of the body is a proper close. A finish reason makes the answer
/// whole: a connection that breaks or falls silent after it costs nothing but a warning. An error the server reports, a
/// limit or the caller's stop are never overruled by an earlier finish reason. With neither a finish reason nor `done`,
/// the end of the body is truncation.
#[must_use]
pub fn conclude(finish: Option<FinishReason>, done: bool, ending: Ending) -> Conclusion {
    let whole = done || finish.is_some();
    let failure = match ending {
        Ending::Eof if whole => {
            return Conclusion {
                end: End::finished(finish),
                notice: None,
            };
        }
        Ending::Eof => Failure::new(
            FailureKind::UnexpectedEnd,
            "the stream ended with neither a finish reason nor an end marker: the answer is incomplete",
        ),
        Ending::Failure(failure) => failure,
    };
    let harmless = matches!(
        failure.kind,
        FailureKind::ConnectionLost | FailureKind::UnexpectedEnd | FailureKind::Deadline(_)
    );
    if whole && harmless {
        let message = format!(
            "the answer is whole, but its stream was not closed properly: {}",
            failure.message
        );
        let notice = Notice::Warning {
            kind: "bad_close",
            message,
        };
        return Conclusion {
            end: End::finished(finish),
            notice: Some(notice),
        };
    }
    let end = End {
        finish_reason: finish,
        ..End::of_failure(failure)
    };
    Conclusion { end, notice: None }
}

impl Verdict {
    /// The verdict of a stream that ended with this failure and nothing to outweigh it.
    #[must_use]
    pub fn of_failure(failure: &Failure) -> Self {
        match failure.kind {
            FailureKind::ConnectionLost => Self::Interrupted,
            // Our own server's word for a stream whose source broke: what it reports is an interruption.
            FailureKind::ErrorEvent if failure.error_type.as_deref() == Some(STREAM_INTERRUPTED) => {
                Self::Interrupted
            }
            // And for one that somebody cancelled.
            FailureKind::ErrorEvent if failure.error_type.as_deref() == Some(CANCELLED) => Self::Cancelled,
            FailureKind::UnexpectedEnd => Self::Truncated,
            FailureKind::Deadline(deadline) => Self::TimedOut(deadline),
            FailureKind::Cancelled => Self::Cancelled,
            FailureKind::InvalidRequest
            | FailureKind::Connect
            | FailureKind::Status
            | FailureKind::ErrorEvent
            | FailureKind::Protocol
            | FailureKind::Limit(Limit::Event | Limit::Answer | Limit::Headers | Limit::Queue)
            | FailureKind::Internal => Self::Failed(failure.fault()),
        }
    }
}

/// The error `type` with which our server ends a stream whose source broke off.
pub const STREAM_INTERRUPTED: &str = "stream_interrupted";

/// The error `type` with which our server ends a stream that was cancelled.
pub const CANCELLED: &str = "cancelled";

/// The error `code` and `type` with which providers say that the account is used up: retrying is no use.
const INSUFFICIENT_QUOTA: &str = "insufficient_quota";

impl Failure {
    /// Whose fault this is: a request that is invalid, or that the server refused with a 4xx status, would fail again
    /// unchanged. 408, 409 and 429 are about the moment, not the request, and so is a used-up quota.
    #[must_use]
    pub fn fault(&self) -> Fault {
        let refused = matches!(self.status, Some(status @ 400..=499) if !matches!(status, 408 | 409 | 429));
        if self.kind == FailureKind::InvalidRequest || (refused && !self.is_quota()) {
            Fault::Caller
        } else {
            Fault::Server
        }
    }

    /// Whether the provider says that the account's quota is used up (`insufficient_quota`).
    #[must_use]
    pub fn is_quota(&self) -> bool {
        [&self.code, &self.error_type]
            .into_iter()
            .any(|word| word.as_deref() == Some(INSUFFICIENT_QUOTA))
    }
}

impl End {
    /// What a server has to tell a client about this end; `None` if the answer is what it seems to be. A source that
    /// was cut off is reported as [`STREAM_INTERRUPTED`], whatever it broke on.
    #[must_use]
    pub fn to_report(&self) -> Option<Failure> {
        let mut failure = match (&self.failure, self.verdict) {
            (Some(failure), _) => failure.clone(),
            (None, Verdict::Complete | Verdict::Length | Verdict::Filtered) => return None,
            // A source owes a failure here. That it forgot it must not make the answer look whole.
            (None, verdict) => Failure::new(
                FailureKind::Internal,
                format!("the answer ended as {}", verdict.as_str()),
            ),
        };
        if matches!(self.verdict, Verdict::Truncated | Verdict::Interrupted) {
            failure.error_type = Some(STREAM_INTERRUPTED.to_owned());
        }
        Some(failure)
    }

    /// The end of a stream that ended with this failure and nothing to outweigh it.
    #[must_use]
    pub fn of_failure(failure: Failure) -> Self {
        Self {
            verdict: Verdict::of_failure(&failure),
            finish_reason: None,
            failure: Some(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Deadline;

    fn failure(kind: FailureKind) -> Ending {
        Ending::Failure(Failure::new(kind, "x"))
    }

    #[test]
    fn a_proper_close_is_what_the_finish_reason_says() {
        for (finish, done, verdict) in [
            (Some(FinishReason::Stop), true, Verdict::Complete),
            (Some(FinishReason::Stop), false, Verdict::Complete),
            (Some(FinishReason::ToolCalls), false, Verdict::Complete),
            (None, true, Verdict::Complete),
            (Some(FinishReason::Length), true, Verdict::Length),
            (Some(FinishReason::ContentFilter), false, Verdict::Filtered),
        ] {
            let conclusion = conclude(finish.clone(), done, Ending::Eof);
            assert_eq!(conclusion.end.verdict, verdict);
            assert_eq!(conclusion.end.finish_reason, finish);
            assert_eq!((conclusion.end.failure, conclusion.notice), (None, None));
        }
    }

    #[test]
    fn neither_finish_nor_done_is_truncated() {
        let end = conclude(None, false, Ending::Eof).end;
        assert_eq!(end.verdict, Verdict::Truncated);
        assert_eq!(end.failure.map(|f| f.kind), Some(FailureKind::UnexpectedEnd));
    }

    #[test]
    fn without_a_finish_reason_the_failure_is_the_verdict() {
        for (kind, verdict) in [
            (FailureKind::ConnectionLost, Verdict::Interrupted),
            (
                FailureKind::Deadline(Deadline::Idle),
                Verdict::TimedOut(Deadline::Idle),
            ),
            (FailureKind::Limit(Limit::Event), Verdict::Failed(Fault::Server)),
            (FailureKind::Cancelled, Verdict::Cancelled),
            (FailureKind::ErrorEvent, Verdict::Failed(Fault::Server)),
            (FailureKind::InvalidRequest, Verdict::Failed(Fault::Caller)),
        ] {
            let end = conclude(None, false, failure(kind)).end;
            assert_eq!(end.verdict, verdict);
            assert_eq!(end.failure.map(|f| f.kind), Some(kind));
        }
    }

    #[test]
    fn a_break_after_the_finish_reason_is_a_warning() {
        for kind in [FailureKind::ConnectionLost, FailureKind::Deadline(Deadline::Idle)] {
            let conclusion = conclude(Some(FinishReason::Length), false, failure(kind));
            assert_eq!(conclusion.end, End::finished(Some(FinishReason::Length)));
            assert!(matches!(
                conclusion.notice,
                Some(Notice::Warning {
                    kind: "bad_close",
                    ..
                })
            ));
        }
    }

    #[test]
    fn an_error_after_the_finish_reason_is_still_an_error() {
        for (kind, verdict) in [
            (FailureKind::ErrorEvent, Verdict::Failed(Fault::Server)),
            (FailureKind::Cancelled, Verdict::Cancelled),
            (FailureKind::Limit(Limit::Answer), Verdict::Failed(Fault::Server)),
        ] {
            let end = conclude(Some(FinishReason::Stop), true, failure(kind)).end;
            assert_eq!(end.verdict, verdict);
            assert_eq!(end.finish_reason, Some(FinishReason::Stop));
        }
    }

    #[test]
    fn faults_follow_the_status() {
        for (status, fault) in [
            (400, Fault::Caller),
            (404, Fault::Caller),
            (408, Fault::Server),
            (409, Fault::Server),
            (429, Fault::Server),
            (500, Fault::Server),
        ] {
            let failure = Failure {
                status: Some(status),
                ..Failure::new(FailureKind::Status, "x")
            };
            assert_eq!(failure.fault(), fault, "{status}");
        }
        let quota = Failure {
            status: Some(403),
            code: Some("insufficient_quota".into()),
            ..Failure::new(FailureKind::Status, "x")
        };
        assert_eq!((quota.is_quota(), quota.fault()), (true, Fault::Server));
    }

    #[test]
    fn what_was_cut_off_is_reported_as_such() {
        let cut = conclude(None, false, Ending::Eof).end;
        let report = cut.to_report().map(|failure| failure.error_type);
        assert_eq!(report, Some(Some(STREAM_INTERRUPTED.to_owned())));
        let forgotten = End {
            failure: None,
            ..End::cancelled()
        };
        let report = forgotten
            .to_report()
            .map(|failure| (failure.kind, failure.message));
        assert_eq!(
            report,
            Some((FailureKind::Internal, "the answer ended as cancelled".to_owned()))
        );
        assert_eq!(End::finished(Some(FinishReason::Length)).to_report(), None);
    }

    #[test]
    fn our_own_interrupted_event_is_an_interruption() {
        let failure = Failure {
            error_type: Some(STREAM_INTERRUPTED.into()),
            ..Failure::new(FailureKind::ErrorEvent, "x")
        };
        assert_eq!(End::of_failure(failure).verdict, Verdict::Interrupted);
    }

    #[test]
    fn reasons_that_are_no_finish_are_failures() {
        for (word, verdict) in [
            ("error", Verdict::Failed(Fault::Server)),
            ("abort", Verdict::Failed(Fault::Server)),
            ("insufficient_system_resource", Verdict::Failed(Fault::Server)),
            ("model_length", Verdict::Length),
            ("MAX_TOKENS", Verdict::Length),
            ("SAFETY", Verdict::Filtered),
            ("eos_token", Verdict::Complete),
        ] {
            let end = conclude(FinishReason::from_wire(word), false, Ending::Eof).end;
            assert_eq!(end.verdict, verdict, "{word}");
            assert_eq!(
                end.failure.is_some(),
                matches!(verdict, Verdict::Failed(_)),
                "{word}"
            );
            assert_eq!(end.finish_reason, Some(FinishReason::Other(word.into())));
        }
    }
}
