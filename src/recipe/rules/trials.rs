//! What must hold of the tests that a recipe holds, as far as no file is needed to say it.
//!
//! It is checked when somebody checks or tests a recipe. A run passes over it: what is laid over a
//! recipe may leave a test without sense, and tests decide nothing of a run.

use super::EMBEDDED_SOURCE;
use crate::{
    base::{Fault, Faults},
    recipe::{Expectation, Method, Resolved, RewardModel, Select, WrittenTrial, check::quoted},
};
use std::collections::BTreeSet;

/// What the name of a sample of files begins with.
const OF_FILES: &str = "data:";

/// Checks the tests of a recipe.
///
/// # Errors
/// Every test that gives too little, expects nothing, or expects what nobody can compute without a
/// trained model.
pub fn check_trials(resolved: &Resolved) -> Result<(), Faults> {
    let mut faults = Vec::new();
    for written in resolved.trials() {
        let known = faults.len();
        for rule in RULES {
            // What is wrong with a test often breaks several rules; the first is the one to mend.
            if faults.len() == known {
                faults.extend(rule(written, resolved));
            }
        }
    }
    let mut names = BTreeSet::new();
    for written in resolved.trials() {
        if !names.insert(&written.trial.name) {
            let message = "another test has this name".to_owned();
            let hint = "give each a name of its own";
            faults.push(written.fault("repeated-test", "name", message, hint));
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(Faults(faults)) }
}

const RULES: &[fn(&WrittenTrial, &Resolved) -> Option<Fault>] = &[
    something_is_expected,
    nothing_is_said_twice,
    samples_are_known,
    files_are_inside,
    responses_are_given,
    candidates_are_given,
    prompts_have_a_question,
    rewards_are_computed,
    ranks_have_scores,
    kept_candidates_exist,
    so_many_can_be_kept,
];

fn something_is_expected(written: &WrittenTrial, _: &Resolved) -> Option<Fault> {
    let hint = "write `expect = { answer = \"7\", correct = true }`, or another of its keys: \
        `mstar explain test.expect`";
    (written.trial.expect == Expectation::default())
        .then(|| written.fault("incomplete-test", "expect", "nothing is expected".into(), hint))
}

fn nothing_is_said_twice(written: &WrittenTrial, _: &Resolved) -> Option<Fault> {
    let pairs = [("response", "response_file"), ("sample", "question"), ("sample", "category")];
    let (one, other) = pairs
        .into_iter()
        .find(|(one, other)| written.is_written(one) && written.is_written(other))?;
    let message = format!("`{one}` and `{other}` say the same thing");
    Some(written.fault("contradictory-test", other, message, "keep one of them"))
}

fn samples_are_known(written: &WrittenTrial, resolved: &Resolved) -> Option<Fault> {
    rows_are_of_files(written, resolved).or_else(|| builtin_samples_are_known(written, resolved))
}

fn rows_are_of_files(written: &WrittenTrial, resolved: &Resolved) -> Option<Fault> {
    let sample = written.trial.sample.as_deref().filter(|it| it.starts_with(OF_FILES))?;
    let fault =
        |message, hint: &str| Some(written.fault("unknown-sample", "sample", message, hint));
    let source = &resolved.recipe.data.source;
    if sample_of_files(sample).is_none() {
        let message = format!("there is no sample `{}`", quoted(sample));
        return fault(message, "write `sample = \"data:0\"`, with a number from 0");
    }
    let has_files = source.split_once(':').is_some_and(|(format, _)| format != "builtin");
    let message = format!("`{}` is a sample of files, and the recipe has none", quoted(sample));
    let hint = match source == EMBEDDED_SOURCE {
        true => "write `sample = \"builtin:mini-vista/train/0\"`",
        false => WRITE_OUT,
    };
    if has_files { None } else { fault(message, hint) }
}

/// The number of a sample of the recipe's files, such as `data:17`.
pub fn sample_of_files(name: &str) -> Option<u64> {
    let number = name.strip_prefix(OF_FILES)?;
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse().ok().filter(|_| is_plain)
}

const WRITE_OUT: &str = "write the sample out: `question = \"…\"` and `gold = \"…\"`";

fn builtin_samples_are_known(written: &WrittenTrial, resolved: &Resolved) -> Option<Fault> {
    let sample = written.trial.sample.as_deref().filter(|it| it.starts_with("builtin:"))?;
    let hint = "write `sample = \"builtin:mini-vista/train/0\"`, with `train`, `validation` or `test` \
        and a number from 0";
    if builtin_sample(sample).is_none() {
        let message = format!("there is no sample `{}`", quoted(sample));
        return Some(written.fault("unknown-sample", "sample", message, hint));
    }
    let source = &resolved.recipe.data.source;
    (source != EMBEDDED_SOURCE).then(|| {
        let message =
            format!("`{}` is no sample of `{}`, the recipe's data", quoted(sample), quoted(source));
        let hint = match source.split_once(':') {
            Some(_) => "write `sample = \"data:0\"` for the first sample of its files",
            None => WRITE_OUT,
        };
        written.fault("unknown-sample", "sample", message, hint)
    })
}

/// Split and number of a sample of the embedded task, such as `builtin:mini-vista/train/17`.
pub fn builtin_sample(name: &str) -> Option<(&str, u64)> {
    let rest = name.strip_prefix(EMBEDDED_SOURCE)?.strip_prefix('/')?;
    let (split, number) = rest.split_once('/')?;
    let is_known = ["train", "validation", "test"].contains(&split);
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit());
    Some((split, number.parse().ok()?)).filter(|_| is_known && is_plain)
}

/// Whether a sample is named by a file that holds it.
pub fn is_file(sample: &str) -> bool {
    !sample.starts_with("builtin:") && !sample.starts_with(OF_FILES)
}

fn files_are_inside(written: &WrittenTrial, _: &Resolved) -> Option<Fault> {
    let trial = &written.trial;
    let sample = trial.sample.as_ref().filter(|it| is_file(it));
    let files = [("sample", sample), ("response_file", trial.response_file.as_ref())];
    let (key, path) = files
        .into_iter()
        .find_map(|(key, path)| Some((key, path.filter(|it| super::leaves(it))?)))?;
    let message = format!("`{key}` leaves the folder of the recipe: `{}`", quoted(path));
    let hint = "keep the file beside the recipe, and name it without `..`";
    Some(written.fault("file-outside", key, message, hint))
}

fn responses_are_given(written: &WrittenTrial, _: &Resolved) -> Option<Fault> {
    let trial = &written.trial;
    let expect = &trial.expect;
    let reads_one = [
        ("answer", expect.answer.is_some()),
        ("correct", expect.correct.is_some()),
        ("reward", expect.reward.is_some()),
    ];
    let is_given = trial.response.is_some() || trial.response_file.is_some();
    let reader = reads_one.into_iter().find(|(_, is_read)| *is_read);
    match reader {
        Some((key, _)) if !is_given => {
            let message = format!("`{key}` is expected, and there is no response");
            let hint = "write `response = \"…\"`, or `response_file = \"…\"`";
            Some(written.fault("incomplete-test", &format!("expect.{key}"), message, hint))
        }
        None if is_given => {
            let key = if trial.response.is_some() { "response" } else { "response_file" };
            let message = format!("`{key}` has no effect");
            let hint = "expect its `answer`, whether it is `correct`, or its `reward`";
            Some(written.fault("no-effect", key, message, hint))
        }
        _ => None,
    }
}

fn candidates_are_given(written: &WrittenTrial, resolved: &Resolved) -> Option<Fault> {
    let trial = &written.trial;
    let key = kept_key(written);
    match key {
        None if trial.candidate.is_empty() => None,
        None => {
            let message = "candidates have no effect".to_owned();
            let hint = "expect which are `kept`, or `kept_count`";
            Some(written.fault("no-effect", "candidate", message, hint))
        }
        Some(key) if trial.candidate.is_empty() => {
            let message = format!("`{key}` is expected, and there is nothing to keep");
            let hint = "write `[[test.candidate]]` with a `response`, once for each";
            Some(written.fault("incomplete-test", &format!("expect.{key}"), message, hint))
        }
        Some(key) => {
            let training = &resolved.recipe.training;
            let selects = training.method != Method::Sft && training.iterations > 0;
            let message = format!("`{key}` is expected of a recipe that selects nothing");
            let hint = "leave it out: the recipe has no iterations";
            let fault = || written.fault("untestable", &format!("expect.{key}"), message, hint);
            (!selects).then(fault)
        }
    }
}

/// The key by which a test asks for a selection.
fn kept_key(written: &WrittenTrial) -> Option<&'static str> {
    let expect = &written.trial.expect;
    let kept = expect.kept.as_ref().map(|_| "kept");
    kept.or_else(|| expect.kept_count.map(|_| "kept_count"))
}

fn prompts_have_a_question(written: &WrittenTrial, _: &Resolved) -> Option<Fault> {
    let trial = &written.trial;
    let is_known = trial.question.is_some() || trial.sample.is_some();
    (trial.expect.prompt.is_some() && !is_known).then(|| {
        let message = "`prompt` is expected, and there is no question".to_owned();
        let hint = "write `question = \"…\"`, or name a `sample`";
        written.fault("incomplete-test", "expect.prompt", message, hint)
    })
}

fn rewards_are_computed(written: &WrittenTrial, resolved: &Resolved) -> Option<Fault> {
    written.trial.expect.reward?;
    let hint = match resolved.recipe.reward.model {
        RewardModel::Hook => return None,
        RewardModel::Answer => "expect `correct`: the reward of this recipe is the answer match",
        RewardModel::Outcome | RewardModel::Process => {
            "what a trained model says is not known without it: give candidates a `score`, and expect \
             which are `kept`"
        }
    };
    let message = "`reward` is expected of a recipe without `reward.model = \"hook\"`".to_owned();
    Some(written.fault("untestable", "expect.reward", message, hint))
}

fn ranks_have_scores(written: &WrittenTrial, resolved: &Resolved) -> Option<Fault> {
    let reward = &resolved.recipe.reward;
    let candidates = &written.trial.candidate;
    let ranks = matches!(reward.select, Select::Top(_) | Select::Above(_));
    let is_modelled = matches!(reward.model, RewardModel::Outcome | RewardModel::Process);
    let missing = candidates.iter().position(|it| it.score.is_none());
    if let Some(place) = missing.filter(|_| is_modelled && ranks) {
        let message = format!("candidate {place} has no `score`, by which `reward.select` chooses");
        let hint = "the reward model is not there to ask: write what it might say";
        return Some(written.fault("untestable", &format!("candidate.{place}"), message, hint));
    }
    let place = candidates.iter().position(|it| it.score.is_some()).filter(|_| !is_modelled)?;
    let message = format!("the `score` of candidate {place} has no effect");
    let hint = match reward.model {
        RewardModel::Hook => "leave it out: the function `reward` scores",
        _ => "leave it out: the recipe has no reward model",
    };
    Some(written.fault("no-effect", &format!("candidate.{place}.score"), message, hint))
}

fn kept_candidates_exist(written: &WrittenTrial, _: &Resolved) -> Option<Fault> {
    let count = written.trial.candidate.len();
    let kept = written.trial.expect.kept.as_ref()?;
    let place = kept.iter().position(|number| *number as usize >= count)?;
    let message = format!("there is no candidate {}", kept[place]);
    let hint = format!("they are numbered from 0 to {}", count - 1);
    Some(written.fault("unknown-candidate", &format!("expect.kept.{place}"), message, &hint))
}

fn so_many_can_be_kept(written: &WrittenTrial, _: &Resolved) -> Option<Fault> {
    let impossible = |key: &str, message: String, hint: &str| {
        Some(written.fault("contradictory-test", key, message, hint))
    };
    let (kept, count) = (written.trial.expect.kept.as_deref(), written.trial.expect.kept_count);
    let kept_twice =
        kept.and_then(|kept| (1..kept.len()).find(|&at| kept[..at].contains(&kept[at])));
    if let (Some(at), Some(kept)) = (kept_twice, kept) {
        let message = format!("candidate {} is expected to be kept twice", kept[at]);
        return impossible(&format!("expect.kept.{at}"), message, "name it once");
    }
    let (count, candidates) = (count? as usize, written.trial.candidate.len());
    if count > candidates {
        let message = format!("{count} are expected to be kept, and there are {candidates}");
        return impossible(
            "expect.kept_count",
            message,
            "lower `kept_count`, or give more candidates",
        );
    }
    let named = kept?.len();
    let message = format!("`kept` names {named}, and `kept_count` says {count}");
    (named != count).then(|| impossible("expect.kept_count", message, "keep one of them"))?
}
