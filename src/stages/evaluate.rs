//! `evaluate`: greedy responses on a held-out split, and how many are right.

use super::benchmark;
use super::failure::failed;
use super::hooks::Hooks;
use super::measure::{StepShares, accuracy, by_prompt};
use super::policy::{Resident, TrainerState, with_looked_up, write_metrics};
use super::prompts::{Prompts, Sample};
use super::rollout::{Draw, respond};
use crate::data::{table, table::Finish};
use crate::engine::Device;
use crate::plan::{Evaluate, Port, Split};
use crate::recipe::benchmark_name;
use crate::run::{Context, Stop};
use serde_json::json;

pub(super) fn run(
    options: &Evaluate,
    (resident, prompts, device): (&mut Resident, &mut Prompts, Device),
    context: &Context<'_>,
) -> Result<(), Stop> {
    let artifact = context.input(Port::Policy)?;
    let step = TrainerState::of(artifact)?.step;
    let policy = resident.policy(context, options.dtype, (prompts, device))?;
    let split = match options.split {
        Split::Validation => "validation",
        Split::Test => "test",
    };
    let all = prompts.samples(context, split)?;
    let samples: Vec<&Sample> = all.iter().collect();
    let draw = Draw::greedy(options.max_new_tokens);
    let mut rollouts = respond(policy, &samples, &draw, context)?;
    let scored = match &options.benchmark {
        Some(name) => Some(benchmark::judge(name, &mut rollouts, context)?),
        None => None,
    };
    let bytes = table::encode(&rollouts).map_err(failed)?;
    context.results().write("rollouts.parquet", &bytes)?;

    let references = prompts.references(context, split)?;
    let shares = StepShares::of(rollouts.iter(), &by_prompt(&references));
    let tokens: usize = rollouts.iter().map(|rollout| rollout.tokens.len()).sum();
    let cut = rollouts.iter().filter(|rollout| rollout.finish == Finish::Length).count();
    let mut metrics = scored.unwrap_or_else(|| accuracy(&rollouts));
    let split = options.benchmark.as_deref().map_or(split, benchmark_name);
    metrics.insert("split".into(), json!(split));
    metrics.insert("step".into(), json!(step));
    metrics.insert("wrong_steps_share".into(), shares.wrong_steps_share());
    metrics.insert("steps_right".into(), shares.steps_right());
    metrics.insert("mean_tokens".into(), json!(tokens as f64 / rollouts.len().max(1) as f64));
    metrics.insert("truncated".into(), json!(cut));
    if let Some(numbers) = Hooks::of(context)?.metrics(&rollouts, &all, split)? {
        metrics.insert("hook".into(), numbers);
    }
    write_metrics(context, &with_looked_up(metrics, policy.model.looked_up(), context))
}
