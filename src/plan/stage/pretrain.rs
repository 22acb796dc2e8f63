//! `pretrain`: trains a base model from random weights, for the embedded task.

use crate::recipe::{Dtype, Pretraining};
use serde::{Deserialize, Serialize};

pub(super) const BEHAVIOUR: u32 = 1;

/// Options of `pretrain`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// The phases.
    pub phases: Pretraining,
}
