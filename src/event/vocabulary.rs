//! What can happen in a run.
//!
//! Adding a field: give it a default, for old logs; readers ignore what they do not know.

use crate::base::Key;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "snake_case")]
pub enum Event {
    /// First of all.
    RunStarted {
        /// Version of the log.
        format: u32,
        /// The run's name in the store.
        run: String,
        /// The recipe's name.
        name: String,
        /// Path of the recipe, as it was given.
        recipe_file: String,
        /// Versions of everything that takes part.
        versions: Versions,
        /// What it runs on.
        #[serde(default)]
        machine: Machine,
    },
    /// The graph, in an order in which it could be carried out.
    Planned {
        /// All stages.
        stages: Vec<StageSummary>,
        /// Members whose results are those of the iteration that is best on validation.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        best: Vec<String>,
    },
    /// A worker process is ready.
    WorkerStarted {
        /// Its number.
        worker: u32,
        /// Operating system's process id.
        process: u32,
        /// Such as `cpu` or `cuda:0`.
        device: String,
        /// Threads that libtorch uses in it.
        threads: u32,
    },
    /// A worker process ended before its time.
    WorkerDied {
        /// Its number.
        worker: u32,
        /// Such as `killed by signal 9`.
        reason: String,
    },
    /// A stage begins, or goes on where an earlier run left it.
    StageStarted {
        /// The stage.
        key: Key,
        /// Workers' numbers are not known for stages that are split; this is the first.
        worker: u32,
        /// Shards or steps that an earlier run left done.
        resumed_from: u64,
    },
    /// A stage has come so far.
    StageProgress {
        /// The stage.
        key: Key,
        /// Units done.
        done: u64,
        /// Units in all, as far as known.
        total: u64,
        /// What is counted.
        unit: Unit,
        /// The newest value of what is watched, such as `loss`.
        watched: Map<String, Value>,
    },
    /// A stage's artifact is in the store.
    StageFinished {
        /// The stage.
        key: Key,
        /// Whether it ran or was found.
        outcome: Outcome,
        /// Wall seconds in this run during which a worker was at it; 0 when found.
        seconds: f64,
        /// Size of the artifact.
        bytes: u64,
        /// What the stage measured (the artifact's `metrics.json`).
        metrics: Map<String, Value>,
        /// What it was computed on.
        computed_on: String,
    },
    /// A stage failed.
    StageFailed {
        /// The stage.
        key: Key,
        /// What happened.
        reason: String,
        /// The way out.
        hint: Option<String>,
        /// Wall seconds in this run during which a worker was at it.
        #[serde(default)]
        seconds: f64,
    },
    /// A stage did not run because something it needs failed, or the run was interrupted.
    StageSkipped {
        /// The stage.
        key: Key,
        /// Why.
        because: String,
    },
    /// Something worth knowing that is no failure.
    Note {
        /// The stage it is about.
        key: Option<Key>,
        /// One sentence.
        message: String,
    },
    /// Last of all.
    RunFinished {
        /// How it ended.
        outcome: Outcome,
        /// Wall seconds from start to end.
        seconds: f64,
    },
}

/// How a stage or a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Computed in this run.
    Done,
    /// Found in the store.
    Stored,
    /// At least one stage failed.
    Failed,
    /// Stopped by the user.
    Interrupted,
}

/// What progress counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Prompts.
    Prompts,
    /// Responses.
    Samples,
    /// Optimizer steps.
    Steps,
    /// Millions of bytes.
    Megabytes,
}

/// A stage as the log names it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StageSummary {
    /// Its key.
    pub key: Key,
    /// Its kind, such as `explore`.
    pub kind: String,
    /// Its name, such as `explore 3`.
    pub name: String,
    /// The part of the study it belongs to: `ground`, `evolution` or `control`.
    #[serde(default)]
    pub branch: String,
    /// The iteration, from 1; 0 before the first.
    #[serde(default)]
    pub iteration: u32,
    /// Keys of the stages whose artifacts it reads.
    pub needs: Vec<Key>,
    /// Members that use it.
    pub members: Vec<String>,
}

impl StageSummary {
    /// The name, and in a grid of so many members also who uses it: `explore 3 of seed=1`, or
    /// `explore 3 of 4 members`. What all use has its name alone.
    pub fn title(&self, members: usize) -> String {
        match self.members.as_slice() {
            users if users.len() == members => self.name.clone(),
            [only] => format!("{} of {only}", self.name),
            users => format!("{} of {} members", self.name, users.len()),
        }
    }
}

/// The machine that a run has to itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Machine {
    /// Model of the processor, as the system names it.
    pub processor: String,
    /// Cores that this process may use.
    pub cores: u32,
    /// Bytes of memory that this process may use; 0 when unknown.
    pub memory_bytes: u64,
    /// CUDA devices.
    pub cuda_devices: u32,
}

/// Versions of everything that takes part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Versions {
    /// This program.
    pub mstar: String,
    /// libtorch, when the program was built with it.
    pub libtorch: Option<String>,
    /// Operating system and architecture.
    pub platform: String,
    /// Cores that are really available.
    pub cores: u32,
}
