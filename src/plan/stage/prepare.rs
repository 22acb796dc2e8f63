//! `prepare`: makes prompts, answers and splits.

use serde::{Deserialize, Serialize};

pub(super) const BEHAVIOUR: u32 = 1;

/// Options of `prepare`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepare {
    /// The loader.
    pub source: String,
    /// Seed of generated data and of the split.
    pub seed: u64,
    /// Training prompts.
    pub prompts: u64,
    /// Validation prompts.
    pub validation: u64,
    /// Test prompts.
    pub test: u64,
    /// Worked examples of the base model's training to put beside them, for a control.
    pub demonstrations: u64,
}
