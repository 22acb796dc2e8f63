//! What scheduler and workers say to each other: JSON, one message a line.

use super::Settings;
use crate::{
    base::{Failure, Hint as _, Key},
    event::Event,
    plan::Node,
    store,
};
use serde::{Deserialize, Serialize};

/// Version of this protocol; both ends are the same binary, and a worker of another one is refused.
pub(super) const PROTOCOL: u32 = 1;

/// Which part of a stage's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// All of a stage that has one shard.
    Whole,
    /// One shard, from 0; it writes its own files in the work folder and no others.
    Shard(u64),
    /// After all shards: from their files to the results.
    Gather,
}

/// What a worker is asked to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// The stage.
    pub node: Node,
    /// The part.
    pub part: Part,
}

/// Why a stage ends before its end. Errors of the store become one by `?`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stop {
    /// It cannot be done.
    Failed(Failure),
    /// It was asked to stop, and left what it needs to go on.
    Cancelled,
    /// Something it reads is not what was stored; the scheduler has it made again.
    Altered {
        /// The artifact.
        key: Key,
        /// The file inside it.
        file: String,
    },
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<store::Error> for Stop {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Altered { key, file } => Self::Altered { key, file },
            other => Self::Failed(Failure { reason: other.to_string(), hint: other.hint() }),
        }
    }
}

/// From the scheduler.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Order {
    Perform { task: Box<Task>, settings: Settings },
    Cancel,
}

/// From a worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Reply {
    /// First of all.
    Ready { protocol: u32 },
    /// Instead of `Ready`.
    Unfit(Failure),
    /// While it works.
    Said(Event),
    /// The part is done.
    Done { computed_on: String },
    /// The part is not done. A worker that retires ends after this.
    Stopped { stop: Stop, retires: bool },
}
