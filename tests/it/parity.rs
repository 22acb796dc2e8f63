//! The engine's arithmetic against PyTorch's and transformers', on what `tests/parity/goldens.py`
//! wrote into the folder that `MSTAR_PARITY_DIR` names. 32-bit on one thread; tolerances are stated
//! at each comparison.

use mstar::base::Seed;
use mstar::engine::{
    Optimizer, OptimizerSettings, Parameters, Precision, Weights, load,
    models::mini_vlm::{Config, KIND, MiniVlm},
    nn::{Attend, Layout, pixel_shuffle},
    pack::Inputs,
    set_threads,
    weights::{Init, from_safetensors, to_safetensors},
};
use std::{collections::BTreeMap, path::PathBuf};
use tch::{Device, Tensor};

type Tensors = BTreeMap<String, Tensor>;

fn goldens(name: &str) -> Tensors {
    set_threads(1);
    let folder = std::env::var_os("MSTAR_PARITY_DIR").expect(
        "MSTAR_PARITY_DIR must name the folder that `python tests/parity/goldens.py DIR` wrote",
    );
    let path = PathBuf::from(folder).join(format!("{name}.safetensors"));
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    from_safetensors(&bytes, name).expect("goldens are safetensors")
}

/// The tensors below `prefix`, without it.
fn below(tensors: &Tensors, prefix: &str) -> Tensors {
    let rest = |(name, tensor): (&String, &Tensor)| {
        Some((name.strip_prefix(prefix)?.to_owned(), tensor.shallow_clone()))
    };
    tensors.iter().filter_map(rest).collect()
}

fn weights(tensors: &Tensors) -> Weights {
    let bytes = to_safetensors(tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)));
    Weights::from_bytes(&bytes, "goldens", Precision::F32, Device::Cpu).expect("just written")
}

fn assert_close(ours: &Tensor, theirs: &Tensor, tolerance: f64) {
    assert_eq!(ours.size(), theirs.size());
    let error = (ours - theirs).abs().max().double_value(&[]);
    assert!(error <= tolerance, "the largest difference is {error}");
}

#[test]
fn llama_logits() {
    let goldens = goldens("llama");
    let mut config = Config::builtin();
    (config.num_key_value_heads, config.embedding_multiplier) = (2, 1.0);
    // The vision half is fresh: a text reads none of it.
    let fresh = Weights::random(Seed(1), Precision::F32, Device::Cpu);
    MiniVlm::new(&fresh.root(), config.clone());
    let fresh = fresh.finish().expect("fresh weights fit");
    let mut tensors: Tensors =
        fresh.iter().map(|(name, tensor)| (name.to_owned(), tensor.detach())).collect();
    tensors.extend(below(&goldens, "model."));
    let config = serde_json::to_string(&config).expect("numbers and words are JSON");
    let model = load(KIND, &config, weights(&tensors)).expect("each tensor of a Llama has a place");

    let tokens = goldens["tokens"].shallow_clone();
    let count = tokens.size()[0];
    let positions = Tensor::arange(count, (tch::Kind::Int64, Device::Cpu));
    let inputs = Inputs { tokens, images: None, positions };
    let layout = Layout::new(&[count as usize], 1, Device::Cpu);
    let logits = model.logits(&model.forward(&inputs, &mut Attend::Packed(&layout)));
    assert_close(&logits, &goldens["logits"], 1e-3);
    let scale = goldens["logits"].abs().max().double_value(&[]);
    assert!(scale > 1.0, "logits of about 0 would compare equal by chance: {scale}");
}

/// Replays steps with given gradients and compares the parameters after each.
fn replay(goldens: &Tensors, settings: OptimizerSettings, tolerance: f64) {
    let start = weights(&below(goldens, "start."));
    let root = start.root();
    for (name, tensor) in below(goldens, "start.") {
        let _kept_by_weights = root.leaf(&name, &tensor.size(), Init::Zeros);
    }
    let parameters: Parameters = start.finish().expect("the same tensors");
    let mut optimizer = Optimizer::new(&parameters, settings, |name| name.starts_with("layers."));
    for step in 0..5 {
        let gradients = below(goldens, &format!("gradient.{step}."));
        for (name, parameter) in parameters.iter() {
            (parameter * &gradients[name]).sum(None).backward();
        }
        optimizer.step(1.0);
        let after = below(goldens, &format!("after.{step}."));
        for (name, parameter) in parameters.iter() {
            assert_close(&parameter.detach(), &after[name], tolerance);
        }
    }
}

#[test]
fn adamw_steps() {
    let settings = OptimizerSettings {
        betas: (0.9, 0.98),
        weight_decay: 0.1,
        ..OptimizerSettings::adamw(3e-2)
    };
    replay(&goldens("adamw"), settings, 1e-6);
}

#[test]
fn muon_steps() {
    replay(&goldens("muon"), OptimizerSettings::muon(1e-3, 2e-2), 1e-5);
}

#[test]
fn pixel_shuffles() {
    let goldens = goldens("pixel_shuffle");
    let ours = pixel_shuffle(&goldens["input"], 2);
    assert_close(&ours, &goldens["idefics"], 0.0);
    assert_close(&ours, &goldens["internvl"], 0.0);
}
