//! `label`: Monte Carlo labels of steps (Wang et al. 2024, Math-Shepherd).
//!
//! From the end of each step of a rollout the policy completes the response several times; how many
//! completions reach the answer says how good the step is.

use super::Calls;
use crate::recipe::{Dtype, Steps};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) const BEHAVIOUR: u32 = 1;

/// Options of `label`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Label {
    /// Rollouts that are labelled, drawn at random; 0 for all.
    pub rollouts: u64,
    /// Completions from the end of each distinct prefix.
    pub completions: u32,
    /// Temperature of the completions.
    pub temperature: f64,
    /// Longest response in tokens, the prefix included.
    pub max_new_tokens: u32,
    /// How a response is cut into steps.
    pub steps: Steps,
    /// Type of the weights.
    pub dtype: Dtype,
    /// Seed of the draw.
    pub seed: u64,
    /// What it calls of the script.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Calls>,
}
