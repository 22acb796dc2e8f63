//! From a recipe to a graph of stages with keys, reasons and estimates.
//!
//! May import: base, recipe.
//! Owns: the closed list of stage kinds, what each reads and writes, and what makes two stages one.
//! Never: touches disk, clock, network, threads or tensors. What is stored and how fast this
//! machine is, it is told.

mod estimate;
mod graph;
mod lower;
mod outlook;
mod reason;
mod stage;
mod state;
pub mod view;

pub use estimate::{Estimate, Measured, SourceFacts, Tally, assumptions, elapsed, estimates};
pub use graph::{Branch, Graph, Node, Role};
pub use lower::{Facts, FilesFacts, Member, ScriptFacts, digest_of_name, lower};
pub use outlook::{MemberSummary, Outlook, Planned, Totals, WrittenAt};
pub use reason::{Change, Why};
pub use stage::{
    Agreement, Balance, Calls, Drawn, Evaluate, Explore, Features, Hide, Hooks, Import, Knobs,
    Label, Lesson, Loading, Mismatch, Monitor, Need, Overlap, Port, Prepare, Pretrain, Score,
    Scored, Select, Setting, Shown, Slice, Split, Stage, StageDoc, StopRule, Train, TrainReward,
    TrainingSet, Unlabelled, stage_docs,
};
pub use state::{EarlierStage, Known, Recipes, Standing, State, standings};

#[cfg(test)]
mod tests;
