//! Responses of a run for people: which stage drew them, what they answer, which were kept and why.

mod picture;
mod text;

pub(crate) use picture::half_blocks;
pub(crate) use text::{Screen, in_words, screen, to_json};

use super::exit::Trouble;
use super::planning::{self, PlannedGraph, of_store};
use crate::data::{
    Reference, Sample, mini_vista,
    table::{self, Choice, Finish, ResponseScores, Rollout, Stored, TableError, stored_prompts},
};
use crate::plan::{Branch, Evaluate, Graph, Node, Port, Split, Stage};
use crate::store::{Artifact, Run, Store};
use crate::{base::Key, base::Seed};
use rand::seq::SliceRandom as _;
use std::collections::BTreeMap;

/// Which samples to walk through.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// The member; needed where there are several.
    pub(crate) member: Option<String>,
    /// The iteration; else the last that has samples.
    pub(crate) iteration: Option<u32>,
    /// The stage by name, above all else.
    pub(crate) stage: Option<String>,
    /// `train`, `validation` or `test`; else test, then validation, then train.
    pub(crate) split: Option<&'static str>,
    /// Only right responses, or only wrong ones.
    pub(crate) correct: Option<bool>,
    /// Only what was kept, or only what was not.
    pub(crate) kept: Option<bool>,
    /// At most so many prompts.
    pub(crate) limit: usize,
    /// Draws the prompts; else the first ones.
    pub(crate) seed: Option<u64>,
}

/// Samples of one stage.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    /// The run.
    pub(crate) run: String,
    /// The member.
    pub(crate) member: String,
    /// The stage that drew the responses.
    pub(crate) stage: String,
    /// Its kind.
    pub(crate) kind: &'static str,
    /// The split of its prompts.
    pub(crate) split: &'static str,
    /// Its iteration.
    pub(crate) iteration: u32,
    /// Prompts of which some response is as wanted.
    pub(crate) prompt_count: usize,
    /// Responses as wanted.
    pub(crate) response_count: usize,
    /// The first of the prompts, or those drawn.
    pub(crate) prompts: Vec<Prompt>,
}

/// A prompt with the responses that are as wanted.
#[derive(Clone, Debug)]
pub(crate) struct Prompt {
    /// The question, its picture and its answer.
    pub(crate) sample: Sample,
    /// The responses.
    pub(crate) responses: Vec<Response>,
}

/// A response and all that is known of it.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    /// As it was drawn.
    pub(crate) rollout: Rollout,
    /// Its steps; the checker's word on each where there is a reference.
    pub(crate) steps: Vec<Step>,
    /// What comes after them: what it says the answer is.
    pub(crate) end: String,
    /// Whether all steps are right and none is missing.
    pub(crate) steps_right: Option<bool>,
    /// What the selection said, where there was one: `kept`, or why not.
    pub(crate) choice: Option<String>,
}

/// A step of a response.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// What it says.
    pub(crate) text: String,
    /// What the checker says.
    pub(crate) right: Option<bool>,
    /// What the reward model says, where there is one that scores these steps.
    pub(crate) score: Option<f64>,
}

/// Reads the samples that are wanted of a run.
pub(crate) fn walk(store: &Store, run: &Run, wanted: &Wanted) -> Result<Walk, Trouble> {
    let planned = planned(run)?;
    let member = member(run, &planned, wanted)?;
    let (node, split) = stage(store, run, &planned, &member, wanted)?;
    let choices = choices(store, &planned.graph, Some(&member), node)?;
    if wanted.kept.is_some() && choices.is_none() {
        let message = format!("no selection of `{}` is in the store", node.name);
        return Err(Trouble::wrong(
            message,
            "leave out `--kept` and `--dropped`, or name a stage \
            that explores, such as `--stage 'explore 1'`",
        ));
    }
    let rollouts: Vec<Rollout> = read(store, node.key, "rollouts.parquet")?;
    let chosen = choices.unwrap_or_default();
    let scores = scores(store, &planned.graph, &member, node)?;
    let is_wanted = |rollout: &&Rollout| {
        let choice = chosen.get(&(rollout.prompt, rollout.sample)).map(String::as_str);
        wanted.correct.is_none_or(|correct| rollout.correct == correct)
            && wanted.kept.is_none_or(|kept| (choice == Some("kept")) == kept)
    };
    let mut by_prompt: indexmap::IndexMap<u64, Vec<&Rollout>> = indexmap::IndexMap::new();
    for rollout in rollouts.iter().filter(is_wanted) {
        by_prompt.entry(rollout.prompt).or_default().push(rollout);
    }
    let (prompt_count, response_count) = (by_prompt.len(), by_prompt.values().map(Vec::len).sum());
    let mut ids: Vec<u64> = by_prompt.keys().copied().collect();
    if let Some(seed) = wanted.seed {
        ids.shuffle(&mut Seed(seed).named("rollouts").generator());
    }
    ids.truncate(wanted.limit);
    let prompts = match node.inputs.get(&Port::Prompts) {
        Some(prompts) => pictured(store, *prompts, split, &ids)?,
        None => BTreeMap::new(),
    };
    let prompts = ids.into_iter().filter_map(|id| {
        let (sample, reference) = prompts.get(&id)?;
        let responses = by_prompt[&id].iter().map(|rollout| Response {
            choice: chosen.get(&(rollout.prompt, rollout.sample)).cloned(),
            ..judged(rollout, reference.as_ref(), scores.get(&(rollout.prompt, rollout.sample)))
        });
        Some(Prompt { sample: sample.clone(), responses: responses.collect() })
    });
    let prompts = prompts.collect();
    Ok(Walk {
        run: run.id().to_owned(),
        member,
        stage: node.name.clone(),
        kind: node.stage.kind(),
        split,
        iteration: node.role.iteration,
        prompt_count,
        response_count,
        prompts,
    })
}

/// The graph of a run as it was planned.
pub(crate) fn planned(run: &Run) -> Result<PlannedGraph, Trouble> {
    let again = "its record was altered, or written by another mstar: run the recipe again";
    let text = super::recorded::if_there(run.graph()).map_err(of_store)?;
    let text = text.ok_or_else(|| {
        Trouble::wrong(format!("the record of `{}` has no `graph.json`", run.id()), again)
    })?;
    serde_json::from_str(&text).map_err(|error| {
        let message = format!("`graph.json` of `{}` cannot be read: {error}", run.id());
        Trouble::wrong(message, again)
    })
}

/// The member that was named, or the only one.
fn member(run: &Run, planned: &PlannedGraph, wanted: &Wanted) -> Result<String, Trouble> {
    let mut names: Vec<String> = planned.members.iter().map(|it| it.name.clone()).collect();
    if names.is_empty() {
        // Before members were written down, a run had one.
        names.extend(planned.graph.nodes().next().and_then(|it| it.members.first().cloned()));
    }
    let what = format!("member of `{}`", run.id());
    match (&wanted.member, names.as_slice()) {
        (Some(name), _) => Ok(planning::find_named(&what, name, &names, |it| it)?.clone()),
        (None, [one]) => Ok(one.clone()),
        (None, []) => Err(Trouble::wrong(format!("`{}` has no stages", run.id()), "run it again")),
        (None, several) => {
            let message = format!("`{}` has {} members", run.id(), several.len());
            let hint = format!("name one with `--member`, such as `--member {}`", several[0]);
            Err(Trouble::wrong(message, hint))
        }
    }
}

/// The split that a stage answers prompts of; `None` when it answers none.
fn split_of(stage: &Stage) -> Option<&'static str> {
    match stage {
        Stage::Explore(_) => Some("train"),
        Stage::Evaluate(Evaluate { split: Split::Test, .. }) => Some("test"),
        Stage::Evaluate(Evaluate { split: Split::Validation, .. }) | Stage::Monitor(_) => {
            Some("validation")
        }
        _ => None,
    }
}

/// The stage whose responses are wanted.
fn stage<'a>(
    store: &Store,
    run: &Run,
    planned: &'a PlannedGraph,
    member: &str,
    wanted: &Wanted,
) -> Result<(&'a Node, &'static str), Trouble> {
    let of_member = planned.graph.nodes().filter(|node| node.members.contains(member));
    let answering: Vec<(&Node, &str)> =
        of_member.filter_map(|node| Some((node, split_of(&node.stage)?))).collect();
    if let Some(name) = &wanted.stage {
        let what = format!("stage of `{}` that draws responses", run.id());
        let found = planning::find_named(&what, name, &answering, |it| &it.0.name)?;
        return match store.artifact(found.0.key).map_err(of_store)? {
            Some(_) => Ok(*found),
            None => Err(not_stored(&format!("`{}`", found.0.name))),
        };
    }
    // Without a word on the split, a question about what was kept is one about what was explored.
    let split = wanted.split.or(wanted.kept.map(|_| "train"));
    let fits = |(node, of): &&(&Node, &str)| {
        !matches!(node.role.branch, Branch::Control | Branch::Reward)
            && !matches!(
                node.stage,
                Stage::Monitor(_) | Stage::Evaluate(Evaluate { benchmark: Some(_), .. })
            )
            && split.is_none_or(|split| split == *of)
            && wanted.iteration.is_none_or(|iteration| iteration == node.role.iteration)
    };
    let mut fitting: Vec<&(&Node, &str)> = answering.iter().filter(fits).collect();
    let rank = |of: &str| ["train", "validation", "test"].iter().position(|split| *split == of);
    fitting.sort_by_key(|(node, of)| (rank(of), node.role.iteration));
    if fitting.is_empty() {
        let last = answering.iter().map(|(node, _)| node.role.iteration).max().unwrap_or(0);
        let hint = format!("iterations go from 0 to {last}; `--stage` names any stage");
        return Err(Trouble::wrong(format!("no stage of `{}` answered that", run.id()), hint));
    }
    for (node, of) in fitting.into_iter().rev() {
        // What came after an early stop drew nothing.
        let stored = store.artifact(node.key).map_err(of_store)?;
        if stored.is_some_and(|artifact| artifact.contains("rollouts.parquet")) {
            return Ok((node, of));
        }
    }
    Err(not_stored("what was asked for"))
}

fn not_stored(what: &str) -> Trouble {
    Trouble::wrong(
        format!("the responses of {what} are not in the store"),
        "`mstar run` makes what is missing",
    )
}

/// What a selection said, by prompt and sample.
pub(crate) type Choices = BTreeMap<(u64, u32), String>;

/// What the selection that read a stage's responses said of each; `None` where there is none.
pub(crate) fn choices(
    store: &Store,
    graph: &Graph,
    member: Option<&str>,
    drawn: &Node,
) -> Result<Option<Choices>, Trouble> {
    let is_of = |node: &&Node| {
        matches!(node.stage, Stage::Select(_))
            && member.is_none_or(|member| node.members.contains(member))
            && node.inputs.get(&Port::Rollouts) == Some(&drawn.key)
    };
    let Some(select) = graph.nodes().find(is_of) else { return Ok(None) };
    let artifact = store.artifact(select.key).map_err(of_store)?;
    if !artifact.is_some_and(|artifact| artifact.contains("choices.parquet")) {
        return Ok(None);
    }
    let choices: Vec<Choice> = read(store, select.key, "choices.parquet")?;
    Ok(Some(choices.into_iter().map(|it| ((it.prompt, it.sample), it.verdict)).collect()))
}

/// What the reward model said of the steps of a stage's responses; empty where it said nothing.
fn scores(
    store: &Store,
    graph: &Graph,
    member: &str,
    drawn: &Node,
) -> Result<BTreeMap<(u64, u32), Vec<f32>>, Trouble> {
    let is_of = |node: &&Node| {
        matches!(node.stage, Stage::Score(_))
            && node.members.contains(member)
            && node.inputs.get(&Port::Rollouts) == Some(&drawn.key)
    };
    let Some(score) = graph.nodes().find(is_of) else { return Ok(BTreeMap::new()) };
    let scores: Vec<ResponseScores> = read(store, score.key, "scores.parquet")?;
    Ok(scores.into_iter().map(|it| ((it.prompt, it.sample), it.steps)).collect())
}

/// Prompts by id, each with its reference where the source has one.
pub(crate) fn pictured(
    store: &Store,
    prepared: Key,
    split: &str,
    ids: &[u64],
) -> Result<BTreeMap<u64, (Sample, Option<Reference>)>, Trouble> {
    let samples = prompts(store, prepared, split)?;
    let references: Vec<Reference> = read(store, prepared, &format!("{split}-references.parquet"))?;
    let mut references: BTreeMap<u64, Reference> =
        references.into_iter().map(|reference| (reference.id, reference)).collect();
    let wanted: std::collections::BTreeSet<u64> = ids.iter().copied().collect();
    let found = samples.into_iter().filter(|sample| wanted.contains(&sample.id));
    let with_reference = |sample: Sample<Stored>| {
        let reference = references.remove(&sample.id);
        Ok((sample.id, (with_pictures(sample)?, reference)))
    };
    found.map(with_reference).collect()
}

/// The prompts of a split, their pictures unread; none where the split is not there.
pub(crate) fn prompts(
    store: &Store,
    prepared: Key,
    split: &str,
) -> Result<Vec<Sample<Stored>>, Trouble> {
    let name = format!("{split}.parquet");
    let artifact: Option<Artifact> = store.artifact(prepared).map_err(of_store)?;
    let Some(artifact) = artifact.filter(|artifact| artifact.contains(&name)) else {
        return Ok(Vec::new());
    };
    let path = artifact.path(&name).map_err(of_store)?;
    let file = std::fs::File::open(&path).map_err(|error| {
        let message = format!("cannot open `{}`: {error}", path.display());
        Trouble::wrong(message, "look at the permissions of the store")
    })?;
    stored_prompts(file, &path).map_err(|error| unreadable(&name, prepared, &error))
}

/// A prompt with its pictures.
pub(crate) fn with_pictures(sample: Sample<Stored>) -> Result<Sample, Trouble> {
    let images = sample.images.read().map_err(|error| {
        let message = format!("the pictures of prompt {}: {error}", sample.id);
        Trouble::wrong(message, "run it again")
    })?;
    Ok(sample.with_images(images.to_vec()))
}

/// A response with its steps, the checker's word on them, and their scores where the reward model
/// cuts steps as the checker does: one for each, and one for the answer.
fn judged(rollout: &Rollout, reference: Option<&Reference>, scores: Option<&Vec<f32>>) -> Response {
    let gold = rollout.gold.as_deref().unwrap_or_default();
    let verdict = reference.map(|it| mini_vista::judge(it, gold, &rollout.response));
    let mut parts = mini_vista::parts(&rollout.response);
    let end = parts.pop().unwrap_or_default();
    let scores = scores.filter(|scores| scores.len() == parts.len() + 1);
    let steps = parts.into_iter().enumerate().map(|(at, text)| Step {
        text,
        right: verdict.as_ref().and_then(|verdict| verdict.steps.get(at).copied()),
        score: scores.map(|scores| f64::from(scores[at])),
    });
    Response {
        rollout: rollout.clone(),
        steps: steps.collect(),
        end,
        steps_right: verdict.as_ref().map(|verdict| verdict.all),
        choice: None,
    }
}

/// Whether a response was cut.
fn is_cut(rollout: &Rollout) -> bool {
    rollout.finish == Finish::Length
}

/// The rows of a table in an artifact; none where artifact or table are not there.
pub(crate) fn read<R: table::Row>(store: &Store, key: Key, name: &str) -> Result<Vec<R>, Trouble> {
    let artifact: Option<Artifact> = store.artifact(key).map_err(of_store)?;
    let Some(artifact) = artifact.filter(|artifact| artifact.contains(name)) else {
        return Ok(Vec::new());
    };
    let bytes = artifact.read(name).map_err(of_store)?;
    table::decode(&bytes).map_err(|error| unreadable(name, key, &error))
}

fn unreadable(name: &str, key: Key, error: &TableError) -> Trouble {
    let message = format!("`{name}` of artifact {}: {error}", key.short());
    Trouble::wrong(message, "run it again")
}
