//! `explore`: draws rollouts for a slice of the labelled prompts and one of the unlabelled ones, shard
//! by shard, as the recipe says or as a balance chose. What a search drew on the same prompts in the
//! same way is taken over.
//!
//! A rationalisation reads rollouts: it draws for the prompts without a right one among them, numbers
//! its samples after theirs, and keeps both.
//!
//! Left out: scores, which `score` adds, and any choice, which `select` makes.

use super::balance;
use super::failure::{failed, failure, json};
use super::measure::unanswered;
use super::policy::{Policy, Resident, with_looked_up, write_metrics};
use super::prompts::{Prompts, Sample};
use super::rollout::{Draw, respond};
use crate::base::Seed;
use crate::data::table::{self, Rollout};
use crate::engine::Device;
use crate::plan::{Drawn, Explore, Port, Setting};
use crate::run::{Context, Stop};
use crate::store::Artifact;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// What explorations go by of responses that others drew, kept from shard to shard: each would have
/// to decode all of them for a few.
#[derive(Default)]
pub(super) struct Others {
    earlier: Option<(Artifact, Rc<Earlier>)>,
    /// With the place of the draw among those of the search.
    searched: Option<(Artifact, usize, Rc<Searched>)>,
}

/// What a rationalisation goes by of the rollouts before it.
#[derive(Default)]
struct Earlier {
    /// By labelled prompt, whether any of its responses is right.
    solved: BTreeMap<u64, bool>,
    /// Number of the first sample after theirs.
    next_sample: u32,
}

/// Responses of one draw of a search, by prompt.
type Searched = BTreeMap<u64, Vec<Rollout>>;

/// Draws one shard.
pub(super) fn shard(
    options: &Explore,
    shard: u64,
    others: &mut Others,
    (resident, prompts, device): (&mut Resident, &mut Prompts, Device),
    context: &Context<'_>,
) -> Result<(), Stop> {
    let policy = resident.policy(context, options.dtype, (prompts, device))?;
    let samples = prompts.samples(context, "train")?;
    let earlier = others.earlier(context)?;
    let is_left = |sample: &&Sample| !earlier.solved.get(&sample.id).copied().unwrap_or(false);
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
    let Setting { drawn, samples: each, .. } = setting(options, context)?;
    let draw = Draw {
        samples: each,
        first_sample: earlier.next_sample,
        temperature: drawn.temperature,
        top_p: drawn.top_p,
        top_k: drawn.top_k,
        min_p: drawn.min_p,
        max_new_tokens: options.max_new_tokens,
        seed: Seed(options.seed),
        hint: options.hint,
    };
    let rollouts = match others.taken_over(options, drawn, context)? {
        None => respond(policy, &chosen, &draw, context)?,
        Some(searched) => complete(policy, &chosen, &draw, &searched, context)?,
    };
    if context.optional_input(Port::Features).is_some() {
        context.work().write(&pictures_name(shard), &json(&policy.model.looked_up()))?;
    }
    let bytes = table::encode(&rollouts).map_err(failed)?;
    Ok(context.work().write(&shard_name(shard), &bytes)?)
}

/// Puts the shards together, in their order, behind the rollouts before them. Nothing is kept then:
/// what comes next is a training, which wants the room.
pub(super) fn gather(
    options: &Explore,
    others: &mut Others,
    context: &Context<'_>,
) -> Result<(), Stop> {
    let mut others = std::mem::take(others);
    let mut all = rollouts_before(context)?;
    let before = all.len();
    for shard in 0..options.shards() {
        let name = shard_name(shard);
        let bytes = context.work().read(&name)?;
        let bytes = bytes.ok_or_else(|| {
            failure(format!("`{name}` is gone"), "run again: it will be drawn again")
        })?;
        all.extend(table::decode::<Rollout>(&bytes).map_err(failed)?);
    }
    let bytes = table::encode(&all).map_err(failed)?;
    context.results().write("rollouts.parquet", &bytes)?;
    // The measurements are of what was drawn here.
    let rollouts = &all[before..];
    let solved = solved(rollouts);
    let right = judged(rollouts).filter(|rollout| rollout.correct).count();
    let tokens: usize = rollouts.iter().map(|rollout| rollout.tokens.len()).sum();
    let share = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
    let drawn = setting(options, context)?.drawn;
    let prompts: BTreeSet<u64> = rollouts.iter().map(|rollout| rollout.prompt).collect();
    let mut metrics = json!({
        "prompts": prompts.len(),
        "samples": rollouts.len(),
        "tokens": tokens,
        "solved": share(solved.values().filter(|solved| **solved).count(), solved.len()),
        "mean_correct": share(right, judged(rollouts).count()),
        "unanswered": unanswered(rollouts),
        "temperature": drawn.temperature,
    });
    if let Some(searched) = others.taken_over(options, drawn, context)? {
        let is_of_it = |it: &&Rollout| {
            let had = searched.get(&it.prompt);
            had.is_some_and(|had| (it.sample as usize) < had.len())
        };
        metrics["taken_over"] = json!(rollouts.iter().filter(is_of_it).count());
    }
    write_metrics(context, &with_looked_up(metrics, looked_up(options, context)?, context))
}

/// Pictures that the shards saw without the vision tower.
fn looked_up(options: &Explore, context: &Context<'_>) -> Result<u64, Stop> {
    let mut pictures = 0;
    for shard in 0..options.shards() {
        let bytes = context.work().read(&pictures_name(shard))?.unwrap_or_default();
        pictures += serde_json::from_slice::<u64>(&bytes).unwrap_or(0);
    }
    Ok(pictures)
}

/// The rollouts that a rationalisation goes on from; none without the port.
fn rollouts_before(context: &Context<'_>) -> Result<Vec<Rollout>, Stop> {
    match context.optional_input(Port::Rollouts) {
        Some(artifact) => table::decode(&artifact.read("rollouts.parquet")?).map_err(failed),
        None => Ok(Vec::new()),
    }
}

/// Responses whose answers can be compared already; those of unlabelled prompts are by `select`.
fn judged(rollouts: &[Rollout]) -> impl Iterator<Item = &Rollout> {
    rollouts.iter().filter(|rollout| rollout.gold.is_some())
}

/// By labelled prompt, whether any of its responses is right.
fn solved(rollouts: &[Rollout]) -> BTreeMap<u64, bool> {
    let mut solved: BTreeMap<u64, bool> = BTreeMap::new();
    for rollout in judged(rollouts) {
        *solved.entry(rollout.prompt).or_default() |= rollout.correct;
    }
    solved
}

impl Others {
    fn earlier(&mut self, context: &Context<'_>) -> Result<Rc<Earlier>, Stop> {
        let Some(artifact) = context.optional_input(Port::Rollouts) else {
            return Ok(Rc::default());
        };
        if let Some((_, earlier)) = self.earlier.as_ref().filter(|(of, _)| is_same(of, artifact)) {
            return Ok(Rc::clone(earlier));
        }
        let rollouts = rollouts_before(context)?;
        let next_sample = rollouts.iter().map(|rollout| rollout.sample + 1).max().unwrap_or(0);
        let earlier = Rc::new(Earlier { solved: solved(&rollouts), next_sample });
        self.earlier = Some((artifact.clone(), Rc::clone(&earlier)));
        Ok(earlier)
    }

    /// Responses of the search that were drawn as the exploration draws; `None` where it takes over
    /// none, also since a setting that stays in use need not have been searched.
    fn taken_over(
        &mut self,
        options: &Explore,
        drawn: Drawn,
        context: &Context<'_>,
    ) -> Result<Option<Rc<Searched>>, Stop> {
        let Some(search) = context.optional_input(Port::Search) else { return Ok(None) };
        let Some(place) = options.searched.iter().position(|it| *it == drawn) else {
            return Ok(None);
        };
        let is_it = |(of, at, _): &&(Artifact, usize, _)| *at == place && is_same(of, search);
        if let Some((_, _, searched)) = self.searched.as_ref().filter(is_it) {
            return Ok(Some(Rc::clone(searched)));
        }
        let bytes = search.read("rollouts.parquet")?;
        let all: Vec<Rollout> = table::decode(&bytes).map_err(failed)?;
        let each = all.len() / options.searched.len();
        let mut searched = Searched::new();
        for rollout in all.into_iter().skip(place * each).take(each) {
            searched.entry(rollout.prompt).or_default().push(rollout);
        }
        let searched = Rc::new(searched);
        self.searched = Some((search.clone(), place, Rc::clone(&searched)));
        Ok(Some(searched))
    }
}

/// Whether it is the same artifact still: one that was found altered was made again since.
fn is_same(one: &Artifact, other: &Artifact) -> bool {
    one.manifest() == other.manifest()
}

/// Draws what the search has not: further samples of its prompts, and all of the others. A response
/// depends on its prompt, its number and the seed alone, so that they are those of a draw of all.
fn complete(
    policy: &Policy,
    chosen: &[&Sample],
    draw: &Draw,
    searched: &Searched,
    context: &Context<'_>,
) -> Result<Vec<Rollout>, Stop> {
    let (known, others): (Vec<&Sample>, Vec<&Sample>) =
        chosen.iter().partition(|sample| searched.contains_key(&sample.id));
    let had = known.first().map_or(0, |sample| searched[&sample.id].len() as u32);
    let mut drawn: BTreeMap<u64, Vec<Rollout>> = BTreeMap::new();
    let further = Draw { first_sample: had, samples: draw.samples.saturating_sub(had), ..*draw };
    for (samples, draw) in [(known, &further), (others, draw)] {
        if samples.is_empty() || draw.samples == 0 {
            continue;
        }
        for rollout in respond(policy, &samples, draw, context)? {
            drawn.entry(rollout.prompt).or_default().push(rollout);
        }
    }
    let all = chosen.iter().flat_map(|sample| {
        let had = searched.get(&sample.id).into_iter().flatten();
        let mut rollouts: Vec<Rollout> = had.take(draw.samples as usize).cloned().collect();
        rollouts.extend(drawn.remove(&sample.id).unwrap_or_default());
        rollouts
    });
    Ok(all.collect())
}

/// How to draw: as the recipe says, but for what a balance chose.
fn setting(options: &Explore, context: &Context<'_>) -> Result<Setting, Stop> {
    let &Explore { temperature, top_p, top_k, min_p, samples, .. } = options;
    let drawn = Drawn { temperature, top_p, top_k, min_p };
    let said = Setting { drawn, samples, threshold: None };
    match context.optional_input(Port::Temperature) {
        Some(balance) => balance::setting(balance, said),
        None => Ok(said),
    }
}

fn pictures_name(shard: u64) -> String {
    format!("shard-{shard:05}-pictures.json")
}

fn shard_name(shard: u64) -> String {
    format!("shard-{shard:05}.parquet")
}
