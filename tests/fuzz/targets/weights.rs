//! Configurations and weights of models.

use super::{content, files, said};
use crate::campaign::file;
use mstar::engine::{
    self, Adapters, Device, Model, Pixels, Precision, Size, Weights,
    weights::{from_safetensors, to_safetensors},
};
use std::path::Path;

fn empty() -> Vec<u8> {
    to_safetensors(std::iter::empty())
}

pub(crate) fn config(bytes: &[u8], _: &Path) -> String {
    let text = String::from_utf8_lossy(bytes);
    let kind = match engine::kind_of(&text) {
        Ok(kind) => kind,
        error => return said(&error),
    };
    let weights = || Weights::from_bytes(&empty(), "x", Precision::F32, Device::Cpu).unwrap();
    let loaded = engine::load(&kind, &text, weights());
    let spelled = engine::spelling(&text, weights());
    [said(&loaded), said(&spelled)].concat()
}

fn used(model: &Model) -> String {
    let _size = (model.vocabulary(), model.positions(), model.layers(), model.image_sizes());
    let sides = [0, 1, 7, 14, 28, 56, 224, 336, 448, 1 << 20];
    for height in sides {
        for width in sides {
            let size = Size { height, width };
            let _tokens = (model.image_tokens(&[size]), model.image_tokens(&[size, size]));
        }
    }
    let plain = Pixels::none();
    said(&engine::logits(model, &[(&[1, 2, 0], &plain), (&[3], &plain)]))
}

pub(crate) fn safetensors(bytes: &[u8], _: &Path) -> String {
    let read = from_safetensors(bytes, "x.safetensors");
    let opened = Weights::from_bytes(bytes, "x", Precision::F32, Device::Cpu);
    let Ok(weights) = opened else { return said(&read) };
    let config = mstar::data::checkpoint::shipped("builtin:mini-vlm").unwrap().config;
    [said(&read), said(&engine::load("mstar_mini_vlm", config, weights))].concat()
}

pub(crate) fn index(bytes: &[u8], folder: &Path) -> String {
    let name = "model.safetensors.index.json";
    let Some(files) = files(bytes) else { return "no object".to_owned() };
    let _index = file(folder, name, &files.get(name).map(content).unwrap_or_default());
    for (name, tensor) in [("one.safetensors", "a"), ("two.safetensors", "b")] {
        let made = to_safetensors(
            [(tensor, &tch::Tensor::zeros([2], (tch::Kind::Float, Device::Cpu)))].into_iter(),
        );
        let _shard = file(folder, name, &made);
    }
    said(&Weights::open(folder, Precision::F32, Device::Cpu))
}

/// A model with adapters.
fn adapted(adapters: Adapters) -> String {
    let config = mstar::data::checkpoint::shipped("builtin:mini-vlm").unwrap();
    let weights = Weights::from_bytes(config.weights, "x", Precision::F32, Device::Cpu).unwrap();
    let loaded = engine::load("mstar_mini_vlm", config.config, weights.with_adapters(adapters));
    match loaded {
        Ok(mut model) => {
            let adapted = used(&model);
            model.merge();
            [adapted, used(&model)].concat()
        }
        error => said(&error),
    }
}

pub(crate) fn adapter(bytes: &[u8], _: &Path) -> String {
    let config = String::from_utf8_lossy(bytes);
    match Adapters::read(&config, &empty(), Device::Cpu) {
        Ok(adapters) => adapted(adapters),
        error => said(&error),
    }
}

pub(crate) fn adapter_weights(bytes: &[u8], _: &Path) -> String {
    let config = "{\"peft_type\": \"LORA\", \"r\": 2, \"lora_alpha\": 4, \
                  \"target_modules\": [\"q_proj\"]}";
    match Adapters::read(config, bytes, Device::Cpu) {
        Ok(adapters) => adapted(adapters),
        error => said(&error),
    }
}
