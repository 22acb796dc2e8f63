//! A policy as other programs read it: the layout of Hugging Face, or of PEFT's adapters.
//!
//! Everything that came with the checkpoint is passed on byte for byte; weights have the names that
//! they came under.

use super::failure::{as_failure, failed, failure};
use super::policy::{Policy, weights_of};
use crate::base::Failure;
use crate::engine::weights::{ADAPTER_CONFIG, ADAPTER_WEIGHTS, index, shards};
use crate::engine::{Device, Parameters, Precision, Weights, kind_of, spelling};
use crate::recipe::Dtype;
use crate::run::Stop;
use crate::store::{Artifact, MANIFEST, NewFolder};

/// Files of an artifact that only mstar has a use for.
const OWN: [&str; 4] = [MANIFEST, "metrics.json", "trainer.json", "reward.json"];

/// What is exported, and how.
pub struct Export<'a> {
    /// The policy.
    pub policy: &'a Artifact,
    /// What its evolution began with, whose names the weights get; none where that was made here.
    pub imported: Option<&'a Artifact>,
    /// Only the adapters, for a model that lies at this path or hub id.
    pub adapters_for: Option<&'a str>,
    /// Type of the weights.
    pub dtype: Dtype,
    /// Bytes of numbers in a file of weights at most.
    pub shard_bytes: u64,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The architecture, by `model_type`.
    pub kind: String,
    /// Numbers in the weights, or in the adapters where only those are written.
    pub parameters: u64,
    /// Whether adapters were merged into the weights.
    pub merged: bool,
    /// Files.
    pub files: Vec<String>,
}

/// Writes a policy into a folder.
///
/// # Errors
/// When the policy cannot be read, has no adapters where they are asked for, or the disk refuses.
pub fn export(wanted: &Export<'_>, folder: &mut NewFolder) -> Result<Exported, Failure> {
    write(wanted, folder).map_err(as_failure)
}

fn write(wanted: &Export<'_>, folder: &mut NewFolder) -> Result<Exported, Stop> {
    let mut policy = Policy::load(wanted.policy, wanted.dtype, Device::Cpu)?;
    let kind = kind_of(policy.model.config()).map_err(failed)?;
    let mut files = Vec::new();
    let mut put = |name: &str, bytes: &[u8]| {
        files.push(name.to_owned());
        folder.append(name, bytes)
    };
    if let Some(base) = wanted.adapters_for {
        let Some((config, weights)) = policy.model.adapter_files(base) else {
            let hint = "leave `--adapters` out: the weights themselves were trained";
            return Err(failure("the policy has no adapters", hint));
        };
        put(ADAPTER_CONFIG, config.as_bytes())?;
        put(ADAPTER_WEIGHTS, &weights)?;
        let parameters = policy.model.trainable().count();
        return Ok(Exported { kind, parameters, merged: false, files });
    }
    let merged = policy.model.adapted().is_some();
    policy.model.merge();
    let weights = match wanted.imported {
        Some(imported) => {
            let config = String::from_utf8_lossy(&imported.read("config.json")?).into_owned();
            let weights = Weights::open(weights_of(imported)?, Precision::F32, Device::Cpu);
            let spelling = spelling(&config, weights.map_err(failed)?).map_err(failed)?;
            spelling.spelled(policy.model.parameters())
        }
        None => policy.model.parameters().joined(&Parameters::default()),
    };
    for name in wanted.policy.manifest().files.keys().filter(|name| is_passed_on(name)) {
        put(name, &wanted.policy.read(name)?)?;
    }
    let shards = shards(&weights, wanted.shard_bytes);
    if let Some(index) = index(&shards) {
        put("model.safetensors.index.json", index.as_bytes())?;
    }
    for shard in &shards {
        files.push(shard.name.clone());
        folder.write_parts(&shard.name, |sink| shard.write(sink))?;
    }
    Ok(Exported { kind, parameters: weights.count(), merged, files })
}

/// Whether a file came with the checkpoint and is no weights.
fn is_passed_on(name: &str) -> bool {
    !OWN.contains(&name) && !name.contains(".safetensors") && name != ADAPTER_CONFIG
}
