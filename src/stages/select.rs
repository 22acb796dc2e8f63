//! `select`: the answer filter, then the rule; what is left is what the policy is trained on. Beside
//! it stands, of every response, what became of it.
//!
//! Left out: scoring. Rules that rank read what `score` said.

use super::balance;
use super::failure::{failed, json};
use super::hooks::Hooks;
use super::measure::{StepShares, by_prompt};
use super::prompts::Prompts;
use crate::base::Seed;
use crate::data::table::{self, Choice, ResponseScores, Rollout, TrainingExample};
use crate::plan::{Port, Select};
use crate::recipe;
use crate::rewards::{Candidate, Rule, Selection, Verdict, mean, select};
use crate::run::{Context, Stop};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

pub(super) fn run(
    options: &Select,
    prompts: &mut Prompts,
    context: &Context<'_>,
) -> Result<(), Stop> {
    let bytes = context.input(Port::Rollouts)?.read("rollouts.parquet")?;
    let rollouts: Vec<Rollout> = table::decode(&bytes).map_err(failed)?;
    let scores = scores(context)?;
    let mut candidates: Vec<Candidate<'_>> =
        rollouts.iter().map(|rollout| candidate(rollout, &scores)).collect();
    let hooks = Hooks::of(context)?;
    let samples = match options.hooks {
        Some(_) => prompts.samples(context.input(Port::Prompts)?, "train")?,
        None => Rc::default(),
    };
    hooks.score(&rollouts, &samples, &mut candidates)?;
    let seed = Seed(options.seed);
    let cap = (options.keep_per_prompt > 0).then_some(options.keep_per_prompt);
    let threshold = match context.optional_input(Port::Temperature) {
        Some(balance) => balance::threshold(balance)?,
        None => None,
    };
    let rule = threshold.map_or_else(|| rule(options.rule), Rule::Above);
    let mut selection = select(&candidates, rule, options.distinct, cap, seed).map_err(failed)?;
    hooks.keep(&rollouts, &samples, &candidates, &mut selection)?;
    if options.keep > 0 {
        selection.cut(options.keep as usize, seed.named("keep"));
    }
    let Selection { kept, verdicts } = selection;
    let examples: Vec<TrainingExample> =
        (0..).zip(&kept).map(|(id, &index)| example(id, &rollouts[index])).collect();
    let bytes = table::encode(&examples).map_err(failed)?;
    let results = context.results();
    results.write("selected.parquet", &bytes)?;
    let choices: Vec<Choice> = rollouts.iter().zip(verdicts).map(choice).collect();
    results.write("choices.parquet", &table::encode(&choices).map_err(failed)?)?;

    let references = prompts.references(context.input(Port::Prompts)?, "train")?;
    let looked_at = kept.iter().map(|&index| &rollouts[index]);
    let shares = StepShares::of(looked_at, &by_prompt(&references));
    let correct = rollouts.iter().filter(|rollout| rollout.correct).count();
    let distinct: BTreeSet<(u64, &str)> = rollouts
        .iter()
        .filter(|rollout| rollout.correct)
        .map(|rollout| (rollout.prompt, rollout.response.as_str()))
        .collect();
    let with_kept: BTreeSet<u64> = kept.iter().map(|&index| rollouts[index].prompt).collect();
    let mut metrics = json!({
        "rollouts": rollouts.len(),
        "correct": correct,
        "duplicates": correct - distinct.len(),
        "kept": kept.len(),
        "prompts_with_kept": with_kept.len(),
        "wrong_steps_share": shares.wrong_steps_share(),
    });
    if let Some(threshold) = threshold {
        metrics["threshold"] = json!(threshold);
    }
    if !scores.is_empty() {
        let right = candidates.iter().filter(|candidate| candidate.correct);
        metrics["mean_score"] = json!(mean(right.filter_map(|it| it.score)));
        let kept = kept.iter().filter_map(|&index| candidates[index].score);
        metrics["mean_score_kept"] = json!(mean(kept));
    }
    Ok(results.write("metrics.json", &json(&metrics))?)
}

/// The score of each response by prompt and sample; empty without a reward model.
type Scores = BTreeMap<(u64, u32), f64>;

fn scores(context: &Context<'_>) -> Result<Scores, Stop> {
    let Some(artifact) = context.optional_input(Port::Scores) else { return Ok(Scores::new()) };
    let scores: Vec<ResponseScores> =
        table::decode(&artifact.read("scores.parquet")?).map_err(failed)?;
    Ok(scores.into_iter().map(|it| ((it.prompt, it.sample), f64::from(it.score))).collect())
}

fn candidate<'a>(rollout: &'a Rollout, scores: &Scores) -> Candidate<'a> {
    Candidate {
        prompt: rollout.prompt,
        sample: rollout.sample,
        response: &rollout.response,
        correct: rollout.correct,
        score: scores.get(&(rollout.prompt, rollout.sample)).copied(),
    }
}

fn choice((rollout, verdict): (&Rollout, Verdict)) -> Choice {
    let Rollout { prompt, sample, .. } = *rollout;
    Choice { prompt, sample, verdict: verdict.name().to_owned() }
}

fn example(id: u64, rollout: &Rollout) -> TrainingExample {
    TrainingExample {
        id,
        prompt: rollout.prompt,
        response: rollout.response.clone(),
        tokens: rollout.tokens.clone(),
    }
}

fn rule(rule: recipe::Select) -> Rule {
    match rule {
        recipe::Select::All => Rule::All,
        recipe::Select::Top(count) => Rule::Top(count),
        recipe::Select::Random(count) => Rule::Random(count),
        recipe::Select::Above(threshold) => Rule::Above(threshold),
    }
}
