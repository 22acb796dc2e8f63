//! `mstar export`: what other programs open computes what mstar does.

use crate::model_parity::{apart, opened};
use crate::real_models::{checkpoint, sandbox_with};
use crate::sandbox::{Sandbox, assert_told};
use mstar::engine::{Pixels, Precision, logits, weights::from_safetensors};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

const TOKENS: [i64; 12] = [5, 9, 40, 3, 77, 12, 8, 60, 31, 22, 7, 50];

fn names(folder: &Path) -> BTreeSet<String> {
    let names = fs::read_dir(folder).unwrap();
    names.map(|it| it.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn an_evolved_checkpoint_opens_in_transformers_and_its_adapters_in_peft() {
    for name in ["internvl", "smolvlm"] {
        let sandbox = sandbox_with(name);
        let lora = "policy.lora={ rank = 4 }";
        let run = ["run", "real.toml", "--workers", "1", "--set", lora];
        sandbox.mstar(&[&run[..], &["--set", "training.learning_rate=0.05"]].concat()).exits(0);
        let export = ["export", "real-1", "--to"];
        let whole = ["whole", "--shard-size", "40KB"];
        let said = sandbox.mstar(&[&export[..], &whole].concat()).exits(0);
        assert!(said.stderr.contains("adapters are merged into the weights"), "{}", said.stderr);
        sandbox.mstar(&[&export[..], &["adapters", "--adapters"]].concat()).exits(0);

        let folder = sandbox.path("whole");
        for entry in fs::read_dir(checkpoint(name)).unwrap() {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_file() && file != "model.safetensors" {
                assert_eq!(
                    fs::read(folder.join(&file)).unwrap(),
                    fs::read(&path).unwrap(),
                    "{file}"
                );
            }
        }
        let files = names(&folder);
        assert!(
            !files.contains("model.safetensors") && !files.contains("trainer.json"),
            "{files:?}"
        );
        let expected = ["README.md", "adapter_config.json", "adapter_model.safetensors"];
        assert!(names(&sandbox.path("adapters")).iter().eq(expected.iter()));

        let python = std::env::var_os("MSTAR_TEST_PYTHON")
            .expect("MSTAR_TEST_PYTHON must name a Python with tests/parity/requirements.txt");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/parity/exports.py");
        let out = sandbox.path("logits.safetensors");
        let output = Command::new(python)
            .arg(script)
            .args([&folder, &sandbox.path("adapters"), &sandbox.path("tiny")])
            .arg(serde_json::to_string(&TOKENS).unwrap())
            .arg(&out)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let theirs = from_safetensors(&fs::read(&out).unwrap(), "logits").unwrap();
        let none = Pixels::none();
        let of = |folder: &Path| {
            logits(&opened(folder, Precision::F32), &[(&TOKENS[..], &none)]).unwrap()
        };
        let ours = of(&folder);
        assert!(apart(&ours, &of(&sandbox.path("tiny"))) > 1e-2, "{name} has learned nothing");
        for kind in ["whole", "adapted"] {
            let error = apart(&ours, &theirs[kind]);
            assert!(error < 1e-5, "{name}, {kind}: {error:e} apart");
        }
        // What is asked of the run and of what was exported is answered alike.
        let image = sandbox.path("00.png").display().to_string();
        let ask = |model: &str| {
            let question = ["sample", model, "How many bars?", "--image", &image];
            let more = ["--max-new-tokens", "16", "--format", "json"];
            sandbox.mstar(&[&question[..], &more].concat()).exits(0).json()["tokens"].clone()
        };
        assert_eq!(ask("real-1"), ask(&folder.display().to_string()));
    }
}

#[test]
fn the_embedded_model_is_exported_with_its_card() {
    let sandbox = Sandbox::finished();
    let said = sandbox.mstar(&["export", "--to", "out"]).exits(0);
    let mut told = said.told();
    let expected = ["README.md", "config.json", "model.safetensors", "tokenizer.json"];
    assert!(names(&sandbox.path("out")).iter().eq(expected.iter()));
    let weights = |folder: &Path| fs::read(folder.join("model.safetensors")).unwrap();
    assert_eq!(weights(&sandbox.path("out")), weights(&sandbox.artifact_of("train 2")));
    let card = fs::read_to_string(sandbox.path("out/README.md")).unwrap();
    assert!(card.starts_with("---\nlibrary_name: mstar\n"), "{card}");
    for part in ["| test.accuracy | ", "name = \"tiny\"", "[made_by]", "stage `train 2`"] {
        assert!(card.contains(part), "{part} in {card}");
    }

    sandbox.mstar(&["export", "tiny-1", "--to", "one", "--stage", "train 1"]).exits(0);
    assert_eq!(weights(&sandbox.path("one")), weights(&sandbox.artifact_of("train 1")));
    let key = sandbox.key_of("train 1");
    sandbox.mstar(&["export", "tiny-1", "--to", "key", "--stage", &key[..12]]).exits(0);
    assert_eq!(weights(&sandbox.path("key")), weights(&sandbox.artifact_of("train 1")));

    for wrong in [
        &["--to", "out"][..],
        &["--to", "new", "--adapters"],
        &["--to", "new", "--stage", "explore 1"],
        &["--to", "new", "--member", "other"],
        &["--to", "new", "--shard-size", "0GB"],
        &["--to", "new", "--shard-size", "many"],
    ] {
        told += &sandbox.mstar(&[&["export", "tiny-1"], wrong].concat()).exits(2).told();
    }
    assert!(!sandbox.path("new").exists());
    assert_told("exports", &told);
}
