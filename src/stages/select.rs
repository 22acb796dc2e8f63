//! `select`: answers for unlabelled prompts, the answer filter, then the rule; what is left is what the policy is trained on. Beside
//! it stands, of every response, what became of it.
//!
//! Left out: scoring. Rules that rank read what `score` said.

use super::balance;
use super::failure::{failed, json};
use super::hooks::Hooks;
use super::measure::{StepShares, by_prompt};
use super::prompts::Prompts;
use super::pseudo_answers::{Finder, Scores};
use crate::base::Seed;
use crate::data::table::{self, Choice, PseudoAnswer, ResponseScores, Rollout, TrainingExample};
use crate::judging::{self, Terms};
use crate::plan::{Port, Select};
use crate::rewards::{Rule, Selection, Verdict, mean};
use crate::run::{Context, Stop};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::rc::Rc;

pub(super) fn run(
    options: &Select,
    prompts: &mut Prompts,
    context: &Context<'_>,
) -> Result<(), Stop> {
    let bytes = context.input(Port::Rollouts)?.read("rollouts.parquet")?;
    let mut rollouts: Vec<Rollout> = table::decode(&bytes).map_err(failed)?;
    let scores = scores(context)?;
    let hooks = Hooks::of(context)?;
    let samples = match options.hooks {
        Some(_) => prompts.samples(context, "train")?,
        None => Rc::default(),
    };
    let pseudo = match options.pseudo_answer {
        Some(way) => {
            let finder = Finder::new(way, (&scores, &samples, &hooks), context)?;
            Some(finder.answer(&mut rollouts)?)
        }
        None => None,
    };
    let mut candidates = judging::candidates(&rollouts, &scores);
    let threshold = match context.optional_input(Port::Temperature) {
        Some(balance) => balance::threshold(balance)?,
        None => None,
    };
    let terms = Terms {
        rule: threshold.map_or_else(|| judging::rule(options.rule), Rule::Above),
        distinct: options.distinct,
        keep_per_prompt: options.keep_per_prompt,
        keep: options.keep,
        seed: Seed(options.seed),
    };
    let selection = hooks.select(&rollouts, &samples, &mut candidates, terms)?;
    let Selection { kept, mut verdicts } = selection;
    for (rollout, verdict) in rollouts.iter().zip(&mut verdicts) {
        if rollout.gold.is_none() {
            *verdict = Verdict::NoPseudoAnswer;
        }
    }
    let examples: Vec<TrainingExample> =
        (0..).zip(&kept).map(|(id, &index)| example(id, &rollouts[index])).collect();
    let bytes = table::encode(&examples).map_err(failed)?;
    let results = context.results();
    results.write("selected.parquet", &bytes)?;
    let choices: Vec<Choice> = rollouts.iter().zip(verdicts).map(choice).collect();
    results.write("choices.parquet", &table::encode(&choices).map_err(failed)?)?;

    let references = prompts.references(context, "train")?;
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
    if let Some(pseudo) = pseudo {
        results.write("pseudo-answers.parquet", &table::encode(&pseudo).map_err(failed)?)?;
        let kept = kept.iter().map(|&index| rollouts[index].prompt);
        metrics["unlabelled"] = unlabelled(&pseudo, kept, context);
    }
    Ok(results.write("metrics.json", &json(&metrics))?)
}

/// What became of the unlabelled prompts; `kept` are the prompts of the responses that were kept.
fn unlabelled(
    pseudo: &[PseudoAnswer],
    kept: impl Iterator<Item = u64>,
    context: &Context<'_>,
) -> Value {
    let prompts: BTreeSet<u64> = pseudo.iter().map(|it| it.prompt).collect();
    let answered = pseudo.iter().filter(|it| it.answer.is_some()).count();
    if answered == 0 && !pseudo.is_empty() {
        let count = pseudo.len();
        context.note(format!("none of {count} unlabelled prompts has a pseudo answer"));
    }
    let kept: Vec<u64> = kept.filter(|prompt| prompts.contains(prompt)).collect();
    json!({
        "prompts": pseudo.len(),
        "answered": answered,
        "agreeing": pseudo.iter().map(|it| it.agreeing).sum::<u32>(),
        "kept": kept.len(),
        "prompts_with_kept": kept.iter().collect::<BTreeSet<_>>().len(),
    })
}

fn scores(context: &Context<'_>) -> Result<Scores, Stop> {
    let Some(artifact) = context.optional_input(Port::Scores) else { return Ok(Scores::new()) };
    let scores: Vec<ResponseScores> =
        table::decode(&artifact.read("scores.parquet")?).map_err(failed)?;
    Ok(scores.into_iter().map(|it| ((it.prompt, it.sample), f64::from(it.score))).collect())
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
