//! `monitor`: Pass@K on the validation prompts.

use super::failure::failed;
use super::policy::{Resident, TrainerState, write_metrics};
use super::prompts::Prompts;
use super::rollout::{Draw, respond};
use crate::base::Seed;
use crate::data::{Sample, table};
use crate::engine::Device;
use crate::plan::{Monitor, Port};
use crate::rewards::{mean, pass_at_k};
use crate::run::{Context, Stop};
use serde_json::{Map, json};
use std::collections::BTreeMap;

pub(super) fn run(
    options: &Monitor,
    (resident, prompts, device): (&mut Resident, &mut Prompts, Device),
    context: &Context<'_>,
) -> Result<(), Stop> {
    let artifact = context.input(Port::Policy)?;
    let step = TrainerState::of(artifact)?.step;
    let policy = resident.policy(artifact, options.dtype, device)?;
    let samples = prompts.samples(context.input(Port::Prompts)?, "validation")?;
    let samples: Vec<&Sample> = samples.iter().collect();
    let draw = Draw {
        samples: options.samples,
        temperature: options.temperature,
        seed: Seed(options.seed),
        ..Draw::greedy(options.max_new_tokens)
    };
    let rollouts = respond(policy, &samples, &draw, context)?;
    let bytes = table::encode(&rollouts).map_err(failed)?;
    context.results().write("rollouts.parquet", &bytes)?;

    let mut right: BTreeMap<u64, u32> = BTreeMap::new();
    for rollout in &rollouts {
        *right.entry(rollout.prompt).or_default() += u32::from(rollout.correct);
    }
    let mut pass = Map::new();
    for k in
        (0..).map(|power| 1 << power).take_while(|k| *k < options.samples).chain([options.samples])
    {
        let each = right.values().filter_map(|&right| pass_at_k(options.samples, right, k));
        pass.insert(k.to_string(), json!(mean(each)));
    }
    let each = right.values().map(|&right| f64::from(right) / f64::from(options.samples));
    write_metrics(
        context,
        &json!({
            "split": "validation",
            "step": step,
            "k": options.samples,
            "samples": rollouts.len(),
            "temperature": options.temperature,
            "count": right.len(),
            "mean": mean(each),
            "pass": pass,
        }),
    )
}
