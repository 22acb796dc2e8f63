//! What a frozen vision tower made of pictures stands in for the pictures: over every architecture the
//! same logits, tokens and gradients, and in a run the same results.
//!
//! Where a pass has one picture, both ways do the same arithmetic and agree to the last bit. Where it
//! has several, the tower multiplies larger matrices at once, and libtorch adds in another order:
//! they agree within 1e-6 of their scale.

use crate::model_parity::{Case, apart, cases, folder, goldens, opened};
use mstar::base::Seed;
use mstar::engine::models::mini_vlm;
use mstar::engine::{
    Device, FeatureFile, Model, Pixels, Precision, Prompt, Sampling, Sequence, Settings, Size,
    Weights, backward, features, generate, load, logits, pack,
};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use tch::{Kind, Tensor};

/// The pictures of a sequence one by one.
fn apiece(pixels: &Pixels) -> Vec<Pixels> {
    let mut rest = pixels.values();
    let picture = |sizes: &[Size]| {
        let tile = |size: &Size| {
            let (own, others) = rest.split_at(size.values());
            rest = others;
            (*size, own.to_vec())
        };
        Pixels::picture(sizes.iter().map(tile).collect::<Vec<_>>())
    };
    pixels.pictures().map(picture).collect()
}

/// The same sequences with what the tower made of their pictures, out of a file.
fn stored(model: &Model, all: &[&Pixels], file: &Path) -> Vec<Pixels> {
    let mut made = BTreeMap::new();
    for (sequence, pixels) in all.iter().enumerate() {
        for (at, picture) in apiece(pixels).iter().enumerate() {
            made.insert(format!("{sequence}-{at}"), model.tower(picture).unwrap());
        }
    }
    features::write(&made, &mut fs::File::create(file).unwrap()).unwrap();
    let file = FeatureFile::open(file).unwrap();
    let of = |(sequence, pixels): (usize, &&Pixels)| {
        let mut looked_up = Pixels::none();
        for at in 0..pixels.tiles().len() {
            looked_up.extend(&file.picture(&format!("{sequence}-{at}")).unwrap());
        }
        assert_eq!((looked_up.sizes(), looked_up.tiles()), (pixels.sizes(), pixels.tiles()));
        assert!(looked_up.values().is_empty());
        looked_up
    };
    all.iter().enumerate().map(of).collect()
}

fn gradients(
    model: &Model,
    cases: &[(Case, Pixels)],
    stored: bool,
) -> (f64, Vec<(String, Tensor)>) {
    let sequence = |(case, other): &'_ (Case, Pixels)| {
        let pixels = if stored { other } else { &case.pixels };
        (case.tokens.clone(), pixels.clone(), case.prompt)
    };
    let parts: Vec<_> = cases.iter().map(sequence).collect();
    let sequences: Vec<Sequence<'_>> = parts
        .iter()
        .map(|(tokens, pixels, prompt)| Sequence { tokens, pixels, prompt: *prompt, weights: None })
        .collect();
    for (_, parameter) in model.parameters().iter() {
        let mut parameter = parameter.shallow_clone();
        parameter.zero_grad();
    }
    let pack = pack(model, &sequences).unwrap();
    let loss = backward(model, &pack, pack.weight());
    let trained = model.parameters().iter().filter(|(_, it)| it.requires_grad());
    let gradient = |(name, it): (&str, &Tensor)| (name.to_owned(), it.grad().copy());
    (loss, trained.map(gradient).collect())
}

fn tokens(model: &Model, cases: &[(Case, Pixels)], stored: bool) -> Vec<Vec<i64>> {
    let prompt = |(id, (case, other)): (u64, &(Case, Pixels))| Prompt {
        id,
        tokens: case.tokens[..case.prompt].to_vec(),
        pixels: if stored { other.clone() } else { case.pixels.clone() },
    };
    let prompts: Vec<Prompt> = (0..).zip(cases).map(prompt).collect();
    let sampling = Sampling::at(1.0, 24, &[]);
    let settings = Settings { samples: 2, first_sample: 0, sampling, seed: Seed(7), slots: 4 };
    let generated = generate(model, &prompts, &settings, &mut |_| (), &|| false).unwrap();
    generated.responses.into_iter().map(|response| response.tokens).collect()
}

fn assert_alike(name: &str, model: &Model, cases: Vec<Case>, bounds: (f64, f64)) {
    let scratch = tempfile::tempdir().unwrap();
    let all: Vec<&Pixels> = cases.iter().map(|case| &case.pixels).collect();
    let stored = stored(model, &all, &scratch.path().join("features.safetensors"));
    let cases: Vec<(Case, Pixels)> = cases.into_iter().zip(stored).collect();
    let mut pictured = 0;
    for (case, stored) in &cases {
        let asked = |pixels: &Pixels| logits(model, &[(&case.tokens[..], pixels)]).unwrap();
        let (computed, looked_up) = (asked(&case.pixels), asked(stored));
        if case.pixels.tiles().len() == 1 {
            assert_eq!(computed, looked_up, "{name}: not to the last bit");
        }
        let apart = apart(&looked_up, &computed);
        assert!(apart <= bounds.0, "{name}: logits are {apart:e} apart");
        pictured += case.pixels.tiles().len();
    }
    assert!(pictured > 0, "{name}: no pictures");
    assert_eq!(tokens(model, &cases, true), tokens(model, &cases, false), "{name}");
    model.parameters().train_only(|name| Model::part(name) != mstar::engine::Part::Vision);
    let (computed, theirs) = gradients(model, &cases, false);
    let (looked_up, ours) = gradients(model, &cases, true);
    assert!((computed - looked_up).abs() <= bounds.0 * computed, "{name}: {computed} {looked_up}");
    assert!(theirs.iter().any(|(name, _)| Model::part(name) == mstar::engine::Part::Projector));
    let largest = |it: &Tensor| it.abs().max().double_value(&[]);
    let scale = theirs.iter().map(|(_, it)| largest(it)).fold(0.0, f64::max);
    for ((parameter, theirs), (_, ours)) in theirs.iter().zip(&ours) {
        // Gradients that are 0 but for rounding, as those of biases of keys, have no scale.
        let apart = largest(&(ours - theirs)) / largest(theirs).max(1e-3 * scale);
        assert!(apart <= bounds.1, "{name}: the gradient of `{parameter}` is {apart:e} apart");
    }
}

#[test]
fn every_architecture_computes_the_same_of_stored_features() {
    let mut names: Vec<String> = fs::read_dir(folder())
        .expect("goldens of models")
        .map(|entry| entry.expect("a folder").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    for name in &names {
        let folder = folder().join(name);
        for (precision, bounds) in [(Precision::F32, (1e-6, 1e-5)), (Precision::Bf16, (2e-2, 5e-2))]
        {
            let model = opened(&folder, precision);
            assert_alike(name, &model, cases(&goldens(&folder)), bounds);
        }
    }
}

#[test]
fn the_embedded_model_computes_the_same_of_stored_features() {
    let config = serde_json::to_string(&mini_vlm::Config::builtin()).unwrap();
    let weights = Weights::random(Seed(1), Precision::F32, Device::Cpu);
    let model = load(mini_vlm::KIND, &config, weights).unwrap();
    let case = |images: usize| {
        let noise = Tensor::randn([images as i64 * 32 * 32 * 3], (Kind::Float, Device::Cpu));
        let words = (0..20).map(|at| 3 + (at * 7) % 90);
        let tokens: Vec<i64> = std::iter::repeat_n(232, 16 * images).chain(words).collect();
        let pixels = Pixels::squares(32, Vec::try_from(noise).unwrap());
        Case::made(tokens, 16 * images + 10, pixels)
    };
    assert_alike("mini", &model, vec![case(1), case(2), case(0)], (1e-6, 1e-5));
    let side = 40;
    let refused = model.tower(&Pixels::squares(side, vec![0.0; side * side * 3])).err().unwrap();
    assert!(refused.to_string().contains("40 x 40 pixels: the model reads 32 x 32"), "{refused}");
}

#[test]
fn a_file_of_something_else_or_a_torn_one_is_an_error_with_a_hint() {
    use mstar::base::Hint as _;
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("features.safetensors");
    let model = opened(&folder().join("smolvlm"), Precision::F32);
    let cases = cases(&goldens(&folder().join("smolvlm")));
    let pictured = cases.iter().find(|case| !case.pixels.sizes().is_empty()).unwrap();
    drop(stored(&model, &[&pictured.pixels], &file));
    let whole = fs::read(&file).unwrap();
    let error = |bytes: &[u8]| {
        fs::write(&file, bytes).unwrap();
        let error = FeatureFile::open(&file).err().expect("it is not whole");
        assert!(error.hint().is_some() && error.to_string().contains("features.safetensors"));
        error.to_string()
    };
    for length in [0, 5, whole.len() / 2, whole.len() - 1] {
        error(&whole[..length]);
    }
    let foreign = error(&model.parameters().to_bytes());
    assert!(foreign.contains("is nothing that a vision tower made"), "{foreign}");
    assert_ne!(
        model.tower_digest(),
        opened(&folder().join("idefics3"), Precision::F32).tower_digest()
    );
    assert_ne!(
        model.tower_digest(),
        opened(&folder().join("smolvlm"), Precision::Bf16).tower_digest()
    );
}
