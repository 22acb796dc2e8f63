//! `plan --format json`: a contract that scripts rely on.

use crate::base::Key;
use crate::plan::{self, MemberSummary, Outlook, State, Totals};
use serde::{Serialize, Serializer};
use std::collections::BTreeSet;

/// Version of this form.
const FORMAT: u32 = 1;

#[derive(Serialize)]
struct Plan<'a> {
    format: u32,
    members: &'a [MemberSummary],
    stages: Stages<'a>,
    totals: WithEstimates,
}

/// Written one by one: a grid may have a hundred thousand.
struct Stages<'a>(&'a Outlook<'a>);

impl Serialize for Stages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.stages().map(|planned| Stage {
            key: planned.node.key,
            kind: planned.node.stage.kind(),
            name: &planned.node.name,
            needs: planned.node.inputs.values().copied().collect(),
            members: &planned.node.members,
            state: planned.standing.state,
            why: planned.why(),
            estimate: (*planned.estimate).into(),
        }))
    }
}

#[derive(Serialize)]
struct Stage<'a> {
    key: Key,
    kind: &'a str,
    name: &'a str,
    needs: BTreeSet<Key>,
    members: &'a BTreeSet<String>,
    state: State,
    why: String,
    estimate: Estimate,
}

#[derive(Serialize)]
struct Estimate {
    samples: Option<u64>,
    tokens: Option<u64>,
    steps: Option<u64>,
    seconds: Option<f64>,
}

impl From<plan::Estimate> for Estimate {
    fn from(estimate: plan::Estimate) -> Self {
        let plan::Estimate { samples, tokens, steps, seconds, .. } = estimate;
        Self { samples, tokens, steps, seconds }
    }
}

#[derive(Serialize)]
struct WithEstimates {
    stages: usize,
    unique: usize,
    shared: usize,
    to_run: usize,
    /// What the members would cost apart.
    apart: Estimate,
    /// What sharing saves of that.
    saved: Estimate,
    /// Seconds until everything is done.
    seconds: Option<f64>,
}

/// The plan as JSON with line breaks.
pub fn json(outlook: &Outlook<'_>) -> String {
    let Totals { stages, unique, shared, to_run } = outlook.totals();
    let totals = WithEstimates {
        stages,
        unique,
        shared,
        to_run,
        apart: outlook.apart().into(),
        saved: outlook.saved().into(),
        seconds: outlook.elapsed(),
    };
    let plan = Plan { format: FORMAT, members: &outlook.members, stages: Stages(outlook), totals };
    let mut text =
        serde_json::to_string_pretty(&plan).expect("numbers, text and lists become JSON");
    text.push('\n');
    text
}
