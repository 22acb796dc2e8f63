//! Every architecture against transformers: logits, greedy continuations and gradients of the tiny
//! checkpoints that `tests/parity/models.py` wrote below `MSTAR_PARITY_DIR`.
//!
//! Required: logits within 1e-5 of their scale in 32 bits and 2e-2 in bfloat16; 64 tokens equal,
//! with and without a cache; gradients within 1e-4 of the largest of their tensor. The table that
//! the test prints is kept in `book/src/parity.md`.

use mstar::base::Seed;
use mstar::engine::{
    Continued, Device, Model, Pixels, Precision, Prompt, Reading, ReadingPack, RewardHead,
    Sampling, Sequence, Settings, Size, Weights, backward, generate, kind_of, load, logits, pack,
    set_threads, weights::from_safetensors,
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};
use tch::{Kind, Tensor};

/// Tokens that a greedy continuation has.
const GREEDY: usize = 64;

pub(crate) fn folder() -> PathBuf {
    set_threads(1);
    let folder = std::env::var_os("MSTAR_PARITY_DIR").expect(
        "MSTAR_PARITY_DIR must name the folder that `python tests/parity/goldens.py DIR` wrote",
    );
    PathBuf::from(folder).join("models")
}

pub(crate) fn opened(folder: &Path, precision: Precision) -> Model {
    let config = fs::read_to_string(folder.join("config.json")).expect("a checkpoint has a config");
    let weights = Weights::open(folder, precision, Device::Cpu)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let kind = kind_of(&config).expect("a config has a type");
    load(&kind, &config, weights).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
}

/// A sequence of the goldens.
pub(crate) struct Case {
    pub(crate) tokens: Vec<i64>,
    pub(crate) prompt: usize,
    pub(crate) pixels: Pixels,
    greedy: Vec<i64>,
    pub(crate) logits: Tensor,
    bf16: Tensor,
}

fn integers(tensor: &Tensor) -> Vec<i64> {
    Vec::try_from(tensor).expect("integers")
}

fn seen(image: &Tensor) -> (Size, Vec<f32>) {
    let (height, width, _) = image.size3().expect("images have three dimensions");
    let values = Vec::try_from(image.flatten(0, -1)).expect("floats");
    (Size { height: height as usize, width: width as usize }, values)
}

pub(crate) fn cases(goldens: &BTreeMap<String, Tensor>) -> Vec<Case> {
    let case = |index: usize| {
        let tokens = goldens.get(&format!("tokens.{index}"))?;
        let mut images = (0..).map_while(|j| goldens.get(&format!("pixels.{index}.{j}"))).map(seen);
        let tiles = goldens.get(&format!("tiles.{index}")).map(integers);
        let mut pixels = Pixels::none();
        match tiles {
            Some(tiles) => tiles.iter().for_each(|&tiles| {
                pixels.extend(&Pixels::picture(images.by_ref().take(tiles as usize)));
            }),
            None => images.for_each(|image| pixels.extend(&Pixels::picture([image]))),
        }
        Some(Case {
            tokens: integers(tokens),
            prompt: goldens[&format!("prompt.{index}")].int64_value(&[0]) as usize,
            pixels,
            greedy: integers(&goldens[&format!("greedy.{index}")]),
            logits: goldens[&format!("logits.{index}")].shallow_clone(),
            bf16: goldens[&format!("bf16.{index}")].shallow_clone(),
        })
    };
    (0..).map_while(case).collect()
}

/// The largest difference in shares of the largest number that was expected.
pub(crate) fn apart(ours: &Tensor, theirs: &Tensor) -> f64 {
    assert_eq!(ours.size(), theirs.size());
    let largest = |tensor: &Tensor| tensor.abs().max().double_value(&[]);
    largest(&(ours - theirs)) / largest(theirs)
}

impl Case {
    /// One that no reference has seen.
    pub(crate) fn made(tokens: Vec<i64>, prompt: usize, pixels: Pixels) -> Self {
        let nothing = || Tensor::empty([0], (Kind::Float, Device::Cpu));
        Self { tokens, prompt, pixels, greedy: Vec::new(), logits: nothing(), bf16: nothing() }
    }

    /// What is learned of it: what comes after the prompt.
    pub(crate) fn sequence(&self) -> Sequence<'_> {
        let (tokens, pixels) = (&self.tokens, &self.pixels);
        Sequence { tokens, pixels, prompt: self.prompt, weights: None }
    }
}

/// The goldens of a checkpoint.
pub(crate) fn goldens(folder: &Path) -> BTreeMap<String, Tensor> {
    let bytes = fs::read(folder.join("goldens.safetensors")).expect("goldens");
    from_safetensors(&bytes, "goldens.safetensors").expect("goldens are safetensors")
}

/// Logits of all sequences in one packed pass.
pub(crate) fn packed_logits(model: &Model, cases: &[Case]) -> Tensor {
    let sequences: Vec<(&[i64], &Pixels)> =
        cases.iter().map(|case| (&case.tokens[..], &case.pixels)).collect();
    logits(model, &sequences).expect("goldens can be read")
}

fn assert_greedy(name: &str, model: &Model, cases: &[Case]) {
    let prompts: Vec<Prompt> = cases
        .iter()
        .enumerate()
        .map(|(id, case)| Prompt {
            id: id as u64,
            tokens: case.tokens[..case.prompt].to_vec(),
            pixels: case.pixels.clone(),
        })
        .collect();
    let settings = Settings {
        samples: 2,
        first_sample: 0,
        sampling: Sampling::greedy(GREEDY, &[]),
        seed: Seed(0),
        slots: 4,
    };
    let generated =
        generate(model, &prompts, &settings, &mut |_| (), &|| false).expect("prompts can be read");
    for response in &generated.responses {
        let case = &cases[response.prompt as usize];
        assert_eq!(response.tokens, case.greedy, "{name}, prompt {}", response.prompt);
        let whole = [&case.tokens[..case.prompt], &case.greedy].concat();
        let all = logits(model, &[(&whole, &case.pixels)]).expect("it can be read");
        let chosen = all.narrow(0, case.prompt as i64 - 1, GREEDY as i64).argmax(-1, false);
        assert_eq!(integers(&chosen), case.greedy, "{name} without a cache");
    }
}

/// The largest difference of a gradient, in shares of the largest of its tensor, with its name.
fn gradients(folder: &Path, model: &Model, cases: &[Case], loss: f64) -> (f64, String) {
    let sequences: Vec<Sequence<'_>> = cases.iter().map(Case::sequence).collect();
    let pack = pack(model, &sequences).expect("goldens can be read");
    let found = backward(model, &pack, pack.weight());
    assert!((found - loss).abs() < 1e-5 * loss, "a loss of {found} instead of {loss}");
    let theirs = opened(&folder.join("gradients"), Precision::F32);
    let theirs: BTreeMap<&str, &Tensor> = theirs.parameters().iter().collect();
    let scale = theirs.values().map(|it| it.abs().max().double_value(&[])).fold(0.0, f64::max);
    let mut worst = (0.0, String::new());
    for (name, parameter) in model.parameters().iter() {
        let theirs = theirs[name];
        let largest = theirs.abs().max().double_value(&[]);
        let gradient = parameter.grad();
        let error = match gradient.defined() {
            true => (gradient - theirs).abs().max().double_value(&[]),
            false => largest,
        };
        // Gradients that are 0 but for rounding, as those of biases of keys, have no scale.
        let share = error / largest.max(1e-3 * scale);
        if share > worst.0 {
            worst = (share, name.to_owned());
        }
    }
    worst
}

/// Scores of responses that share their prompt in one pass equal those of each alone.
fn assert_branches(name: &str, model: &Model, cases: &[Case]) {
    let head = RewardHead::fresh(model, Seed(3));
    for case in cases {
        let (prompt, rest) = case.tokens.split_at(case.prompt);
        let ends = [rest.len()];
        let responses =
            [Continued { tokens: rest, ends: &ends }, Continued { tokens: &rest[1..], ends: &[2] }];
        let scores = |responses: &[Continued<'_>]| {
            let reading = Reading { prompt, pixels: &case.pixels, responses: responses.to_vec() };
            let pack = ReadingPack::new(model, &[reading]).expect("it can be read");
            head.scores(model, &pack)
        };
        let together = scores(&responses);
        for (score, response) in together.iter().zip(&responses) {
            let alone = scores(&[*response])[0];
            assert!((score - alone).abs() < 1e-5, "{name}: {score} instead of {alone}");
        }
    }
}

#[test]
fn every_architecture_computes_what_transformers_does() {
    let folder = folder();
    let mut names: Vec<String> = fs::read_dir(&folder)
        .expect("goldens of models")
        .map(|entry| entry.expect("a folder").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let mut faults = Vec::new();
    let mut table = String::from(
        "| checkpoint | logits, 32 bits | logits, bfloat16 | greedy tokens | gradients |\n|---|---|---|---|---|\n",
    );
    for name in &names {
        let folder = folder.join(name);
        let goldens = goldens(&folder);
        let cases = cases(&goldens);
        let theirs =
            |of: fn(&Case) -> &Tensor| Tensor::cat(&cases.iter().map(of).collect::<Vec<_>>(), 0);

        let model = opened(&folder, Precision::F32);
        let expected = theirs(|case| &case.logits);
        assert!(expected.std(true).double_value(&[]) > 0.3, "{name}: logits of about 0");
        let full = apart(&packed_logits(&model, &cases), &expected);
        if full > 1e-5 {
            faults.push(format!("{name}: logits are {full:e} apart"));
        }
        assert_greedy(name, &model, &cases);
        assert_branches(name, &model, &cases);
        let loss = goldens["loss"].double_value(&[0]);
        let (gradient, worst) = gradients(&folder, &model, &cases, loss);
        if gradient > 1e-4 {
            faults.push(format!("{name}: the gradient of `{worst}` is {gradient:e} apart"));
        }

        let half = opened(&folder, Precision::Bf16);
        let half = packed_logits(&half, &cases).to_kind(Kind::Float);
        let half = apart(&half, &theirs(|case| &case.bf16));
        if half > 2e-2 {
            faults.push(format!("{name}: logits in bfloat16 are {half:e} apart"));
        }
        let tokens = cases.len() * GREEDY;
        table += &format!(
            "| {name} | {full:.1e} | {half:.1e} | {tokens} of {tokens} | {gradient:.1e} |\n"
        );
    }
    eprintln!("{table}");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let book = include_str!("../../book/src/parity.md");
    for name in &names {
        assert!(book.contains(&format!("| {name} |")), "the book's table lacks {name}:\n{table}");
    }
}
