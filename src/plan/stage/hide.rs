//! `hide`: puts the answers of unlabelled prompts where only the oracle and reports find them.

use serde::{Deserialize, Serialize};

pub(super) const BEHAVIOUR: u32 = 1;

/// Options of `hide`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hide {
    /// The loader.
    pub source: String,
    /// Seed of generated data.
    pub seed: u64,
    /// Training prompts whose answers may be seen, which come first.
    pub labelled: u64,
    /// Training prompts in all.
    pub prompts: u64,
}
