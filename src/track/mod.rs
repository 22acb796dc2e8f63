//! What a run says, told to the trackers that a group already has: TensorBoard and MLflow.
//!
//! May import: base, event, store, run.
//! Owns: what of the log a tracker is told, how each wants to hear it, and how far each was told.
//! Never: part of what is computed. It reads the same log as the report does, it is in no recipe and
//! no key, and no tracker can stop a run: one that is down is told of later.

mod error;
mod item;
mod mlflow;
mod sink;
mod target;
mod tensorboard;
mod tracker;
mod tracking;

pub use error::TrackError;
pub use item::Parameters;
pub use target::{Credentials, Target, TargetError};
pub use tracker::Tracker;
pub use tracking::Tracking;
