//! `pretrain`: one phase of training a base model from random weights, for the embedded task.

use crate::recipe::{Dtype, PretrainingPhase};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) const BEHAVIOUR: u32 = 2;

/// What a phase teaches.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Lesson {
    /// What a patch shows. Starts from random weights.
    Perception,
    /// What a picture shows, with the loss on number tokens only.
    Captions,
    /// Worked examples, with captions mixed in.
    Reasoning {
        /// Captions for each worked example.
        caption_share: f64,
        /// Index of the first caption sample that earlier phases did not use.
        captions_from: u64,
        /// Share of one-operation questions.
        easy_share: f64,
        /// Spread of the embeddings of numbers above 9 that are made from those of the digits; 0
        /// leaves them as they are.
        number_factor: f64,
    },
}

/// Options of `pretrain`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pretrain {
    /// The architecture, as the recipe names it.
    pub model: String,
    /// Type of the weights.
    pub dtype: Dtype,
    /// The source of captions and worked examples.
    pub source: String,
    /// Seed of that source.
    pub data_seed: u64,
    /// Seed of the initial weights and of the order of samples.
    pub seed: u64,
    /// What is taught.
    pub lesson: Lesson,
    /// For how long and how fast.
    pub phase: PretrainingPhase,
}
