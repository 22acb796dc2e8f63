//! `select`: the answer filter, then the rule; what is left is what the policy is trained on. Beside
//! it stands, of every response, what became of it.
//!
//! Left out: scores. The answer reward gives none, so rules that rank need a reward model.

use super::failure::{failed, json};
use super::hooks::Hooks;
use super::measure::{StepShares, by_prompt};
use super::prompts::Prompts;
use crate::base::Seed;
use crate::data::table::{self, Choice, Rollout, TrainingExample};
use crate::plan::{Port, Select};
use crate::recipe;
use crate::rewards::{Candidate, Rule, Selection, Verdict, select};
use crate::run::{Context, Stop};
use serde_json::json;
use std::collections::BTreeSet;
use std::rc::Rc;

pub(super) fn run(
    options: &Select,
    prompts: &mut Prompts,
    context: &Context<'_>,
) -> Result<(), Stop> {
    let bytes = context.input(Port::Rollouts)?.read("rollouts.parquet")?;
    let rollouts: Vec<Rollout> = table::decode(&bytes).map_err(failed)?;
    let mut candidates: Vec<Candidate<'_>> = rollouts.iter().map(candidate).collect();
    let hooks = Hooks::of(context)?;
    let samples = match options.hooks {
        Some(_) => prompts.samples(context.input(Port::Prompts)?, "train")?,
        None => Rc::default(),
    };
    hooks.score(&rollouts, &samples, &mut candidates)?;
    let seed = Seed(options.seed);
    let cap = (options.keep_per_prompt > 0).then_some(options.keep_per_prompt);
    let mut selection =
        select(&candidates, rule(options.rule), options.distinct, cap, seed).map_err(failed)?;
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
    let metrics = json!({
        "rollouts": rollouts.len(),
        "correct": correct,
        "duplicates": correct - distinct.len(),
        "kept": kept.len(),
        "prompts_with_kept": with_kept.len(),
        "wrong_steps_share": shares.wrong_steps_share(),
    });
    Ok(results.write("metrics.json", &json(&metrics))?)
}

fn candidate(rollout: &Rollout) -> Candidate<'_> {
    Candidate {
        prompt: rollout.prompt,
        sample: rollout.sample,
        response: &rollout.response,
        correct: rollout.correct,
        score: None,
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
