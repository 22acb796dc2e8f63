//! Prepared prompts, as the stages after `prepare` read them.

use super::failure::failed;
use crate::base::Key;
use crate::data::{Reference, Sample, table};
use crate::store::Artifact;
use std::collections::BTreeMap;
use std::rc::Rc;

/// The splits of a `prepare` artifact, each read when first asked for and kept for the next stage.
#[derive(Default)]
pub(super) struct Prompts {
    of: Option<Key>,
    samples: BTreeMap<&'static str, Rc<Vec<Sample>>>,
    references: BTreeMap<&'static str, Rc<Vec<Reference>>>,
}

impl Prompts {
    /// The prompts of a split.
    pub(super) fn samples(
        &mut self,
        artifact: &Artifact,
        split: &'static str,
    ) -> Result<Rc<Vec<Sample>>, Stop> {
        self.turn_to(artifact.key());
        if let Some(samples) = self.samples.get(split) {
            return Ok(Rc::clone(samples));
        }
        let bytes = artifact.read(&format!("{split}.parquet"))?;
        let samples = Rc::new(table::decode(&bytes).map_err(failed)?);
        self.samples.insert(split, Rc::clone(&samples));
        Ok(samples)
    }

    /// The right reasoning of a split, for figures only; empty where the source has none.
    pub(super) fn references(
        &mut self,
        artifact: &Artifact,
        split: &'static str,
    ) -> Result<Rc<Vec<Reference>>, Stop> {
        self.turn_to(artifact.key());
        if let Some(references) = self.references.get(split) {
            return Ok(Rc::clone(references));
        }
        let name = format!("{split}-references.parquet");
        let references = if artifact.contains(&name) {
            let bytes = artifact.read(&name)?;
            table::decode(&bytes).map_err(failed)?
        } else {
            Vec::new()
        };
        let references = Rc::new(references);
        self.references.insert(split, Rc::clone(&references));
        Ok(references)
    }

    fn turn_to(&mut self, key: Key) {
        if self.of != Some(key) {
            *self = Self { of: Some(key), ..Self::default() };
        }
    }
}
