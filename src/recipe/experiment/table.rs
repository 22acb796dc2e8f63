//! What table an experiment is read as.

use serde::{Deserialize, Serialize};

/// The `[table]` of an experiment file: how its members are laid out and what is read of each.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TableSpec {
    /// Axes of which each combination is a row: dotted keys of the recipe, or `member` for the
    /// names of explicit members. Those on neither side and not averaged over are rows too.
    pub rows: Vec<String>,
    /// Axes of which each combination is a column; below it stand the values.
    pub columns: Vec<String>,
    /// Metrics, such as `test.accuracy`.
    pub values: Vec<String>,
    /// Axes that are averaged over, usually `seed`; mean and 95 % interval are shown.
    pub over: Vec<String>,
    /// The row that the others are compared with: the name that its members have in common, without
    /// the axes averaged over.
    pub baseline: Option<String>,
}
