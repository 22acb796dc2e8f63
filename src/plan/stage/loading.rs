//! Files that samples are loaded from, as stages are told of them.

use crate::base::Digest;
use crate::recipe::{DataColumns, OnBadSample};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Files of samples. Where they lie is in no key: their digest is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Loading {
    /// The file or folder.
    pub path: String,
    /// Of the files, and of the names and sizes of the images that they name.
    pub digest: Digest,
    /// Columns that the recipe names.
    pub columns: DataColumns,
    /// What becomes of rows that are no samples.
    pub on_bad_sample: OnBadSample,
}
