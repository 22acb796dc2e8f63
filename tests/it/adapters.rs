//! Low-rank adapters on the tiny checkpoints below `MSTAR_PARITY_DIR`: PEFT opens what is written
//! here, what PEFT wrote is opened here, and merged weights compute the same.

use crate::model_parity::{Case, apart, cases, folder, goldens, opened, packed_logits};
use mstar::base::Seed;
use mstar::engine::{
    Adapters, Device, Lora, Model, Optimizer, OptimizerSettings, Precision, Weights, backward,
    kind_of, load, pack, spelling,
    weights::{ADAPTER_CONFIG, ADAPTER_WEIGHTS, from_safetensors, index, shards, to_safetensors},
};
use std::{collections::BTreeMap, fs, path::Path, process::Command};
use tch::Tensor;

const NAMES: [&str; 6] =
    ["idefics3", "internvl", "qwen2-vl", "qwen2.5-vl-tied", "qwen3-vl", "smolvlm"];

fn adapted(folder: &Path, adapters: Adapters) -> Model {
    let config = fs::read_to_string(folder.join("config.json")).unwrap();
    let weights = Weights::open(folder, Precision::F32, Device::Cpu).unwrap();
    load(&kind_of(&config).unwrap(), &config, weights.with_adapters(adapters)).unwrap()
}

fn lora(targets: &[&str]) -> Lora {
    let targets = targets.iter().map(|&target| target.to_owned()).collect();
    Lora { rank: 4, alpha: 6.0, dropout: 0.2, targets }
}

fn train(model: &Model, cases: &[Case], steps: u64) {
    let settings = OptimizerSettings::adamw(0.02);
    let mut optimizer = Optimizer::new(model.trainable(), settings, Model::is_block_matrix);
    let sequences: Vec<_> = cases.iter().map(Case::sequence).collect();
    let pack = pack(model, &sequences).unwrap();
    for step in 0..steps {
        let seed = Seed(9).nth(step);
        let _loss = model.while_dropping(seed, || backward(model, &pack, pack.weight()));
        let _norm = optimizer.step(1.0);
    }
}

fn theirs(folder: &Path, of: &str, cases: &[Case]) -> Tensor {
    let bytes = fs::read(folder.join("logits.safetensors")).unwrap();
    let logits = from_safetensors(&bytes, "logits.safetensors").unwrap();
    let each: Vec<&Tensor> =
        (0..cases.len()).map(|index| &logits[&format!("{of}.{index}")]).collect();
    Tensor::cat(&each, 0)
}

#[test]
fn adapters_go_to_peft_and_come_from_it() {
    let (models, out) = (folder(), tempfile::tempdir().unwrap());
    let mut ours = Vec::new();
    for name in NAMES {
        let at = models.join(name);
        let cases = cases(&goldens(&at));
        let mut model = adapted(&at, Adapters::fresh(lora(&[]), Seed(7), Device::Cpu));
        let plain = opened(&at, Precision::F32);
        let before = packed_logits(&plain, &cases);
        assert_eq!(packed_logits(&model, &cases), before, "{name}: fresh adapters change nothing");
        train(&model, &cases, 3);
        assert_eq!(model.parameters().digest(), plain.parameters().digest(), "{name} is frozen");
        let logits = packed_logits(&model, &cases);
        assert!(apart(&logits, &before) > 1e-2, "{name} has learned nothing");

        let folder = out.path().join(name).join("ours");
        let (config, weights) = model.adapter_files(&at.to_string_lossy()).unwrap();
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(ADAPTER_CONFIG), config).unwrap();
        fs::write(folder.join(ADAPTER_WEIGHTS), weights).unwrap();

        model.merge();
        assert!(model.adapted().is_none());
        let error = apart(&packed_logits(&model, &cases), &logits);
        assert!(error < 1e-5, "{name}: merged weights are {error:e} apart");

        let files = shards(model.parameters(), 40_000);
        assert!(files.len() > 2, "{name}");
        let folder = out.path().join(name).join("exported");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("config.json"), model.config()).unwrap();
        fs::write(folder.join("model.safetensors.index.json"), index(&files).unwrap()).unwrap();
        for file in files {
            file.write(&mut fs::File::create(folder.join(&file.name)).unwrap()).unwrap();
        }
        let exported = opened(&folder, Precision::F32);
        assert_eq!(exported.parameters().digest(), model.parameters().digest(), "{name}");
        ours.push((name, cases, logits));
    }
    let python = std::env::var_os("MSTAR_TEST_PYTHON")
        .expect("MSTAR_TEST_PYTHON must name a Python with tests/parity/requirements.txt");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/parity/adapters.py");
    let output = Command::new(python).arg(script).args([&models, out.path()]).args(NAMES).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for (name, cases, logits) in ours {
        let folder = out.path().join(name);
        for of in ["ours", "merged", "exported"] {
            let error = apart(&logits, &theirs(&folder, of, &cases));
            assert!(error < 1e-5, "{name}, {of} in PEFT: {error:e} apart");
        }
        let read = |file: &str| fs::read(folder.join("theirs").join(file)).unwrap();
        let config = String::from_utf8(read(ADAPTER_CONFIG)).unwrap();
        let read = Adapters::read(&config, &read(ADAPTER_WEIGHTS), Device::Cpu).unwrap();
        let model = adapted(&models.join(name), read);
        let error = apart(&packed_logits(&model, &cases), &theirs(&folder, "theirs", &cases));
        assert!(error < 1e-5, "{name}, what PEFT wrote: {error:e} apart");
    }
}

/// An adapter of a fused map is one of each of its parts: in InternLM2's, rows are ordered by key
/// heads.
#[test]
fn adapters_of_fused_maps_come_apart_with_them() {
    let at = folder().join("internvl2-original");
    let cases = cases(&goldens(&at));
    let map = "language_model.model.layers.0.attention.wqkv";
    let checkpoint =
        from_safetensors(&fs::read(at.join("model.safetensors")).unwrap(), "it").unwrap();
    let weight = &checkpoint[&format!("{map}.weight")];
    let (rows, width) = weight.size2().unwrap();
    let values = |rows, columns| {
        (Tensor::arange(rows * columns, tch::kind::FLOAT_CPU) * 0.7).sin().view([rows, columns])
    };
    let (a, b) = (values(4, width), values(rows, 4));
    let name = |end: &str| format!("base_model.model.{map}.lora_{end}.weight");
    let bytes = to_safetensors([(name("A").as_str(), &a), (name("B").as_str(), &b)].into_iter());
    let config = r#"{"peft_type": "LORA", "r": 4, "lora_alpha": 2}"#;
    let model = adapted(&at, Adapters::read(config, &bytes, Device::Cpu).unwrap());

    let merged = weight + b.matmul(&a) * 0.5;
    let changed = format!("{map}.weight");
    let tensors = checkpoint
        .iter()
        .map(|(name, tensor)| (name.as_str(), if *name == changed { &merged } else { tensor }));
    let bytes = to_safetensors(tensors);
    let config = fs::read_to_string(at.join("config.json")).unwrap();
    let weights = Weights::from_bytes(&bytes, "merged", Precision::F32, Device::Cpu).unwrap();
    let expected = load("internvl_chat", &config, weights).unwrap();
    let expected = packed_logits(&expected, &cases);
    assert!(apart(&packed_logits(&model, &cases), &expected) < 1e-5);
    assert!(apart(&expected, &packed_logits(&opened(&at, Precision::F32), &cases)) > 1e-2);
}

/// Split and renamed on their way in, tensors are written as they were found.
#[test]
fn weights_go_out_under_the_names_that_they_came_in_by() {
    for name in ["internvl2-original", "qwen2.5-vl-tied", "smolvlm-untied"] {
        let at = folder().join(name);
        let config = fs::read_to_string(at.join("config.json")).unwrap();
        let weights = Weights::open(&at, Precision::F32, Device::Cpu).unwrap();
        let spelling = spelling(&config, weights).unwrap();
        let written = spelling.spelled(opened(&at, Precision::F32).parameters()).to_bytes();
        let written = from_safetensors(&written, "written").unwrap();
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(&at).unwrap() {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_string_lossy().into_owned();
            if file.starts_with("model") && file.ends_with(".safetensors") {
                found.extend(from_safetensors(&fs::read(&path).unwrap(), &file).unwrap());
            }
        }
        assert_eq!(written, found, "{name}");
    }
}

#[test]
fn a_target_that_is_not_there_is_told_with_those_that_are() {
    use mstar::base::Hint as _;
    let at = folder().join("smolvlm");
    let config = fs::read_to_string(at.join("config.json")).unwrap();
    let weights = Weights::open(&at, Precision::F32, Device::Cpu).unwrap();
    let adapters = Adapters::fresh(lora(&["q_proj", "wqkv"]), Seed(7), Device::Cpu);
    let error = load("smolvlm", &config, weights.with_adapters(adapters)).err().unwrap();
    assert_eq!(error.to_string(), "no linear map of the model is called `wqkv`");
    let hint = error.hint().unwrap();
    assert!(hint.contains("`q_proj`") && hint.contains("`down_proj`"), "{hint}");
}
