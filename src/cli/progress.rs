//! Progress: a reader of events that redraws bars on a terminal and prints plain lines elsewhere.

use super::printer::Printer;
use crate::base::{Duration, Key, Rate, printable};
use crate::event::{Event, Outcome, Record, StageSummary, Unit};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Plain lines about one stage are at least this far apart.
const PLAIN_EVERY_MS: u64 = 10_000;
/// Redraws a second at most.
pub(crate) const REDRAWS: u8 = 10;

/// What a stage that runs has shown so far.
struct Running {
    bar: ProgressBar,
    began_ms: u64,
    began_at: Option<u64>,
    told_ms: u64,
}

/// The narrowest and the widest column of names; what is longer pushes the rest of its line.
const LEAST_TITLE: usize = 20;
const WIDEST_TITLE: usize = 44;

/// Where lines go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Voice {
    /// To who carries out the run.
    Talk,
    /// To who watches it, for whom they are data.
    Data,
    /// Nowhere: it was said before.
    Nobody,
}

/// Follows one run.
pub(crate) struct Progress {
    printer: Printer,
    voice: Voice,
    bars: Option<MultiProgress>,
    overall: ProgressBar,
    stages: BTreeMap<Key, StageSummary>,
    /// Members of the grid.
    members: usize,
    /// Characters of the column of names.
    title_width: usize,
    running: BTreeMap<Key, Running>,
    /// Names of the stages that did not run, by the reason.
    skipped: BTreeMap<String, Vec<String>>,
    done: usize,
    stored: usize,
}

impl Progress {
    pub(crate) fn new(printer: Printer) -> Self {
        let bars = printer
            .redraws()
            .then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(REDRAWS)));
        Self {
            printer,
            voice: Voice::Talk,
            bars,
            overall: ProgressBar::hidden(),
            stages: BTreeMap::new(),
            members: 0,
            title_width: LEAST_TITLE,
            running: BTreeMap::new(),
            skipped: BTreeMap::new(),
            done: 0,
            stored: 0,
        }
    }

    /// Follows a run that another process carries out, after what is known of it.
    pub(crate) fn to_data(printer: Printer, known: &[Record]) -> Self {
        let mut progress = Self { bars: None, voice: Voice::Nobody, ..Self::new(printer) };
        known.iter().for_each(|record| progress.see(record));
        Self { voice: Voice::Data, ..progress }
    }

    /// Takes in one record of the log.
    pub(crate) fn see(&mut self, record: &Record) {
        let now = record.time_ms;
        match &record.event {
            Event::Planned { stages, .. } => self.planned(stages),
            Event::WorkerStarted { worker, device, threads, .. } => {
                let plural = if *threads == 1 { "" } else { "s" };
                self.line(&format!(
                    "worker {worker} computes on {device}, {threads} thread{plural}"
                ));
            }
            Event::WorkerDied { worker, reason } => {
                self.line(&format!("worker {worker}: {reason}"))
            }
            Event::StageStarted { key, resumed_from, .. } => self.started(*key, *resumed_from, now),
            Event::StageProgress { key, done, total, unit, watched } => {
                self.moved(*key, (*done, *total), *unit, watched, now);
            }
            Event::StageFinished { key, outcome, seconds, metrics, .. } => {
                self.finished(*key, *outcome, *seconds, metrics);
            }
            Event::StageFailed { key, reason, hint, .. } => {
                self.close(*key);
                let hint = hint.as_ref().map_or(String::new(), |hint| format!("\n  hint: {hint}"));
                self.complain(&format!("failed   {}: {reason}{hint}", self.name(*key)));
            }
            Event::StageSkipped { key, because } => {
                let name = self.name(*key);
                self.skipped.entry(because.clone()).or_default().push(name);
            }
            Event::Note { key, message } => match key {
                Some(key) => self.line(&format!("note     {}: {message}", self.name(*key))),
                None => self.line(&format!("note     {message}")),
            },
            Event::RunStarted { .. } => {}
            Event::RunFinished { .. } => self.end(),
        }
    }

    /// Says what goes wrong beside the run.
    pub(crate) fn warn(&self, warning: &str) {
        self.complain(warning);
    }

    fn planned(&mut self, stages: &[StageSummary]) {
        let members: BTreeSet<&String> = stages.iter().flat_map(|stage| &stage.members).collect();
        self.members = members.len();
        self.stages = stages.iter().map(|stage| (stage.key, stage.clone())).collect();
        let titles = stages.iter().map(|stage| stage.title(self.members).chars().count());
        self.title_width = titles.max().unwrap_or(0).clamp(LEAST_TITLE, WIDEST_TITLE);
        if let Some(bars) = &self.bars {
            let style = "{elapsed_precise} {wide_bar:.cyan/dim} {pos}/{len} stages";
            self.overall =
                bars.add(ProgressBar::new(stages.len() as u64).with_style(style_of(style)));
        }
    }

    fn started(&mut self, key: Key, resumed_from: u64, now: u64) {
        if resumed_from > 0 {
            let name = self.name(key);
            self.line(&format!("resumed  {name} at {resumed_from}"));
        }
        let bar = match &self.bars {
            Some(bars) => {
                let bar = ProgressBar::new(0).with_style(style_of("  {prefix:<20} {msg}"));
                bar.set_prefix(printable(&self.name(key)).into_owned());
                bars.insert_before(&self.overall, bar)
            }
            None => ProgressBar::hidden(),
        };
        let running = Running { bar, began_ms: now, began_at: None, told_ms: now };
        self.running.insert(key, running);
    }

    fn moved(
        &mut self,
        key: Key,
        (done, total): (u64, u64),
        unit: Unit,
        watched: &Map<String, Value>,
        now: u64,
    ) {
        let name = self.name(key);
        let Some(running) = self.running.get_mut(&key) else { return };
        let began_at = *running.began_at.get_or_insert_with(|| {
            running.began_ms = now;
            done
        });
        let seconds = now.saturating_sub(running.began_ms) as f64 / 1e3;
        let mut parts = vec![format!("{done}/{total} {}", word(unit))];
        if seconds > 0.0 && done > began_at {
            let rate = (done - began_at) as f64 / seconds;
            let left = total.saturating_sub(done) as f64 / rate;
            parts.push(format!("{}, {} to go", Rate(rate), Duration(left)));
        }
        parts.extend(watched.iter().map(|(what, value)| format!("{what} {}", number(value))));
        let text = parts.join(", ");
        running.bar.set_message(printable(&text).into_owned());
        let plain = self.bars.is_none() && now.saturating_sub(running.told_ms) >= PLAIN_EVERY_MS;
        if plain {
            running.told_ms = now;
            self.line(&format!("         {name}: {text}"));
        }
    }

    fn finished(&mut self, key: Key, outcome: Outcome, seconds: f64, metrics: &Map<String, Value>) {
        self.close(key);
        self.done += 1;
        self.overall.set_position(self.done as u64);
        if outcome == Outcome::Stored {
            self.stored += 1;
            return;
        }
        let count = self.stages.len();
        let kind = self.stages.get(&key).map_or("", |stage| stage.kind.as_str());
        let (name, time) = (self.name(key), Duration(seconds).to_string());
        let told = highlight(kind, metrics);
        let width = self.title_width;
        let line = format!("{:>3}/{count:<3}  {name:<width$} {time:>8}  {told}", self.done);
        self.line(line.trim_end());
    }

    fn end(&mut self) {
        self.overall.finish_and_clear();
        for (because, names) in &self.skipped {
            let stages = match names.as_slice() {
                [name] => name.clone(),
                names => format!("{} stages, from {}", names.len(), names[0]),
            };
            self.complain(&format!("skipped  {stages}: {because}"));
        }
        if self.stored > 0 {
            self.line(&format!("{} of {} stages were stored", self.stored, self.stages.len()));
        }
    }

    fn close(&mut self, key: Key) {
        if let Some(running) = self.running.remove(&key) {
            running.bar.finish_and_clear();
        }
    }

    fn name(&self, key: Key) -> String {
        self.stages.get(&key).map_or_else(|| key.short(), |stage| stage.title(self.members))
    }

    fn line(&self, text: &str) {
        if !self.printer.quiet() {
            self.say(text, Printer::talk);
        }
    }

    fn complain(&self, text: &str) {
        self.say(text, Printer::complain);
    }

    fn say(&self, text: &str, talk: fn(Printer, &str)) {
        match (self.voice, &self.bars) {
            (Voice::Nobody, _) => {}
            // A reader that went away is noticed when the next data is printed.
            (Voice::Data, _) => drop(self.printer.data(text)),
            (Voice::Talk, Some(bars)) => bars.suspend(|| talk(self.printer, text)),
            (Voice::Talk, None) => talk(self.printer, text),
        }
    }
}

/// Members beyond which planning takes long enough to be watched.
const MANY: usize = 200;

/// A bar that counts to `many`, gone when it is there; hidden where nobody looks or little is counted.
pub(crate) fn counting(printer: Printer, what: &'static str, many: usize) -> ProgressBar {
    if many < MANY || !printer.redraws() {
        return ProgressBar::hidden();
    }
    let style = "{prefix} {wide_bar} {human_pos}/{human_len} members, {per_sec}, {eta} to go";
    let bar = ProgressBar::new(many as u64).with_style(style_of(style)).with_prefix(what);
    let bar = bar.with_finish(ProgressFinish::AndClear);
    // Seen from the first member on, also where all of them take less than a redraw.
    bar.tick();
    bar
}

pub(crate) fn style_of(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("templates are literals of this file")
}

fn word(unit: Unit) -> &'static str {
    match unit {
        Unit::Prompts => "prompts",
        Unit::Samples => "samples",
        Unit::Steps => "steps",
        Unit::Megabytes => "MB",
    }
}

/// What of a stage's metrics is worth a place on its line.
fn highlight(kind: &str, metrics: &Map<String, Value>) -> String {
    let wanted: &[(&str, &str)] = match kind {
        "explore" => &[("samples", "samples"), ("solved", "solved"), ("mean_correct", "right")],
        "select" => &[("kept", "kept"), ("wrong_steps_share", "of them with wrong steps")],
        "train" => &[("steps", "steps"), ("loss_first", "loss"), ("loss_last", "to")],
        "evaluate" => &[("accuracy", "right"), ("count", "prompts")],
        "monitor" => &[("mean", "right at this temperature")],
        "agreement" => &[("agreement", "of the pseudo answers agree"), ("coverage", "covered")],
        "overlap" => &[("shared", "questions among the prompts"), ("questions", "in all")],
        "balance" => &[("temperature", "from now on"), ("before", "before")],
        "stop" => &[("best", "the best iteration"), ("since", "evaluations since")],
        "pretrain" | "import" => &[("parameters", "parameters")],
        _ => &[],
    };
    let told = wanted.iter().filter_map(|(key, label)| {
        let value = metrics.get(*key).filter(|value| !value.is_null())?;
        let number = number(value);
        Some(if kind == "train" {
            format!("{label} {number}")
        } else {
            format!("{number} {label}")
        })
    });
    told.collect::<Vec<_>>().join(", ")
}

fn number(value: &Value) -> String {
    match (value.as_u64(), value.as_f64()) {
        (Some(whole), _) => whole.to_string(),
        (None, Some(number)) => format!("{number:.3}"),
        _ => value.to_string(),
    }
}
