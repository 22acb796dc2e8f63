//! `hooks`: puts a script into the store, so that what calls it reads what was planned.

use crate::base::Digest;
use crate::recipe::Moment;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) const BEHAVIOUR: u32 = 1;

/// Options of `hooks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hooks {
    /// Digest of the text.
    pub digest: Digest,
    /// The script.
    pub text: String,
}

/// What a stage calls of a script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Calls {
    /// What people call the script; for messages alone.
    pub script: String,
    /// The functions.
    pub functions: Vec<Moment>,
}
