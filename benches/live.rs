//! Frames a second of the live page while stages say 100 things a second, by the browser's own
//! clock, and what serving it takes of a core.

#![expect(clippy::print_stdout, reason = "a benchmark reports to who runs it")]
#![expect(clippy::unwrap_used, reason = "a benchmark may fail by a panic")]

#[path = "../tests/it/browser.rs"]
mod browser;

use browser::Browser;
use mstar::base::{Digest, Key};
use mstar::event::{Event, Outcome, Record, StageSummary, Unit};
use mstar::live::{Server, Source};
use mstar::report::{Extras, Study, page};
use mstar::store::{RunFiles, RunLog, Store};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Stages of the run, and how many are in hand at a time.
const STAGES: u64 = 400;
const IN_HAND: u64 = 4;
/// Between two things that are said.
const EVERY: Duration = Duration::from_millis(10);
/// Seconds that are measured.
const SECONDS: u64 = 10;

fn key(index: u64) -> Key {
    Key(Digest::of(&index.to_le_bytes()))
}

fn say(log: &mut RunLog, time_ms: u64, event: Event) {
    log.append(&Record { time_ms, event }.to_line()).unwrap();
}

fn begin(store: &Store) -> RunLog {
    let files = RunFiles { recipe: "", resolved: "", graph: "{}", keys: &[] };
    let mut log = store.create_run("watched", &files).unwrap();
    let kinds = ["explore", "select", "train", "evaluate"];
    let stages = (0..STAGES).map(|index| StageSummary {
        key: key(index),
        kind: kinds[index as usize % 4].to_owned(),
        name: format!("{} {}", kinds[index as usize % 4], index / 4),
        branch: "evolution".to_owned(),
        iteration: (index / 4) as u32,
        needs: index.checked_sub(4).map(key).into_iter().collect(),
        members: vec!["one".to_owned()],
    });
    let planned = Event::Planned { stages: stages.collect(), best: Vec::new() };
    say(&mut log, 0, planned);
    for index in 0..IN_HAND {
        say(&mut log, 0, Event::StageStarted { key: key(index), worker: 0, resumed_from: 0 });
    }
    log
}

/// Says 100 things a second; every second a stage ends and another begins.
fn go_on(mut log: RunLog, stops: &AtomicBool) {
    for tick in 1.. {
        if stops.load(Ordering::Relaxed) {
            return;
        }
        let (now, ended) = (tick * 10, tick / 100);
        if tick % 100 == 0 {
            let finished = Event::StageFinished {
                key: key(ended - 1),
                outcome: Outcome::Done,
                seconds: 4.0,
                bytes: 1000,
                metrics: Map::new(),
                computed_on: "cpu".to_owned(),
            };
            say(&mut log, now, finished);
            let key = key(ended - 1 + IN_HAND);
            say(&mut log, now, Event::StageStarted { key, worker: 0, resumed_from: 0 });
        } else {
            let loss = 1.0 / (1.0 + tick as f64) + 0.01 * (tick as f64 * 0.7).sin();
            let watched = json!({"loss": loss, "accuracy": 1.0 - loss});
            let Value::Object(watched) = watched else { unreachable!("it was just made") };
            let key = key(ended + tick % IN_HAND);
            let event =
                Event::StageProgress { key, done: tick, total: 4000, unit: Unit::Steps, watched };
            say(&mut log, now, event);
        }
        thread::sleep(EVERY);
    }
}

/// Seconds that all threads of this process have computed.
fn computed() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit(") ").next().unwrap();
    let field = |number: usize| after_name.split(' ').nth(number).unwrap().parse::<f64>().unwrap();
    // Times are in hundredths of a second.
    (field(11) + field(12)) / 100.0
}

/// Seconds that the page's thread has computed: script, layout and all else.
fn drawn(browser: &mut Browser) -> f64 {
    let metrics = browser.call("Performance.getMetrics", &json!({}));
    let metrics = metrics["metrics"].as_array().unwrap();
    let task = metrics.iter().find(|metric| metric["name"] == "TaskDuration").unwrap();
    task["value"].as_f64().unwrap()
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let log = begin(&store);
    let run = store.run(log.id()).unwrap();
    let of = run.clone();
    let report = move || {
        let records = Record::read_log(&of.events().ok()?).ok()?;
        Some(page(&Study::read(&records), &Extras::default()))
    };
    let server = Server::start(Source { store, run, report: Box::new(report) }, 0).unwrap();
    let Some(mut browser) = Browser::open(&server.url()) else {
        println!("there is no chromium");
        return;
    };
    browser.wait_for("document.body.dataset.word === 'running'");
    let stops = Arc::new(AtomicBool::new(false));
    let saying = Arc::clone(&stops);
    let said = thread::spawn(move || go_on(log, &saying));
    browser.wait_for("document.querySelectorAll('.hand .curve').length > 1");
    browser.call("Performance.enable", &json!({"timeDomain": "threadTicks"}));
    let before = (computed(), drawn(&mut browser));
    let frames = browser.ask(&format!(
        "new Promise((done) => {{
            const times = [];
            const frame = (now) => {{
                times.push(now);
                if (now - times[0] < {SECONDS}000) requestAnimationFrame(frame);
                else done(times);
            }};
            requestAnimationFrame(frame);
        }})"
    ));
    let (computed, drawn) = (computed() - before.0, drawn(&mut browser) - before.1);
    stops.store(true, Ordering::Relaxed);
    said.join().unwrap();
    let times: Vec<f64> = frames.as_array().unwrap().iter().filter_map(Value::as_f64).collect();
    let mut gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    gaps.sort_by(f64::total_cmp);
    let at = |share: f64| gaps[((gaps.len() - 1) as f64 * share) as usize];
    let late = gaps.iter().filter(|gap| **gap > 25.0).count();
    println!(
        "{:.1} frames a second over {SECONDS} s; between two: median {:.1} ms, 99 % below {:.1} ms, \
         longest {:.1} ms; {late} of {} late",
        gaps.len() as f64 * 1e3 / (times[times.len() - 1] - times[0]),
        at(0.5),
        at(0.99),
        at(1.0),
        gaps.len()
    );
    // Holds also where other work takes the cores from the browser.
    println!(
        "the page's own thread: {:.1} ms a second, of 1000 that 60 frames have",
        drawn / SECONDS as f64 * 1e3
    );
    println!(
        "serving and saying 100 things a second: {:.2} % of one core",
        computed / SECONDS as f64 * 100.0
    );
    println!("errors of the page: {}", browser.errors.len());
}
