//! The same recipe gives the same bytes, and nothing is computed twice.

use crate::sandbox::{POLICY, Sandbox, artifacts, assert_same, finished};
use mstar::event::{Event, Outcome};
use std::collections::BTreeMap;

#[test]
fn one_worker_makes_the_bytes_that_two_make() {
    let sandbox = Sandbox::new();
    sandbox.mstar(&["run", "tiny.toml", "--workers", "1"]).exits(0);
    let workers = |event: &&Event| matches!(event, Event::WorkerStarted { .. });
    assert_eq!(sandbox.records().iter().filter(workers).count(), 1);
    assert_same(&sandbox.artifacts(), &artifacts(&finished().0.join(".mstar")));
}

#[test]
fn two_runs_at_once_share_the_work() {
    let sandbox = Sandbox::with_only(POLICY);
    let mut runs = [0, 1].map(|_| sandbox.start(&["run", "tiny.toml", "--workers", "1"], None));
    let codes = runs.each_mut().map(|run| run.wait().unwrap().code());
    assert_eq!(codes, [Some(0); 2]);
    let mut made = BTreeMap::new();
    let logs = sandbox.logs();
    assert_eq!(logs.len(), 2);
    for event in logs.concat() {
        if let Event::StageFinished { key, outcome: Outcome::Done, .. } = event {
            *made.entry(key).or_insert(0) += 1;
        }
    }
    assert!(made.values().all(|times| *times == 1), "{made:?}");
    for log in &logs {
        let is_there = |event: &&Event| matches!(event, Event::StageFinished { .. });
        let [Event::Planned { stages, .. }] = &log[1..2] else { panic!("the plan comes second") };
        assert_eq!(log.iter().filter(is_there).count(), stages.len());
    }
    assert_same(&sandbox.artifacts(), &artifacts(&finished().0.join(".mstar")));
}
