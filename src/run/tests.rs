//! The scheduler through real processes, with stages that compute a digest. This test binary is its
//! own worker, and its own scheduler where one must be killed.

use super::*;
use crate::{
    base::{Digest, Failure, Key},
    event::{Event, Outcome, Record, Unit},
    plan::{Branch, Explore, Graph, Node, Port, Prepare, Role, Stage},
    recipe::Dtype,
    store::{RunFiles, RunLog, Store},
};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

const WORKER: &str = "MSTAR_TEST_WORKER";
const SCHEDULER: &str = "MSTAR_TEST_SCHEDULER";

/// Stages whose behaviour is the first word of their name, and whose result is a digest of their
/// key and of what they read.
struct Fake {
    tally: PathBuf,
}

impl Performer for Fake {
    fn perform(&mut self, task: &Task, context: &Context<'_>) -> Result<(), Stop> {
        let node = &task.node;
        let part = serde_json::to_string(&task.part).unwrap();
        let mut tally = File::options().append(true).create(true).open(&self.tally).unwrap();
        tally.write_all(format!("{} {part}\n", node.name).as_bytes()).unwrap();
        let mut words = node.name.split(' ');
        match words.next().unwrap_or_default() {
            "sleep" => self.sleep(words.next().unwrap().parse().unwrap(), task.part, context)?,
            "panic" => panic!("index 7 is out of range of a dimension of size 3"),
            "peek" => drop(context.input(Port::Hidden)?.read("result.bin")?),
            "fail" => return Err(Failure { reason: "no answer".into(), hint: None }.into()),
            "die" => rustix::process::kill_process(
                rustix::process::getpid(),
                rustix::process::Signal::KILL,
            )
            .unwrap(),
            "die-once" if context.work().read("died")?.is_none() => {
                context.work().write("died", b"")?;
                std::process::abort();
            }
            _ => {}
        }
        let mut bytes = format!("{} {part}", node.key).into_bytes();
        for port in node.inputs.keys() {
            bytes.extend(context.input(*port)?.read("result.bin")?);
        }
        let digest = Digest::of(&bytes).to_string();
        match task.part {
            Part::Shard(shard) => {
                context.work().write(&format!("part-{shard}.bin"), digest.as_bytes())?;
                context.progress(512, 512, Unit::Prompts, &[]);
                return Ok(());
            }
            Part::Gather => {
                for shard in 0..node.stage.shards() {
                    bytes.extend(context.work().read(&format!("part-{shard}.bin"))?.unwrap());
                }
            }
            Part::Whole => {}
        }
        assert!(context.results().list()?.is_empty());
        if node.name.starts_with("sleep") {
            // A kill at this moment leaves a file that no whole attempt would.
            context.results().write("half-done.bin", b"1")?;
            std::thread::sleep(Duration::from_millis(2));
            context.results().remove("half-done.bin")?;
        }
        context.results().write("result.bin", Digest::of(&bytes).to_string().as_bytes())?;
        context.results().write("metrics.json", br#"{"accuracy":0.5}"#)?;
        Ok(())
    }

    fn computed_on(&self) -> String {
        "cpu".into()
    }
}

impl Fake {
    /// Works for so many steps of 5 ms, with a checkpoint after each.
    fn sleep(&self, steps: u64, part: Part, context: &Context<'_>) -> Result<(), Stop> {
        let file = match part {
            Part::Shard(shard) => format!("checkpoint-{shard}"),
            Part::Whole | Part::Gather => "checkpoint".to_owned(),
        };
        let checkpoint = context.work().read(&file)?;
        let from = checkpoint.map_or(0, |text| String::from_utf8(text).unwrap().parse().unwrap());
        context.progress(from, steps, Unit::Steps, &[]);
        for step in from..steps {
            if context.cancelled() {
                return Err(Stop::Cancelled);
            }
            std::thread::sleep(Duration::from_millis(5));
            context.work().write(&file, (step + 1).to_string().as_bytes())?;
            context.progress(step + 1, steps, Unit::Steps, &[("loss", 1.0 / (step + 1) as f64)]);
        }
        Ok(())
    }
}

#[test]
fn fake_worker() {
    if let Some(store) = std::env::var_os(WORKER) {
        let store = PathBuf::from(store);
        let tally = store.with_extension("tally");
        println!("a library prints something");
        serve(&store, 1, || Ok(Fake { tally })).unwrap();
    }
}

#[test]
fn fake_scheduler() {
    if let Some(store) = std::env::var_os(SCHEDULER) {
        let store = PathBuf::from(store);
        let graph = serde_json::from_slice(&fs::read(store.with_extension("graph")).unwrap());
        let world = World { store, _folder: None };
        let (summary, _) = world.run(&graph.unwrap());
        assert_eq!(summary.outcome, Outcome::Done);
    }
}

fn this_test(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("run::tests::{name}"), "--nocapture"]);
    command
}

fn options(workers: u32, worker: &dyn Fn(&Slot) -> Command) -> Options<'_> {
    let slot = |number| Slot { number, device: "cpu".into(), threads: 1 };
    Options {
        name: "test".into(),
        recipe_file: "test.toml".into(),
        versions: Default::default(),
        machine: Default::default(),
        slots: (0..workers).map(slot).collect(),
        retries: 0,
        keep_going: true,
        timeout_secs: 0.0,
        checkpoint_every_secs: 0.0,
        worker,
        interrupts: Interrupts::default(),
    }
}

struct World {
    store: PathBuf,
    _folder: Option<tempfile::TempDir>,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { store: folder.path().join("store"), _folder: Some(folder) }
    }

    fn store(&self) -> Store {
        Store::open(&self.store).unwrap()
    }

    fn run(&self, graph: &Graph) -> (RunSummary, Vec<Event>) {
        self.run_told(graph, |_| {})
    }

    fn run_told(
        &self,
        graph: &Graph,
        tell: impl FnOnce(&mut Options<'_>),
    ) -> (RunSummary, Vec<Event>) {
        self.run_heard(graph, tell, &mut |_| {})
    }

    fn run_heard(
        &self,
        graph: &Graph,
        tell: impl FnOnce(&mut Options<'_>),
        listener: &mut dyn FnMut(&Event),
    ) -> (RunSummary, Vec<Event>) {
        let store = self.store();
        let keys: Vec<Key> = graph.nodes().map(|node| node.key).collect();
        let files = RunFiles { recipe: "", resolved: "", graph: "{}", keys: &keys };
        let log = store.create_run("test", &files).unwrap();
        self.run_into(log, graph, tell, listener)
    }

    fn run_into(
        &self,
        log: RunLog,
        graph: &Graph,
        tell: impl FnOnce(&mut Options<'_>),
        listener: &mut dyn FnMut(&Event),
    ) -> (RunSummary, Vec<Event>) {
        let store = self.store();
        let worker = |_: &Slot| {
            let mut command = this_test("fake_worker");
            command.env(WORKER, &self.store).env_remove(SCHEDULER);
            command
        };
        let mut options = options(2, &worker);
        tell(&mut options);
        let mut events = Vec::new();
        let mut listen = |record: &Record| {
            listener(&record.event);
            events.push(record.event.clone());
        };
        let summary = run(graph, &store, log, &options, &mut listen).unwrap();
        let text = store.latest_run().unwrap().unwrap().events().unwrap();
        assert!(!Record::read_log(&text).unwrap().is_empty());
        (summary, events)
    }

    /// Runs in a process of its own.
    fn start(&self, graph: &Graph) -> Child {
        let file = self.store.with_extension("graph");
        let mut file = File::options().create(true).truncate(true).write(true).open(file).unwrap();
        file.write_all(&serde_json::to_vec(graph).unwrap()).unwrap();
        this_test("fake_scheduler")
            .env(SCHEDULER, &self.store)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Parts in the order in which workers began them.
    fn tally(&self) -> Vec<String> {
        let text = fs::read_to_string(self.store.with_extension("tally")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Every byte of every artifact.
    fn artifacts(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        let root = self.store.join("artifact-v1");
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(&root).unwrap().to_owned();
                    found.insert(name, fs::read(&path).unwrap());
                }
            }
        }
        found
    }
}

/// A graph of stages that read each other as no recipe would have it, which the scheduler must not
/// care about.
pub(super) fn graph_of(nodes: &[Node]) -> Graph {
    let graph = serde_json::json!({"nodes": nodes, "unshared": nodes.len()});
    serde_json::from_value(graph).unwrap()
}

pub(super) fn add(nodes: &mut Vec<Node>, name: &str, inputs: &[(Port, Key)]) -> Key {
    let stage = Stage::Prepare(Prepare {
        source: name.into(),
        loading: None,
        seed: 0,
        prompts: 1,
        labelled: None,
        validation: 1,
        test: 1,
        demonstrations: 0,
    });
    add_stage(nodes, stage, name, inputs)
}

fn add_sharded(nodes: &mut Vec<Node>, name: &str, shards: u64, inputs: &[(Port, Key)]) -> Key {
    let stage = Stage::Explore(Explore {
        from: 0,
        count: shards * 512,
        labelled: shards * 512,
        unlabelled: None,
        samples: 1,
        temperature: 1.0,
        top_p: 1.0,
        top_k: 0,
        min_p: 0.0,
        max_new_tokens: 8,
        hint: false,
        searched: Vec::new(),
        dtype: Dtype::Fp32,
        seed: 0,
        hooks: None,
    });
    assert_eq!(stage.shards(), shards);
    add_stage(nodes, stage, name, inputs)
}

fn add_stage(nodes: &mut Vec<Node>, stage: Stage, name: &str, inputs: &[(Port, Key)]) -> Key {
    let role = Role { branch: Branch::Ground, iteration: 0 };
    let inputs: BTreeMap<Port, Key> = inputs.iter().copied().collect();
    let key = Key(Digest::of(format!("{name} {inputs:?}").as_bytes()));
    let members = ["test".to_owned()].into();
    nodes.push(Node { key, stage, name: name.into(), role, inputs, members });
    key
}

/// Two ways from one stage to another, and the names of all.
fn diamond(middle: [&str; 2]) -> (Graph, [Key; 4]) {
    let mut nodes = Vec::new();
    let top = add(&mut nodes, "top", &[]);
    let left = add(&mut nodes, middle[0], &[(Port::Policy, top)]);
    let right = add(&mut nodes, middle[1], &[(Port::Policy, top)]);
    let bottom = add(&mut nodes, "bottom", &[(Port::Policy, left), (Port::Prompts, right)]);
    (graph_of(&nodes), [top, left, right, bottom])
}

#[test]
fn hidden_answers_are_shown_to_no_stage_without_a_port_for_them() {
    let world = World::new();
    let mut nodes = Vec::new();
    let hidden = add(&mut nodes, "hidden", &[]);
    let given = add(&mut nodes, "given", &[(Port::Hidden, hidden)]);
    let peek = add(&mut nodes, "peek", &[(Port::Prompts, hidden)]);
    let (summary, events) = world.run(&graph_of(&nodes));
    assert_eq!((summary.outcome, summary.done), (Outcome::Failed, 1));
    let told = |of: Key| {
        events.iter().find_map(|event| match event {
            Event::StageFailed { key, reason, .. } if *key == of => Some(reason.as_str()),
            _ => None,
        })
    };
    assert_eq!(told(given), Some("`given` may not read hidden answers"));
    assert_eq!(told(peek), Some("nothing is connected to the port `hidden`"));
}

#[test]
fn every_stage_runs_once_and_a_second_run_does_nothing() {
    let world = World::new();
    let (graph, _) = diamond(["left", "right"]);
    let (summary, _) = world.run(&graph);
    assert_eq!((summary.outcome, summary.done, summary.stored), (Outcome::Done, 4, 0));
    let tally = world.tally();
    assert_eq!(tally.len(), 4);
    assert!(tally[0].starts_with("top") && tally[3].starts_with("bottom"));
    let before = world.artifacts();
    let (summary, events) = world.run(&graph);
    assert_eq!((summary.outcome, summary.done, summary.stored), (Outcome::Done, 0, 4));
    assert_eq!(world.tally().len(), 4);
    assert_eq!(world.artifacts(), before);
    assert!(!events.iter().any(|event| matches!(event, Event::WorkerStarted { .. })));
    let measured = events.iter().filter(
        |event| matches!(event, Event::StageFinished { metrics, .. } if metrics["accuracy"] == 0.5),
    );
    assert_eq!(measured.count(), 4);
}

#[test]
fn all_that_is_missing_is_made_again_and_nothing_else() {
    let world = World::new();
    let (graph, [top, left, _, bottom]) = diamond(["left", "right"]);
    world.run(&graph);
    let store = world.store();
    store.discard(top).unwrap();
    store.discard(left).unwrap();
    let (summary, _) = world.run(&graph);
    assert_eq!(
        (summary.outcome, summary.done),
        (Outcome::Done, 2),
        "though no missing stage reads them"
    );
    assert!(store.artifact(left).unwrap().is_some());
    store.discard(bottom).unwrap();
    let (summary, _) = world.run(&graph);
    assert_eq!((summary.outcome, summary.done), (Outcome::Done, 1), "bottom");
    assert!(store.artifact(bottom).unwrap().is_some());
}

fn failure_of(middle: &str) -> (RunSummary, Vec<Event>) {
    let world = World::new();
    let (graph, [top, ..]) = diamond([middle, "right"]);
    let mut nodes: Vec<Node> = graph.nodes().cloned().collect();
    add(&mut nodes, "beside", &[(Port::Policy, top)]);
    let graph = graph_of(&nodes);
    let (summary, events) = world.run(&graph);
    assert_eq!(summary.outcome, Outcome::Failed);
    assert_eq!((summary.done, summary.skipped), (3, 1), "top, right and beside; not bottom");
    assert_eq!(summary.failures.len(), 1);
    assert_eq!(summary.failures[0].0, middle);
    let because = format!("`{middle}` failed");
    assert!(events.iter().any(
        |event| matches!(event, Event::StageSkipped { because: text, .. } if *text == because)
    ));
    (summary, events)
}

#[test]
fn a_killed_worker_fails_its_stage_with_a_reason_and_the_rest_goes_on() {
    let (summary, events) = failure_of("die");
    assert!(summary.failures[0].1.reason.contains("signal 9 (SIGKILL)"), "{summary:?}");
    let started = events.iter().filter(|event| matches!(event, Event::WorkerStarted { .. }));
    assert!(started.count() >= 2, "the dead worker is replaced when there is more to do");
}

#[test]
fn a_panic_fails_its_stage_with_its_message() {
    let (summary, events) = failure_of("panic");
    assert!(summary.failures[0].1.reason.starts_with("index 7 is out of range"), "{summary:?}");
    assert!(!events.iter().any(|event| matches!(event, Event::WorkerDied { .. })));
}

#[test]
fn a_stage_may_say_why_it_fails() {
    let (summary, _) = failure_of("fail");
    assert_eq!(summary.failures[0].1.reason, "no answer");
}

#[test]
fn a_stage_is_tried_again_after_its_worker_died() {
    let world = World::new();
    let (graph, _) = diamond(["die-once", "right"]);
    let (summary, events) = world.run_told(&graph, |options| options.retries = 1);
    assert_eq!((summary.outcome, summary.done), (Outcome::Done, 4), "{summary:?}");
    assert!(events.iter().any(
        |event| matches!(event, Event::WorkerDied { reason, .. } if reason.contains("SIGABRT"))
    ));
}

#[test]
fn workers_that_cannot_be_started_fail_what_is_left_and_end_the_run() {
    let world = World::new();
    let (graph, _) = diamond(["left", "right"]);
    let store = world.store();
    let files = RunFiles { recipe: "", resolved: "", graph: "{}", keys: &[] };
    for (program, said) in [("/nonexistent/mstar", "cannot start"), ("false", "no worker can be")] {
        let worker = |_: &Slot| Command::new(program);
        let options = options(1, &worker);
        let log = store.create_run("test", &files).unwrap();
        let summary = run(&graph, &store, log, &options, &mut |_| {}).unwrap();
        assert_eq!((summary.outcome, summary.done, summary.skipped), (Outcome::Failed, 0, 3));
        assert!(summary.failures[0].1.reason.contains(said), "{summary:?}");
    }
}

#[test]
fn shards_run_apart_and_those_that_are_done_are_not_done_again() {
    let world = World::new();
    let mut nodes = Vec::new();
    let top = add(&mut nodes, "top", &[]);
    let wide = add_sharded(&mut nodes, "wide", 5, &[(Port::Policy, top)]);
    let graph = graph_of(&nodes);
    let (summary, _) = world.run(&graph);
    assert_eq!((summary.outcome, summary.done), (Outcome::Done, 2));
    assert_eq!(world.tally().len(), 1 + 5 + 1);
    let whole = world.artifacts();

    let store = world.store();
    let staging = store.staging(wide).unwrap();
    for shard in [1_u64, 3, 4] {
        let bytes = format!("{wide} {{\"shard\":{shard}}}").into_bytes();
        let top = store.artifact(top).unwrap().unwrap().read("result.bin").unwrap();
        let digest = Digest::of(&[bytes, top].concat()).to_string();
        // A handle of its own for each shard, as each task has.
        let staging = store.staging(wide).unwrap();
        staging.work().write(&format!("part-{shard}.bin"), digest.as_bytes()).unwrap();
        shard::mark(staging.work(), shard).unwrap();
    }
    // Shard 4 has its mark, but its file was torn.
    let torn = staging.work().path("part-4.bin").unwrap();
    File::options().write(true).open(torn).unwrap().set_len(5).unwrap();
    store.discard(wide).unwrap();
    let (summary, events) = world.run(&graph);
    assert_eq!((summary.outcome, summary.done), (Outcome::Done, 1));
    assert!(
        events.iter().any(|event| matches!(event, Event::StageStarted { resumed_from: 2, .. }))
    );
    let again: Vec<String> = world.tally().split_off(7);
    assert_eq!(again.len(), 3 + 1, "shards 0, 2 and 4, and the gathering: {again:?}");
    assert_eq!(world.artifacts(), whole);
}

#[test]
fn an_altered_artifact_is_made_again_and_said() {
    let world = World::new();
    let (graph, [top, left, right, bottom]) = diamond(["left", "right"]);
    world.run(&graph);
    let whole = world.artifacts();
    let store = world.store();
    for (altered, missing, remade, noted) in [
        (left, vec![bottom], 2, true),
        (top, vec![right, bottom], 3, true),
        (bottom, vec![right, bottom], 2, false),
        (top, vec![left, right, bottom], 4, true),
    ] {
        let path = store.artifact(altered).unwrap().unwrap().path("result.bin").unwrap();
        File::options().write(true).open(path).unwrap().write_all(b"!").unwrap();
        missing.into_iter().for_each(|key| store.discard(key).unwrap());
        let (summary, events) = world.run(&graph);
        assert_eq!((summary.outcome, summary.done), (Outcome::Done, remade), "{events:?}");
        let said = events.iter().any(|event| {
            matches!(event, Event::Note { message, .. } if message.contains("not what was stored"))
        });
        assert_eq!(said, noted);
        assert_eq!(world.artifacts(), whole);
    }
    // What is read before anything runs, such as the sizes of files, is looked at for all.
    let path = store.artifact(top).unwrap().unwrap().path("result.bin").unwrap();
    File::options().write(true).open(path).unwrap().set_len(3).unwrap();
    store.discard(left).unwrap();
    store.discard(bottom).unwrap();
    assert_eq!(world.run(&graph).0.done, 3);
    assert_eq!(world.artifacts(), whole);
}

#[test]
fn what_many_stages_find_altered_at_once_is_made_again_once() {
    let world = World::new();
    let mut nodes = Vec::new();
    // Long enough that all have read it before it is made again.
    let top = add(&mut nodes, "sleep 60", &[]);
    for number in 0..8 {
        add(&mut nodes, &format!("sleep 30 {number}"), &[(Port::Policy, top)]);
    }
    let graph = graph_of(&nodes);
    let store = world.store();
    world.run(&graph);
    let path = store.artifact(top).unwrap().unwrap().path("result.bin").unwrap();
    File::options().write(true).open(path).unwrap().write_all(b"!").unwrap();
    let readers = graph.nodes().map(|node| node.key).filter(|key| *key != top);
    readers.for_each(|key| store.discard(key).unwrap());
    let slot = |number| Slot { number, device: "cpu".into(), threads: 1 };
    let (summary, events) =
        world.run_told(&graph, |options| options.slots = (0..8).map(slot).collect());
    assert_eq!((summary.outcome, summary.done), (Outcome::Done, 9), "{events:?}");
    let said = events.iter().filter(|event| {
        matches!(event, Event::Note { message, .. } if message.contains("not what was stored"))
    });
    assert_eq!(said.count(), 1);
}

#[test]
fn an_interrupt_leaves_what_is_needed_to_go_on() {
    let world = World::new();
    let (graph, [top, left, ..]) = diamond(["sleep 400", "right"]);
    let interrupts = Interrupts::default();
    let asked = interrupts.clone();
    let (summary, events) =
        world.run_heard(&graph, |options| options.interrupts = interrupts, &mut |event| {
            if matches!(event, Event::StageProgress { done: 10.., .. }) && asked.count() == 0 {
                asked.interrupt();
            }
        });
    assert_eq!(summary.outcome, Outcome::Interrupted);
    assert!(summary.failures.is_empty(), "{summary:?}");
    assert!(summary.done <= 2, "it stopped before its end");
    assert!(matches!(
        events.last(),
        Some(Event::RunFinished { outcome: Outcome::Interrupted, .. })
    ));
    let store = world.store();
    assert!(store.artifact(top).unwrap().is_some());
    let checkpoint = store.staging(left).unwrap().work().read("checkpoint").unwrap().unwrap();
    let reached: u64 = String::from_utf8(checkpoint).unwrap().parse().unwrap();
    assert!(reached >= 10);
    let (summary, events) = world.run(&graph);
    assert_eq!(summary.outcome, Outcome::Done);
    let first = events.iter().find_map(|event| match event {
        Event::StageProgress { done, .. } => Some(*done),
        _ => None,
    });
    assert_eq!(first, Some(reached), "it went on where it was");
}

#[test]
fn a_second_interrupt_ends_at_once() {
    let world = World::new();
    let (graph, _) = diamond(["sleep 100000", "right"]);
    let interrupts = Interrupts::default();
    let asked = interrupts.clone();
    let (summary, _) =
        world.run_heard(&graph, |options| options.interrupts = interrupts, &mut |event| {
            if matches!(event, Event::StageProgress { done: 3.., .. }) && asked.count() == 0 {
                asked.interrupt();
                asked.interrupt();
            }
        });
    assert_eq!(summary.outcome, Outcome::Interrupted);
}

#[test]
fn after_a_failure_nothing_new_begins_where_that_is_asked_for() {
    let world = World::new();
    let mut nodes = Vec::new();
    let fails = add(&mut nodes, "fail", &[]);
    let mut long = add_sharded(&mut nodes, "sleep 8", 4, &[]);
    for number in 0..3 {
        long = add(&mut nodes, &format!("after {number}"), &[(Port::Rollouts, long)]);
        add(&mut nodes, &format!("below {number}"), &[(Port::Policy, fails)]);
    }
    let graph = graph_of(&nodes);
    let (summary, events) = world.run_told(&graph, |options| options.keep_going = false);
    assert_eq!(summary.outcome, Outcome::Failed);
    assert_eq!((summary.done, summary.skipped), (1, 6), "what was under way came to its end");
    let told = "`fail` failed, and the run was told not to keep going";
    let is_told =
        |event: &&Event| matches!(event, Event::StageSkipped { because, .. } if because == told);
    assert_eq!(events.iter().filter(is_told).count(), 3, "{events:?}");
    let (summary, _) = world.run(&graph);
    assert_eq!((summary.outcome, summary.done, summary.skipped), (Outcome::Failed, 3, 3));
}

#[test]
fn a_stage_that_takes_too_long_is_ended_and_goes_on_in_the_next_run() {
    let world = World::new();
    let mut nodes = Vec::new();
    let late = add(&mut nodes, "sleep 400", &[]);
    add(&mut nodes, "below", &[(Port::Policy, late)]);
    add(&mut nodes, "beside", &[]);
    let graph = graph_of(&nodes);
    let (summary, events) = world.run_told(&graph, |options| {
        (options.timeout_secs, options.retries) = (1.0, 3);
    });
    assert_eq!((summary.outcome, summary.done, summary.skipped), (Outcome::Failed, 1, 1));
    let (name, failure) = &summary.failures[0];
    assert_eq!((name.as_str(), failure.reason.as_str()), ("sleep 400", "took longer than 1.0 s"));
    assert!(failure.hint.as_ref().unwrap().contains("`run.timeout_secs`"));
    let began = |event: &&Event| matches!(event, Event::StageStarted { key, .. } if *key == late);
    assert_eq!(events.iter().filter(began).count(), 1, "it would only take too long again");
    assert!(!events.iter().any(|event| matches!(event, Event::WorkerDied { .. })));
    let (summary, events) = world.run(&graph);
    assert_eq!((summary.outcome, summary.done), (Outcome::Done, 2));
    let first = events.iter().find_map(|event| match event {
        Event::StageProgress { done, .. } => Some(*done),
        _ => None,
    });
    assert!(first.is_some_and(|done| done > 10), "it went on at {first:?}");
}

#[test]
fn a_run_goes_on_in_its_own_record() {
    let world = World::new();
    let (graph, [_, left, ..]) = diamond(["sleep 60", "right"]);
    let interrupts = Interrupts::default();
    let asked = interrupts.clone();
    let (summary, _) =
        world.run_heard(&graph, |options| options.interrupts = interrupts, &mut |event| {
            if matches!(event, Event::StageProgress { done: 10.., .. }) {
                asked.interrupt();
            }
        });
    assert_eq!(summary.outcome, Outcome::Interrupted);
    let store = world.store();
    let log = store.reopen_run(&summary.run).unwrap();
    let (again, _) = world.run_into(log, &graph, |_| {}, &mut |_| {});
    assert_eq!((again.outcome, &again.run), (Outcome::Done, &summary.run));
    assert_eq!(again.done + again.stored, 4);
    assert_eq!(store.runs().unwrap().len(), 1);
    let text = store.run(&summary.run).unwrap().events().unwrap();
    let records = Record::read_log(&text).unwrap();
    let begun = |record: &&Record| matches!(record.event, Event::RunStarted { .. });
    assert_eq!(records.iter().filter(begun).count(), 2);
    let study = crate::report::Study::read(&records);
    assert_eq!(study.ending, crate::report::Ending::Said(Outcome::Done));
    assert_eq!(study.stages.len(), 4);
    let row = study.stages.iter().find(|row| row.summary.key == left).unwrap();
    assert_eq!(row.spans.len(), 2, "it was worked on in both sittings");
}

/// Members that share what comes first, and then go their own ways.
fn grid_graph(members: usize) -> Graph {
    let mut nodes: Vec<Node> = Vec::new();
    let mut add_for = |users: std::ops::Range<usize>, name: &str, inputs: &[(Port, Key)]| {
        let key = match name.contains("split") {
            true => add_sharded(&mut nodes, name, 3, inputs),
            false => add(&mut nodes, name, inputs),
        };
        nodes.last_mut().unwrap().members = users.map(|user| format!("member {user}")).collect();
        key
    };
    let ground = add_for(0..members, "sleep 8 ground", &[]);
    let shared = add_for(0..members, "sleep 4 split", &[(Port::Policy, ground)]);
    for member in 0..members {
        let mut policy = ground;
        for iteration in 0..3 {
            let name = format!("sleep 5 train {iteration} of {member}");
            let inputs = [(Port::Policy, policy), (Port::Rollouts, shared)];
            policy = add_for(member..member + 1, &name, &inputs);
        }
        let name = format!("sleep 3 evaluate {member}");
        add_for(member..member + 1, &name, &[(Port::Policy, policy)]);
    }
    graph_of(&nodes)
}

#[test]
fn in_a_grid_a_failure_names_its_member() {
    let mut nodes = Vec::new();
    let ground = add(&mut nodes, "ground", &[]);
    let fails = add(&mut nodes, "fail", &[(Port::Policy, ground)]);
    add(&mut nodes, "below", &[(Port::Policy, fails)]);
    let users = [vec!["a", "b", "c"], vec!["b", "c"], vec!["b"]];
    for (node, users) in nodes.iter_mut().zip(users) {
        node.members = users.into_iter().map(str::to_owned).collect();
    }
    let (summary, events) = World::new().run(&graph_of(&nodes));
    assert_eq!((summary.done, summary.skipped), (1, 1));
    let is_told = |event: &Event| matches!(event, Event::StageSkipped { because, .. } if because == "`fail of 2 members` failed");
    assert!(events.iter().any(is_told), "{events:?}");
}

#[test]
fn two_runs_of_a_grid_do_no_stage_twice_and_wait_for_no_dead_one() {
    let graph = grid_graph(5);
    let world = World::new();
    let (summary, _) = world.run(&graph);
    assert_eq!((summary.outcome, summary.done), (Outcome::Done, 2 + 5 * 4));
    let (parts, wanted) = (world.tally().len(), world.artifacts());

    for share in [0.2, 0.6] {
        let world = World::new();
        let mut other = world.start(&graph);
        let mut killed_at = None;
        // It is killed when that share of all parts was begun by the two of them.
        let (summary, events) = world.run_heard(&graph, |_| {}, &mut |_| {
            let begun = world.tally().len();
            if killed_at.is_none() && begun as f64 >= share * parts as f64 {
                other.kill().unwrap();
                killed_at = Some(begun);
            }
        });
        other.wait().unwrap();
        assert!(killed_at.is_some(), "it was killed in the midst");
        assert_eq!(summary.outcome, Outcome::Done, "{events:?}");
        assert_eq!(world.artifacts(), wanted);
        let twice = world.tally().len() - parts;
        assert!(twice <= 2, "{twice} parts begun again, and the dead run had two workers");
        println!("killed after {killed_at:?} of {parts} parts: {twice} again, {summary:?}");
    }
}

/// Thirteen stages, some split, with something to do in each.
fn busy_graph() -> Graph {
    let mut nodes = Vec::new();
    let mut policy = add(&mut nodes, "sleep 10", &[]);
    for iteration in 0..4 {
        let inputs = [(Port::Policy, policy)];
        let rollouts = add_sharded(&mut nodes, "sleep 6", 4, &inputs);
        let inputs = [(Port::Policy, policy), (Port::Rollouts, rollouts)];
        policy = add(&mut nodes, &format!("sleep 12 {iteration}"), &inputs);
        add(&mut nodes, &format!("sleep 9 evaluate {iteration}"), &[(Port::Policy, policy)]);
    }
    graph_of(&nodes)
}

#[test]
fn a_killed_run_goes_on_to_the_same_bytes() {
    let graph = busy_graph();
    let world = World::new();
    let (whole, _) = world.run(&graph);
    assert_eq!(whole.outcome, Outcome::Done);
    let expected = world.artifacts();
    let world = World::new();
    let mut kills = 0;
    for round in 0..12 {
        let mut scheduler = world.start(&graph);
        // Spread over the first half of a run's life by a sequence that fills it evenly.
        let moment = (f64::from(round) * 0.618_034).fract() * 0.5 * whole.seconds;
        std::thread::sleep(Duration::from_secs_f64(moment + 0.005));
        if let Some(status) = scheduler.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            break;
        }
        scheduler.kill().unwrap();
        scheduler.wait().unwrap();
        kills += 1;
    }
    let (summary, _) = world.run(&graph);
    assert_eq!(summary.outcome, Outcome::Done, "{summary:?}");
    assert_eq!(world.artifacts(), expected);
    println!("{kills} kills, {} stages left after them", summary.done);
    assert!(kills >= 3, "it was killed in its midst");
    assert_eq!(fs::read_dir(world.store.join("staging-v1")).unwrap().count(), 0);
}

#[test]
fn two_runs_share_a_store_and_no_part_runs_twice() {
    let graph = busy_graph();
    let world = World::new();
    let mut other = world.start(&graph);
    let (summary, _) = world.run(&graph);
    assert!(other.wait().unwrap().success());
    assert_eq!(summary.outcome, Outcome::Done);
    let mut tally = world.tally();
    let shared = graph.nodes().filter(|node| node.stage.shards() > 1).count();
    assert_eq!(tally.len(), graph.len() + shared * 4);
    tally.retain(|part| part.contains("whole"));
    tally.sort();
    tally.dedup();
    assert_eq!(tally.len(), graph.len() - shared);
}

#[test]
fn a_stage_that_does_nothing_costs_little() {
    let mut nodes = Vec::new();
    let mut before = add(&mut nodes, "first", &[]);
    for number in 0..300 {
        before = add(&mut nodes, &format!("stage {number}"), &[(Port::Policy, before)]);
    }
    let world = World::new();
    let graph = graph_of(&nodes);
    let (summary, events) = world.run(&graph);
    assert_eq!((summary.outcome, summary.done), (Outcome::Done, 301));
    let seconds = summary.seconds / 301.0;
    let busy: f64 = events
        .iter()
        .map(|event| match event {
            Event::StageFinished { seconds, .. } => *seconds,
            _ => 0.0,
        })
        .sum();
    println!("{seconds} s for a stage in a chain, {} s of it in the worker", busy / 301.0);
    // Thirty times what a debug build on an idle machine needs: this catches a wait in the way, not
    // a machine that is busy with other tests.
    assert!(seconds < 0.045, "{seconds} s for each stage");
    let (summary, _) = world.run(&graph);
    println!("{} s for 301 stored stages", summary.seconds);
    assert!(summary.seconds < 0.6, "{} s for a run with nothing to do", summary.seconds);
}

#[test]
fn a_stage_takes_the_time_in_which_workers_have_parts_of_it() {
    let (world, mut nodes) = (World::new(), Vec::new());
    let key = add_sharded(&mut nodes, "ok", 2, &[]);
    let store = world.store();
    let lock = store.lock(key).unwrap().unwrap();
    let mut work = work::Work::begin(lock, &nodes[0], &store.staging(key).unwrap()).unwrap();
    assert_eq!(work.hand_out(0, 10.0), Some(Part::Shard(0)));
    assert_eq!(work.hand_out(1, 11.0), Some(Part::Shard(1)));
    assert_eq!(work.seconds(12.0), 2.0);
    assert!(!work.finish(0, 13.0));
    assert!(!work.finish(1, 14.0));
    // Here the workers are at other stages.
    assert_eq!(work.seconds(20.0), 4.0);
    assert_eq!(work.hand_out(1, 30.0), Some(Part::Gather));
    assert!(work.finish(1, 30.5));
    assert_eq!(work.seconds(40.0), 4.5);
}
