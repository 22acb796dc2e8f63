//! Prepared prompts, as the stages after `prepare` read them.

use super::failure::{failed, failure};
use super::features::StoredFeatures;
use super::hooks::Hooks;
use crate::base::Key;
use crate::data::table::{Stored, stored_prompts};
use crate::data::{self, Reference, table};
use crate::plan::Port;
use crate::recipe::Moment;
use crate::run::{Context, Stop};
use crate::store::Artifact;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::rc::Rc;
use std::sync::Arc;

/// A prompt, whose pictures are read when they are asked for.
pub(super) type Sample = data::Sample<Stored>;

/// Artifacts whose prompts are kept: those of the evolution and those of its control.
const KEPT: usize = 2;
/// Artifacts of features that are kept: those of some splits and benchmarks.
const KEPT_FEATURES: usize = 16;

/// Prompts of `prepare` artifacts, each split read when first asked for and kept, but for its pictures,
/// for the stages that follow.
#[derive(Default)]
pub(super) struct Prompts {
    samples: BTreeMap<(Key, &'static str), Rc<Vec<Sample>>>,
    /// Samples as a script has them asked, by its key.
    asked: BTreeMap<(Key, &'static str, Key), Rc<Vec<Sample>>>,
    references: BTreeMap<(Key, &'static str), Rc<Vec<Reference>>>,
    /// Features of their pictures, whose files are found as they were committed but once.
    features: BTreeMap<Key, Arc<StoredFeatures>>,
}

/// The prompts of a split of a `prepare` artifact.
pub(super) fn of_split(artifact: &Artifact, split: &str) -> Result<Vec<Sample>, Stop> {
    let path = artifact.path(&format!("{split}.parquet"))?;
    let file = File::open(&path).map_err(|error| {
        let reason = format!("cannot open `{}`: {error}", path.display());
        failure(reason, "look at the permissions of the store")
    })?;
    stored_prompts(file, &path).map_err(failed)
}

impl Prompts {
    /// The prompts of a split, as the stage's script has them asked.
    pub(super) fn samples(
        &mut self,
        context: &Context<'_>,
        split: &'static str,
    ) -> Result<Rc<Vec<Sample>>, Stop> {
        let samples = self.prepared(context, split)?;
        let calls = context.stage().calls();
        if !calls.is_some_and(|calls| calls.functions.contains(&Moment::Prompt)) {
            return Ok(samples);
        }
        let script = context.input(Port::Hooks)?.key();
        let place = (context.input(Port::Prompts)?.key(), split, script);
        if let Some(asked) = self.asked.get(&place) {
            return Ok(Rc::clone(asked));
        }
        let asked = Rc::new(Hooks::of(context)?.asked(&samples)?);
        self.asked.insert(place, Rc::clone(&asked));
        Ok(asked)
    }

    fn prepared(
        &mut self,
        context: &Context<'_>,
        split: &'static str,
    ) -> Result<Rc<Vec<Sample>>, Stop> {
        let artifact = context.input(Port::Prompts)?;
        self.make_room(artifact.key());
        let place = (artifact.key(), split);
        if let Some(samples) = self.samples.get(&place) {
            return Ok(Rc::clone(samples));
        }
        let samples = Rc::new(of_split(artifact, split)?);
        self.samples.insert(place, Rc::clone(&samples));
        Ok(samples)
    }

    /// The right reasoning of a split, for figures only; empty where the source has none.
    pub(super) fn references(
        &mut self,
        context: &Context<'_>,
        split: &'static str,
    ) -> Result<Rc<Vec<Reference>>, Stop> {
        let artifact = context.input(Port::Prompts)?;
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

    /// The features of pictures that a stage reads; none where it has no port for them.
    pub(super) fn features(
        &mut self,
        context: &Context<'_>,
    ) -> Result<Option<Arc<StoredFeatures>>, Stop> {
        let Some(artifact) = context.optional_input(Port::Features) else { return Ok(None) };
        // One that was found altered was made again since, perhaps by another device.
        let kept = self.features.get(&artifact.key());
        if let Some(features) = kept.filter(|features| features.is_of(artifact)) {
            return Ok(Some(Arc::clone(features)));
        }
        if self.features.len() >= KEPT_FEATURES {
            self.features.clear();
        }
        let features = Arc::new(StoredFeatures::open(artifact)?);
        self.features.insert(artifact.key(), Arc::clone(&features));
        Ok(Some(features))
    }

    fn make_room(&mut self, key: Key) {
        let kept: BTreeSet<Key> = self.samples.keys().map(|(key, _)| *key).collect();
        if kept.len() >= KEPT && !kept.contains(&key) {
            *self = Self { features: std::mem::take(&mut self.features), ..Self::default() };
        }
    }
}
