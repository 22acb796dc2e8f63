//! `train-reward`: trains a reward model, the policy's own architecture with a scalar head.

use super::Calls;
use crate::recipe::{Dtype, Part, RewardTargets, Steps};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) const BEHAVIOUR: u32 = 5;

/// Where the scalar head is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scored {
    /// At the end of the response.
    Outcome,
    /// At the end of each step.
    Process,
}

/// Options of `train-reward`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrainReward {
    /// Where the head is read.
    pub scored: Scored,
    /// What a step is trained towards; of a response it is whether the answer is right.
    pub targets: RewardTargets,
    /// Weigh the two classes so that they count alike.
    pub balance: bool,
    /// Share of the prompts that are kept apart for measuring.
    pub held_out: f64,
    /// The parts that are trained beside the head.
    pub parts: Vec<Part>,
    /// Passes over the labels.
    pub epochs: u32,
    /// Responses in an optimizer step.
    pub batch_size: u32,
    /// Responses computed at once; 0 for the whole batch.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub micro_batch_size: u32,
    /// AdamW's learning rate at its highest.
    pub learning_rate: f64,
    /// How a response is cut into steps.
    pub steps: Steps,
    /// Longest sequence in tokens.
    pub max_length: u32,
    /// Type of the weights.
    pub dtype: Dtype,
    /// Seed of the head, of what is held out and of the order.
    pub seed: u64,
    /// What it calls of the script.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Calls>,
}

fn is_zero(size: &u32) -> bool {
    *size == 0
}
