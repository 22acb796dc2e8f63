//! Low-rank adapters of a policy: two files of PEFT's beside the weights of the base model.

use super::failure::{failed, failure};
use crate::base::Seed;
use crate::engine::weights::{ADAPTER_CONFIG, ADAPTER_WEIGHTS};
use crate::engine::{self, Adapters, Device, Model};
use crate::recipe::Lora;
use crate::run::Stop;
use crate::store::{Artifact, Folder};
use std::fs;
use std::path::Path;

/// The adapters that an artifact holds; else fresh ones, where they are wanted.
pub(super) fn of(
    artifact: &Artifact,
    fresh: Option<(&Lora, Seed)>,
    device: Device,
) -> Result<Option<Adapters>, Stop> {
    if !artifact.contains(ADAPTER_WEIGHTS) {
        return Ok(fresh.map(|(lora, seed)| Adapters::fresh(settings(lora), seed, device)));
    }
    read(&artifact.read(ADAPTER_CONFIG)?, &artifact.read(ADAPTER_WEIGHTS)?, device).map(Some)
}

/// The adapters that lie in a folder beside the weights that they are for.
pub(super) fn in_folder(folder: &Path, device: Device) -> Result<Option<Adapters>, Stop> {
    if !folder.join(ADAPTER_WEIGHTS).is_file() {
        return Ok(None);
    }
    let bytes = |name: &str| {
        let path = folder.join(name);
        fs::read(&path).map_err(|error| {
            let reason = format!("`{}` cannot be read: {error}", path.display());
            failure(reason, format!("adapters are `{ADAPTER_CONFIG}` and `{ADAPTER_WEIGHTS}`"))
        })
    };
    read(&bytes(ADAPTER_CONFIG)?, &bytes(ADAPTER_WEIGHTS)?, device).map(Some)
}

fn read(config: &[u8], weights: &[u8], device: Device) -> Result<Adapters, Stop> {
    Adapters::read(&String::from_utf8_lossy(config), weights, device).map_err(failed)
}

/// Writes the adapters of a model, if it has any; the weights below them lie beside.
pub(super) fn write(model: &Model, folder: &Folder) -> Result<(), Stop> {
    let Some((config, weights)) = model.adapter_files(".") else { return Ok(()) };
    folder.write(ADAPTER_CONFIG, config.as_bytes())?;
    Ok(folder.write(ADAPTER_WEIGHTS, &weights)?)
}

fn settings(lora: &Lora) -> engine::Lora {
    engine::Lora {
        rank: i64::from(lora.rank),
        alpha: lora.alpha,
        dropout: lora.dropout,
        targets: lora.targets.clone(),
    }
}
