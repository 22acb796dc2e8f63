//! A log as an experiment of many members writes it, with numbers made up for it: methods by
//! intervals by seeds, of which each seed shares its warm-up.

use mstar::base::{Digest, Key};
use mstar::event::{Event, Machine, Outcome, Record, StageSummary, Versions};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What an experiment varies.
pub(crate) struct Grid<'a> {
    pub(crate) methods: &'a [&'a str],
    pub(crate) intervals: &'a [f64],
    pub(crate) seeds: u64,
    pub(crate) iterations: u32,
    /// Members of which `train 3` fails.
    pub(crate) failing: &'a [&'a str],
}

/// Values of a member by the keys of its axes.
pub(crate) type Values = BTreeMap<String, Map<String, Value>>;

/// A member: its name, where its method stands, and what it varies.
struct Varied {
    name: String,
    place: usize,
    interval: f64,
    seed: u64,
    values: Map<String, Value>,
}

/// A stage: itself, the member it fails for, and what it measures.
struct Stage(StageSummary, bool, Value);

fn key(name: &str) -> Key {
    Key(Digest::of(name.as_bytes()))
}

/// A number in -1..1 that looks like chance and is none.
fn wobble(name: &str) -> f64 {
    Digest::of(name.as_bytes()).leading_u64() as f64 / u64::MAX as f64 * 2.0 - 1.0
}

fn evaluate(split: &str, count: u64, accuracy: f64, step: u64) -> Value {
    let correct = (accuracy * count as f64).round() as u64;
    let accuracy = correct as f64 / count as f64;
    let half = 1.96 * (accuracy * (1.0 - accuracy) / count as f64).sqrt();
    let category = |share: f64| {
        json!({"count": count / 2, "correct": correct / 2, "accuracy": (accuracy * share).min(1.0),
               "interval": [accuracy * share - half, accuracy * share + half]})
    };
    json!({
        "split": split, "count": count, "correct": correct, "accuracy": accuracy,
        "interval": [accuracy - half, accuracy + half], "step": step,
        "categories": {"FQA": category(1.04), "MWP": category(0.96)},
        "steps_right": accuracy * 0.95,
    })
}

impl Grid<'_> {
    /// Names of the members, in their order.
    pub(crate) fn names(&self) -> Vec<String> {
        self.members().into_iter().map(|member| member.name).collect()
    }

    /// Values of the members.
    pub(crate) fn values(&self) -> Values {
        self.members().into_iter().map(|member| (member.name, member.values)).collect()
    }

    fn members(&self) -> Vec<Varied> {
        let mut members = Vec::new();
        for (place, method) in self.methods.iter().enumerate() {
            for interval in self.intervals {
                for seed in 1..=self.seeds {
                    let values = json!({
                        "training.method": method, "training.interval": interval, "seed": seed,
                    });
                    let Value::Object(values) = values else { unreachable!("it is an object") };
                    let name = format!("method={method},interval={interval},seed={seed}");
                    members.push(Varied { name, place, interval: *interval, seed, values });
                }
            }
        }
        members
    }

    fn stages(&self) -> Vec<Stage> {
        let members = self.members();
        let all = self.names();
        let import = summary("import", "import", ("ground", 0), &all);
        let mut stages = vec![Stage(import, false, json!({"parameters": 235_392}))];
        for seed in 1..=self.seeds {
            let mine = members.iter().filter(|member| member.seed == seed);
            let mine: Vec<String> = mine.map(|member| member.name.clone()).collect();
            let start = 0.32 + 0.01 * wobble(&format!("start {seed}"));
            let prompts = json!({"prompts": {"train": 800, "validation": 400, "test": 1000}});
            for (kind, metrics) in [
                ("prepare", prompts),
                ("evaluate", evaluate("validation", 400, start, 31)),
                ("evaluate test", evaluate("test", 1000, start, 31)),
            ] {
                let name = format!("{kind} of seed {seed}");
                stages.push(Stage(summary(&name, kind, ("ground", 0), &mine), false, metrics));
            }
        }
        for Varied { name, place, interval, seed, .. } in &members {
            let fails = self.failing.contains(&name.as_str());
            for iteration in 1..=self.iterations {
                let own = [name.clone()];
                let at = ("evolution", iteration);
                let step = 31 + 40 * u64::from(iteration);
                let share = f64::from(iteration) / f64::from(self.iterations);
                let height = 0.2 + 0.07 * *place as f64 - 0.12 * (interval - 0.25).abs();
                let noise = 0.015 * wobble(&format!("{name} {iteration}"));
                let shared = 0.02 * wobble(&format!("seed {seed}"));
                let accuracy = 0.32 + height * share.sqrt() + (noise + shared) * share;
                let measured = [
                    ("train", json!({"steps": 40, "step": step})),
                    ("evaluate", evaluate("validation", 400, accuracy - 0.01, step)),
                    ("evaluate test", evaluate("test", 1000, accuracy, step)),
                    (
                        "monitor",
                        json!({"split": "validation", "k": 8, "samples": 8, "temperature": 1.0,
                               "count": 400, "mean": accuracy - 0.05, "step": step,
                               "pass": {"1": accuracy - 0.05, "8": accuracy + 0.1}}),
                    ),
                ];
                for (kind, metrics) in measured {
                    let whole = summary(&format!("{kind} {iteration} of {name}"), kind, at, &own);
                    let stage = StageSummary { name: format!("{kind} {iteration}"), ..whole };
                    stages.push(Stage(stage, fails, metrics));
                }
            }
        }
        stages
    }

    /// What the run writes down.
    pub(crate) fn log(&self) -> Vec<Record> {
        let mut now = 1_784_021_000_000;
        let mut records = vec![Record {
            time_ms: now,
            event: Event::RunStarted {
                format: 1,
                run: "training-methods-1".into(),
                name: "training-methods".into(),
                recipe_file: "experiments/training-methods.toml".into(),
                versions: Versions {
                    mstar: "0.1.0".into(),
                    libtorch: Some("2.11.0".into()),
                    platform: "linux x86_64".into(),
                    cores: 2,
                },
                machine: Machine::default(),
            },
        }];
        let stages = self.stages();
        let planned = stages.iter().map(|stage| stage.0.clone()).collect();
        records.push(Record {
            time_ms: now,
            event: Event::Planned { stages: planned, best: Vec::new() },
        });
        let device = "cpu".to_owned();
        let event = Event::WorkerStarted { worker: 0, process: 4000, device, threads: 1 };
        records.push(Record { time_ms: now, event });
        for Stage(stage, fails, metrics) in stages {
            let (key, Value::Object(metrics)) = (stage.key, metrics) else {
                unreachable!("metrics are objects")
            };
            if fails && (stage.iteration > 3 || stage.iteration == 3 && stage.kind != "train") {
                let because = "`train 3`, which it needs, failed".to_owned();
                records.push(Record { time_ms: now, event: Event::StageSkipped { key, because } });
                continue;
            }
            let event = Event::StageStarted { key, worker: 0, resumed_from: 0 };
            records.push(Record { time_ms: now, event });
            now += 500;
            let event = if fails && stage.iteration == 3 {
                let reason = "the loss is not finite at step 301".to_owned();
                Event::StageFailed { key, reason, hint: None, seconds: 0.5 }
            } else {
                Event::StageFinished {
                    key,
                    outcome: Outcome::Done,
                    seconds: 0.5,
                    bytes: 40_000,
                    metrics,
                    computed_on: "cpu".into(),
                }
            };
            records.push(Record { time_ms: now, event });
        }
        let outcome = if self.failing.is_empty() { Outcome::Done } else { Outcome::Failed };
        let event = Event::RunFinished { outcome, seconds: 1.0 };
        records.push(Record { time_ms: now, event });
        records
    }
}

fn summary(
    name: &str,
    kind: &str,
    (branch, iteration): (&str, u32),
    members: &[String],
) -> StageSummary {
    StageSummary {
        key: key(name),
        kind: kind.split(' ').next().unwrap_or(kind).to_owned(),
        name: name.to_owned(),
        branch: branch.to_owned(),
        iteration,
        needs: Vec::new(),
        members: members.to_vec(),
    }
}
