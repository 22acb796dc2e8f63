//! `hide`: puts the answers of unlabelled prompts where only the oracle and reports find them.

use super::Loading;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) const BEHAVIOUR: u32 = 1;

/// Options of `hide`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hide {
    /// The loader; for files their format.
    pub source: String,
    /// The files; none for what is generated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loading: Option<Loading>,
    /// Seed of generated data.
    pub seed: u64,
    /// Training prompts whose answers may be seen, which come first.
    pub labelled: u64,
    /// Training prompts in all.
    pub prompts: u64,
    /// Prompts of validation and test, which files are cut into first.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub held_out: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}
