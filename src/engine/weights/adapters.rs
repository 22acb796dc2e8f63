//! Low-rank adapters (Hu et al. 2021, LoRA): which linear maps have one, where their tensors come
//! from, and the files that PEFT keeps them in.

use super::{Checkpoint, Init, Names, Origin, Parameters, Precision, Weights, WeightsError};
use crate::base::Seed;
use crate::engine::{
    models::{Model, Part},
    nn::adapter::{Noise, State},
};
use serde_json::{Map, Value, json};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};
use tch::{Device, Kind, Tensor};

/// What PEFT calls its configuration.
pub const ADAPTER_CONFIG: &str = "adapter_config.json";
/// What PEFT calls the file with the tensors.
pub const ADAPTER_WEIGHTS: &str = "adapter_model.safetensors";
/// What PEFT writes before the names of a model.
const WRAPPED: &str = "base_model.model.";
const A: &str = "lora_A.weight";
const B: &str = "lora_B.weight";

/// What adapters are like.
#[derive(Clone, Debug, PartialEq)]
pub struct Lora {
    /// Rank of the update.
    pub rank: i64,
    /// The update is multiplied by `alpha / rank`.
    pub alpha: f64,
    /// Share of an adapter's inputs that is dropped in training.
    pub dropout: f64,
    /// Names of linear maps, or ends of them; empty for all of the language model.
    pub targets: Vec<String>,
}

impl Lora {
    /// What the update is multiplied by.
    pub fn scale(&self) -> f64 {
        self.alpha / self.rank as f64
    }

    fn takes(&self, name: &str) -> bool {
        match self.targets.is_empty() {
            true => Model::part(name) == Part::Language,
            false => self.targets.iter().any(|target| ends_with(name, target)),
        }
    }
}

/// Whether the last dotted parts of `name` are `end`.
fn ends_with(name: &str, end: &str) -> bool {
    name.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Where the adapters of a model come from, and which have been handed out so far.
pub struct Adapters {
    lora: Lora,
    weights: Weights,
    noise: Noise,
    maps: RefCell<BTreeSet<String>>,
}

impl Adapters {
    /// Fresh ones, which change nothing yet: `A` is uniform as PEFT's, `B` is 0.
    pub fn fresh(lora: Lora, seed: Seed, device: Device) -> Self {
        Self::of(lora, Weights::random(seed, Precision::F32, device))
    }

    /// Those that PEFT, or mstar, wrote: the text of `adapter_config.json` and the bytes of
    /// `adapter_model.safetensors`.
    ///
    /// # Errors
    /// When a file cannot be read, or asks for more than plain low-rank updates.
    pub fn read(config: &str, weights: &[u8], device: Device) -> Result<Self, WeightsError> {
        let lora = read_config(config)?;
        let mut checkpoint = Checkpoint::of_bytes(weights, ADAPTER_WEIGHTS)?;
        checkpoint.unwrap(WRAPPED);
        let weights = Weights::new(Origin::File(checkpoint), Precision::F32, device);
        Ok(Self::of(lora, weights))
    }

    fn of(lora: Lora, weights: Weights) -> Self {
        Self { lora, weights, noise: Noise::default(), maps: RefCell::default() }
    }

    pub(super) fn named(mut self, names: &Names) -> Self {
        self.weights = self.weights.named(names);
        self
    }

    /// Settings, tensors and noise of the linear map `name`, if it has an adapter.
    pub(super) fn at(&self, name: &str, (input, output): (i64, i64)) -> Option<Handed<'_>> {
        let _new = self.maps.borrow_mut().insert(name.to_owned());
        let (a, b) = (format!("{name}.{A}"), format!("{name}.{B}"));
        let is_wanted = match &self.weights.origin {
            Origin::Random(_) => self.lora.takes(name),
            Origin::File(checkpoint) => checkpoint.shape(&a).is_some(),
        };
        if !is_wanted {
            return None;
        }
        let (rank, root) = (self.lora.rank, self.weights.root());
        let a = root.leaf(&a, &[rank, input], Init::Uniform((input as f64).powf(-0.5)));
        let b = root.leaf(&b, &[output, rank], Init::Zeros);
        Some((&self.lora, [a, b], self.noise.clone()))
    }

    /// Ends the walk.
    ///
    /// # Errors
    /// With every tensor that does not fit, or with the targets that name no linear map.
    pub(super) fn finish(self) -> Result<Adapted, WeightsError> {
        let maps = self.maps.into_inner();
        let named = |target: &&String| !maps.iter().any(|map| ends_with(map, target));
        let unknown: Vec<String> = match &self.weights.origin {
            Origin::Random(_) => self.lora.targets.iter().filter(named).cloned().collect(),
            Origin::File(_) => Vec::new(),
        };
        if !unknown.is_empty() {
            let last = |map: &String| map.rsplit('.').next().map(str::to_owned);
            let known: BTreeSet<String> = maps.iter().filter_map(last).collect();
            return Err(WeightsError::Targets { unknown, known: known.into_iter().collect() });
        }
        let parameters = self.weights.finish()?;
        Ok(Adapted { lora: self.lora, parameters, noise: self.noise })
    }
}

/// Settings, `A` and `B`, and what drops inputs.
type Handed<'a> = (&'a Lora, [Tensor; 2], Noise);

/// The adapters of a model.
pub struct Adapted {
    lora: Lora,
    parameters: Parameters,
    noise: Noise,
}

impl Adapted {
    /// Their tensors, `MAP.lora_A.weight` and `MAP.lora_B.weight`.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// What they do at the moment.
    pub fn noise(&self) -> &Noise {
        &self.noise
    }

    /// The maps that have one.
    fn maps(&self) -> impl Iterator<Item = &str> {
        self.parameters.iter().filter_map(|(name, _)| name.strip_suffix(A)?.strip_suffix('.'))
    }

    /// Adds the updates to the weights in place, one at a time; from then on the adapters do nothing.
    pub(in crate::engine) fn merge_into(self, base: &Parameters) {
        let weights: BTreeMap<&str, &Tensor> = base.iter().collect();
        let ours: BTreeMap<&str, &Tensor> = self.parameters.iter().collect();
        for map in self.maps() {
            let of = |end: &str| ours[format!("{map}.{end}").as_str()];
            let weight = weights[format!("{map}.weight").as_str()];
            tch::no_grad(|| {
                let update = of(B).matmul(of(A)) * self.lora.scale();
                let sum = (weight.to_kind(Kind::Float) + update).to_kind(weight.kind());
                weight.shallow_clone().copy_(&sum);
            });
        }
        self.noise.set(State::Merged);
    }

    /// PEFT's two files, [`ADAPTER_CONFIG`] and [`ADAPTER_WEIGHTS`]; `in_memory` says what
    /// transformers calls a tensor, `base` where the weights below are.
    pub fn to_files(&self, base: &str, in_memory: impl Fn(&str) -> String) -> (String, Vec<u8>) {
        let tensors: BTreeMap<String, &Tensor> = self
            .parameters
            .iter()
            .map(|(name, tensor)| (format!("{WRAPPED}{}", in_memory(name)), tensor))
            .collect();
        let modules: Vec<String> = self.maps().map(in_memory).collect();
        let alpha = match self.lora.alpha.fract() == 0.0 {
            true => json!(self.lora.alpha as i64),
            false => json!(self.lora.alpha),
        };
        let config = json!({
            "peft_type": "LORA",
            "task_type": null,
            "base_model_name_or_path": base,
            "revision": null,
            "inference_mode": true,
            "r": self.lora.rank,
            "lora_alpha": alpha,
            "lora_dropout": self.lora.dropout,
            "target_modules": modules,
            "bias": "none",
            "fan_in_fan_out": false,
            "use_rslora": false,
            "use_dora": false,
            "modules_to_save": null,
            "rank_pattern": {},
            "alpha_pattern": {},
        });
        let text = serde_json::to_string_pretty(&config).expect("numbers and words are JSON");
        let named = tensors.iter().map(|(name, tensor)| (name.as_str(), *tensor));
        (text + "\n", super::to_safetensors(named))
    }
}

/// Keys of PEFT's configuration that would change what is computed, and the values that do not.
fn plain() -> [(&'static str, Vec<Value>); 9] {
    let empty = || vec![Value::Null, json!({}), json!([])];
    [
        ("bias", vec![json!("none")]),
        ("fan_in_fan_out", vec![json!(false)]),
        ("use_rslora", vec![json!(false)]),
        ("use_dora", vec![json!(false)]),
        ("lora_bias", vec![json!(false)]),
        ("modules_to_save", empty()),
        ("rank_pattern", empty()),
        ("alpha_pattern", empty()),
        ("layer_replication", empty()),
    ]
}

fn read_config(text: &str) -> Result<Lora, WeightsError> {
    let wrong = |reason: String| WeightsError::Adapters { reason };
    let config: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
    if config.get("peft_type").is_some_and(|kind| kind != "LORA") {
        return Err(wrong(format!("`peft_type` is {}, not \"LORA\"", config["peft_type"])));
    }
    for (key, values) in plain() {
        if let Some(found) = config.get(key).filter(|found| !values.contains(found)) {
            return Err(wrong(format!("`{key}` = {found} is not supported")));
        }
    }
    let number = |key: &str, default: f64| match config.get(key) {
        None => Ok(default),
        Some(value) => {
            value.as_f64().ok_or_else(|| wrong(format!("`{key}` must be a number, found {value}")))
        }
    };
    let rank = number("r", 8.0)? as i64;
    if rank < 1 {
        return Err(wrong(format!("`r` must be at least 1, found {rank}")));
    }
    Ok(Lora {
        rank,
        alpha: number("lora_alpha", 8.0)?,
        dropout: number("lora_dropout", 0.0)?,
        targets: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Hint as _;

    #[test]
    fn a_target_is_the_end_of_a_name() {
        let lora = |targets: &[&str]| Lora {
            rank: 1,
            alpha: 1.0,
            dropout: 0.0,
            targets: targets.iter().map(|&target| target.to_owned()).collect(),
        };
        assert!(lora(&["q_proj"]).takes("layers.0.q_proj"));
        assert!(lora(&["0.q_proj"]).takes("layers.0.q_proj"));
        assert!(!lora(&["proj"]).takes("layers.0.q_proj"));
        assert!(lora(&[]).takes("model.text_model.layers.0.mlp.up_proj"));
        assert!(!lora(&[]).takes("model.vision_model.encoder.layers.0.mlp.fc1"));
        assert!(!lora(&[]).takes("multi_modal_projector.linear_1"));
    }

    #[test]
    fn configurations_that_compute_something_else_are_refused_with_a_hint() {
        for (config, expected) in [
            ("{", "EOF"),
            (r#"{"peft_type": "IA3"}"#, "`peft_type` is \"IA3\""),
            (r#"{"use_dora": true}"#, "`use_dora` = true"),
            (r#"{"rank_pattern": {"q_proj": 4}}"#, "`rank_pattern` = "),
            (r#"{"r": "8"}"#, "`r` must be a number, found \"8\""),
            (r#"{"r": 0}"#, "`r` must be at least 1"),
        ] {
            let error = read_config(config).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert!(error.hint().is_some());
        }
        let read = read_config(r#"{"r": 4, "lora_alpha": 6, "rank_pattern": {}}"#).unwrap();
        assert_eq!((read.rank, read.scale()), (4, 1.5));
    }
}
