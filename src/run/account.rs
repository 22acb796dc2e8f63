//! What the log and the manifest say of stages.

use super::{RunError, speaker::Speaker};
use crate::{
    base::Key,
    event::{Event, Outcome, StageSummary},
    plan::Node,
    store::{self, Artifact, Provenance, Store},
};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Where a stage leaves what it measured: an object.
const METRICS: &str = "metrics.json";

/// An artifact and what its stage measured.
pub(super) struct Stored {
    artifact: Artifact,
    metrics: Map<String, Value>,
}

impl Stored {
    /// Finds an artifact and reads what was measured.
    ///
    /// # Errors
    /// When the artifact was altered or cannot be read.
    pub(super) fn find(store: &Store, key: Key) -> Result<Option<Self>, store::Error> {
        store.artifact(key)?.map(Self::read).transpose()
    }

    /// Reads what was measured; nothing when the stage measured nothing.
    ///
    /// # Errors
    /// When the artifact was altered or cannot be read.
    pub(super) fn read(artifact: Artifact) -> Result<Self, store::Error> {
        let metrics = if artifact.contains(METRICS) {
            serde_json::from_slice(&artifact.read(METRICS)?).unwrap_or_default()
        } else {
            Map::new()
        };
        Ok(Self { artifact, metrics })
    }

    /// What the log says of it.
    pub(super) fn finished(self, outcome: Outcome, seconds: f64) -> Event {
        Event::StageFinished {
            key: self.artifact.key(),
            outcome,
            seconds,
            bytes: self.artifact.bytes(),
            metrics: self.metrics,
            computed_on: self.artifact.manifest().provenance.computed_on.clone(),
        }
    }
}

/// A stage, if it is stored. One that was altered is taken away, and said.
pub(super) fn look_up(
    store: &Store,
    key: Key,
    speaker: &mut Speaker<'_>,
) -> Result<Option<Stored>, RunError> {
    match Stored::find(store, key) {
        Ok(found) => Ok(found),
        Err(error @ store::Error::Altered { .. }) => {
            if let Some(lock) = store.lock(key)? {
                store.discard_altered(&lock)?;
            }
            speaker.say(Event::Note { key: Some(key), message: format!("{error}: taken away") })?;
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Where the artifact of a stage comes from.
pub(super) fn provenance(node: &Node, computed_on: String) -> Provenance {
    Provenance {
        kind: node.stage.kind().to_owned(),
        behaviour: node.stage.behaviour(),
        options: node.stage.options(),
        inputs: node.inputs.iter().map(|(port, key)| (port.to_string(), *key)).collect(),
        computed_on,
    }
}

/// A stage as the log names it.
pub(super) fn summary(node: &Node) -> StageSummary {
    let needs: BTreeSet<Key> = node.inputs.values().copied().collect();
    StageSummary {
        key: node.key,
        kind: node.stage.kind().to_owned(),
        name: node.name.clone(),
        branch: node.role.branch.name().to_owned(),
        iteration: node.role.iteration,
        needs: needs.into_iter().collect(),
        members: node.members.iter().cloned().collect(),
    }
}
