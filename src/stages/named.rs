//! Models that people name outside any run: shipped ones, and checkpoints in folders.

use super::adapters;
use super::failure::{failed, failure};
use super::policy::{Policy, precision};
use crate::data::checkpoint;
use crate::data::loaders::CheckpointFolder;
use crate::engine::{Device, Weights};
use crate::recipe::Dtype;
use crate::run::Stop;
use std::path::PathBuf;

/// A model, by its name or its folder.
pub struct NamedModel {
    /// Its name, for messages and for `builtin:` models.
    pub name: String,
    /// The folder of another checkpoint.
    pub checkpoint: Option<PathBuf>,
    /// Pixels of a picture at most; 0 for as many as the checkpoint says.
    pub image_pixels: u64,
    /// Type of the weights.
    pub dtype: Dtype,
}

impl NamedModel {
    pub(super) fn load(&self, device: Device) -> Result<Policy, Stop> {
        let precision = precision(self.dtype);
        if let Some(path) = &self.checkpoint {
            let folder = CheckpointFolder::open(path).map_err(failed)?;
            let companions = folder.companions().map_err(failed)?.seen_within(self.image_pixels);
            let mut weights = Weights::open(path, precision, device).map_err(failed)?;
            if let Some(adapters) = adapters::in_folder(path, device)? {
                weights = weights.with_adapters(adapters);
            }
            return Policy::of_parts(weights, companions);
        }
        let Some(shipped) = checkpoint::shipped(&self.name) else {
            let reason = format!("no model is called `{}`", self.name);
            return Err(failure(reason, "`builtin:mini-vlm`, a folder, or the name of a run"));
        };
        let weights = Weights::from_bytes(shipped.weights, &self.name, precision, device);
        Policy::of_parts(weights.map_err(failed)?, shipped.companions())
    }
}
