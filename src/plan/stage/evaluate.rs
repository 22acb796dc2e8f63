//! `evaluate`: greedy accuracy on a split, by category.

use super::Calls;
use crate::recipe::Dtype;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) const BEHAVIOUR: u32 = 2;

/// Held-out prompts.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// Choices are made on these.
    Validation,
    /// Read, never chosen on.
    Test,
}

/// Options of `evaluate`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evaluate {
    /// The prompts.
    pub split: Split,
    /// The benchmark that the test prompts are those of; none for the split of the recipe's data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub benchmark: Option<String>,
    /// Longest response in tokens.
    pub max_new_tokens: u32,
    /// Type of the weights.
    pub dtype: Dtype,
    /// What it calls of the script.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Calls>,
}
