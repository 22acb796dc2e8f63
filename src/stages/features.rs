//! `features`: what the frozen vision tower makes of the pictures of a split, made once, and read by
//! whatever looks at them later.
//!
//! Equal pictures are one. They lie in parts of a bounded size, each a file that later stages map
//! into memory; a killed stage goes on after the last picture that it has kept. The tower sees a
//! picture at a time, whatever else its prompt has. Left out: the projector, which may be trained.

use super::failure::{failed, failure, json};
use super::policy::{Policy, Resident, write_metrics};
use super::prompts::{Prompts, Sample};
use crate::base::{Digest, DigestWriter, Hint as _, Key};
use crate::data::processor::{Extent, Grid};
use crate::engine::{Device, FeatureFile, Model, PackError, Pixels, TowerOutputs, features};
use crate::event::Unit;
use crate::plan::Features;
use crate::recipe::Dtype;
use crate::run::{Context, Stop};
use crate::store::Artifact;
use image::RgbImage;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// Where it is said which pictures are where.
const INDEX: &str = "features.json";
/// The pictures of a part that was begun.
const BEGUN: &str = "begun.safetensors";
/// Bytes and pictures after which a part is whole.
const WHOLE: (usize, usize) = (256 << 20, 256);
/// Digits of a picture's digest that are its name.
const DIGITS: usize = 32;

/// `features.json`.
#[derive(Serialize, Deserialize)]
struct Index {
    /// Digest of the tower's weights.
    tower: Digest,
    dtype: Dtype,
    /// The pictures of each part, by name.
    parts: Vec<Vec<String>>,
    /// The pictures of each prompt, by their number over all parts.
    prompts: BTreeMap<u64, Vec<usize>>,
}

pub(super) fn run(
    options: &Features,
    (resident, prompts, device): (&mut Resident, &mut Prompts, Device),
    context: &Context<'_>,
) -> Result<(), Stop> {
    let policy = resident.policy(context, options.dtype, (prompts, device))?;
    let samples = prompts.samples(context, options.split.name())?;
    let mut parts = Parts::found(context)?;
    let (total, mut shown) = (samples.len() as u64, 0);
    let mut names: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for (done, sample) in (1..).zip(samples.iter()) {
        let own = parts.see(sample, policy, context)?;
        shown += own.len();
        names.insert(sample.id, own);
        context.progress(done, total, Unit::Prompts, &[]);
    }
    let (parts, bytes) = parts.finish(context)?;
    let numbers: BTreeMap<&String, usize> = parts.iter().flatten().zip(0..).collect();
    let numbered = |own: &Vec<String>| own.iter().map(|name| numbers[name]).collect();
    let prompts = names.iter().map(|(id, own)| (*id, numbered(own))).collect();
    let pictures = numbers.len();
    let tower = policy.model.tower_digest();
    let index = Index { tower, dtype: options.dtype, parts, prompts };
    context.results().write(INDEX, &json(&index))?;
    write_metrics(
        context,
        &json!({ "samples": total, "pictures": pictures, "shown": shown, "bytes": bytes }),
    )
}

/// A picture by what it shows.
fn name_of(picture: &RgbImage) -> String {
    let mut digest = DigestWriter::default();
    digest.update(&picture.width().to_le_bytes());
    digest.update(&picture.height().to_le_bytes());
    digest.update(picture.as_raw());
    let mut name = digest.finish().to_string();
    name.truncate(DIGITS);
    name
}

fn part_name(part: usize) -> String {
    format!("features-{part:05}.safetensors")
}

/// Parts on their way.
#[derive(Default)]
struct Parts {
    /// The pictures of those that are whole.
    whole: Vec<Vec<String>>,
    known: BTreeSet<String>,
    begun: BTreeMap<String, TowerOutputs>,
    /// Whether all that was begun is in its file.
    is_saved: bool,
    saved_at: f64,
}

impl Parts {
    /// What a killed attempt has left. A file that cannot be read counts as none, and so does what
    /// was begun after it: parts are the same however often the stage was killed.
    fn found(context: &Context<'_>) -> Result<Self, Stop> {
        let opened = |name: &str| -> Result<Option<FeatureFile>, Stop> {
            let path = context.work().path(name)?;
            Ok(if path.is_file() { FeatureFile::open(&path).ok() } else { None })
        };
        let mut parts = Self { is_saved: true, saved_at: context.seconds(), ..Self::default() };
        while let Some(file) = opened(&part_name(parts.whole.len()))? {
            let names: Vec<String> = file.names().map(str::to_owned).collect();
            parts.known.extend(names.iter().cloned());
            parts.whole.push(names);
        }
        let torn = context.work().path(&part_name(parts.whole.len()))?;
        if let Some(file) = opened(BEGUN)?.filter(|_| !torn.is_file()) {
            let names = file.names().filter(|name| !parts.known.contains(*name));
            let kept = names.filter_map(|name| Some((name.to_owned(), file.outputs(name)?)));
            parts.begun = kept.collect();
            parts.known.extend(parts.begun.keys().cloned());
        }
        Ok(parts)
    }

    /// Has the tower look at the pictures of a sample that it has not seen; gives the names of all.
    fn see(
        &mut self,
        sample: &Sample,
        policy: &Policy,
        context: &Context<'_>,
    ) -> Result<Vec<String>, Stop> {
        let mut names = Vec::new();
        for (number, picture) in (1..).zip(sample.images.read().map_err(failed)?.iter()) {
            let name = name_of(picture);
            if self.known.insert(name.clone()) {
                let (pixels, extent) = policy.look(picture, sample)?;
                let seen = policy.model.tower(&pixels);
                let mut outputs = seen.map_err(|error| unread(number, sample, &error))?;
                outputs.about = about(extent);
                self.begun.insert(name.clone(), outputs);
                self.is_saved = false;
                self.keep(context)?;
            }
            // Of a picture that is known, too: a killed stage begins with many of them.
            self.heed(context)?;
            names.push(name);
        }
        Ok(names)
    }

    /// Writes a part that is whole.
    fn keep(&mut self, context: &Context<'_>) -> Result<(), Stop> {
        let (most_bytes, most) = WHOLE;
        let bytes: usize = self.begun.values().map(TowerOutputs::bytes).sum();
        if bytes >= most_bytes || self.begun.len() >= most {
            self.write(context)?;
        }
        Ok(())
    }

    /// Writes what was begun when it is time, and before it stops where it is to.
    fn heed(&mut self, context: &Context<'_>) -> Result<(), Stop> {
        let cancelled = context.cancelled();
        let due = context.seconds() - self.saved_at >= context.settings().checkpoint_every_secs;
        if !self.is_saved && (due || cancelled) {
            context.work().write_parts(BEGUN, |sink| features::write(&self.begun, sink))?;
            self.is_saved = true;
            self.saved_at = context.seconds();
        }
        if cancelled { Err(Stop::Cancelled) } else { Ok(()) }
    }

    fn write(&mut self, context: &Context<'_>) -> Result<(), Stop> {
        let name = part_name(self.whole.len());
        context.work().write_parts(&name, |sink| features::write(&self.begun, sink))?;
        self.whole.push(std::mem::take(&mut self.begun).into_keys().collect());
        Ok(())
    }

    /// Puts all parts into the results; gives the pictures of each, and their bytes.
    fn finish(mut self, context: &Context<'_>) -> Result<(Vec<Vec<String>>, u64), Stop> {
        if !self.begun.is_empty() {
            self.write(context)?;
        }
        let mut bytes = 0;
        for part in 0..self.whole.len() {
            let name = part_name(part);
            bytes += context.results().link(&context.work().path(&name)?, &name)?;
        }
        Ok((self.whole, bytes))
    }
}

/// Features of the pictures of prompts, out of an artifact.
pub(super) struct StoredFeatures {
    artifact: Artifact,
    tower: Digest,
    dtype: Dtype,
    /// Part and name of each picture.
    pictures: Vec<(usize, String)>,
    prompts: BTreeMap<u64, Vec<usize>>,
    /// Each part since it was asked for: found as it was committed, and mapped.
    files: Vec<Mutex<Option<Arc<FeatureFile>>>>,
}

impl StoredFeatures {
    /// Those of an artifact.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn open(artifact: &Artifact) -> Result<Self, Stop> {
        let index: Index = serde_json::from_slice(&artifact.read(INDEX)?).map_err(|error| {
            let reason = format!("`{INDEX}` of {} cannot be read: {error}", artifact.key());
            failure(reason, "it was written by another version of mstar: run again in a new store")
        })?;
        let files = index.parts.iter().map(|_| Mutex::default()).collect();
        let parts = index.parts.into_iter().enumerate();
        let pictures = parts.flat_map(|(part, names)| names.into_iter().map(move |it| (part, it)));
        Ok(Self {
            artifact: artifact.clone(),
            tower: index.tower,
            dtype: index.dtype,
            pictures: pictures.collect(),
            prompts: index.prompts,
            files,
        })
    }

    /// That they are what a model would compute itself.
    ///
    /// # Errors
    /// When they are of another tower than the model's, or of another number format.
    pub(super) fn check(&self, model: &Model, dtype: Dtype) -> Result<(), Stop> {
        let is_of_another_type = self.dtype != dtype;
        if is_of_another_type || model.has_adapted_tower() || self.tower != model.tower_digest() {
            return Err(foreign(self.artifact.key(), is_of_another_type));
        }
        Ok(())
    }

    /// Whether they are those of an artifact.
    pub(super) fn is_of(&self, artifact: &Artifact) -> bool {
        self.artifact.manifest() == artifact.manifest()
    }

    /// How many pictures a prompt has.
    pub(super) fn count(&self, prompt: u64) -> u64 {
        self.prompts.get(&prompt).map_or(0, |pictures| pictures.len() as u64)
    }

    /// What is seen of the pictures of a prompt.
    ///
    /// # Errors
    /// When they are not there, or a file is not as it was committed.
    pub(super) fn of_prompt(&self, prompt: u64) -> Result<Pixels, Stop> {
        let mut pixels = Pixels::none();
        for picture in self.each(prompt, |file, name| file.picture(name))? {
            pixels.extend(&picture);
        }
        Ok(pixels)
    }

    /// What a question has to know of the pictures of a prompt.
    ///
    /// # Errors
    /// As [`StoredFeatures::of_prompt`].
    pub(super) fn extents(&self, prompt: u64) -> Result<Vec<Extent>, Stop> {
        self.each(prompt, |file, name| file.about(name).and_then(extent))
    }

    fn each<T>(
        &self,
        prompt: u64,
        of: impl Fn(&FeatureFile, &str) -> Option<T>,
    ) -> Result<Vec<T>, Stop> {
        let missing = || {
            let key = self.artifact.key();
            let reason = format!("the features of {key} have no pictures of prompt {prompt}");
            failure(reason, "they were made of other prompts: run the recipe again")
        };
        let numbers = self.prompts.get(&prompt).ok_or_else(missing)?;
        let one = |number: &usize| {
            let (part, name) = self.pictures.get(*number).ok_or_else(missing)?;
            of(&*self.file(*part)?, name).ok_or_else(missing)
        };
        numbers.iter().map(one).collect()
    }

    /// A part; who wants another one meanwhile need not wait.
    fn file(&self, part: usize) -> Result<Arc<FeatureFile>, Stop> {
        // A panic leaves the place as empty as it was.
        let mut place = self.files[part].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &*place {
            return Ok(Arc::clone(file));
        }
        let path = self.artifact.path(&part_name(part))?;
        let file = Arc::new(FeatureFile::open(&path).map_err(failed)?);
        *place = Some(Arc::clone(&file));
        Ok(file)
    }
}

/// What a question has to know of a picture, as numbers beside its features.
fn about(extent: Extent) -> Vec<i64> {
    let Extent { grid: Grid { rows, columns }, placeholders } = extent;
    [rows, columns, placeholders].map(|number| number as i64).to_vec()
}

fn extent(about: &[i64]) -> Option<Extent> {
    let &[rows, columns, placeholders] = about else { return None };
    let number = |number: i64| usize::try_from(number).ok();
    let grid = Grid { rows: number(rows)?, columns: number(columns)? };
    Some(Extent { grid, placeholders: number(placeholders)? })
}

/// A picture of a sample that the model does not read.
fn unread(number: usize, sample: &Sample, error: &PackError) -> Stop {
    let reason = format!("picture {number} of prompt {} cannot be seen: {error}", sample.id);
    failure(reason, error.hint().unwrap_or_default())
}

fn foreign(key: Key, is_of_another_type: bool) -> Stop {
    let what = match is_of_another_type {
        true => "in another number format than that of the model",
        false => "of another vision tower than that of the model",
    };
    failure(
        format!("the features of {key} are {what}"),
        "the tower has to stay as it is in the base model: leave it frozen, or write \
         `policy.features = \"computed\"`",
    )
}
