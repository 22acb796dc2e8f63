//! A log as a run of the embedded task writes it, with the numbers of one that was measured.

use mstar::base::{Digest, Key};
use mstar::event::{Event, Machine, Outcome, Record, StageSummary, Versions};
use mstar::report::{Answer, Extras, RecipeLine, SampleView};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Test accuracy of the evolution and of its control, after the warm-up and each iteration.
const TEST: [f64; 7] = [0.323, 0.409, 0.459, 0.529, 0.611, 0.658, 0.721];
const CONTROL: [f64; 7] = [0.323, 0.311, 0.315, 0.338, 0.330, 0.353, 0.357];
const CATEGORIES: [(&str, u64, f64); 5] = [
    ("FQA", 207, 0.0),
    ("GPS", 196, 0.06),
    ("MWP", 188, -0.05),
    ("TQA", 211, 0.03),
    ("VQA", 198, -0.05),
];

/// How far the run came.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// To the end.
    Done,
    /// `train 3` failed.
    Failed,
    /// Killed while `explore 2` was in hand.
    Killed,
}

pub(crate) fn key(name: &str) -> Key {
    Key(Digest::of(name.as_bytes()))
}

/// 95 % interval of a share, near enough for a fixture.
fn interval(share: f64, count: u64) -> [f64; 2] {
    let half = 1.96 * (share * (1.0 - share) / count as f64).sqrt();
    [(share - half).max(0.0), (share + half).min(1.0)].map(|it| (it * 1e4).round() / 1e4)
}

fn rounded(share: f64) -> f64 {
    (share * 1e4).round() / 1e4
}

fn step(iteration: usize) -> u64 {
    [31, 150, 290, 451, 634, 836, 1057][iteration]
}

fn evaluate(split: &str, count: u64, accuracy: f64, iteration: usize) -> Value {
    let categories: Map<String, Value> = CATEGORIES
        .iter()
        .map(|&(name, of_thousand, offset)| {
            let count = count * of_thousand / 1000;
            let share = rounded((accuracy + offset * accuracy).clamp(0.0, 1.0));
            let correct = (share * count as f64).round() as u64;
            let value = json!({
                "count": count, "correct": correct, "accuracy": share,
                "interval": interval(share, count),
            });
            (name.to_owned(), value)
        })
        .collect();
    let wrong = [0.074, 0.066, 0.061, 0.055, 0.049, 0.044, 0.040][iteration];
    json!({
        "split": split, "count": count, "correct": (accuracy * count as f64).round() as u64,
        "accuracy": accuracy, "interval": interval(accuracy, count), "step": step(iteration),
        "categories": categories, "wrong_steps_share": wrong,
        "steps_right": rounded(accuracy * (1.0 - wrong)), "mean_tokens": 19.7, "truncated": 0,
    })
}

fn explore(iteration: usize) -> Value {
    let (prompts, each) = if iteration == 0 { (1000, 4) } else { (3000, 8) };
    json!({
        "prompts": prompts, "samples": prompts * each, "tokens": prompts * each * 197 / 10,
        "solved": rounded(0.46 + 0.055 * iteration as f64),
        "mean_correct": rounded(0.27 + 0.06 * iteration as f64), "temperature": 1.0,
    })
}

fn select(iteration: usize) -> Value {
    let rollouts = if iteration == 0 { 4000 } else { 24_000 };
    let correct = (f64::from(rollouts) * (0.27 + 0.06 * iteration as f64)).round() as u64;
    let kept = if iteration == 0 { 700 } else { 2800 + 420 * iteration as u64 };
    let wrong = [0.22, 0.19, 0.17, 0.16, 0.14, 0.13, 0.12][iteration];
    json!({
        "rollouts": rollouts, "correct": correct, "duplicates": correct / 9, "kept": kept,
        "prompts_with_kept": kept * 6 / 10,
        "wrong_steps_share": wrong,
    })
}

fn train(iteration: usize, control: bool) -> Value {
    let from = if iteration == 0 { 0 } else { step(iteration - 1) };
    let level =
        if control { 0.30 / (iteration as f64 + 1.0) } else { 0.42 - 0.03 * iteration as f64 };
    let losses: Vec<(u64, f64)> = (from + 1..=step(iteration))
        .step_by(3)
        .map(|step| {
            // A cheap, fixed wobble.
            let wobble = ((step * 2_654_435_761 % 1000) as f64 / 1000.0 - 0.5) * 0.09;
            let fall = 0.12 * (-((step - from) as f64) / 40.0).exp();
            (step, rounded(level + fall + wobble.max(-level / 2.0)))
        })
        .collect();
    json!({
        "steps": step(iteration) - from, "step": step(iteration),
        "samples": 32 * (step(iteration) - from), "tokens": 640 * (step(iteration) - from),
        "loss_first": losses[0].1, "loss_last": losses[losses.len() - 1].1, "losses": losses,
        "learning_rate_last": 7e-4 * (1.0 - 0.85 * iteration as f64 / 6.0), "dropped_long": 0,
    })
}

fn monitor(iteration: usize) -> Value {
    let pass = [0.46, 0.52, 0.575, 0.633, 0.70, 0.75, 0.80][iteration];
    json!({
        "split": "validation", "k": 8, "samples": 8, "temperature": 1.0, "count": 400,
        "mean": rounded(TEST[iteration] - 0.05), "step": step(iteration),
        "pass": {"1": rounded(TEST[iteration] - 0.05), "2": rounded(pass - 0.16),
                 "4": rounded(pass - 0.07), "8": pass},
    })
}

struct Log {
    now_ms: u64,
    records: Vec<Record>,
    stages: Vec<(StageSummary, f64, Value)>,
}

impl Log {
    fn stage(
        &mut self,
        name: &str,
        (branch, iteration): (&str, usize),
        needs: &[&str],
        seconds: f64,
        metrics: Value,
    ) {
        let kind = name.split(' ').find(|word| *word != "warm-up").unwrap_or(name);
        let kind = if kind == "control" { "train" } else { kind };
        let summary = StageSummary {
            key: key(name),
            kind: kind.to_owned(),
            name: name.to_owned(),
            needs: needs.iter().map(|name| key(name)).collect(),
            members: vec!["mini-mstar".into()],
            branch: branch.to_owned(),
            iteration: iteration as u32,
        };
        self.stages.push((summary, seconds, metrics));
    }

    fn say(&mut self, event: Event) {
        self.records.push(Record { time_ms: self.now_ms, event });
    }

    fn measure(&mut self, policy: &str, branch: &str, iteration: usize) {
        let control = branch == "control";
        let label = match (control, iteration) {
            (false, 0) => "warm-up".to_owned(),
            (false, iteration) => iteration.to_string(),
            (true, iteration) => format!("control {iteration}"),
        };
        let accuracy = if control { CONTROL[iteration] } else { TEST[iteration] };
        let at = (branch, iteration);
        let validation = evaluate("validation", 400, rounded(accuracy - 0.012), iteration);
        self.stage(&format!("evaluate {label}"), at, &[policy, "prepare"], 0.42, validation);
        let test = evaluate("test", 1000, accuracy, iteration);
        self.stage(&format!("evaluate {label} test"), at, &[policy, "prepare"], 0.97, test);
        if !control {
            let name = format!("monitor {label}");
            self.stage(&name, at, &[policy, "prepare"], 1.3, monitor(iteration));
        }
    }

    fn plan(&mut self) {
        let ground = ("ground", 0);
        let prompts = json!({"prompts": {"train": 19_000, "validation": 400, "test": 1000}});
        self.stage("import", ground, &[], 0.0, json!({"parameters": 235_392}));
        self.stage("prepare", ground, &[], 3.4, prompts);
        self.stage("warm-up explore", ground, &["import", "prepare"], 1.7, explore(0));
        self.stage("warm-up select", ground, &["warm-up explore"], 0.05, select(0));
        self.stage("warm-up train", ground, &["import", "warm-up select"], 0.9, train(0, false));
        self.measure("warm-up train", "ground", 0);
        let mut before = "warm-up train".to_owned();
        for iteration in 1..=6 {
            let at = ("evolution", iteration);
            let [explored, selected, trained] =
                ["explore", "select", "train"].map(|kind| format!("{kind} {iteration}"));
            let seconds = 9.1 + 0.2 * iteration as f64;
            self.stage(&explored, at, &[&before, "prepare"], seconds, explore(iteration));
            self.stage(&selected, at, &[&explored], 0.08, select(iteration));
            let seconds = 3.0 + 0.35 * iteration as f64;
            self.stage(&trained, at, &[&before, &selected], seconds, train(iteration, false));
            self.measure(&trained, "evolution", iteration);
            before = trained;
        }
        let mut before = "warm-up train".to_owned();
        for iteration in 1..=6 {
            let name = format!("control {iteration}");
            let needs = [before.as_str(), "warm-up select"];
            self.stage(&name, ("control", iteration), &needs, 2.9, train(iteration, true));
            self.measure(&name, "control", iteration);
            before = name;
        }
    }

    /// Carries the plan out on two workers: the control on the second.
    fn carry_out(&mut self, end: End) {
        let start_ms = self.now_ms;
        let mut free = [start_ms, start_ms];
        let mut ended: BTreeMap<Key, u64> = BTreeMap::new();
        let mut broken: Vec<Key> = Vec::new();
        let stages = self.stages.clone();
        for (stage, seconds, metrics) in stages {
            let (key, name) = (stage.key, stage.name.as_str());
            if stage.needs.iter().any(|need| broken.contains(need)) {
                broken.push(key);
                let because = "`train 3`, which it needs, failed".to_owned();
                self.now_ms = free[0].max(free[1]);
                self.say(Event::StageSkipped { key, because });
                continue;
            }
            let Value::Object(metrics) = metrics else { unreachable!("metrics are objects") };
            let finished = |outcome, seconds| Event::StageFinished {
                key,
                outcome,
                seconds,
                bytes: 40_000,
                metrics: metrics.clone(),
                computed_on: "cpu".into(),
            };
            if name == "import" {
                ended.insert(key, start_ms);
                self.now_ms = start_ms;
                self.say(finished(Outcome::Stored, 0.0));
                continue;
            }
            let measuring = matches!(stage.kind.as_str(), "evaluate" | "monitor");
            let lane = usize::from(stage.branch == "control" || measuring);
            let ready = stage.needs.iter().map(|need| ended[need]).max().unwrap_or(start_ms);
            let from = ready.max(free[lane]);
            let to = from + (seconds * 1e3) as u64;
            self.now_ms = from;
            self.say(Event::StageStarted { key, worker: lane as u32, resumed_from: 0 });
            if end == End::Killed && name == "explore 2" {
                return;
            }
            free[lane] = to;
            self.now_ms = to;
            ended.insert(key, to);
            if end == End::Failed && name == "train 3" {
                broken.push(key);
                self.say(Event::StageFailed {
                    key,
                    reason: "the loss is not finite at step 301 <&>".into(),
                    hint: Some("lower `training.learning_rate`".into()),
                    seconds,
                });
            } else {
                self.say(finished(Outcome::Done, seconds));
            }
        }
        self.now_ms = free[0].max(free[1]);
        let key = Some(self.stages[2].0.key);
        self.say(Event::Note { key, message: "12 responses were cut at 28 tokens".into() });
        let outcome = if end == End::Failed { Outcome::Failed } else { Outcome::Done };
        let seconds = (self.now_ms - start_ms) as f64 / 1e3;
        self.say(Event::RunFinished { outcome, seconds });
        self.records.sort_by_key(|record| record.time_ms);
    }
}

/// The log of a run that ended so.
pub(crate) fn log(end: End) -> Vec<Record> {
    let mut log = Log { now_ms: 1_784_021_000_000, records: Vec::new(), stages: Vec::new() };
    log.say(Event::RunStarted {
        format: 1,
        run: "2026-07-14-mini-mstar".into(),
        name: "mini-mstar".into(),
        recipe_file: "recipes/mini.toml".into(),
        versions: Versions {
            mstar: "0.1.0".into(),
            libtorch: Some("2.11.0".into()),
            platform: "linux x86_64".into(),
            cores: 2,
        },
        machine: Machine {
            processor: "Two Cores 2000".into(),
            cores: 2,
            memory_bytes: 8 << 30,
            cuda_devices: 0,
        },
    });
    log.plan();
    let stages = log.stages.iter().map(|(summary, ..)| summary.clone()).collect();
    log.say(Event::Planned { stages, best: Vec::new() });
    for worker in 0..2 {
        let device = "cpu".to_owned();
        log.say(Event::WorkerStarted { worker, process: 4000 + worker, device, threads: 1 });
    }
    log.carry_out(end);
    log.records
}

/// The same run as two members of a grid, of which `brief` ends after three iterations.
pub(crate) fn grid() -> Vec<Record> {
    let mut records = log(End::Done);
    for record in &mut records {
        if let Event::Planned { stages, .. } = &mut record.event {
            for stage in stages {
                let early = stage.branch == "ground" || stage.iteration <= 3;
                stage.members = vec!["long".into()];
                if early && stage.branch != "control" {
                    stage.members.insert(0, "brief".into());
                }
            }
        }
    }
    records
}

/// Values of that grid's axis.
pub(crate) fn grid_values() -> BTreeMap<String, Map<String, Value>> {
    let one = |value: u64| Map::from_iter([("training.iterations".to_owned(), json!(value))]);
    BTreeMap::from([("brief".to_owned(), one(3)), ("long".to_owned(), one(6))])
}

/// A picture of four bars.
fn picture(heights: [u32; 4]) -> Vec<u8> {
    let colours = [[230, 38, 38], [38, 204, 51], [51, 77, 242], [230, 217, 38]];
    let picture = image::RgbImage::from_fn(32, 32, |x, y| {
        let column = (x / 8) as usize;
        let inside = (2..7).contains(&(x % 8)) && y >= 32 - 4 * heights[column];
        let grey = 18 + (x * 7 + y * 13) as u8 % 9;
        image::Rgb(if inside { colours[column] } else { [grey; 3] })
    });
    let mut png = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut png, image::ImageFormat::Png).expect("a vector takes everything");
    png.into_inner()
}

fn answer(response: &str, predicted: &str, correct: bool, steps_right: bool) -> Answer {
    Answer {
        response: response.into(),
        predicted: Some(predicted.into()),
        correct,
        steps_right: Some(steps_right),
    }
}

/// What the caller hands in beside the log.
pub(crate) fn extras() -> Extras {
    let sample =
        |id: &str, category: &str, question: &str, heights, gold: &str, answers: [Answer; 2]| {
            let [before, answer] = answers;
            SampleView {
                iteration: 6,
                split: "test".into(),
                id: id.into(),
                category: category.into(),
                question: question.into(),
                image: picture(heights),
                gold: gold.into(),
                answer,
                before: Some(before),
                choice: None,
            }
        };
    let wrong = "red 5 ; blue 6 ; 5 x 6 = 35 ; answer 35";
    let right = "red 5 ; blue 6 ; 5 x 6 = 30 ; answer 30";
    let mut samples = vec![
        sample(
            "17",
            "FQA",
            "bar red x blue ?",
            [5, 3, 6, 2],
            "30",
            [answer(wrong, "35", false, false), answer(right, "30", true, true)],
        ),
        sample(
            "23",
            "FQA",
            "bar green + yellow then x red ?",
            [2, 4, 6, 7],
            "22",
            [
                answer(
                    "green 4 ; yellow 7 ; 4 + 7 = 12 ; 12 x 2 = 24 ; answer 24",
                    "24",
                    false,
                    false,
                ),
                answer(
                    "green 4 ; yellow 7 ; red 2 ; 4 + 7 = 11 ; 11 x 2 = 22 ; answer 22",
                    "22",
                    true,
                    true,
                ),
            ],
        ),
        sample(
            "41",
            "VQA",
            "count circle x red ?",
            [1, 7, 2, 3],
            "16",
            [
                answer("circle 2 ; red 8 ; 2 + 8 = 10 ; answer 10", "10", false, false),
                answer("circle 2 ; red 8 ; 8 x 8 = 16 ; answer 16", "16", true, false),
            ],
        ),
        sample(
            "77",
            "GPS",
            "area of rectangle then x 7 ? <script>alert(1)</script>",
            [4, 4, 1, 6],
            "168",
            [
                answer("width 4 ; height 6 ; answer 24", "24", false, false),
                answer(
                    "width 4 ; height 6 ; 4 x 6 = 24 ; 24 x 7 = 158 ; answer 158",
                    "158",
                    false,
                    false,
                ),
            ],
        ),
    ];
    for (of, kept, words) in [(0, true, "kept"), (1, false, "not kept: others were drawn")] {
        samples.push(SampleView {
            id: format!("9{of}"),
            split: "train".into(),
            before: None,
            choice: Some((kept, words.to_owned())),
            ..samples[of].clone()
        });
    }
    let line = |key: &str, value: &str, origin: &str| RecipeLine {
        key: key.into(),
        value: value.into(),
        origin: origin.into(),
    };
    Extras {
        samples,
        recipe: vec![
            line("name", "\"mini-mstar\"", "recipes/mini.toml:3"),
            line("seed", "0", "recipes/mini.toml:4"),
            line("policy.model", "\"builtin:mini-vlm\"", "recipes/mini.toml:7"),
            line("training.method", "\"continuous\"", "recipes/mini.toml:16"),
            line("training.iterations", "6", "--set training.iterations=6"),
            line("training.batch_size", "32", "recipes/mini.toml:19"),
            line("exploration.samples", "8", "recipes/mini.toml:24"),
            line("exploration.top_p", "1.0", "default"),
            line("reward.select", "{ random = 2 }", "recipes/mini.toml:28"),
            line("temperature.mode", "\"fixed\"", "default"),
            line("temperature.value", "1.0", "default"),
        ],
        commands: vec![
            "mstar run recipes/mini.toml --set training.iterations=6".into(),
            "mstar report 2026-07-14-mini-mstar".into(),
        ],
        table: None,
        graph_svg: Some(
            r#"<svg viewBox="0 0 1400 90" width="1400" height="90"><rect class="band" x="4" y="4" width="1392" height="80" fill="silver"/><text x="20" y="50">a stand-in for the planner's drawing</text></svg>"#
                .into()),
    }
}
