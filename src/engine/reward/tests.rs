//! One pass gives what many would, and its gradients are those of the loss.

use super::*;
use crate::engine::models::{load, mini_vlm};
use rand::Rng as _;
use tch::Device;

fn model(precision: Precision) -> Model {
    crate::engine::set_threads(1);
    let text = serde_json::to_string(&mini_vlm::Config::builtin()).unwrap();
    load(mini_vlm::KIND, &text, Weights::random(Seed(5), precision, Device::Cpu)).unwrap()
}

fn reward_model() -> (Model, RewardHead) {
    let model = model(Precision::F32);
    let head = RewardHead::fresh(&model, Seed(6));
    (model, head)
}

fn scores(model: &Model, head: &RewardHead, readings: &[Reading<'_>]) -> Vec<f32> {
    head.scores(model, &ReadingPack::new(model, readings).unwrap())
}

/// Prompt, pixels, responses with their ends.
type Datum = (Vec<i64>, Pixels, Vec<(Vec<i64>, Vec<usize>)>);

fn data() -> Vec<Datum> {
    let mut generator = Seed(1).generator();
    let mut words = |count: usize| -> Vec<i64> {
        (0..count).map(|_| generator.random_range(0..232_i64)).collect()
    };
    let pictured = [vec![232; 16], words(7)].concat();
    let pixels = (0..3072_u32).map(|at| ((at * 37 % 101) as f32) / 50.0 - 1.0).collect();
    let pixels = Pixels::one(32, 32, pixels);
    let responses = vec![(words(9), vec![3, 9]), (words(20), vec![1, 12, 20]), (words(5), vec![5])];
    vec![(pictured, pixels, responses), (words(4), Pixels::none(), vec![(words(6), vec![2, 6])])]
}

fn reading((prompt, pixels, responses): &Datum) -> Reading<'_> {
    let continued = responses.iter().map(|(tokens, ends)| Continued { tokens, ends });
    Reading { prompt, pixels, responses: continued.collect() }
}

fn readings(data: &[Datum]) -> Vec<Reading<'_>> {
    data.iter().map(reading).collect()
}

#[test]
fn scores_of_a_pack_are_those_of_single_responses() {
    let ((model, head), data) = (reward_model(), data());
    let together = readings(&data);
    let packed = scores(&model, &head, &together);
    assert_eq!(packed.len(), 8);
    assert!(packed.iter().all(|score| (0.0..=1.0).contains(score)));
    let mut single = Vec::new();
    for reading in &together {
        for response in &reading.responses {
            let stream = Reading { responses: vec![*response], ..reading.clone() };
            single.extend(scores(&model, &head, &[stream]));
        }
    }
    let most = packed.iter().zip(&single).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(most < 1e-6, "{most}");
}

#[test]
fn beginnings_in_common_are_read_once_and_scores_stay_theirs() {
    let (model, head) = reward_model();
    let (prompt, none) = (vec![7, 8, 9], Pixels::none());
    let responses: [(&[i64], &[usize]); 6] = [
        (&[1, 2, 3, 4], &[2, 4]),
        (&[1, 2, 5, 6, 7], &[2, 5]),
        (&[1, 2], &[2]),
        // The same again, and one of which the end is not scored.
        (&[1, 2, 3, 4], &[2, 4]),
        (&[1, 2, 3, 9, 9, 9], &[3]),
        (&[11], &[1]),
    ];
    let continued = responses.map(|(tokens, ends)| Continued { tokens, ends });
    let together = [Reading { prompt: &prompt, pixels: &none, responses: continued.to_vec() }];
    let pack = ReadingPack::new(&model, &together).unwrap();
    // The prompt, 1 2 3 4, 5 6 7, and 11.
    assert_eq!(pack.tokens(), 3 + 4 + 3 + 1);
    let packed = head.scores(&model, &pack);
    let single = continued.iter().flat_map(|response| {
        let responses = vec![*response];
        scores(&model, &head, &[Reading { prompt: &prompt, pixels: &none, responses }])
    });
    let single: Vec<f32> = single.collect();
    assert_eq!(packed.len(), single.len());
    let most = packed.iter().zip(&single).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(most < 1e-6, "{most}");
}

#[test]
fn gradients_are_those_of_the_loss() {
    let ((model, head), data) = (reward_model(), data());
    let pack = ReadingPack::new(&model, &readings(&data)).unwrap();
    let targets: Vec<Target> =
        (0..8).map(|at| Target { good: at as f32 / 8.0, bad: 0.5 }).collect();
    let loss = head.backward(&model, &pack, &targets, 3.0);
    let expected: f64 = head
        .scores(&model, &pack)
        .iter()
        .zip(&targets)
        .map(|(&p, it)| f64::from(-(it.good * p.ln() + it.bad * (1.0 - p).ln())))
        .sum();
    assert!((loss - expected / 3.0).abs() < 1e-5, "{loss} {expected}");
    let parameters = model.parameters().joined(head.parameters());
    for (name, place) in [("reward_head.weight", 7), ("reward_head.bias", 0), ("norm.weight", 5)] {
        let (_, parameter) = parameters.iter().find(|(of, _)| *of == name).unwrap();
        let analytic = parameter.grad().flatten(0, -1).double_value(&[place]);
        let shifted = |by: f64| {
            tch::no_grad(|| {
                let entry = parameter.flatten(0, -1).narrow(0, place, 1);
                drop(entry.shallow_clone().g_add_scalar_(by));
                let loss = head.loss(&model, &pack, &targets).double_value(&[]) / 3.0;
                drop(entry.shallow_clone().g_add_scalar_(-by));
                loss
            })
        };
        let numeric = (shifted(1e-2) - shifted(-1e-2)) / 2e-2;
        assert!((analytic - numeric).abs() < 1e-3, "{name}: {analytic} {numeric}");
        assert!(analytic.abs() > 1e-4, "{name}: {analytic}");
    }
    // Every part of the model is reached, so that it can be trained.
    for (name, parameter) in parameters.iter() {
        let reached =
            parameter.grad().defined() && parameter.grad().abs().max().double_value(&[]) > 0.0;
        assert!(reached || name.ends_with("k_proj.bias"), "{name}");
    }
}

#[test]
fn a_head_is_written_and_read_back() {
    let ((model, head), data) = (reward_model(), data());
    let bytes = head.parameters().to_bytes();
    let names: Vec<&str> = head.parameters().iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["reward_head.bias", "reward_head.weight"]);
    let first = scores(&model, &head, &readings(&data));
    let again = RewardHead::from_bytes(&model, &bytes, "head").unwrap();
    assert_eq!(scores(&model, &again, &readings(&data)), first);
    let torn = RewardHead::from_bytes(&model, &bytes[..20], "head");
    assert!(torn.err().unwrap().to_string().contains("`head`"));
    let low = self::model(Precision::Bf16);
    let again = RewardHead::from_bytes(&low, &bytes, "head").unwrap();
    let rounded = scores(&low, &again, &readings(&data));
    let apart = rounded.iter().zip(&first).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(apart < 0.02, "{apart}");
}

#[test]
fn what_the_model_cannot_read_is_refused() {
    let (model, _) = reward_model();
    let of = |prompt: &[i64], tokens: &[i64]| {
        let responses = vec![Continued { tokens, ends: &[1] }];
        ReadingPack::new(&model, &[Reading { prompt, pixels: &Pixels::none(), responses }]).err()
    };
    assert_eq!(of(&[5, 6], &[7]), None);
    assert!(matches!(of(&[5], &[999]), Some(PackError::Token { token: 999, .. })));
    assert!(matches!(of(&[5; 200], &[7; 60]), Some(PackError::TooLong { tokens: 260, .. })));
}
