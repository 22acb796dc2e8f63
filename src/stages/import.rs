//! `import`: puts a checkpoint into the store, after its digest was compared.

use super::failure::{failed, failure};
use super::policy::{Policy, precision, write_metrics};
use crate::base::{Digest, DigestWriter};
use crate::data::checkpoint::{self, Companions};
use crate::data::loaders::{CheckpointFolder, of_files};
use crate::engine::{Device, Weights};
use crate::event::Unit;
use crate::plan::Import;
use crate::recipe::Dtype;
use crate::run::{Context, Stop};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

/// Bytes that are copied between two looks at whether to stop.
const AT_A_TIME: usize = 1 << 24;

pub(super) fn run(options: &Import, device: Device, context: &Context<'_>) -> Result<(), Stop> {
    let policy = match checkpoint::shipped(&options.model) {
        Some(shipped) => {
            if shipped.digest() != options.digest {
                return Err(changed(options));
            }
            let results = context.results();
            results.write("model.safetensors", shipped.weights)?;
            write(&shipped.companions(), context)?;
            let precision = precision(Dtype::Fp32);
            let weights = Weights::from_bytes(shipped.weights, &options.model, precision, device);
            Policy::of_parts(weights.map_err(failed)?, shipped.companions())?
        }
        None => of_folder(options, device, context)?,
    };
    write_metrics(context, &json!({ "parameters": policy.model.parameters().count() }))
}

/// Copies the files of a folder, and sees whether a model can be built of them before anything else
/// is done with it.
fn of_folder(options: &Import, device: Device, context: &Context<'_>) -> Result<Policy, Stop> {
    let folder = CheckpointFolder::open(Path::new(&options.model)).map_err(failed)?;
    let companions = folder.companions().map_err(failed)?;
    let mut digests: BTreeMap<String, Digest> =
        companions.iter().map(|(name, bytes)| (name.to_owned(), Digest::of(bytes))).collect();
    let size = |name: &String| folder.path().join(name).metadata().map_or(0, |about| about.len());
    let total = folder.weights().iter().map(size).sum();
    let mut done = 0;
    for name in folder.weights() {
        digests.insert(name.clone(), copy(&folder, name, (&mut done, total), context)?);
    }
    if of_files(&digests) != options.digest {
        return Err(changed(options));
    }
    let companions = companions.seen_within(options.image_pixels);
    write(&companions, context)?;
    let weights = Weights::open(folder.path(), precision(Dtype::Bf16), device).map_err(failed)?;
    Policy::of_parts(weights, companions)
}

fn write(companions: &Companions, context: &Context<'_>) -> Result<(), Stop> {
    for (name, bytes) in companions.iter() {
        context.results().write(name, bytes)?;
    }
    Ok(())
}

/// Copies one file; gives its digest.
fn copy(
    folder: &CheckpointFolder,
    name: &str,
    (done, total): (&mut u64, u64),
    context: &Context<'_>,
) -> Result<Digest, Stop> {
    let path = folder.path().join(name);
    let unreadable = |error: std::io::Error| {
        let reason = format!("`{}` cannot be copied: {error}", path.display());
        failure(reason, "look at the folder of the checkpoint, and at the space that is left")
    };
    let mut from = File::open(&path).map_err(unreadable)?;
    let mut to = context.results().create(name)?;
    let mut digest = DigestWriter::default();
    let mut piece = vec![0; AT_A_TIME];
    loop {
        if context.cancelled() {
            return Err(Stop::Cancelled);
        }
        let read = from.read(&mut piece).map_err(unreadable)?;
        if read == 0 {
            break;
        }
        digest.update(&piece[..read]);
        to.write_all(&piece[..read]).map_err(unreadable)?;
        *done += read as u64;
        context.progress(*done / 1_000_000, total.div_ceil(1_000_000), Unit::Megabytes, &[]);
    }
    to.finish()?;
    Ok(digest.finish())
}

fn changed(options: &Import) -> Stop {
    let reason = format!("`{}` is not what was planned: it was changed since", options.model);
    failure(reason, "run the recipe again, which plans with what is there now")
}
