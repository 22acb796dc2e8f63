//! What is given the inputs.

pub(crate) mod checkpoint;
pub(crate) mod data;
pub(crate) mod recipes;
pub(crate) mod records;
#[cfg(feature = "torch")]
pub(crate) mod weights;

use mstar::base::Hint;
use serde_json::{Map, Value};
use std::fmt::Display;

/// What a reader says: `ok`, or its sentence. The way out is made as well.
fn said<T, E: Display + Hint>(outcome: &Result<T, E>) -> String {
    match outcome {
        Ok(_) => "ok".to_owned(),
        Err(error) => {
            let hint = error.hint();
            assert!(hint.is_none_or(|hint| !hint.is_empty()));
            error.to_string()
        }
    }
}

/// An input of several files: a JSON object of them by name, JSON as such and other text as a string.
fn files(bytes: &[u8]) -> Option<Map<String, Value>> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(files)) => Some(files),
        _ => None,
    }
}

/// The bytes of one of them.
fn content(value: &Value) -> Vec<u8> {
    match value {
        Value::String(text) => text.clone().into_bytes(),
        other => other.to_string().into_bytes(),
    }
}
