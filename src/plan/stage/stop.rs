//! `stop`: whether the evolution goes on after an iteration. What reads it by the port `stop` is
//! skipped once one has said no.

use super::Calls;
use crate::recipe::EarlyStop;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) const BEHAVIOUR: u32 = 1;

/// Options of `stop`. By the port `stop` comes what the one before it knew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StopRule {
    /// The iteration whose policy was measured; 0 for the one that the evolution starts from, which
    /// begins the history and is never stopped at.
    pub iteration: u32,
    /// When it stops; the script may say so too.
    pub rule: EarlyStop,
    /// What it calls of the script.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Calls>,
}
