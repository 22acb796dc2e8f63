//! Some prompts with what the policy answered before and after, for the report.

use super::exit::Trouble;
use super::planning::of_store;
use crate::base::{Hint, Key};
use crate::data::{Reference, Sample, mini_vista, preview::png, table, table::Rollout};
use crate::plan::{Branch, Evaluate, Graph, Node, Port, Split, Stage};
use crate::report::{Answer, SampleView};
use crate::store::{Artifact, Store};
use std::collections::BTreeMap;

/// Samples of each sort: right, right with a wrong step, wrong.
const OF_EACH: usize = 6;

/// Samples from the last evaluation whose responses are in the store, preferably on test.
pub(crate) fn samples(store: &Store, graph: &Graph) -> Result<Vec<SampleView>, Trouble> {
    let evaluations: Vec<&Node> = graph
        .nodes()
        .filter(|node| node.role.branch != Branch::Control && split_of(node).is_some())
        .filter(|node| matches!(store.artifact(node.key), Ok(Some(_))))
        .collect();
    let last = evaluations.iter().max_by_key(|node| (node.role.iteration, split_of(node)));
    let Some(last) = last else { return Ok(Vec::new()) };
    let first = evaluations.iter().find(|node| {
        node.role.iteration == 0 && node.role != last.role && split_of(node) == split_of(last)
    });
    let Some(prompts) = last.inputs.get(&Port::Prompts) else { return Ok(Vec::new()) };
    let split = if split_of(last) == Some(Split::Test) { "test" } else { "validation" };
    let samples: Vec<Sample> = read(store, *prompts, &format!("{split}.parquet"))?;
    let references: Vec<Reference> = read(store, *prompts, &format!("{split}-references.parquet"))?;
    let after = responses(store, last.key)?;
    let before = match first {
        Some(first) => responses(store, first.key)?,
        None => BTreeMap::new(),
    };
    let references: BTreeMap<u64, &Reference> =
        references.iter().map(|reference| (reference.id, reference)).collect();
    let mut counts: BTreeMap<(bool, Option<bool>), usize> = BTreeMap::new();
    let mut views = Vec::new();
    for sample in &samples {
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
        let image = png(&sample.image)
            .map_err(|error| Trouble::wrong(error.to_string(), error.hint().unwrap_or_default()))?;
        views.push(SampleView {
            iteration: last.role.iteration,
            split: split.to_owned(),
            id: sample.id.to_string(),
            category: sample.category.clone(),
            question: sample.question.clone(),
            image,
            gold: sample.answer.clone(),
            answer,
            before: before.get(&sample.id).map(|rollout| judge(rollout, reference)),
        });
    }
    Ok(views)
}

fn split_of(node: &Node) -> Option<Split> {
    match &node.stage {
        Stage::Evaluate(Evaluate { split, .. }) => Some(*split),
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
    let rollouts = rollouts(store, key)?;
    Ok(rollouts.into_iter().map(|rollout| (rollout.prompt, rollout)).collect())
}

/// The responses that a stage drew; none where they are no longer stored.
pub(super) fn rollouts(store: &Store, key: Key) -> Result<Vec<Rollout>, Trouble> {
    read(store, key, "rollouts.parquet")
}

/// The rows of a table in an artifact; none where artifact or table are not there.
fn read<R: table::Row>(store: &Store, key: Key, name: &str) -> Result<Vec<R>, Trouble> {
    let artifact: Option<Artifact> = store.artifact(key).map_err(of_store)?;
    let Some(artifact) = artifact.filter(|artifact| artifact.contains(name)) else {
        return Ok(Vec::new());
    };
    let bytes = artifact.read(name).map_err(of_store)?;
    table::decode(&bytes).map_err(|error| Trouble::wrong(error.to_string(), "run it again"))
}
