//! `score`: what the reward model says of every step of the rollouts that may be kept.
//!
//! Left out: wrong responses of labelled prompts, which the answer check drops whatever their scores.
//! Those of unlabelled prompts are all scored, since their votes are weighted.

use super::failure::failed;
use super::policy::{Resident, with_looked_up, write_metrics};
use super::prompts::Prompts;
use super::verifier::Verifier;
use crate::data::table::{self, Rollout};
use crate::engine::Device;
use crate::plan::{Port, Score};
use crate::rewards::mean;
use crate::run::{Context, Stop};
use serde_json::json;

pub(super) fn run(
    options: &Score,
    (resident, prompts, device): (&mut Resident, &mut Prompts, Device),
    context: &Context<'_>,
) -> Result<(), Stop> {
    resident.let_go();
    let artifact = context.input(Port::RewardModel)?;
    let verifier = Verifier::load(artifact, options.dtype, (prompts, device), context)?;
    let bytes = context.input(Port::Rollouts)?.read("rollouts.parquet")?;
    let mut rollouts: Vec<Rollout> = table::decode(&bytes).map_err(failed)?;
    let drawn = rollouts.len();
    rollouts.retain(|rollout| rollout.correct || rollout.gold.is_none());
    let samples = prompts.samples(context, "train")?;
    let scores = verifier.score(&rollouts, &samples, options, context)?;
    context.results().write("scores.parquet", &table::encode(&scores).map_err(failed)?)?;
    let steps: usize = scores.iter().map(|it| it.steps.len()).sum();
    let metrics = json!({
        "samples": drawn,
        "scored": scores.len(),
        "steps": steps,
        "mean": mean(scores.iter().map(|it| f64::from(it.score))),
    });
    let looked_up = verifier.policy.model.looked_up();
    write_metrics(context, &with_looked_up(metrics, looked_up, context))
}
