//! `monitor`: Pass@K on the validation prompts, the measure of what exploration can still find.

use crate::recipe::Dtype;
use serde::{Deserialize, Serialize};

pub(super) const BEHAVIOUR: u32 = 1;

/// Options of `monitor`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Monitor {
    /// Samples for each prompt: K.
    pub samples: u32,
    /// Temperature of the draw.
    pub temperature: f64,
    /// Longest response in tokens.
    pub max_new_tokens: u32,
    /// Type of the weights.
    pub dtype: Dtype,
    /// Seed of the draw. The same for all iterations, so that curves are paired.
    pub seed: u64,
}
