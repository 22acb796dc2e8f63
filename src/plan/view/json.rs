//! `plan --format json`: a contract that scripts rely on.

use crate::base::Key;
use crate::plan::{MemberSummary, Outlook, State, Totals};
use serde::Serialize;
use std::collections::BTreeSet;

/// Version of this form.
const FORMAT: u32 = 1;

#[derive(Serialize)]
struct Plan<'a> {
    format: u32,
    members: &'a [MemberSummary],
    stages: Vec<Stage<'a>>,
    totals: Totals,
}

#[derive(Serialize)]
struct Stage<'a> {
    key: Key,
    kind: &'a str,
    name: &'a str,
    needs: BTreeSet<Key>,
    members: &'a BTreeSet<String>,
    state: State,
    why: &'a str,
    estimate: Estimate,
}

#[derive(Serialize)]
struct Estimate {
    samples: Option<u64>,
    tokens: Option<u64>,
    steps: Option<u64>,
    seconds: Option<f64>,
}

/// The plan as JSON with line breaks.
pub fn json(outlook: &Outlook<'_>) -> String {
    let stages = outlook.stages().map(|planned| Stage {
        key: planned.node.key,
        kind: planned.node.stage.kind(),
        name: &planned.node.name,
        needs: planned.node.inputs.values().copied().collect(),
        members: &planned.node.members,
        state: planned.standing.state,
        why: &planned.standing.why,
        estimate: Estimate {
            samples: planned.estimate.samples,
            tokens: planned.estimate.tokens,
            steps: planned.estimate.steps,
            seconds: planned.estimate.seconds,
        },
    });
    let plan = Plan {
        format: FORMAT,
        members: &outlook.members,
        stages: stages.collect(),
        totals: outlook.totals(),
    };
    let mut text =
        serde_json::to_string_pretty(&plan).expect("numbers, text and lists become JSON");
    text.push('\n');
    text
}
