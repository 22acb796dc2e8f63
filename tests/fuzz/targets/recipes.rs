//! Recipes, experiments, hooks and the expressions in them.

use super::said;
use mstar::base::{Faults, Source};
use mstar::hooks::{Expression, ExpressionError, Moment, Script};
use mstar::recipe::{Experiment, Layers, Stack, check_trials, is_experiment, resolve};
use serde_json::{Value, json};
use std::path::Path;

fn source(bytes: &[u8]) -> Source {
    let text = String::from_utf8_lossy(bytes);
    Source { name: "recipe.toml".to_owned(), text: text.as_ref().into() }
}

fn told<T>(outcome: &Result<T, Faults>) -> String {
    match outcome {
        Ok(_) => "ok".to_owned(),
        Err(faults) => {
            let texts: Vec<String> = faults.0.iter().map(|fault| fault.to_text()).collect();
            assert!(texts.iter().all(|text| !text.contains('\u{1b}')));
            faults.0.iter().map(|fault| fault.code).collect::<Vec<_>>().join(" ")
        }
    }
}

pub(crate) fn recipe(bytes: &[u8], _: &Path) -> String {
    let file = source(bytes);
    let below = file.clone();
    let set = String::from_utf8_lossy(bytes).lines().next().unwrap_or_default().to_owned();
    let layers = |set| Layers { file: file.clone(), environment: Vec::new(), set };
    let alone = resolve(&layers(Vec::new()), &mut |_, _| Ok(below.clone()));
    let assigned = resolve(&layers(vec![set]), &mut |_, _| Ok(below.clone()));
    let Ok(resolved) = &alone else { return [told(&alone), told(&assigned)].concat() };
    assert!(!resolved.to_toml().is_empty());
    [told(&check_trials(resolved)), told(&assigned)].concat()
}

pub(crate) fn experiment(bytes: &[u8], _: &Path) -> String {
    let file = source(bytes);
    let _is = is_experiment(&file);
    let read = Experiment::read(&file);
    let Ok(experiment) = &read else { return told(&read) };
    let base = Source { name: "base.toml".to_owned(), text: "name = \"base\"\n".into() };
    let layers = Layers { file: base.clone(), environment: Vec::new(), set: Vec::new() };
    let stack = Stack::read(&layers, &mut |_, _| Ok(base.clone()));
    let Ok(stack) = &stack else { return told(&stack) };
    told(&experiment.expand(stack))
}

pub(crate) fn expression(bytes: &[u8], _: &Path) -> String {
    let text = String::from_utf8_lossy(bytes);
    let compiled = Expression::compile(&text);
    let Ok(expression) = &compiled else { return held(&compiled) };
    let values = [("a", json!(1)), ("seed", json!(2)), ("method", json!("sft")), ("b", json!(0.5))];
    held(&expression.holds(values.iter().map(|(name, value)| (*name, value))))
}

fn held<T>(outcome: &Result<T, ExpressionError>) -> String {
    outcome.as_ref().map_or_else(ToString::to_string, |_| "ok".to_owned())
}

pub(crate) fn script(bytes: &[u8], _: &Path) -> String {
    let text = String::from_utf8_lossy(bytes);
    let compiled = Script::compile("hook.rhai", &text);
    let Ok(script) = &compiled else { return said(&compiled) };
    let mut all = String::new();
    for moment in Moment::ALL.into_iter().filter(|moment| script.has(*moment)) {
        let arguments: Vec<Value> =
            moment.parameters().iter().map(|parameter| argument(parameter)).collect();
        all.push_str(&said(&script.call(moment, &arguments)));
    }
    all
}

/// Something of the form that hooks are given.
fn argument(parameter: &str) -> Value {
    let response = json!({
        "text": "step 1: 2 + 3 = 5\nanswer \\boxed{\\frac{1}{2}} 7 cm", "answer": "5", "gold": "5",
        "tokens": 9, "correct": true, "score": 0.5, "finish": "stop", "question": "2 + 3?",
        "category": "sums", "choices": ["5", "6"], "rank": 0, "logprob": -1.5, "scores": [0.5, 1.0],
        "sample": 0, "prompt": 3, "split": "train", "prediction": "5", "reward": 1.0, "steps": ["a"],
    });
    match parameter {
        "answer" | "gold" => json!("5"),
        "candidates" | "responses" => json!([response, response]),
        "history" => json!([
            { "iteration": 0, "accuracy": 0.5, "temperature": 1.0, "pass_at_k": 0.75, "entropy": 0.1 },
            { "iteration": 1, "accuracy": 0.625, "temperature": 0.9, "pass_at_k": 0.5, "entropy": 0 },
        ]),
        _ => response,
    }
}
