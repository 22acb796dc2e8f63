//! What the scheduler itself costs: a run with nothing to do over a thousand stored stages, and a
//! stage that does nothing, in a chain and side by side.

#![expect(clippy::print_stdout, reason = "a benchmark reports to who runs it")]

use mstar::base::{Digest, Key};
use mstar::event::Outcome;
use mstar::plan::{Branch, Graph, Node, Port, Prepare, Role, Stage};
use mstar::run::{self, Context, Interrupts, Options, Performer, RunSummary, Slot, Stop, Task};
use mstar::store::{RunFiles, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// Set in the processes that this one starts as its workers, to the path of the store.
const WORKER: &str = "MSTAR_BENCH_WORKER";
/// Stages.
const STAGES: usize = 1000;

/// Leaves an empty file.
struct Nothing;

impl Performer for Nothing {
    fn perform(&mut self, _task: &Task, context: &Context<'_>) -> Result<(), Stop> {
        Ok(context.results().write("result.bin", b"")?)
    }

    fn computed_on(&self) -> String {
        "cpu".into()
    }
}

fn main() {
    if let Some(store) = std::env::var_os(WORKER) {
        run::serve(Path::new(&store), 1, || Ok(Nothing)).expect("the scheduler is there");
        return;
    }
    for (shape, graph) in [("in a chain", graph(true)), ("side by side", graph(false))] {
        let folder = tempfile::tempdir().expect("there is a folder for temporary files");
        let store = Store::open(&folder.path().join("store")).expect("the folder is empty");
        let first = carry_out(&store, &graph);
        assert_eq!((first.outcome, first.done), (Outcome::Done, STAGES));
        let each = first.seconds / STAGES as f64 * 1e3;
        println!("{STAGES} stages that do nothing, {shape}: {each:.2} ms each");
        let second = carry_out(&store, &graph);
        assert_eq!((second.outcome, second.stored), (Outcome::Done, STAGES));
        println!("the same, all stored: {:.3} s in all", second.seconds);
    }
}

fn carry_out(store: &Store, graph: &Graph) -> RunSummary {
    let keys: Vec<Key> = graph.nodes().map(|node| node.key).collect();
    let text = serde_json::to_string(graph).expect("a graph is plain data");
    let files = RunFiles { recipe: "", resolved: "", graph: &text, keys: &keys };
    let log = store.create_run("bench", &files).expect("the store takes a run");
    let program = std::env::current_exe().expect("this program has a path");
    let worker = |_: &Slot| {
        let mut command = Command::new(&program);
        command.env(WORKER, store.path());
        command
    };
    let options = Options {
        name: "bench".into(),
        recipe_file: "bench.toml".into(),
        versions: Default::default(),
        machine: Default::default(),
        slots: (0..2).map(|number| Slot { number, device: "cpu".into(), threads: 1 }).collect(),
        retries: 0,
        keep_going: true,
        timeout_secs: 0.0,
        checkpoint_every_secs: 30.0,
        worker: &worker,
        interrupts: Interrupts::default(),
    };
    run::run(graph, store, log, &options, &mut |_| {}).expect("the store is whole")
}

/// Stages of which each reads the one before, or all the first.
fn graph(chain: bool) -> Graph {
    let mut nodes: Vec<Node> = Vec::new();
    for number in 0..STAGES {
        let name = format!("stage {number}");
        let before = if chain { number.checked_sub(1) } else { (number > 0).then_some(0) };
        let inputs: BTreeMap<Port, Key> =
            before.map(|index| (Port::Policy, nodes[index].key)).into_iter().collect();
        let prepare = Prepare {
            source: name.clone(),
            loading: None,
            seed: 0,
            prompts: 1,
            labelled: None,
            validation: 1,
            test: 1,
            demonstrations: 0,
        };
        nodes.push(Node {
            key: Key(Digest::of(name.as_bytes())),
            stage: Stage::Prepare(prepare),
            name,
            role: Role { branch: Branch::Ground, iteration: 0 },
            inputs,
            members: BTreeSet::from(["bench".to_owned()]),
        });
    }
    let graph = serde_json::json!({ "nodes": nodes, "unshared": nodes.len() });
    serde_json::from_value(graph).expect("it is written as graphs are")
}
