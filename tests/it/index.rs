//! Runs and members found by name, value and metric, whatever became of the index.

use crate::sandbox::{Said, Sandbox, assert_told};
use crate::study_log::{End, grid, grid_values, log};
use mstar::event::Record;
use mstar::store::{
    Condition, Entry, Error, IndexedMember, IndexedMetric, Query, Relation, Run, RunFiles, Store,
    Subject,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::fs;
use std::path::Path;

const RESOLVED: &str = "name = \"mini\"  # a.toml:2\nseed = 7  # default\n\n[training]\n\
    method = \"continuous\"  # a.toml:5\n# steps is not set  # default\n\n[reward]\n\
    select = { random = 2 }  # a.toml:9\n";

/// Writes the record of a run.
fn record(store: &Store, name: &str, resolved: &str, graph: &str, records: &[Record]) {
    let files = RunFiles { recipe: "", resolved, graph, keys: &[] };
    let mut log = store.create_run(name, &files).unwrap();
    for record in records {
        log.append(&record.to_line()).unwrap();
    }
    log.close().unwrap();
}

fn grid_graph() -> String {
    let members: Vec<Value> = grid_values()
        .into_iter()
        .map(|(name, values)| json!({ "name": name, "values": values }))
        .collect();
    json!({ "members": members }).to_string()
}

/// A store with a run that is done, one that failed, one that was killed, and a grid.
pub(crate) fn four_runs() -> Sandbox {
    let sandbox = Sandbox::new();
    let store = Store::open(&sandbox.store()).unwrap();
    record(&store, "mini", RESOLVED, "{}", &log(End::Done));
    let random = RESOLVED.replace("seed = 7", "seed = 8").replace("continuous", "rest-em");
    record(&store, "mini", &random, "{}", &log(End::Failed));
    record(&store, "other", RESOLVED, "{}", &log(End::Killed));
    record(&store, "grid", RESOLVED, &grid_graph(), &grid());
    sandbox
}

/// The names that a list prints first in each line, and the words after them.
fn first_words(said: &Said, words: usize) -> Vec<String> {
    let line = |line: &str| line.split_whitespace().take(words).collect::<Vec<_>>().join(" ");
    said.stdout.lines().map(line).collect()
}

#[test]
fn runs_are_found_by_name_value_and_metric() {
    let sandbox = four_runs();
    let found = |arguments: &[&str]| {
        let arguments: Vec<&str> = ["list"].iter().chain(arguments).copied().collect();
        first_words(&sandbox.mstar(&arguments).exits(0), 1)
    };
    let all = ["mini-1", "mini-2", "other-3", "grid-4"];
    assert_eq!(found(&[]), all);
    assert_eq!(found(&["--name", "mini-?"]), ["mini-1", "mini-2"]);
    assert_eq!(found(&["--where", "seed=8"]), ["mini-2"]);
    assert_eq!(found(&["--where", "seed != 8"]), ["mini-1", "other-3", "grid-4"]);
    assert_eq!(found(&["--where", "seed>=7", "--where", "training.method=rest-em"]), ["mini-2"]);
    assert_eq!(found(&["--where", "reward.select={ random = 2 }"]), all);
    assert_eq!(found(&["--where", "training.steps=null"]), all);
    assert_eq!(found(&["--where", "test.accuracy>0.7"]), ["mini-1", "grid-4"]);
    assert_eq!(found(&["--where", "state=failed"]), ["mini-2"]);
    assert_eq!(found(&["--where", "outcome=open"]), ["other-3"]);
    assert_eq!(found(&["--where", "training.iterations=3"]), ["grid-4"]);
    // The first of equals is the one that began first.
    assert_eq!(
        found(&["--sort", "seed", "--descending"]),
        ["mini-2", "mini-1", "other-3", "grid-4"]
    );
    assert_eq!(
        found(&["--sort", "test.accuracy"]),
        ["other-3", "mini-2", "grid-4", "mini-1"],
        "a grid stands where the least of its members stands"
    );
    assert_eq!(found(&["--sort", "run", "--descending", "--limit", "1"]), ["grid-4"]);
    assert_eq!(found(&["--where", "seed=8", "--name", "other*"]), Vec::<String>::new());
}

#[test]
fn members_are_listed_with_their_values_and_metrics() {
    let sandbox = four_runs();
    let arguments = ["list", "--members", "--name", "grid-*", "--sort", "steps", "--descending"];
    assert_told("list_members", &sandbox.mstar(&arguments).exits(0).told());
    let conditions = ["--where", "training.iterations=3", "--format", "json"];
    let arguments = [&["list", "--members"][..], &conditions].concat();
    let found = sandbox.mstar(&arguments).exits(0).json();
    assert_eq!(found["format"], 1);
    let run = &found["runs"][0];
    assert_eq!((&run["run"], &run["member_count"]), (&json!("grid-4"), &json!(2)));
    let members = run["members"].as_array().unwrap();
    assert_eq!(members.len(), 1);
    assert_eq!(members[0]["name"], "brief");
    assert_eq!(members[0]["values"]["training.iterations"], 3);
    let accuracy = &members[0]["metrics"]["test.accuracy"];
    assert_eq!((&accuracy["value"], &accuracy["count"]), (&json!(0.529), &json!(1000)));
    assert!(accuracy["interval"][0].as_f64().unwrap() < 0.529);
    let csv = sandbox.mstar(&["list", "--members", "--format", "csv"]).exits(0).stdout;
    let widths: Vec<usize> = csv.lines().map(|line| line.split(',').count()).collect();
    assert_eq!(widths.len(), 6);
    assert!(widths.iter().all(|width| *width == widths[0]), "{csv}");
    assert!(csv.starts_with("run,member,state,training.iterations,"), "{csv}");
}

#[test]
fn a_member_is_shown_and_runs_are_named_by_what_they_begin_with() {
    let sandbox = four_runs();
    let mut told = String::new();
    for arguments in [
        &["show", "grid", "--member", "bri"][..],
        &["show", "o*", "--member", "mini-mstar", "--format", "json"],
        &["show", "mini"],
        &["show", "mini-*"],
        &["show", "tiny"],
        &["show", "grid-4", "--member", "large"],
        &["show", "grid-4", "--format", "json"],
    ] {
        let said = sandbox.mstar(arguments).told();
        let short: Vec<&str> = said.lines().take(24).collect();
        told += &format!("# {}\n{}\n", arguments.join(" "), short.join("\n"));
    }
    assert_told("show_members", &told);
    let store = Store::open(&sandbox.store()).unwrap();
    for _ in 0..7 {
        record(&store, "many", RESOLVED, "{}", &log(End::Done));
    }
    let said = sandbox.mstar(&["show", "many-1"]).exits(2);
    assert!(said.stderr.contains("no run is called"), "a number is not begun by another");
}

#[test]
fn words_that_mean_nothing_are_told() {
    let sandbox = four_runs();
    let mut told = String::new();
    for arguments in [
        &["--where", "seed"][..],
        &["--where", "=7"],
        &["--where", "seed="],
        &["--where", "training.methd=continuous"],
        &["--where", "training=continuous"],
        &["--where", "tst.accuracy>0.7"],
        &["--where", "quux=1"],
        &["--where", "seed>many"],
        &["--where", "test.accuracy=good"],
        &["--where", "state=broken"],
        &["--where", "member>a"],
        &["--sort", "test.acuracy"],
        &["--name", "[a"],
        &["--limit", "-1"],
        &["--format", "xml"],
    ] {
        let arguments = [&["list"][..], arguments].concat();
        let said = sandbox.mstar(&arguments).exits(2);
        told += &format!("# {}\n{}", arguments.join(" "), said.told());
    }
    assert_told("bad_conditions", &told);
    let nothing = Sandbox::new();
    for arguments in [&["list", "--where", "seed=1"][..], &["index"], &["index", "--rebuild"]] {
        let said = nothing.mstar(arguments).exits(0);
        assert!(said.stdout.is_empty() && !said.stderr.is_empty(), "{arguments:?}");
    }
    assert!(!nothing.store().exists());
    let unknown = nothing.mstar(&["list", "--where", "sed=1"]).exits(2);
    assert!(unknown.stderr.contains("did you mean `seed`?"), "{}", unknown.stderr);
    Store::open(&nothing.store()).unwrap();
    let empty = nothing.mstar(&["index"]).exits(0);
    assert_eq!(empty.stdout, "runs 0, members 0, values 0, metrics 0\n");
}

/// What is asked in every state of the index.
fn answers(sandbox: &Sandbox) -> String {
    let mut told = String::new();
    for arguments in [
        &["list", "--format", "json"][..],
        &["list", "--members", "--format", "csv"],
        &["list", "--members", "--where", "test.accuracy>0.5", "--sort", "test.gain"],
    ] {
        told += &sandbox.mstar(arguments).exits(0).told();
    }
    told
}

#[test]
fn answers_are_the_same_whatever_became_of_the_index() {
    let sandbox = four_runs();
    let wanted = answers(&sandbox);
    assert!(!wanted.contains("stderr"), "{wanted}");
    let index = sandbox.store().join("index-v1.sqlite");
    let whole = fs::read(&index).unwrap();
    let mut later = whole.clone();
    // The version that a program writes for itself, in the head of the file.
    later[60..64].copy_from_slice(&7_u32.to_be_bytes());
    let mut torn = whole.clone();
    for byte in &mut torn[4096..] {
        *byte = 0x55;
    }
    for damage in [&b"no index at all"[..], b"", &whole[..whole.len() / 2], &later, &torn] {
        fs::write(&index, damage).unwrap();
        assert_eq!(answers(&sandbox), wanted);
    }
    fs::remove_file(&index).unwrap();
    assert_eq!(answers(&sandbox), wanted);
    // Where no index can be, every command reads the records.
    fs::remove_file(&index).unwrap();
    fs::create_dir(&index).unwrap();
    assert_eq!(answers(&sandbox), wanted);
    let said = sandbox.mstar(&["index"]).exits(0);
    assert!(said.stderr.contains("cannot be written"), "{}", said.stderr);
    fs::remove_dir(&index).unwrap();
    let counts = sandbox.mstar(&["index", "--rebuild"]).exits(0).stdout;
    assert!(counts.starts_with("runs 4, members 5, values "), "{counts}");
    assert_eq!(sandbox.mstar(&["index"]).exits(0).stdout, counts);
    // Another process that does not let go is not waited for for long.
    let other = rusqlite::Connection::open(&index).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let said = sandbox.mstar(&["list", "--format", "json"]).exits(0);
    assert!(wanted.starts_with(&said.told()), "{}", said.told());
}

#[test]
fn records_that_cannot_be_read_are_runs_too() {
    let sandbox = four_runs();
    let runs = sandbox.store().join("run-v1");
    fs::remove_file(runs.join("mini-1/graph.json")).unwrap();
    fs::write(runs.join("mini-2/graph.json"), "{").unwrap();
    let events = fs::read_to_string(runs.join("other-3/events.jsonl")).unwrap();
    fs::write(runs.join("other-3/events.jsonl"), events.replacen("planned", "p\"anned", 1))
        .unwrap();
    let found = sandbox.mstar(&["list", "--format", "json"]).exits(0).json();
    let runs = found["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 4);
    assert_eq!((&runs[0]["outcome"], &runs[0]["member_count"]), (&json!("done"), &json!(1)));
    assert_eq!(runs[2]["problem"], "line 2 of its log cannot be read");
    assert!(runs[2]["outcome"].is_null() && runs[2]["accuracy"].is_null());
    let text = sandbox.mstar(&["list", "--where", "outcome=unreadable"]).exits(0).stdout;
    assert!(text.starts_with("other-3  unreadable"), "{text}");
}

#[test]
fn processes_at_once_make_one_index_and_agree() {
    let sandbox = four_runs();
    let arguments = ["list", "--members", "--format", "csv"];
    let children: Vec<_> = (0..6)
        .map(|_| {
            let mut command = sandbox.command(&arguments);
            command.stdout(std::process::Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let said: Vec<Vec<u8>> =
        children.into_iter().map(|child| child.wait_with_output().unwrap().stdout).collect();
    let wanted = sandbox.mstar(&arguments).exits(0).stdout;
    assert!(wanted.lines().count() == 6 && said.iter().all(|it| *it == wanted.as_bytes()));
    let counts = sandbox.mstar(&["index"]).exits(0).stdout;
    assert_eq!(sandbox.mstar(&["index", "--rebuild"]).exits(0).stdout, counts);
}

/// Something that happens to a store.
#[derive(Clone, Debug)]
enum Change {
    Run(Vec<(u8, i8)>),
    Append(usize, u8, i8),
    Graph(usize, u8),
    Forget(usize),
    LoseIndex,
    DamageIndex,
}

fn change() -> impl Strategy<Value = Change> {
    let lines = prop::collection::vec((0..4_u8, any::<i8>()), 0..4);
    prop_oneof![
        4 => lines.prop_map(Change::Run),
        4 => (any::<usize>(), 0..4_u8, any::<i8>())
            .prop_map(|(run, member, value)| Change::Append(run, member, value)),
        2 => (any::<usize>(), 0..4_u8).prop_map(|(run, value)| Change::Graph(run, value)),
        2 => any::<usize>().prop_map(Change::Forget),
        1 => Just(Change::LoseIndex),
        1 => Just(Change::DamageIndex),
    ]
}

fn line((member, value): (u8, i8)) -> String {
    json!([member, value]).to_string()
}

/// An entry as this test writes records: a line is a member and its metric, the graph a value.
fn entry(run: &Run) -> Result<Entry, Error> {
    let mut members: Vec<IndexedMember> = Vec::new();
    for line in run.events()?.lines() {
        let (member, value): (u8, i8) = serde_json::from_str(line).unwrap();
        let name = format!("member {member}");
        members.retain(|it| it.name != name);
        let metric = |name: &str, value: i8| IndexedMetric {
            name: name.to_owned(),
            value: f64::from(value),
            interval: None,
            count: None,
        };
        let axes = Map::from_iter([("axis".to_owned(), json!(member))]);
        let metrics = vec![metric("loss", value)];
        members.push(IndexedMember { name, state: "done".into(), axes, metrics });
    }
    let values = [("axis", json!("none")), ("graph", json!(run.graph()?))];
    let values = values.map(|(key, value)| (key.to_owned(), value)).into();
    Ok(Entry { name: run.id().into(), outcome: "done".into(), values, members, ..Entry::default() })
}

fn make(store: &Store, change: &Change) {
    let runs = store.runs().unwrap();
    let pick = |at: usize| runs.get(at % runs.len().max(1));
    let write =
        |run: &Run, name: &str, text: &str| fs::write(run.folder().join(name), text).unwrap();
    match change {
        Change::Run(lines) => {
            let files = RunFiles { recipe: "", resolved: "", graph: "0", keys: &[] };
            let mut log = store.create_run("run", &files).unwrap();
            lines.iter().for_each(|it| log.append(&line(*it)).unwrap());
            log.close().unwrap();
        }
        Change::Append(run, member, value) => {
            let Some(run) = pick(*run) else { return };
            let text = run.events().unwrap() + line((*member, *value)).as_str() + "\n";
            write(run, "events.jsonl", &text);
        }
        Change::Graph(run, value) => {
            let Some(run) = pick(*run) else { return };
            write(run, "graph.json", &"9".repeat(usize::from(*value)));
        }
        Change::Forget(run) => {
            let Some(run) = pick(*run) else { return };
            fs::remove_dir_all(run.folder()).unwrap();
        }
        Change::LoseIndex => drop(fs::remove_file(store.index_path())),
        Change::DamageIndex => fs::write(store.index_path(), "damaged").unwrap(),
    }
}

fn queries() -> Vec<Query> {
    let condition = |subject: Subject, relation: Relation, operand: &str| Condition {
        subject,
        relation,
        operand: operand.to_owned(),
    };
    let loss = || Subject::Metric("loss".into());
    let axis = || Subject::Value("axis".into());
    let query = |conditions: Vec<Condition>, sort: Option<Subject>| Query {
        conditions,
        sort,
        descending: true,
    };
    vec![
        Query::default(),
        query(vec![condition(loss(), Relation::More, "3")], Some(loss())),
        query(vec![condition(axis(), Relation::Different, "2")], Some(axis())),
        query(vec![condition(Subject::Value("graph".into()), Relation::Equal, "99")], None),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn an_index_brought_up_to_date_answers_as_one_made_anew(
        changes in prop::collection::vec(change(), 1..8),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        // The same records under an index of their own, which is always made anew.
        let anew = folder.path().join("anew");
        fs::create_dir(&anew).unwrap();
        fs::copy(store.path().join("version"), anew.join("version")).unwrap();
        std::os::unix::fs::symlink(store.path().join("run-v1"), anew.join("run-v1")).unwrap();
        let anew = Store::open_existing(&anew).unwrap().unwrap();
        for change in &changes {
            make(&store, change);
            anew.rebuild_index(&entry).unwrap();
            for query in queries() {
                let found = store.find(&query, &entry).unwrap();
                prop_assert_eq!(&found, &anew.find(&query, &entry).unwrap());
                if query == Query::default() {
                    prop_assert_eq!(found.len(), store.runs().unwrap().len());
                }
            }
            prop_assert_eq!(store.refresh_index(&entry).unwrap(), anew.refresh_index(&entry).unwrap());
        }
    }
}

#[test]
fn what_has_not_changed_is_not_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    make(&store, &Change::Run(vec![(0, 1)]));
    make(&store, &Change::Run(vec![(0, 2)]));
    let read = std::cell::RefCell::new(Vec::new());
    let told = |run: &Run| {
        read.borrow_mut().push(run.id().to_owned());
        entry(run)
    };
    store.refresh_index(&told).unwrap();
    assert_eq!(read.take(), ["run-1", "run-2"]);
    store.refresh_index(&told).unwrap();
    assert_eq!(read.take(), Vec::<String>::new());
    let index = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
    let before = index(&store.index_path());
    make(&store, &Change::Append(1, 0, 5));
    store.refresh_index(&told).unwrap();
    assert_eq!(read.take(), ["run-2"]);
    assert_ne!(index(&store.index_path()), before);
}
