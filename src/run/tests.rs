//! The scheduler through real processes, with stages that compute a digest. This test binary is its
//! own worker, and its own scheduler where one must be killed.

use super::*;
use crate::{
    base::{Digest, Failure, Key},
    event::{Event, Outcome, Record, Unit},
    plan::{Branch, Explore, Graph, Port, Prepare, Role, Stage},
    recipe::Dtype,
    store::{RunFiles, Store},
};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
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
            "sleep" => self.sleep(words.next().unwrap().parse().unwrap(), context)?,
            "panic" => panic!("index 7 is out of range of a dimension of size 3"),
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
    fn sleep(&self, steps: u64, context: &Context<'_>) -> Result<(), Stop> {
        let checkpoint = context.work().read("checkpoint")?;
        let from = checkpoint.map_or(0, |text| String::from_utf8(text).unwrap().parse().unwrap());
        context.progress(from, steps, Unit::Steps, &[]);
        for step in from..steps {
            if context.cancelled() {
                return Err(Stop::Cancelled);
            }
            std::thread::sleep(Duration::from_millis(5));
            context.work().write("checkpoint", (step + 1).to_string().as_bytes())?;
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
        self.run_with(graph, 0, &Interrupts::default(), &mut |_| {})
    }

    fn run_with(
        &self,
        graph: &Graph,
        retries: u32,
        interrupts: &Interrupts,
        listener: &mut dyn FnMut(&Event),
    ) -> (RunSummary, Vec<Event>) {
        let store = self.store();
        let keys: Vec<Key> = graph.nodes().map(|node| node.key).collect();
        let files = RunFiles { recipe: "", resolved: "", graph: "{}", keys: &keys };
        let log = store.create_run("test", &files).unwrap();
        let worker = |_: &Slot| {
            let mut command = this_test("fake_worker");
            command.env(WORKER, &self.store).env_remove(SCHEDULER);
            command
        };
        let options = Options {
            name: "test".into(),
            recipe_file: "test.toml".into(),
            versions: Default::default(),
            machine: Default::default(),
            slots: (0..2).map(|number| Slot { number, device: "cpu".into(), threads: 1 }).collect(),
            retries,
            checkpoint_every_secs: 0.0,
            worker: &worker,
            interrupts: interrupts.clone(),
        };
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

fn add(graph: &mut Graph, name: &str, inputs: &[(Port, Key)]) -> Key {
    let stage = Stage::Prepare(Prepare {
        source: name.into(),
        seed: 0,
        prompts: 1,
        validation: 1,
        test: 1,
        demonstrations: 0,
    });
    add_stage(graph, stage, name, inputs)
}

fn add_sharded(graph: &mut Graph, name: &str, shards: u64, inputs: &[(Port, Key)]) -> Key {
    let stage = Stage::Explore(Explore {
        from: 0,
        count: shards * 512,
        labelled: shards * 512,
        samples: 1,
        temperature: 1.0,
        top_p: 1.0,
        top_k: 0,
        min_p: 0.0,
        max_new_tokens: 8,
        hint: false,
        dtype: Dtype::Fp32,
        seed: 0,
    });
    assert_eq!(stage.shards(), shards);
    add_stage(graph, stage, name, inputs)
}

fn add_stage(graph: &mut Graph, stage: Stage, name: &str, inputs: &[(Port, Key)]) -> Key {
    let role = Role { branch: Branch::Ground, iteration: 0 };
    graph.add("test", stage, name.into(), role, inputs.iter().copied().collect())
}

/// Two ways from one stage to another, and the names of all.
fn diamond(middle: [&str; 2]) -> (Graph, [Key; 4]) {
    let mut graph = Graph::default();
    let top = add(&mut graph, "top", &[]);
    let left = add(&mut graph, middle[0], &[(Port::Policy, top)]);
    let right = add(&mut graph, middle[1], &[(Port::Policy, top)]);
    let bottom = add(&mut graph, "bottom", &[(Port::Policy, left), (Port::Prompts, right)]);
    (graph, [top, left, right, bottom])
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
