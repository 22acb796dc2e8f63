//! `import`: puts a checkpoint into the store, so that every policy is an artifact.

use crate::base::Digest;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) const BEHAVIOUR: u32 = 1;

/// Options of `import`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Import {
    /// The model, as the recipe names it.
    pub model: String,
    /// Digest of its weights, configuration and tokenizer.
    pub digest: Digest,
}
