//! `score`: what the reward model says of every step of every rollout.
//!
//! Left out: any use of the answer. Scores are of right and wrong responses alike, since votes and
//! Reward-Pass@K rank all of them; `select` drops the wrong ones.

use super::failure::failed;
use super::policy::write_metrics;
use super::prompts::Prompts;
use super::verifier::Verifier;
use crate::data::table::{self, ResponseScores, Rollout};
use crate::engine::Device;
use crate::plan::{Port, Score};
use crate::rewards::mean;
use crate::run::{Context, Stop};
use serde_json::json;

pub(super) fn run(
    options: &Score,
    (prompts, device): (&mut Prompts, Device),
    context: &Context<'_>,
) -> Result<(), Stop> {
    let verifier = Verifier::load(context.input(Port::RewardModel)?, options.dtype, device)?;
    let bytes = context.input(Port::Rollouts)?.read("rollouts.parquet")?;
    let rollouts: Vec<Rollout> = table::decode(&bytes).map_err(failed)?;
    let samples = prompts.samples(context, "train")?;
    let scores = verifier.score(&rollouts, &samples, options, context)?;
    context.results().write("scores.parquet", &table::encode(&scores).map_err(failed)?)?;
    let mean_of = |right: bool| {
        let of_those =
            rollouts.iter().zip(&scores).filter(|(it, _)| it.gold.is_some() && it.correct == right);
        mean(of_those.map(|(_, it): (_, &ResponseScores)| f64::from(it.score)))
    };
    let steps: usize = scores.iter().map(|it| it.steps.len()).sum();
    write_metrics(
        context,
        &json!({
            "samples": scores.len(),
            "steps": steps,
            "mean_right": mean_of(true),
            "mean_wrong": mean_of(false),
        }),
    )
}
