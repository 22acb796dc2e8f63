//! `train`: trains the policy on selected responses or on given answers.

use super::Calls;
use crate::recipe::{Dtype, Lora, Optimizer, Part, Rates, Schedule, Supervision};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) const BEHAVIOUR: u32 = 2;

/// What is trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TrainingSet {
    /// The responses of a `select` stage.
    Selected,
    /// The training prompts with what the data set gives.
    Given(Supervision),
    /// The worked examples that the base model was trained on.
    Demonstrations,
}

/// Options of `train`. Weights come in by the port `policy`; optimizer state, step counter and
/// schedule position by the port `optimizer`, where a method inherits them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Train {
    /// What is trained on.
    pub set: TrainingSet,
    /// Labelled training prompts, which come first; for `given`, else 0.
    pub labelled: u64,
    /// Passes over it.
    pub epochs: u32,
    /// Exactly so many steps, by repeating or cutting the data; 0 for whole passes. With the port
    /// `steps-of` the number comes from there.
    pub steps: u64,
    /// Cap on the steps of all iterations so far, which the port `after` counts; 0 for none.
    pub steps_cap: u64,
    /// Whether nothing to train on is no failure.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_empty: bool,
    /// Samples in an optimizer step.
    pub batch_size: u32,
    /// Samples computed at once; 0 for the whole batch.
    pub micro_batch_size: u32,
    /// Whether layers are computed again on the way back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gradient_checkpointing: bool,
    /// AdamW's learning rate at its highest.
    pub learning_rate: f64,
    /// Those of single parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rates: Option<Rates>,
    /// How steps are made.
    pub optimizer: Optimizer,
    /// How the learning rate moves; `over = 0` is the length of this stage.
    pub schedule: Schedule,
    /// Longest sequence in tokens.
    pub max_length: u32,
    /// The parts that are trained; none where adapters are.
    pub parts: Vec<Part>,
    /// The adapters that are trained in place of the weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lora: Option<Lora>,
    /// Type of the weights.
    pub dtype: Dtype,
    /// Seed of the order of samples.
    pub seed: u64,
    /// What it calls of the script.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Calls>,
}
