//! Handing a run over: what goes into a bundle, what is checked of one, and what a lock pins.

mod agreement;
mod locking;
mod opened;
mod packing;
mod places;
mod relocating;
mod replan;

pub(crate) use agreement::{Agreement, Verdict};
pub(crate) use locking::{Here, disagreements, lock_beside, lock_of, tell_disagreements};
pub(crate) use opened::{Checked, Opened};
#[cfg(feature = "torch")]
pub(crate) use packing::device_of;
pub(crate) use packing::{Tables, members, script_paths};
pub(crate) use relocating::relocated;

/// The lock of a run.
const LOCK: &str = "lock.toml";
/// What the run froze when it began.
const GRAPH: &str = "graph.json";
/// The log of the run.
const EVENTS: &str = "events.jsonl";
/// Files of every stage with sizes and digests.
const ARTIFACTS: &str = "artifacts.json";
/// The recipe or experiment as it was given.
pub(crate) const RECIPE: &str = "recipe/recipe.toml";
/// Every value that it resolved to.
const RESOLVED: &str = "recipe/resolved.toml";
/// The report for programs.
const REPORT: &str = "report/report.json";
/// The table for people.
const TABLE: &str = "report/table.md";
