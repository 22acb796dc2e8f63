//! `explore`: draws rollouts for a slice of the labelled prompts, shard by shard, at the temperature
//! of the recipe or at the one that a balance chose. A rationalisation reads rollouts: it draws for
//! the prompts without a right one among them, numbers its samples after theirs, and keeps both.
//!
//! Left out: scores, which `score` adds, and any choice, which `select` makes.

use super::balance;
use super::failure::{failed, failure};
use super::policy::{Resident, write_metrics};
use super::prompts::Prompts;
use super::rollout::{Draw, respond};
use crate::base::Seed;
use crate::data::Sample;
use crate::data::table::{self, Rollout};
use crate::engine::Device;
use crate::plan::{Explore, Port};
use crate::run::{Context, Stop};
use serde_json::json;
use std::collections::BTreeMap;

/// Draws one shard.
pub(super) fn shard(
    options: &Explore,
    shard: u64,
    (resident, prompts, device): (&mut Resident, &mut Prompts, Device),
    context: &Context<'_>,
) -> Result<(), Stop> {
    let policy = resident.policy(context.input(Port::Policy)?, options.dtype, device)?;
    let samples = prompts.samples(context.input(Port::Prompts)?, "train")?;
    let earlier = earlier(context)?;
    let solved = solved(&earlier);
    let is_left = |sample: &&Sample| !solved.get(&sample.id).copied().unwrap_or(false);
    let mut chosen: Vec<&Sample> = options
        .shard(shard)
        .into_iter()
        .map(|index| {
            samples.get(index as usize).ok_or_else(|| {
                let reason = format!("prompt {index} of {} does not exist", samples.len());
                failure(reason, "plan again: the prompts are not those that were planned")
            })
        })
        .collect::<Result<_, _>>()?;
    chosen.retain(is_left);
    let draw = Draw {
        samples: options.samples,
        first_sample: earlier.iter().map(|rollout| rollout.sample + 1).max().unwrap_or(0),
        temperature: temperature(options, context)?,
        top_p: options.top_p,
        top_k: options.top_k,
        min_p: options.min_p,
        max_new_tokens: options.max_new_tokens,
        seed: Seed(options.seed),
        hint: options.hint,
    };
    let rollouts = respond(policy, &chosen, &draw, context)?;
    let bytes = table::encode(&rollouts).map_err(failed)?;
    Ok(context.work().write(&shard_name(shard), &bytes)?)
}

/// Puts the shards together, in their order.
pub(super) fn gather(options: &Explore, context: &Context<'_>) -> Result<(), Stop> {
    let mut rollouts: Vec<Rollout> = Vec::new();
    for shard in 0..options.shards() {
        let name = shard_name(shard);
        let bytes = context.work().read(&name)?;
        let bytes = bytes.ok_or_else(|| {
            failure(format!("`{name}` is gone"), "run again: it will be drawn again")
        })?;
        rollouts.extend(table::decode::<Rollout>(&bytes).map_err(failed)?);
    }
    let solved = solved(&rollouts);
    let right = rollouts.iter().filter(|rollout| rollout.correct).count();
    let tokens: usize = rollouts.iter().map(|rollout| rollout.tokens.len()).sum();
    let share = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
    // The measurements are of what was drawn here.
    let mut all = earlier(context)?;
    all.extend(rollouts.iter().cloned());
    let bytes = table::encode(&all).map_err(failed)?;
    context.results().write("rollouts.parquet", &bytes)?;
    write_metrics(
        context,
        &json!({
            "prompts": solved.len(),
            "samples": rollouts.len(),
            "tokens": tokens,
            "solved": share(solved.values().filter(|solved| **solved).count(), solved.len()),
            "mean_correct": share(right, rollouts.len()),
            "temperature": temperature(options, context)?,
        }),
    )
}

/// The rollouts that a rationalisation goes on from; none without the port.
fn earlier(context: &Context<'_>) -> Result<Vec<Rollout>, Stop> {
    match context.optional_input(Port::Rollouts) {
        Some(artifact) => table::decode(&artifact.read("rollouts.parquet")?).map_err(failed),
        None => Ok(Vec::new()),
    }
}

/// By prompt, whether any of its responses is right.
fn solved(rollouts: &[Rollout]) -> BTreeMap<u64, bool> {
    let mut solved: BTreeMap<u64, bool> = BTreeMap::new();
    for rollout in rollouts {
        *solved.entry(rollout.prompt).or_default() |= rollout.correct;
    }
    solved
}

/// The temperature to draw at.
fn temperature(options: &Explore, context: &Context<'_>) -> Result<f64, Stop> {
    match context.optional_input(Port::Temperature) {
        Some(chosen) => balance::temperature(chosen),
        None => Ok(options.temperature),
    }
}

fn shard_name(shard: u64) -> String {
    format!("shard-{shard:05}.parquet")
}
