//! `prepare`: makes prompts, answers and splits.

use super::Loading;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) const BEHAVIOUR: u32 = 1;

/// Options of `prepare`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Prepare {
    /// The loader; for files their format.
    pub source: String,
    /// The files; none for what is generated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loading: Option<Loading>,
    /// Seed of generated data and of the split.
    pub seed: u64,
    /// Training prompts.
    pub prompts: u64,
    /// Training prompts whose answers may be seen, which come first; none for all. Of the others
    /// neither answer nor reasoning is there: `hide` keeps the answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labelled: Option<u64>,
    /// Validation prompts.
    pub validation: u64,
    /// Test prompts.
    pub test: u64,
    /// Worked examples of the base model's training to put beside them, for a control.
    pub demonstrations: u64,
}

impl Prepare {
    /// Whether it prepares a benchmark, whose name has its split in it.
    pub fn is_benchmark(&self) -> bool {
        self.source.contains('/')
    }
}
