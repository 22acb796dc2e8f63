//! `stop`: whether the evolution goes on, from what was measured of each policy so far; and what is
//! left to do of the stages that come after it has ended.
//!
//! The graph is as long as the recipe says. Of what is skipped nothing is computed: a `train` hands
//! the last policy on, so that whoever reads the last iteration finds it, the rest says only since
//! when.

use super::failure::{failure, json};
use super::hooks::Hooks;
use super::policy::{hand_on, write_metrics};
use crate::plan::{Port, Stage, StopRule};
use crate::recipe::StopMetric;
use crate::rewards::standing;
use crate::run::{Context, Part, Stop, Task};
use crate::store::Artifact;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// What it knows: the file of the artifact.
const FILE: &str = "stop.json";

/// What was measured so far, and what follows from it.
#[derive(Default, Serialize, Deserialize)]
struct Known {
    /// A map of each policy that was measured.
    history: Vec<Value>,
    /// The iteration after which the evolution ended.
    stopped_after: Option<u32>,
}

pub(super) fn run(options: &StopRule, context: &Context<'_>) -> Result<(), Stop> {
    let mut known = match context.optional_input(Port::Stop) {
        Some(before) => Known::of(before)?,
        None => Known::default(),
    };
    known.history.push(Value::Object(measured(options.iteration, context)?));
    let values = known.history.iter().map(|it| match options.rule.metric {
        StopMetric::Accuracy => it["greedy"].as_f64(),
        StopMetric::Pass => it["pass"].as_f64(),
    });
    let values: Vec<f64> = values.collect::<Option<_>>().ok_or_else(|| {
        let hint = "draw samples with `evaluation.pass_samples = 16`";
        failure("Pass@K was not measured, and `training.stop.metric` goes by it", hint)
    })?;
    let standing = standing(&values, options.rule.min_delta).expect("something was measured");
    let patience = options.rule.patience as usize;
    let is_over = patience > 0 && standing.since >= patience;
    let by_script = Hooks::of(context)?.stops(&known.history, options.iteration)?;
    let reason = if options.iteration == 0 {
        None
    } else if is_over {
        Some(format!("{} evaluations without a gain", standing.since))
    } else {
        by_script.then(|| "the script said so".to_owned())
    };
    known.stopped_after = reason.as_ref().map(|_| options.iteration);
    if let Some(reason) = &reason {
        let iteration = options.iteration;
        context.note(format!("the evolution stops after iteration {iteration}: {reason}"));
    }
    let metrics = json!({
        "best": known.history[standing.best]["iteration"],
        "since": standing.since,
        "stopped_after": known.stopped_after,
        "reason": reason,
    });
    context.results().write(FILE, &json(&known))?;
    write_metrics(context, &metrics)
}

impl Known {
    fn of(artifact: &Artifact) -> Result<Self, Stop> {
        serde_json::from_slice(&artifact.read(FILE)?).map_err(|error| {
            let reason = format!("`{FILE}` of {} cannot be read: {error}", artifact.key());
            failure(reason, "it was written by another version of mstar: run again in a new store")
        })
    }
}

/// What is known of a policy, as scripts see it.
fn measured(iteration: u32, context: &Context<'_>) -> Result<Map<String, Value>, Stop> {
    let mut map = Map::from_iter([("iteration".to_owned(), json!(iteration))]);
    let read = |port: Port| context.optional_input(port).map(metrics).transpose();
    let evaluated = metrics(context.input(Port::Evaluated)?)?;
    let [monitored, explored, selected] =
        [read(Port::Monitored)?, read(Port::Rollouts)?, read(Port::Selected)?];
    map.insert("greedy".into(), evaluated["accuracy"].clone());
    map.insert("step".into(), evaluated["step"].clone());
    let of =
        |from: &Option<Value>, name: &str| from.as_ref().map_or(Value::Null, |it| it[name].clone());
    let k = of(&monitored, "k");
    let pass = monitored.as_ref().map_or(Value::Null, |it| it["pass"][k.to_string()].clone());
    map.extend([("k".to_owned(), k), ("pass".to_owned(), pass)]);
    map.insert("reward_pass".into(), of(&monitored, "reward_pass"));
    map.insert("mean".into(), of(&monitored, "mean"));
    for name in ["temperature", "solved", "mean_correct"] {
        map.insert(name.to_owned(), of(&explored, name));
    }
    map.insert("kept".into(), of(&selected, "kept"));
    Ok(map)
}

/// What a stage measured.
pub(super) fn metrics(artifact: &Artifact) -> Result<Value, Stop> {
    serde_json::from_slice(&artifact.read("metrics.json")?).map_err(|error| {
        let reason = format!("`metrics.json` of {} cannot be read: {error}", artifact.key());
        failure(reason, "it was written by another version of mstar: run again in a new store")
    })
}

/// The iteration after which the evolution ended, if a stage comes after that.
pub(super) fn reached(context: &Context<'_>) -> Result<Option<u32>, Stop> {
    match context.optional_input(Port::Stop) {
        Some(before) => Ok(Known::of(before)?.stopped_after),
        None => Ok(None),
    }
}

/// Does what is left of a stage after the evolution ended.
pub(super) fn skip(task: &Task, after: u32, context: &Context<'_>) -> Result<(), Stop> {
    if matches!(task.part, Part::Shard(_)) {
        return Ok(());
    }
    match &task.node.stage {
        Stage::Stop(_) => {
            let known = Known::of(context.input(Port::Stop)?)?;
            context.results().write(FILE, &json(&known))?;
        }
        Stage::Train(_) => {
            hand_on(context.input(Port::After)?, context)?;
            context.note(format!("skipped: the evolution stopped after iteration {after}"));
        }
        _ => {}
    }
    write_metrics(context, &json!({ "stopped_after": after }))
}
