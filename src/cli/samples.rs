//! Some prompts with what the policy answered before and after, for the report.

use super::exit::Trouble;
use super::rollouts::{choices, in_words, pictured, prompts, read, with_pictures};
use crate::base::{Hint, Key};
use crate::data::{
    Reference, Sample, mini_vista,
    preview::{png, side_by_side},
    table::Rollout,
};
use crate::plan::{Branch, Evaluate, Graph, Node, Port, Split, Stage};
use crate::report::{Answer, SampleView};
use crate::store::Store;
use std::collections::BTreeMap;

/// Samples of each sort: right, right with a wrong step, wrong.
const OF_EACH: usize = 6;

/// Samples from the last evaluation whose responses are in the store, preferably on test, and from
/// the last exploration that was selected from.
pub(crate) fn samples(store: &Store, graph: &Graph) -> Result<Vec<SampleView>, Trouble> {
    let mut views = evaluated(store, graph)?;
    views.extend(explored(store, graph)?);
    Ok(views)
}

/// Right responses that were explored: some that were kept to train on, and some that were not.
fn explored(store: &Store, graph: &Graph) -> Result<Vec<SampleView>, Trouble> {
    let explorations = graph.nodes().filter(|node| matches!(node.stage, Stage::Explore(_)));
    let mut last = None;
    for node in explorations {
        if let Some(choices) = choices(store, graph, None, node)? {
            last = Some((node, choices));
        }
    }
    let Some((node, choices)) = last else { return Ok(Vec::new()) };
    let Some(prompts) = node.inputs.get(&Port::Prompts) else { return Ok(Vec::new()) };
    let rollouts: Vec<Rollout> = read(store, node.key, "rollouts.parquet")?;
    let mut counts = [0; 2];
    let mut chosen: BTreeMap<u64, (Rollout, &String)> = BTreeMap::new();
    for rollout in rollouts.into_iter().filter(|rollout| rollout.correct) {
        let Some(choice) = choices.get(&(rollout.prompt, rollout.sample)) else { continue };
        let count = &mut counts[usize::from(choice == "kept")];
        if *count < OF_EACH && !chosen.contains_key(&rollout.prompt) {
            *count += 1;
            chosen.insert(rollout.prompt, (rollout, choice));
        }
    }
    let ids: Vec<u64> = chosen.keys().copied().collect();
    let pictured = pictured(store, *prompts, "train", &ids)?;
    let view = |(id, (sample, reference)): (u64, (Sample, Option<Reference>))| {
        let (rollout, choice) = &chosen[&id];
        let answer = judge(rollout, reference.as_ref());
        let choice = Some((*choice == "kept", in_words(choice)));
        view_of(&sample, node.role.iteration, "train", answer, choice)
    };
    pictured.into_iter().map(view).collect()
}

fn view_of(
    sample: &Sample,
    iteration: u32,
    split: &str,
    answer: Answer,
    choice: Option<(bool, String)>,
) -> Result<SampleView, Trouble> {
    let image = side_by_side(&sample.images).map_or(Ok(Vec::new()), |image| png(&image));
    let image = image
        .map_err(|error| Trouble::wrong(error.to_string(), error.hint().unwrap_or_default()))?;
    Ok(SampleView {
        iteration,
        split: split.to_owned(),
        id: sample.id.to_string(),
        category: sample.category.clone(),
        question: sample.question.clone(),
        image,
        gold: sample.answer.clone().unwrap_or_default(),
        answer,
        before: None,
        choice,
    })
}

fn evaluated(store: &Store, graph: &Graph) -> Result<Vec<SampleView>, Trouble> {
    let evaluations: Vec<&Node> = graph
        .nodes()
        .filter(|node| node.role.branch != Branch::Control && split_of(node).is_some())
        .filter(|node| has_responses(store, node.key))
        .collect();
    let last = evaluations.iter().max_by_key(|node| (node.role.iteration, split_of(node)));
    let Some(last) = last else { return Ok(Vec::new()) };
    let first = evaluations.iter().find(|node| {
        node.role.iteration == 0 && node.role != last.role && split_of(node) == split_of(last)
    });
    let Some(prepared) = last.inputs.get(&Port::Prompts) else { return Ok(Vec::new()) };
    let split = if split_of(last) == Some(Split::Test) { "test" } else { "validation" };
    let samples = prompts(store, *prepared, split)?;
    let references: Vec<Reference> =
        read(store, *prepared, &format!("{split}-references.parquet"))?;
    let after = responses(store, last.key)?;
    let before = match first {
        Some(first) => responses(store, first.key)?,
        None => BTreeMap::new(),
    };
    let references: BTreeMap<u64, &Reference> =
        references.iter().map(|reference| (reference.id, reference)).collect();
    let mut counts: BTreeMap<(bool, Option<bool>), usize> = BTreeMap::new();
    let mut views = Vec::new();
    for sample in samples {
        let reference = references.get(&sample.id).copied();
        let Some(answer) = after.get(&sample.id).map(|rollout| judge(rollout, reference)) else {
            continue;
        };
        let sort = (answer.correct, answer.steps_right.filter(|_| answer.correct));
        let count = counts.entry(sort).or_default();
        if *count >= OF_EACH {
            continue;
        }
        *count += 1;
        views.push(SampleView {
            before: before.get(&sample.id).map(|rollout| judge(rollout, reference)),
            ..view_of(&with_pictures(sample)?, last.role.iteration, split, answer, None)?
        });
    }
    Ok(views)
}

/// Whether a stage is stored with its responses: what was skipped has none.
fn has_responses(store: &Store, key: Key) -> bool {
    let stored = store.artifact(key);
    stored.is_ok_and(|it| it.is_some_and(|artifact| artifact.contains("rollouts.parquet")))
}

fn split_of(node: &Node) -> Option<Split> {
    match &node.stage {
        Stage::Evaluate(Evaluate { split, benchmark: None, .. }) => Some(*split),
        _ => None,
    }
}

fn judge(rollout: &Rollout, reference: Option<&Reference>) -> Answer {
    let gold = rollout.gold.as_deref().unwrap_or_default();
    Answer {
        response: rollout.response.clone(),
        predicted: rollout.extracted.clone(),
        correct: rollout.correct,
        steps_right: reference
            .map(|reference| mini_vista::judge(reference, gold, &rollout.response).all),
    }
}

fn responses(store: &Store, key: Key) -> Result<BTreeMap<u64, Rollout>, Trouble> {
    let rollouts: Vec<Rollout> = read(store, key, "rollouts.parquet")?;
    Ok(rollouts.into_iter().map(|rollout| (rollout.prompt, rollout)).collect())
}
