//! Weights as Hugging Face lays them out: one safetensors file, or several with an index.

use super::{Parameters, file::write_safetensors};
use serde_json::json;
use std::{
    collections::BTreeMap,
    io::{self, Write},
};
use tch::Tensor;

/// One file of weights.
pub struct Shard {
    /// Its name.
    pub name: String,
    tensors: Vec<(String, Tensor)>,
}

impl Shard {
    /// Writes the safetensors file, one tensor in memory at a time.
    ///
    /// # Errors
    /// When the sink refuses.
    pub fn write(&self, sink: &mut dyn Write) -> io::Result<()> {
        write_safetensors(self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)), sink)
    }
}

fn size(tensor: &Tensor) -> u64 {
    (tensor.numel() * tensor.kind().elt_size_in_bytes()) as u64
}

/// The files of some weights, in the order of their names, each of at most `limit` bytes of numbers
/// unless a single tensor is larger.
pub fn shards(parameters: &Parameters, limit: u64) -> Vec<Shard> {
    let (mut files, mut filled) = (vec![Vec::new()], 0);
    for (name, tensor) in parameters.iter() {
        let size = size(tensor);
        if filled > 0 && filled + size > limit {
            files.push(Vec::new());
            filled = 0;
        }
        filled += size;
        let last = files.last_mut().expect("there is one from the first on");
        last.push((name.to_owned(), tensor.shallow_clone()));
    }
    let count = files.len();
    let named = (1..).zip(files).map(|(index, tensors)| Shard {
        name: match count {
            1 => "model.safetensors".to_owned(),
            _ => format!("model-{index:05}-of-{count:05}.safetensors"),
        },
        tensors,
    });
    named.collect()
}

/// The text of `model.safetensors.index.json`; none for a single file.
pub fn index(shards: &[Shard]) -> Option<String> {
    let all = || shards.iter().flat_map(|shard| shard.tensors.iter().map(move |it| (shard, it)));
    let total: u64 = all().map(|(_, (_, tensor))| size(tensor)).sum();
    let map: BTreeMap<&str, &str> =
        all().map(|(shard, (name, _))| (name.as_str(), shard.name.as_str())).collect();
    let index = json!({ "metadata": { "total_size": total }, "weight_map": map });
    let text = serde_json::to_string_pretty(&index).expect("names and numbers are JSON");
    (shards.len() > 1).then_some(text + "\n")
}
