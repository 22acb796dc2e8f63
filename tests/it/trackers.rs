//! Trackers are told what the log says, once, whatever becomes of them or of the run.

use crate::sandbox::Sandbox;
use crate::study_log::{End, grid, log};
use mstar::event::{Event, Record};
use mstar::store::{RunFiles, Store};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Records a run with such a log; returns the path of the log.
fn record(sandbox: &Sandbox, records: &[Record]) -> PathBuf {
    let store = Store::open(&sandbox.store()).unwrap();
    let files = RunFiles { recipe: "", resolved: "", graph: "{}", keys: &[] };
    let run = store.create_run("tracked", &files).unwrap();
    let path = sandbox.store().join("run-v1").join(run.id()).join("events.jsonl");
    run.close().unwrap();
    std::fs::write(&path, lines(records)).unwrap();
    path
}

fn lines(records: &[Record]) -> String {
    records.iter().map(|record| record.to_line() + "\n").collect()
}

/// Values of a scalar, by step.
type Scalars = BTreeMap<String, BTreeMap<String, Vec<(u64, f64)>>>;

/// What the real TensorBoard reads in a folder: scalars by the folder of the run and by tag.
fn read_by_tensorboard(folder: &Path) -> Scalars {
    let python = std::env::var_os("MSTAR_TEST_PYTHON")
        .expect("MSTAR_TEST_PYTHON must name a Python with tests/parity/requirements.txt");
    let script = r#"
import json, pathlib, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
root, found = pathlib.Path(sys.argv[1]), {}
for path in root.rglob("*tfevents*"):
    events = EventAccumulator(str(path.parent), size_guidance={"scalars": 0})
    events.Reload()
    found[str(path.parent.relative_to(root))] = {
        tag: [(it.step, it.value) for it in events.Scalars(tag)] for tag in events.Tags()["scalars"]
    }
print(json.dumps(found))
"#;
    let output = Command::new(python).args(["-c", script]).arg(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("the script prints JSON")
}

fn event_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in crate::sandbox::entries(folder) {
        if path.is_dir() { found.extend(event_files(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn tensorboard_reads_what_the_log_says() {
    let sandbox = Sandbox::new();
    record(&sandbox, &log(End::Done));
    let said = sandbox.mstar(&["track", "--to", "tensorboard=board"]).exits(0);
    let scalars = read_by_tensorboard(&sandbox.path("board"));
    let scalars = &scalars["2026-07-14-mini-mstar"];
    let curve = &scalars["test/accuracy"];
    assert_eq!(
        curve.iter().map(|it| it.0).collect::<Vec<_>>(),
        [31, 150, 290, 451, 634, 836, 1057]
    );
    assert!((curve[6].1 - 0.721).abs() < 1e-6, "{curve:?}");
    assert!((scalars["control/test/accuracy"][5].1 - 0.357).abs() < 1e-6);
    assert!(scalars["test/categories/FQA/accuracy"].len() == 7);
    let losses = &scalars["train/loss"];
    assert!(losses.len() > 300 && losses.is_sorted_by_key(|it| it.0), "{}", losses.len());
    let count: usize = scalars.values().map(Vec::len).sum();
    // The end of the run is no number.
    assert_eq!(said.stdout, format!("tensorboard=board: {} new\n", count + 1));
    assert_eq!(said.stderr, "");
}

#[test]
fn members_of_a_grid_are_runs_of_tensorboard() {
    let sandbox = Sandbox::new();
    record(&sandbox, &grid());
    sandbox.mstar(&["track", "--to", "tensorboard=board"]).exits(0);
    let scalars = read_by_tensorboard(&sandbox.path("board"));
    let runs: Vec<&str> = scalars.keys().map(String::as_str).collect();
    assert_eq!(runs, ["2026-07-14-mini-mstar/brief", "2026-07-14-mini-mstar/long"]);
    assert_eq!(scalars[runs[0]]["test/accuracy"].len(), 4);
    assert_eq!(scalars[runs[1]]["test/accuracy"].len(), 7);
}

#[test]
fn what_was_told_is_not_told_twice() {
    let (pieces, whole) = (Sandbox::new(), Sandbox::new());
    let records = log(End::Done);
    record(&whole, &records);
    whole.mstar(&["track", "--to", "tensorboard=board"]).exits(0);
    let path = record(&pieces, &records[..20]);
    let tell = || pieces.mstar(&["track", "--to", "tensorboard=board"]).exits(0).stdout;
    tell();
    assert_eq!(tell(), "tensorboard=board: 0 new\n");
    // Half a line is waited for; the same after the run was resumed says nothing new.
    let text = lines(&records);
    let half = lines(&records[..25]).len() + 40;
    std::fs::write(&path, &text[..half]).unwrap();
    tell();
    let board = pieces.path("board");
    // Killed between what it wrote and what it noted: the surplus is cut.
    let file = event_files(&board).remove(0);
    let mut torn = std::fs::File::options().append(true).open(&file).unwrap();
    torn.write_all(b"surplus").unwrap();
    std::fs::write(&path, &text).unwrap();
    tell();
    std::fs::write(&path, format!("{text}{}", lines(&records[..30]))).unwrap();
    assert_eq!(tell(), "tensorboard=board: 0 new\n");
    let bytes = |folder: &Path| std::fs::read(event_files(folder).remove(0)).unwrap();
    assert!(bytes(&board) == bytes(&whole.path("board")), "the files differ");
    // What somebody took away is written anew.
    std::fs::remove_dir_all(&board).unwrap();
    assert_ne!(tell(), "tensorboard=board: 0 new\n");
    assert_eq!(read_by_tensorboard(&board), read_by_tensorboard(&whole.path("board")));
}

#[test]
fn wrong_names_of_trackers_are_told_before_anything_is_done() {
    let sandbox = Sandbox::new();
    let hints = [
        ("wandb=x", "write `tensorboard=DIR` or `mlflow=URL`"),
        ("tensorboard", "write `tensorboard=DIR`"),
        ("mlflow=file:///tmp/x", "it begins with `http://` or `https://`"),
        ("mlflow=http://me:secret@host", "set `MLFLOW_TRACKING_TOKEN`"),
    ];
    for (name, hint) in hints {
        for command in [["track", "--to", name], ["run", "tiny.toml", "--track"]] {
            let arguments = command.iter().copied().chain((command[0] == "run").then_some(name));
            let said = sandbox.mstar(&arguments.collect::<Vec<_>>()).exits(2);
            assert!(said.stderr.contains(hint), "{name}: {}", said.stderr);
        }
    }
    assert!(event_files(&sandbox.store().join("run-v1")).is_empty());
    let mut command = sandbox.command(&["track", "--to", "mlflow"]);
    let output = command.env_remove("MLFLOW_TRACKING_URI").output().unwrap();
    assert!(String::from_utf8(output.stderr).unwrap().contains("set `MLFLOW_TRACKING_URI`"));
}

#[test]
fn a_folder_that_cannot_be_written_is_told() {
    let sandbox = Sandbox::new();
    record(&sandbox, &log(End::Done));
    sandbox.write("board", "a file");
    let said = sandbox.mstar(&["track", "--to", "tensorboard=board"]).exits(1);
    assert!(said.stderr.contains("board"), "{}", said.stderr);
    assert!(said.stderr.contains("what was taken is not told twice"), "{}", said.stderr);
}

/// A request as a server has it.
struct Asked {
    line: String,
    authorization: Option<String>,
    body: Value,
}

fn read_request(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let (mut length, mut authorization, mut header) = (0, None, String::new());
    while reader.read_line(&mut header).ok()? > 2 {
        let (name, value) = header.trim_end().split_once(": ")?;
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "authorization" => authorization = Some(value.to_owned()),
            _ => {}
        }
        header.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Some(Asked { line: line.trim_end().to_owned(), authorization, body })
}

/// Serves each connection by a function of the request, in threads that end with the test; returns
/// the address.
fn serve(answer: impl Fn(Asked, &mut TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || {
                let mut stream = stream;
                if let Some(asked) = read_request(&stream) {
                    answer(asked, &mut stream);
                }
            });
        }
    });
    url
}

fn respond(stream: &mut TcpStream, status: &str, body: &str) {
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(format!("{head}{body}").as_bytes()).ok();
}

/// What a strict server keeps.
#[derive(Default)]
struct Kept {
    experiments: Vec<String>,
    /// Run, its tag `mstar.id` and its status.
    runs: Vec<(String, String, String)>,
    /// Run, name, step, time, value as text: what a database takes for the same number.
    numbers: BTreeSet<(String, String, u64, u64, String)>,
    repeated: usize,
    parameters: usize,
    authorizations: BTreeSet<Option<String>>,
    /// Refuses after so many batches.
    batches_left: Option<usize>,
}

/// A server that takes what MLflow takes and complains of everything else.
fn strict_mlflow() -> (String, Arc<Mutex<Kept>>) {
    let kept = Arc::new(Mutex::new(Kept::default()));
    let own = Arc::clone(&kept);
    let url = serve(move |asked, stream| {
        let (status, body) = take(&mut own.lock().unwrap(), &asked);
        respond(stream, status, &body.to_string());
    });
    (url, kept)
}

fn take(kept: &mut Kept, asked: &Asked) -> (&'static str, Value) {
    kept.authorizations.insert(asked.authorization.clone());
    let refused = |message: &str| ("400 Bad Request", json!({ "message": message }));
    let body = &asked.body;
    let path = asked.line.split(' ').nth(1).unwrap_or("");
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match path.strip_prefix("/api/2.0/mlflow/").unwrap_or("") {
        "experiments/get-by-name" => {
            let name = query.strip_prefix("experiment_name=").unwrap_or("");
            match kept.experiments.iter().position(|it| it == name) {
                Some(id) => ("200 OK", json!({"experiment": {"experiment_id": id.to_string()}})),
                None => ("404 Not Found", json!({"error_code": "RESOURCE_DOES_NOT_EXIST"})),
            }
        }
        "experiments/create" => {
            let Some(name) = text(&body["name"]) else { return refused("no name") };
            kept.experiments.push(name);
            ("200 OK", json!({"experiment_id": (kept.experiments.len() - 1).to_string()}))
        }
        "runs/search" => {
            let filter = text(&body["filter"]).unwrap_or_default();
            let is_meant = |run: &&(String, String, String)| filter.contains(&run.1);
            let found = kept.runs.iter().find(is_meant);
            let found: Vec<Value> =
                found.iter().map(|run| json!({"info": {"run_id": run.0}})).collect();
            ("200 OK", json!({ "runs": found }))
        }
        "runs/create" => {
            let tags = body["tags"].as_array().cloned().unwrap_or_default();
            let id = tags.iter().find(|tag| tag["key"] == "mstar.id");
            let Some(id) = id.and_then(|id| text(&id["value"])) else { return refused("no id") };
            let run = format!("run{}", kept.runs.len());
            kept.runs.push((run.clone(), id, "RUNNING".to_owned()));
            ("200 OK", json!({"run": {"info": {"run_id": run}}}))
        }
        "runs/log-batch" => {
            let run = text(&body["run_id"]).unwrap_or_default();
            if !kept.runs.iter().any(|it| it.0 == run) {
                return refused("no such run");
            }
            let metrics = body["metrics"].as_array().cloned().unwrap_or_default();
            kept.parameters += body["params"].as_array().map_or(0, Vec::len);
            if metrics.len() > 1000 {
                return refused("more than 1000 metrics");
            }
            if let Some(left) = &mut kept.batches_left {
                if *left == 0 {
                    return ("503 Service Unavailable", json!({"message": "try later"}));
                }
                *left -= 1;
            }
            for metric in metrics {
                let number = |name: &str| metric[name].as_u64();
                let (Some(key), Some(step), Some(time), true) = (
                    text(&metric["key"]),
                    number("step"),
                    number("timestamp"),
                    metric["value"].is_number(),
                ) else {
                    return refused("no metric");
                };
                let new = (run.clone(), key, step, time, metric["value"].to_string());
                kept.repeated += usize::from(!kept.numbers.insert(new));
            }
            ("200 OK", json!({}))
        }
        "runs/update" => {
            let run = kept.runs.iter_mut().find(|run| body["run_id"] == run.0.as_str());
            let (Some(run), Some(status)) = (run, text(&body["status"])) else {
                return refused("no such run");
            };
            run.2 = status;
            ("200 OK", json!({"run_info": {}}))
        }
        _ => ("404 Not Found", json!({"message": "no such endpoint"})),
    }
}

#[test]
fn mlflow_is_told_everything_once_also_after_it_was_down() {
    let sandbox = Sandbox::new();
    record(&sandbox, &log(End::Done));
    let (url, kept) = strict_mlflow();
    let to = format!("mlflow={url}");
    kept.lock().unwrap().batches_left = Some(1);
    let said = sandbox.mstar(&["track", "--to", &to]).exits(1);
    assert!(said.stderr.contains("refuses with status 503: try later"), "{}", said.stderr);
    kept.lock().unwrap().batches_left = None;
    let mut command = sandbox.command(&["track", "--to", "mlflow"]);
    command.env("MLFLOW_TRACKING_URI", format!("{url}/")).env("MLFLOW_TRACKING_TOKEN", "abc");
    assert!(command.output().unwrap().status.success());
    let again = sandbox.mstar(&["track", "--to", &to]).exits(0);
    assert_eq!(again.stdout, format!("{to}: 0 new\n"));
    let kept = kept.lock().unwrap();
    assert_eq!(kept.experiments, ["mini-mstar"]);
    assert_eq!(kept.runs.len(), 1);
    assert_eq!(kept.runs[0].2, "FINISHED");
    assert_eq!(kept.repeated, 0);
    let tests = kept.numbers.iter().filter(|it| it.1 == "test/accuracy").count();
    assert!(tests == 7 && kept.numbers.len() > 900, "{tests} of {}", kept.numbers.len());
    assert!(kept.authorizations.contains(&Some("Bearer abc".to_owned())));
    assert!(kept.authorizations.contains(&None));
}

#[test]
fn members_of_a_grid_are_runs_of_one_experiment() {
    let sandbox = Sandbox::new();
    let mut records = grid();
    for record in &mut records {
        if let Event::RunFinished { outcome, .. } = &mut record.event {
            *outcome = mstar::event::Outcome::Interrupted;
        }
    }
    record(&sandbox, &records);
    let (url, kept) = strict_mlflow();
    sandbox.mstar(&["track", "--to", &format!("mlflow={url}")]).exits(0);
    let kept = kept.lock().unwrap();
    assert_eq!((kept.experiments.len(), kept.runs.len()), (1, 2));
    assert!(kept.runs.iter().all(|run| run.2 == "KILLED"));
}

/// Servers that are not what they should be, with what is told of each.
fn hostile() -> Vec<(&'static str, String, &'static str)> {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let refuses = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let answers = |status: &'static str, body: &'static str| {
        serve(move |_, stream| respond(stream, status, body))
    };
    vec![
        ("refuses", refuses, "does not answer"),
        ("hangs", serve(|_, _| std::thread::sleep(Duration::from_secs(60))), "no answer in 15 s"),
        ("ends", serve(|_, _| {}), "does not answer"),
        ("nonsense", answers("200 OK", "<html>hello"), "is no answer of MLflow"),
        ("other JSON", answers("200 OK", "[1, 2]"), "it is no object"),
        ("empty", answers("200 OK", "{}"), "`experiment.experiment_id` is missing"),
        ("500", answers("500 Oops", "a\u{1b}[31m fire"), "status 500: a[31m fire"),
        ("401", answers("401 Unauthorized", "{\"message\": \"who?\"}"), "MLFLOW_TRACKING_TOKEN"),
        (
            "elsewhere",
            serve(|_, stream| {
                let head = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\n";
                stream.write_all(format!("{head}Content-Length: 0\r\n\r\n").as_bytes()).ok();
            }),
            "hint: ",
        ),
        (
            "endless",
            serve(|_, stream| {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n").ok();
                while stream.write_all(&[b' '; 65536]).is_ok() {}
            }),
            "it is too long",
        ),
    ]
}

#[test]
fn a_hostile_server_is_told_of_and_keeps_no_other_tracker_waiting() {
    let sandbox = Sandbox::new();
    record(&sandbox, &log(End::Done));
    for (name, url, told) in hostile() {
        let (to, board) = (format!("mlflow={url}"), format!("tensorboard=board {name}"));
        let said = sandbox.mstar(&["track", "--to", &to, "--to", &board]).exits(1);
        assert!(said.stderr.contains(told), "{name}: {}", said.stderr);
        assert!(!said.stderr.contains('\u{1b}'), "{name}");
        assert_eq!(said.stderr.matches("error:").count(), 1, "{name}: {}", said.stderr);
        assert!(said.stdout.starts_with(&board), "{name}: {}", said.stdout);
    }
}

#[cfg(feature = "torch")]
#[test]
fn no_tracker_stops_a_run_and_each_is_warned_of_once() {
    use crate::sandbox::{GROUND, Said, assert_same, finished};
    let sandbox = Sandbox::with_only(GROUND);
    let hangs = serve(|_, _| std::thread::sleep(Duration::from_secs(600)));
    let nonsense = serve(|_, stream| respond(stream, "200 OK", "nonsense"));
    let (good, kept) = strict_mlflow();
    let names = [&hangs, &nonsense, &good].map(|url| format!("mlflow={url}"));
    let mut arguments = vec!["run", "tiny.toml", "--workers", "2", "--track", "tensorboard=board"];
    arguments.extend(names.iter().flat_map(|name| ["--track", name]));
    let said: Said = sandbox.mstar(&arguments).exits(0);
    assert_same(&sandbox.artifacts(), &crate::sandbox::artifacts(&finished().0.join(".mstar")));
    let count = |text: &str| said.stderr.matches(text).count();
    for name in &names[..2] {
        let later = format!("mstar track tiny-1 --to {name}");
        assert_eq!(count(&later), 1, "{}", said.stderr);
    }
    // A run may end before a server that hangs has been given up.
    let [hanging, nonsensical] =
        [&names[0], &names[1]].map(|name| count(&format!("warning: {name} is behind")));
    assert!(hanging <= 1 && nonsensical == 1, "{}", said.stderr);
    assert_eq!(count("warning:"), 3 + hanging, "{}", said.stderr);
    let scalars = read_by_tensorboard(&sandbox.path("board"));
    assert!(scalars["tiny-1"].contains_key("validation/accuracy"), "{scalars:?}");
    let kept = kept.lock().unwrap();
    assert!(kept.repeated == 0 && kept.runs[0].2 == "FINISHED" && kept.parameters > 20);
    let told = sandbox.mstar(&["track", "--to", "tensorboard=board"]).exits(0);
    assert_eq!(told.stdout, "tensorboard=board: 0 new\n");
}

/// A real server; ended when dropped.
struct Mlflow(std::process::Child);

impl Drop for Mlflow {
    fn drop(&mut self) {
        // Its workers are children of its own, all in a group.
        let group = format!("-{}", self.0.id());
        Command::new("kill").args(["-KILL", "--", &group]).status().ok();
        self.0.wait().ok();
    }
}

#[test]
fn a_real_mlflow_server_has_what_the_log_says() {
    use std::os::unix::process::CommandExt as _;
    let Some(python) = std::env::var_os("MSTAR_TEST_MLFLOW") else { return };
    let sandbox = Sandbox::new();
    record(&sandbox, &grid());
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let uri = format!("sqlite:///{}", sandbox.path("mlflow.db").display());
    let server = Command::new(&python)
        .args(["-m", "mlflow", "server", "--host", "127.0.0.1", "--workers", "1"])
        .args(["--port", &port.to_string(), "--backend-store-uri", &uri])
        .current_dir(sandbox.path(""))
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(sandbox.path("mlflow.log")).unwrap())
        .process_group(0)
        .spawn()
        .unwrap();
    let _server = Mlflow(server);
    let to = format!("mlflow=http://127.0.0.1:{port}");
    // It takes its time to begin, and until then it is one that is down.
    let mut tries = (0..120).map(|_| {
        std::thread::sleep(Duration::from_secs(1));
        sandbox.mstar(&["track", "--to", &to])
    });
    assert!(tries.any(|said| said.code == Some(0)), "the server does not begin");
    let script = r#"
import json, sys
from mlflow.tracking import MlflowClient
client = MlflowClient(sys.argv[1])
experiment = client.get_experiment_by_name("mini-mstar").experiment_id
found = {}
for run in client.search_runs([experiment]):
    history = lambda key: [(it.step, it.value) for it in client.get_metric_history(run.info.run_id, key)]
    found[run.info.run_name] = [run.info.status, history("test/accuracy"), len(history("train/loss"))]
print(json.dumps(found))
"#;
    let ask = || {
        let url = format!("http://127.0.0.1:{port}");
        let output = Command::new(&python).args(["-c", script, &url]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let found = ask();
    let runs = found.as_object().unwrap();
    assert_eq!(
        runs.keys().collect::<Vec<_>>(),
        ["2026-07-14-mini-mstar/brief", "2026-07-14-mini-mstar/long"]
    );
    let long = &runs["2026-07-14-mini-mstar/long"];
    assert_eq!(long[0], "FINISHED");
    assert_eq!((long[1].as_array().unwrap().len(), &long[1][6]), (7, &json!([1057, 0.721])));
    assert!(long[2].as_u64().unwrap() > 300, "{long}");
    // A lost cursor tells everything again, and the server has it once.
    for path in event_files(&sandbox.store().join("run-v1")) {
        if path.file_name().unwrap().to_string_lossy().starts_with("tracked-") {
            std::fs::remove_file(path).unwrap();
        }
    }
    let again = sandbox.mstar(&["track", "--to", &to]).exits(0);
    assert_ne!(again.stdout, format!("{to}: 0 new\n"));
    assert_eq!(ask(), found);
}
