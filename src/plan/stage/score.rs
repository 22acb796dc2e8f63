//! `score`: one forward pass of the reward model a response gives the scores of all its steps.

use super::Calls;
use crate::recipe::{Aggregate, Dtype, Steps};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) const BEHAVIOUR: u32 = 5;

/// Options of `score`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Score {
    /// How a response is cut into steps.
    pub steps: Steps,
    /// How scores of steps become the score of a response.
    pub aggregate: Aggregate,
    /// Type of the weights.
    pub dtype: Dtype,
    /// What it calls of the script.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Calls>,
}
