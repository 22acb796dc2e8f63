//! Killed or asked to stop at any moment, a run goes on to the artifacts it would have made.

use crate::sandbox::{GROUND, POLICY, Sandbox, artifacts, assert_same, entries, finished};
use mstar::base::{Digest, Seed};
use mstar::event::{Event, Outcome};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread::sleep;
use std::time::Duration;

/// Checkpoints after every step, so that there are many moments to be killed at.
const RUN: &[&str] = &["run", "tiny.toml", "--set", "run.checkpoint_every_secs=0"];
/// Kills of the test that kills at random.
const KILLS: u64 = 20;
/// The first of these come while the prompts are drawn, which takes longest.
const EARLY: u64 = 4;
const BLINK: Duration = Duration::from_millis(2);

fn undisturbed() -> BTreeMap<String, Digest> {
    artifacts(&finished().0.join(".mstar"))
}

fn signal(process: u32, signal: Signal) {
    let process = Pid::from_raw(process.cast_signed()).expect("no process has the number 0");
    // One that is gone already is as good as killed.
    kill_process(process, signal).ok();
}

/// Kills a run, with its workers or leaving those to notice; whether it was still going on.
pub(crate) fn kill(run: &mut Child, with_workers: bool) -> bool {
    if let Some(status) = run.try_wait().unwrap() {
        assert_eq!(status.code(), Some(0), "a run that is let go ends well");
        return false;
    }
    let threads = entries(format!("/proc/{}/task", run.id()).as_ref());
    let lists =
        threads.iter().map(|it| fs::read_to_string(it.join("children")).unwrap_or_default());
    let workers: Vec<u32> =
        lists.flat_map(|list| list.split(' ').flat_map(str::parse).collect::<Vec<_>>()).collect();
    signal(run.id(), Signal::KILL);
    if with_workers {
        workers.into_iter().for_each(|worker| signal(worker, Signal::KILL));
    }
    run.wait().unwrap();
    true
}

/// Waits until something is so, as long as the run goes on.
#[track_caller]
pub(crate) fn wait_until(run: &mut Child, mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        assert!(run.try_wait().unwrap().is_none(), "the run ended before");
        sleep(BLINK);
    }
}

/// Whether a stage of the latest run has left such a file to go on with.
pub(crate) fn has_left(sandbox: &Sandbox, stage: &str, wanted: &str) -> bool {
    if !has_begun(sandbox, stage) {
        return false;
    }
    work_of(sandbox, stage).iter().any(|file| name_of(file).ends_with(wanted))
}

/// What a stage of the latest run has left to go on with.
fn work_of(sandbox: &Sandbox, stage: &str) -> Vec<PathBuf> {
    entries(&sandbox.store().join("staging-v1").join(sandbox.key_of(stage)).join("work"))
}

fn name_of(file: &Path) -> String {
    file.file_name().unwrap().to_string_lossy().into_owned()
}

/// Cuts what a stage of the latest run has left, as a disk may that lost its power.
pub(crate) fn damage(sandbox: &Sandbox, stage: &str, prefix: &str) {
    let files = work_of(sandbox, stage);
    let meant: Vec<&PathBuf> = files.iter().filter(|it| name_of(it).starts_with(prefix)).collect();
    assert!(!meant.is_empty(), "{files:?}");
    for file in meant {
        let bytes = fs::read(file).unwrap();
        fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
    }
}

/// Whether a stage of the latest run has begun.
fn has_begun(sandbox: &Sandbox, stage: &str) -> bool {
    let records = sandbox.records();
    let key = records.iter().find_map(|event| match event {
        Event::Planned { stages, .. } => Some(stages.iter().find(|it| it.name == stage)?.key),
        _ => None,
    });
    let is_it =
        |event: &Event| matches!(event, Event::StageStarted { key: of, .. } if Some(*of) == key);
    records.iter().any(is_it)
}

#[test]
fn killed_at_twenty_random_moments_it_goes_on_to_the_same_bytes() {
    let wanted = undisturbed();
    let moments = Seed(20);
    let (mut kills, mut at_work, mut attempts) = (0, 0, 0_u64);
    let (mut sandbox, mut is_early) = (Sandbox::with_only(POLICY), true);
    while kills < KILLS {
        if kills == EARLY && is_early {
            is_early = false;
            sandbox = Sandbox::with_only(GROUND);
        }
        attempts += 1;
        assert!(attempts < 4 * KILLS, "the machine is too fast to be killed: {kills} kills");
        let moment = 0.1 + 1.4 * moments.uniform_at(attempts, 0);
        let mut run = sandbox.start(RUN, None);
        sleep(Duration::from_secs_f64(moment));
        if kill(&mut run, attempts % 2 == 0) {
            kills += 1;
            at_work += u64::from(!entries(&sandbox.store().join("staging-v1")).is_empty());
        } else {
            assert_same(&sandbox.artifacts(), &wanted);
            sandbox = Sandbox::with_only(GROUND);
        }
    }
    assert!(at_work >= KILLS / 2, "only {at_work} of {KILLS} kills hit a stage at work");
    sandbox.mstar(RUN).exits(0);
    assert_same(&sandbox.artifacts(), &wanted);
    assert!(entries(&sandbox.store().join("staging-v1")).is_empty(), "nothing is left half done");
}

#[test]
fn a_killed_run_goes_on_at_the_shard_and_the_step_that_it_had_reached() {
    let sandbox = Sandbox::with_only(GROUND);
    let mut run = sandbox.start(RUN, None);
    wait_until(&mut run, || has_left(&sandbox, "warm-up explore", ".done"));
    assert!(kill(&mut run, true));

    let mut run = sandbox.start(RUN, Some("talk"));
    wait_until(&mut run, || has_left(&sandbox, "train 1", "checkpoint.json"));
    assert!(kill(&mut run, true));
    let talk = fs::read_to_string(sandbox.path("talk")).unwrap();
    assert!(talk.contains("resumed  warm-up explore at "), "{talk}");

    sandbox.mstar(RUN).exits(0);
    let key = sandbox.key_of("train 1");
    let first = sandbox.records().into_iter().find_map(|event| match event {
        Event::StageProgress { key: of, done, .. } if of.to_string() == key => Some(done),
        _ => None,
    });
    assert!(first.is_some_and(|step| step > 1), "it went on at step {first:?}");
    assert_same(&sandbox.artifacts(), &undisturbed());
}

#[test]
fn a_damaged_checkpoint_counts_as_none() {
    let sandbox = Sandbox::with_only(GROUND);
    let mut run = sandbox.start(RUN, None);
    wait_until(&mut run, || has_left(&sandbox, "train 1", "checkpoint.json"));
    assert!(kill(&mut run, true));
    // The weights, which are whole, must not be taken up alone.
    damage(&sandbox, "train 1", "optimizer-");
    let said = sandbox.mstar(RUN).exits(0);
    let told = "note     train 1: begins anew, since its checkpoint cannot be read: `optimizer-";
    assert!(said.stderr.contains(told), "{}", said.stderr);
    assert_same(&sandbox.artifacts(), &undisturbed());
}

#[test]
fn an_interrupted_run_stops_at_a_safe_point_and_goes_on_later() {
    let sandbox = Sandbox::with_only(GROUND);
    let mut run = sandbox.start(RUN, Some("talk"));
    wait_until(&mut run, || has_left(&sandbox, "train 1", "checkpoint.json"));
    signal(run.id(), Signal::INT);
    assert_eq!(run.wait().unwrap().code(), Some(130));
    let talk = fs::read_to_string(sandbox.path("talk")).unwrap();
    assert!(talk.contains("stopping at the next safe point"), "{talk}");
    assert!(has_left(&sandbox, "train 1", "checkpoint.json"), "what it needs to go on is kept");
    let records = sandbox.records();
    let last = records.last().unwrap();
    assert!(matches!(last, Event::RunFinished { outcome: Outcome::Interrupted, .. }), "{last:?}");
    assert!(sandbox.mstar(&["list"]).exits(0).stdout.contains(" interrupted "));
    sandbox.mstar(RUN).exits(0);
    assert_same(&sandbox.artifacts(), &undisturbed());
}

#[test]
fn a_second_interrupt_stops_at_once() {
    let sandbox = Sandbox::with_only(POLICY);
    let mut run = sandbox.start(RUN, None);
    wait_until(&mut run, || has_begun(&sandbox, "prepare"));
    signal(run.id(), Signal::INT);
    sleep(Duration::from_millis(200));
    signal(run.id(), Signal::INT);
    assert_eq!(run.wait().unwrap().code(), Some(130));
    assert!(!sandbox.artifact_of("prepare").exists(), "nobody waited for the end of the stage");
}

/// Kills the worker that has begun a stage.
fn kill_worker_of(sandbox: &Sandbox, run: &mut Child, stage: &str) {
    wait_until(run, || has_begun(sandbox, stage));
    let key = sandbox.key_of(stage);
    let records = sandbox.records();
    let number = records.iter().find_map(|event| match event {
        Event::StageStarted { key: of, worker, .. } if of.to_string() == key => Some(*worker),
        _ => None,
    });
    let process = records.iter().rev().find_map(|event| match event {
        Event::WorkerStarted { worker, process, .. } if Some(*worker) == number => Some(*process),
        _ => None,
    });
    signal(process.expect("a worker is started before it begins a stage"), Signal::KILL);
}

#[test]
fn a_killed_worker_fails_one_stage_and_the_rest_goes_on() {
    let sandbox = Sandbox::with_only(GROUND);
    let mut run = sandbox.start(RUN, Some("talk"));
    kill_worker_of(&sandbox, &mut run, "control 1");
    assert_eq!(run.wait().unwrap().code(), Some(1));
    let talk = fs::read_to_string(sandbox.path("talk")).unwrap();
    let failed: Vec<&str> = talk.lines().filter(|line| line.starts_with("failed")).collect();
    assert_eq!(failed, ["failed   control 1: its worker was killed by signal 9 (SIGKILL)"]);
    assert!(talk.contains("  hint: when memory ran out"), "{talk}");
    let skipped: Vec<&str> = talk.lines().filter(|line| line.starts_with("skipped")).collect();
    assert_eq!(skipped.len(), 1, "{talk}");
    assert!(skipped[0].starts_with("skipped  7 stages, from "), "{talk}");
    assert!(skipped[0].ends_with(": `control 1` failed"), "{talk}");
    let names = [
        "control 1",
        "control 2",
        "evaluate control 1",
        "evaluate control 1 test",
        "evaluate control 2",
        "evaluate control 2 test",
        "monitor control 1",
        "monitor control 2",
    ];
    assert!(sandbox.artifact_of("evaluate 2 test").exists(), "what does not need it is done");
    let report = sandbox.mstar(&["report", "--format", "json"]).exits(0).json();
    assert_eq!(report["run_outcome"], "failed");
    let unfinished = report["unfinished"].as_array().unwrap().iter();
    let mut unfinished: Vec<&str> = unfinished.map(|row| row["name"].as_str().unwrap()).collect();
    unfinished.sort_unstable();
    assert_eq!(unfinished, names);

    sandbox.mstar(RUN).exits(0);
    assert_same(&sandbox.artifacts(), &undisturbed());
}

#[test]
fn a_killed_worker_is_replaced_where_the_recipe_allows_another_try() {
    let sandbox = Sandbox::with_only(GROUND);
    let mut run = sandbox.start(&[RUN, &["--set", "run.retries=1"]].concat(), Some("talk"));
    kill_worker_of(&sandbox, &mut run, "train 1");
    assert_eq!(run.wait().unwrap().code(), Some(0));
    let talk = fs::read_to_string(sandbox.path("talk")).unwrap();
    let told = "note     train 1: its worker was killed by signal 9 (SIGKILL): trying again\n";
    assert!(talk.contains(told), "{talk}");
    assert_same(&sandbox.artifacts(), &undisturbed());
}

#[test]
fn a_stage_that_takes_too_long_fails_and_the_next_run_goes_on() {
    let sandbox = Sandbox::with_only(GROUND);
    // The warm-up draws longer.
    let arguments = ["--no-keep-going", "--timeout", "0.1s", "--retries", "2"];
    let said = sandbox.mstar(&[RUN, &arguments].concat()).exits(1);
    assert!(said.stderr.contains(": took longer than 0.1 s"), "{}", said.stderr);
    assert!(said.stderr.contains("hint: raise `run.timeout_secs` or `--timeout`"));
    assert!(!said.stderr.contains("trying again"), "{}", said.stderr);
    for wrong in ["fast", "3 weeks", "-1", "999d"] {
        let said = sandbox.mstar(&[RUN, &[&format!("--timeout={wrong}")]].concat()).exits(2);
        assert!(said.stderr.contains("a number with `s`, `m`, `h` or `d`"), "{}", said.stderr);
    }
    sandbox.mstar(RUN).exits(0);
    assert_same(&sandbox.artifacts(), &undisturbed());
}
