//! Errors of the rooms below, as what a failed stage says of itself.

use crate::base::{Failure, Hint};
use crate::run::Stop;
use serde::Serialize;

/// Turns an error with a hint into a failure. Errors of the store need none of this: `?` knows them,
/// and tells a damaged artifact from a failed stage.
pub(super) fn failed(error: impl Hint) -> Stop {
    let hint = error.hint();
    let mut reason = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        reason.push_str(": ");
        reason.push_str(&cause.to_string());
        source = cause.source();
    }
    Stop::Failed(Failure { reason, hint })
}

/// A failure in one sentence, with the way out.
pub(super) fn failure(reason: impl Into<String>, hint: impl Into<String>) -> Stop {
    Stop::Failed(Failure { reason: reason.into(), hint: Some(hint.into()) })
}

/// The same outside any run, where nothing but a failure can stop.
pub(super) fn as_failure(stop: Stop) -> Failure {
    match stop {
        Stop::Failed(failure) => failure,
        other => Failure { reason: format!("{other:?}"), hint: None },
    }
}

/// JSON bytes of something that a stage writes.
pub(super) fn json(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .expect("what stages write holds only numbers, text, lists and maps with string keys");
    bytes.push(b'\n');
    bytes
}
