//! Low-rank adapters of a policy: two files of PEFT's beside the weights of the base model.

use super::failure::failed;
use crate::base::Seed;
use crate::engine::weights::{ADAPTER_CONFIG, ADAPTER_WEIGHTS};
use crate::engine::{self, Adapters, Device, Model};
use crate::recipe::Lora;
use crate::run::Stop;
use crate::store::{Artifact, Folder};

/// The adapters that an artifact holds; else fresh ones, where they are wanted.
pub(super) fn of(
    artifact: &Artifact,
    fresh: Option<(&Lora, Seed)>,
    device: Device,
) -> Result<Option<Adapters>, Stop> {
    if !artifact.contains(ADAPTER_WEIGHTS) {
        return Ok(fresh.map(|(lora, seed)| Adapters::fresh(settings(lora), seed, device)));
    }
    let config = artifact.read(ADAPTER_CONFIG)?;
    let weights = artifact.read(ADAPTER_WEIGHTS)?;
    let config = String::from_utf8_lossy(&config);
    Ok(Some(Adapters::read(&config, &weights, device).map_err(failed)?))
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
