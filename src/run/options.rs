//! What a run is told, and what it answers.

use super::{Interrupts, Slot};
use crate::{
    base::{Failure, Hint},
    event::{Machine, Outcome, Versions},
    store,
};
use std::process::Command;
use thiserror::Error;

/// What a run is told beside its graph.
pub struct Options<'a> {
    /// The recipe's name.
    pub name: String,
    /// Path of the recipe, as it was given.
    pub recipe_file: String,
    /// Versions of everything that takes part.
    pub versions: Versions,
    /// What it runs on.
    pub machine: Machine,
    /// The workers.
    pub slots: Vec<Slot>,
    /// How often a stage is tried again after its worker died. One that failed by itself or took
    /// too long would do so again.
    pub retries: u32,
    /// Whether what does not depend on a failed stage is still begun.
    pub keep_going: bool,
    /// Seconds that a stage may take in this run; 0 for no limit.
    pub timeout_secs: f64,
    /// Seconds between two checkpoints of a training stage.
    pub checkpoint_every_secs: f64,
    /// The command that becomes the worker of a slot by calling [`super::serve`]. Its pipes and
    /// the thread counts in its environment are set by the run.
    pub worker: &'a dyn Fn(&Slot) -> Command,
    /// How often the user asked to stop.
    pub interrupts: Interrupts,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct RunSummary {
    /// The run's name in the store.
    pub run: String,
    /// `Done`, `Failed` or `Interrupted`.
    pub outcome: Outcome,
    /// Stages computed in this run.
    pub done: usize,
    /// Stages found, or made by another run meanwhile.
    pub stored: usize,
    /// Stages that did not run because something failed or the run was interrupted.
    pub skipped: usize,
    /// Stages that failed, by name, in the order in which they did.
    pub failures: Vec<(String, Failure)>,
    /// Wall seconds.
    pub seconds: f64,
}

/// Why a run could not go on at all. What was done stays done.
#[derive(Debug, Error)]
pub enum RunError {
    /// The store failed the scheduler itself.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Hint for RunError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Store(error) => error.hint(),
        }
    }
}
