//! Known steps, number formats, and going on after a restart.

use super::*;
use crate::base::Seed;
use crate::engine::weights::{Init, Precision, Weights};
use tch::Device;

fn parameters(precision: Precision) -> Parameters {
    let weights = Weights::random(Seed(1), precision, Device::Cpu);
    let root = weights.root();
    for (name, shape) in [
        ("embed", &[5, 4][..]),
        ("layers.0.wide.weight", &[4, 6]),
        ("layers.0.tall.weight", &[6, 4]),
        ("layers.1.wide.weight", &[4, 6]),
        ("norm", &[4]),
    ] {
        drop(root.leaf(name, shape, Init::Normal(0.5)));
    }
    weights.finish().unwrap()
}

/// A loss whose gradient depends on the parameters and on the step.
fn gradient(parameters: &Parameters, step: u64) {
    for (index, (_, parameter)) in parameters.iter().enumerate() {
        let pull = (step as f64 + index as f64).sin() * 0.1;
        ((parameter - pull).pow_tensor_scalar(2) * 0.5).sum(Kind::Float).backward();
    }
}

fn optimizer(parameters: &Parameters) -> Optimizer {
    let is_block = |name: &str| name.starts_with("layers.");
    Optimizer::new(parameters, OptimizerSettings::muon(1e-2, 2e-2), is_block)
}

fn bytes_of(optimizer: &Optimizer) -> Vec<u8> {
    let mut bytes = Vec::new();
    optimizer.write(&mut bytes).unwrap();
    bytes
}

#[test]
fn the_first_step_of_adamw_has_the_size_of_the_learning_rate() {
    let parameters = parameters(Precision::F32);
    let before: Vec<Tensor> = parameters.iter().map(|(_, p)| p.detach().copy()).collect();
    let settings = OptimizerSettings { weight_decay: 0.0, ..OptimizerSettings::adamw(0.01) };
    let mut optimizer = Optimizer::new(&parameters, settings, |_| false);
    gradient(&parameters, 1);
    optimizer.step(0.5);
    for ((name, after), before) in parameters.iter().zip(&before) {
        let moved = (after - before).abs();
        assert!((moved - 0.005).abs().max().double_value(&[]) < 1e-5, "{name}");
    }
}

/// Every parameter moves by the rate that it has, whichever others are beside it, and a state is taken
/// up whatever the rates are.
#[test]
fn parameters_have_rates_of_their_own() {
    let parameters = parameters(Precision::F32);
    let before: Vec<Tensor> = parameters.iter().map(|(_, p)| p.detach().copy()).collect();
    let settings = OptimizerSettings { weight_decay: 0.0, ..OptimizerSettings::adamw(0.01) };
    let rate = |name: &str| match name {
        "embed" | "norm" => Some(0.03),
        "layers.0.tall.weight" => Some(0.0),
        _ => None,
    };
    let of = || Optimizer::with_rates(&parameters, settings.clone(), |_| false, rate);
    let mut optimizer = of();
    gradient(&parameters, 1);
    optimizer.step(1.0);
    for ((name, after), before) in parameters.iter().zip(&before) {
        let moved = (after - before).abs();
        let error = (moved - rate(name).unwrap_or(0.01)).abs().max().double_value(&[]);
        assert!(error < 1e-5, "{name}: {error}");
    }
    let mut again = of();
    again.restore(&bytes_of(&optimizer), "state").unwrap();
    assert_eq!(bytes_of(&again), bytes_of(&optimizer));
    let mut plain = Optimizer::new(&parameters, settings.clone(), |_| false);
    plain.restore(&bytes_of(&optimizer), "state").unwrap();
    assert_eq!(bytes_of(&plain), bytes_of(&optimizer));
}

#[test]
fn a_muon_step_has_singular_values_near_the_learning_rate() {
    let parameters = parameters(Precision::F32);
    let named: BTreeMap<&str, &Tensor> = parameters.iter().collect();
    let tall = named["layers.0.tall.weight"];
    let before = tall.detach().copy();
    let mut settings = OptimizerSettings::muon(1e-2, 2e-2);
    settings.weight_decay = 0.0;
    let mut optimizer = Optimizer::new(&parameters, settings, |name| name.starts_with("layers."));
    gradient(&parameters, 1);
    optimizer.step(1.0);
    let stretch = 1.5_f64.sqrt() * 2e-2;
    let (_, singular, _) = (tall - before).detach().svd(true, true);
    let ratios = Vec::<f32>::try_from(singular / stretch).unwrap();
    assert!(ratios.iter().all(|ratio| (0.6..1.3).contains(ratio)), "{ratios:?}");
}

#[test]
fn a_restored_optimizer_goes_on_bit_for_bit() {
    for precision in [Precision::F32, Precision::Bf16] {
        let one = parameters(precision);
        let mut first = optimizer(&one);
        for step in 0..3 {
            gradient(&one, step);
            first.step(1.0);
        }
        let (weights, state) = (one.to_bytes(), bytes_of(&first));
        let two = parameters(precision);
        two.restore(&weights, "weights").unwrap();
        let mut second = optimizer(&two);
        second.restore(&state, "state").unwrap();
        assert_eq!(bytes_of(&second), state);
        for step in 3..6 {
            gradient(&one, step);
            first.step(0.7);
            gradient(&two, step);
            second.step(0.7);
        }
        assert_eq!(one.to_bytes(), two.to_bytes());
        assert_eq!(bytes_of(&first), bytes_of(&second));
        assert_eq!(second.steps(), 6);
    }
}

#[test]
fn small_steps_are_not_lost_in_bfloat16() {
    let parameters = parameters(Precision::Bf16);
    let before = parameters.digest();
    let mut optimizer = Optimizer::new(&parameters, OptimizerSettings::adamw(1e-5), |_| false);
    for step in 0..200 {
        gradient(&parameters, step / 1000);
        optimizer.step(1.0);
    }
    // One step is far below the spacing of bfloat16 numbers near 0.5; two hundred are above it.
    assert_ne!(parameters.digest(), before);
}

#[test]
fn a_gradient_that_is_no_number_changes_nothing() {
    let parameters = parameters(Precision::F32);
    let mut optimizer = optimizer(&parameters);
    let (weights, state) = (parameters.digest(), bytes_of(&optimizer));
    let (_, first) = parameters.iter().next().unwrap();
    (first * f64::NAN).sum(Kind::Float).backward();
    assert!(optimizer.step(1.0).is_nan());
    assert_eq!((parameters.digest(), bytes_of(&optimizer)), (weights, state));
    gradient(&parameters, 0);
    assert!(optimizer.step(1.0).is_finite());
}

#[test]
fn a_state_of_other_parameters_is_refused() {
    let one = parameters(Precision::F32);
    let mut first = Optimizer::new(&one, OptimizerSettings::adamw(1e-3), |_| false);
    let error = first.restore(&bytes_of(&optimizer(&one)), "state").unwrap_err();
    assert!(error.to_string().contains("`first_moment.layers.0.wide.weight` is missing"));
}

#[test]
fn long_gradients_are_clipped() {
    let parameters = parameters(Precision::F32);
    let settings = OptimizerSettings { clip: 1e-3, ..OptimizerSettings::adamw(1e-3) };
    let mut optimizer = Optimizer::new(&parameters, settings, |_| false);
    gradient(&parameters, 1);
    assert!(optimizer.step(1.0) > 1.0);
    let state = from_safetensors(&bytes_of(&optimizer), "state").unwrap();
    let moments = state.iter().filter(|(name, _)| name.starts_with("first_moment"));
    let squares: f64 = moments.map(|(_, m)| m.norm().double_value(&[]).powi(2)).sum();
    assert!((squares.sqrt() - 1e-4).abs() < 1e-6);
}
