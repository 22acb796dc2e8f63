//! `overlap`: which questions of a benchmark are prompts of the recipe too. For reports: no stage reads it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) const BEHAVIOUR: u32 = 1;

/// Options of `overlap`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Overlap {
    /// The benchmark, with its split.
    pub benchmark: String,
}
