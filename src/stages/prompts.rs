//! Prepared prompts, as the stages after `prepare` read them.

use super::failure::failed;
use crate::base::Key;
use crate::data::{Reference, Sample, table};
use crate::run::Stop;
use crate::store::Artifact;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// Artifacts whose prompts are kept: those of the evolution and those of its control.
const KEPT: usize = 2;

/// Prompts of `prepare` artifacts, each split read when first asked for and kept for the stages that
/// follow.
#[derive(Default)]
pub(super) struct Prompts {
    samples: BTreeMap<(Key, &'static str), Rc<Vec<Sample>>>,
    references: BTreeMap<(Key, &'static str), Rc<Vec<Reference>>>,
}

impl Prompts {
    /// The prompts of a split.
    pub(super) fn samples(
        &mut self,
        artifact: &Artifact,
        split: &'static str,
    ) -> Result<Rc<Vec<Sample>>, Stop> {
        self.make_room(artifact.key());
        let place = (artifact.key(), split);
        if let Some(samples) = self.samples.get(&place) {
            return Ok(Rc::clone(samples));
        }
        let bytes = artifact.read(&format!("{split}.parquet"))?;
        let samples = Rc::new(table::decode(&bytes).map_err(failed)?);
        self.samples.insert(place, Rc::clone(&samples));
        Ok(samples)
    }

    /// The right reasoning of a split, for figures only; empty where the source has none.
    pub(super) fn references(
        &mut self,
        artifact: &Artifact,
        split: &'static str,
    ) -> Result<Rc<Vec<Reference>>, Stop> {
        self.make_room(artifact.key());
        let place = (artifact.key(), split);
        if let Some(references) = self.references.get(&place) {
            return Ok(Rc::clone(references));
        }
        let name = format!("{split}-references.parquet");
        let references = if artifact.contains(&name) {
            table::decode(&artifact.read(&name)?).map_err(failed)?
        } else {
            Vec::new()
        };
        let references = Rc::new(references);
        self.references.insert(place, Rc::clone(&references));
        Ok(references)
    }

    fn make_room(&mut self, key: Key) {
        let kept: BTreeSet<Key> = self.samples.keys().map(|(key, _)| *key).collect();
        if kept.len() >= KEPT && !kept.contains(&key) {
            *self = Self::default();
        }
    }
}
