//! `import`: puts a checkpoint into the store, so that every policy is an artifact.

use crate::base::Digest;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) const BEHAVIOUR: u32 = 1;

/// Options of `import`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Import {
    /// The model: `builtin:…`, or the folder of its checkpoint.
    pub model: String,
    /// Digest of its weights, configuration and tokenizer.
    pub digest: Digest,
    /// Pixels of a picture at most; 0 for as many as the checkpoint's own files say.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub image_pixels: u64,
}

fn is_zero(pixels: &u64) -> bool {
    *pixels == 0
}
