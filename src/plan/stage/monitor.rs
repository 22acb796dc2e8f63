//! `monitor`: Pass@K on the validation prompts, the measure of what exploration can still find.

use super::{Calls, Score};
use crate::recipe::Dtype;
use serde::{Deserialize, Serialize};

pub(super) const BEHAVIOUR: u32 = 2;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Options of `monitor`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Monitor {
    /// Samples for each prompt: K.
    pub samples: u32,
    /// Temperature of the draw.
    pub temperature: f64,
    /// Longest response in tokens.
    pub max_new_tokens: u32,
    /// More temperatures at which the same is measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub temperatures: Vec<f64>,
    /// Validation prompts that take part; 0 for all.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub prompts: u64,
    /// How a response is scored, with a reward model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<Score>,
    /// Type of the weights.
    pub dtype: Dtype,
    /// Seed of the draw. The same for all iterations, so that curves are paired.
    pub seed: u64,
    /// What it calls of the script.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Calls>,
}
