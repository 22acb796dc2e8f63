//! What a plan will cost: samples, tokens, steps, seconds and bytes of each stage.
//!
//! What a stage selects is not known before it runs, so that a share is assumed and the assumption
//! is said. Time and size come from what was measured on this machine before, or are not given.

use super::{Graph, Lesson, Node, Port, Stage, TrainingSet};
use crate::base::Key;
use crate::recipe;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Steps of a response that are completed, as long as none was measured.
const ASSUMED_STEPS: u64 = 4;
/// Share of correct responses where nothing was measured.
const ASSUMED_SOLVE_RATE: f64 = 0.5;

/// What earlier runs on this machine measured, and what loaders say about their data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Work done by kind of stage.
    pub kinds: BTreeMap<String, Tally>,
    /// Lengths by source.
    pub sources: BTreeMap<String, SourceFacts>,
    /// Share of correct responses among those drawn, 0..1.
    pub solve_rate: Option<f64>,
}

/// Work done by the stages of one kind, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Stages.
    pub stages: u64,
    /// Samples, counted as [`Estimate::samples`] counts them.
    pub samples: u64,
    /// Seconds of work.
    pub seconds: f64,
    /// Size of the artifacts.
    pub bytes: u64,
}

impl Measured {
    /// Counts a finished stage in.
    pub fn add(&mut self, kind: &str, samples: u64, seconds: f64, bytes: u64) {
        let tally = self.kinds.entry(kind.to_owned()).or_default();
        tally.stages += 1;
        tally.samples += samples;
        tally.seconds += seconds;
        tally.bytes += bytes;
    }
}

/// Mean lengths of a source's sequences in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceFacts {
    /// Question and image.
    pub prompt_tokens: f64,
    /// A response.
    pub response_tokens: f64,
}

/// What a stage will cost; `None` where nothing is known, or nothing of the sort is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// What it goes through: prompts made, responses drawn or read, sequences trained on.
    pub samples: Option<u64>,
    /// Tokens generated, or trained on with their prompts.
    pub tokens: Option<u64>,
    /// Optimizer steps.
    pub steps: Option<u64>,
    /// Time.
    pub seconds: Option<f64>,
    /// Size of what it leaves in the store.
    pub bytes: Option<u64>,
}

impl Estimate {
    /// The sum; what is known of one side alone counts.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        fn sum<T: std::ops::Add<Output = T>>(one: Option<T>, two: Option<T>) -> Option<T> {
            match (one, two) {
                (Some(one), Some(two)) => Some(one + two),
                (one, two) => one.or(two),
            }
        }
        Self {
            samples: sum(self.samples, other.samples),
            tokens: sum(self.tokens, other.tokens),
            steps: sum(self.steps, other.steps),
            seconds: sum(self.seconds, other.seconds),
            bytes: sum(self.bytes, other.bytes),
        }
    }
}

impl Estimate {
    /// As often as this.
    #[must_use]
    pub fn times(self, count: u64) -> Self {
        let whole = |amount: Option<u64>| amount.map(|amount| amount * count);
        Self {
            samples: whole(self.samples),
            tokens: whole(self.tokens),
            steps: whole(self.steps),
            seconds: self.seconds.map(|seconds| seconds * count as f64),
            bytes: whole(self.bytes),
        }
    }
}

/// Seconds until some stages of a graph are done: no less than the longest chain of them takes, nor
/// than all of them shared evenly among the workers. `None` when there are some and nothing of the
/// sort was measured.
pub fn elapsed(
    graph: &Graph,
    estimates: &[Estimate],
    is_to_run: impl Fn(usize) -> bool,
    workers: u32,
) -> Option<f64> {
    let mut ends: Vec<f64> = Vec::with_capacity(graph.len());
    let (mut work, mut is_any_left, mut is_any_known) = (0.0, false, false);
    for (index, node) in graph.nodes().enumerate() {
        let inputs = node.inputs.values().filter_map(|key| ends.get(graph.position(*key)?));
        let begin = inputs.copied().fold(0.0, f64::max);
        let is_left = is_to_run(index);
        let seconds = estimates[index].seconds.filter(|_| is_left);
        is_any_left |= is_left;
        is_any_known |= seconds.is_some();
        let seconds = seconds.unwrap_or(0.0);
        work += seconds;
        let at_once = node.stage.shards().clamp(1, u64::from(workers.max(1)));
        ends.push(begin + seconds / at_once as f64);
    }
    let longest = ends.into_iter().fold(0.0, f64::max);
    (is_any_known || !is_any_left).then(|| longest.max(work / f64::from(workers.max(1))))
}

/// The estimate of every stage, in the order of the graph.
pub fn estimates(graph: &Graph, measured: &Measured) -> Vec<Estimate> {
    let mut estimator = Estimator {
        graph,
        measured,
        solve_rate: measured.solve_rate.unwrap_or(ASSUMED_SOLVE_RATE),
        amounts: BTreeMap::new(),
    };
    graph.nodes().map(|node| estimator.estimate(node)).collect()
}

/// What the estimates take for granted, in sentences.
pub fn assumptions(graph: &Graph, measured: &Measured) -> Vec<String> {
    let selects = graph.nodes().any(|node| matches!(node.stage, Stage::Select(_)));
    let percent = |rate: f64| format!("{:.0} %", rate * 100.0);
    let solved = match measured.solve_rate {
        _ if !selects => None,
        None => Some(format!("{} of the prompts are solved", percent(ASSUMED_SOLVE_RATE))),
        Some(rate) => {
            Some(format!("{} of the prompts are solved, as in earlier runs", percent(rate)))
        }
    };
    let sources: BTreeSet<&str> = graph
        .nodes()
        .filter_map(|node| match &node.stage {
            Stage::Prepare(options) => Some(options.source.as_str()),
            _ => None,
        })
        .filter(|source| !measured.sources.contains_key(*source))
        .collect();
    let bounded = (!sources.is_empty()).then(|| {
        let sources: Vec<String> = sources.iter().map(|source| format!("`{source}`")).collect();
        format!(
            "responses and sequences are as long as they may be, since lengths are not known of {}",
            sources.join(", ")
        )
    });
    let stops = graph.nodes().any(|node| matches!(node.stage, Stage::Stop(_)));
    let stops = stops.then(|| "nothing stops early".to_owned());
    solved.into_iter().chain(bounded).chain(stops).collect()
}

/// What later stages need to know about an earlier one.
#[derive(Clone, Copy, Default)]
struct Amounts {
    prompts: u64,
    /// Responses drawn or kept.
    samples: u64,
    steps: u64,
    /// Steps of this and all iterations before it.
    steps_so_far: u64,
}

struct Estimator<'a> {
    graph: &'a Graph,
    measured: &'a Measured,
    solve_rate: f64,
    amounts: BTreeMap<Key, Amounts>,
}

impl Estimator<'_> {
    fn estimate(&mut self, node: &Node) -> Estimate {
        let amounts = self.amounts(node);
        let (samples, steps) = match &node.stage {
            Stage::Import(_) | Stage::Hooks(_) => (None, None),
            Stage::Prepare(_) | Stage::Hide(_) | Stage::Features(_) => {
                (Some(amounts.samples), None)
            }
            Stage::Select(_) => (self.input(node, Port::Rollouts).map(|read| read.samples), None),
            Stage::Score(_) => (self.input(node, Port::Rollouts).map(|read| read.samples), None),
            Stage::Balance(_) | Stage::Stop(_) | Stage::Agreement(_) | Stage::Overlap(_) => {
                (None, None)
            }
            // What came along is not drawn, and what a search drew in the same way not again.
            Stage::Explore(options) => {
                let search = self.input(node, Port::Search).unwrap_or_default();
                let of_one = search.samples.checked_div(options.searched.len() as u64).unwrap_or(0);
                let each = of_one.checked_div(search.prompts).unwrap_or(0);
                let taken_over = search.prompts * each.min(u64::from(options.samples));
                let before = self.input(node, Port::Rollouts).map_or(0, |before| before.samples);
                (Some((amounts.samples - before).saturating_sub(taken_over)), None)
            }
            Stage::Evaluate(_) | Stage::Monitor(_) | Stage::Label(_) => {
                (Some(amounts.samples), None)
            }
            Stage::TrainReward(_) | Stage::Train(_) | Stage::Pretrain(_) => {
                (Some(amounts.samples), Some(amounts.steps))
            }
        };
        let tokens =
            self.tokens_of_one(node).zip(samples).map(|(one, count)| (one * count as f64) as u64);
        let (seconds, bytes) = self.cost(node, samples);
        self.amounts.insert(node.key, amounts);
        Estimate { samples, tokens, steps, seconds, bytes }
    }

    fn input(&self, node: &Node, port: Port) -> Option<Amounts> {
        self.amounts.get(node.inputs.get(&port)?).copied()
    }

    fn amounts(&self, node: &Node) -> Amounts {
        let of = |prompts, samples| Amounts { prompts, samples, ..Amounts::default() };
        match &node.stage {
            Stage::Import(_) | Stage::Hooks(_) => Amounts::default(),
            Stage::Prepare(options) => {
                let held_out = options.validation + options.test;
                of(options.prompts, options.prompts + held_out + options.demonstrations)
            }
            Stage::Hide(options) => of(0, options.prompts.saturating_sub(options.labelled)),
            // Prompts that share a picture share its features: these are at most so many.
            Stage::Features(options) => {
                let count = self.prepared(node).map_or(0, |it| match options.split {
                    super::Shown::Train => it.prompts,
                    super::Shown::Validation => it.validation,
                    super::Shown::Test => it.test,
                    super::Shown::Demonstrations => it.demonstrations,
                });
                of(0, count)
            }
            Stage::Pretrain(options) => {
                let phase = &options.phase;
                let mut samples = phase.samples * u64::from(phase.epochs);
                if let Lesson::Reasoning { caption_share, .. } = options.lesson {
                    samples += (samples as f64 * caption_share).round() as u64;
                }
                let steps = samples / u64::from(phase.batch_size.max(1));
                Amounts { steps, ..of(0, samples) }
            }
            Stage::Explore(options) => {
                // A rationalisation draws for the prompts that are not solved, and keeps both.
                let earlier = self.input(node, Port::Rollouts);
                let left = earlier.map_or(1.0, |_| 1.0 - self.solve_rate);
                let drawn = (options.prompts() as f64 * left).round() as u64;
                let before = earlier.map_or(0, |earlier| earlier.samples);
                of(options.prompts(), before + drawn * u64::from(options.samples))
            }
            Stage::Select(options) => {
                let read = self.input(node, Port::Rollouts).unwrap_or_default();
                of(read.prompts, self.selected(options, read))
            }
            Stage::Train(options) => self.trained(options, node),
            Stage::Evaluate(options) => match self.prepared(node) {
                Some(prepared) => {
                    let count = match options.split {
                        super::Split::Validation => prepared.validation,
                        super::Split::Test => prepared.test,
                    };
                    of(count, count)
                }
                None => Amounts::default(),
            },
            Stage::Monitor(options) => {
                let all = match options.slice {
                    Some(slice) => slice.count,
                    None => self.prepared(node).map_or(0, |prepared| prepared.validation),
                };
                let count = if options.prompts == 0 { all } else { all.min(options.prompts) };
                let draws = options.draws().len() as u64;
                of(count, count * u64::from(options.samples) * draws)
            }
            Stage::Label(options) => {
                let read = self.input(node, Port::Rollouts).unwrap_or_default();
                let labelled = match options.rollouts {
                    0 => read.samples,
                    most => read.samples.min(most),
                };
                of(labelled, labelled * ASSUMED_STEPS * u64::from(options.completions))
            }
            Stage::TrainReward(options) => {
                let rollouts = self.input(node, Port::Labels).map(|labels| labels.prompts);
                let all = self.input(node, Port::Rollouts).unwrap_or_default().samples;
                let seen = rollouts.unwrap_or(all) as f64 * (1.0 - options.held_out);
                let samples = seen.round() as u64 * u64::from(options.epochs);
                let steps = samples.div_ceil(u64::from(options.batch_size.max(1)));
                Amounts { steps, ..of(0, samples) }
            }
            Stage::Score(_) => self.input(node, Port::Rollouts).unwrap_or_default(),
            Stage::Balance(_) | Stage::Stop(_) | Stage::Agreement(_) | Stage::Overlap(_) => {
                Amounts::default()
            }
        }
    }

    /// A prompt is either solved, and yields as many as the rule allows, or yields none.
    fn selected(&self, options: &super::Select, read: Amounts) -> u64 {
        let drawn = read.samples.checked_div(read.prompts).unwrap_or(0);
        let by_rule = match options.rule {
            recipe::Select::All | recipe::Select::Above(_) => drawn,
            recipe::Select::Top(count) | recipe::Select::Random(count) => {
                u64::from(count).min(drawn)
            }
        };
        let kept = match options.keep_per_prompt {
            0 => by_rule,
            cap => by_rule.min(u64::from(cap)),
        };
        let selected = (kept as f64 * read.prompts as f64 * self.solve_rate).round() as u64;
        if options.keep == 0 { selected } else { selected.min(options.keep) }
    }

    fn trained(&self, options: &super::Train, node: &Node) -> Amounts {
        let batch = u64::from(options.batch_size.max(1));
        let one_pass = match options.set {
            TrainingSet::Selected => self.input(node, Port::Selected).map_or(0, |set| set.samples),
            TrainingSet::Given(_) => options.labelled,
            TrainingSet::Demonstrations => 0,
        };
        // What does not fill a batch is left to the next pass.
        let steps_a_pass = if one_pass == 0 { 0 } else { (one_pass / batch).max(1) };
        let wanted = match (self.input(node, Port::StepsOf), options.steps) {
            (Some(evolution), _) => evolution.steps,
            (None, 0) => steps_a_pass * u64::from(options.epochs),
            (None, steps) => steps,
        };
        let before = self.input(node, Port::After).map_or(0, |before| before.steps_so_far);
        let left = if options.steps_cap == 0 { u64::MAX } else { options.steps_cap };
        let left = left.saturating_sub(before);
        // Who starts over does not for a part of the steps.
        let last = node.inputs.get(&Port::After);
        let starts_over = last.is_some_and(|last| node.inputs.get(&Port::Policy) != Some(last));
        let steps = if starts_over && wanted > left { 0 } else { wanted.min(left) };
        let of_a_step = if one_pass == 0 { batch } else { batch.min(one_pass) };
        let samples = steps * of_a_step;
        Amounts { prompts: 0, samples, steps, steps_so_far: before + steps }
    }

    fn prepared(&self, node: &Node) -> Option<&super::Prepare> {
        match &self.graph.get(*node.inputs.get(&Port::Prompts)?)?.stage {
            Stage::Prepare(options) => Some(options),
            _ => None,
        }
    }

    fn lengths(&self, node: &Node) -> Option<SourceFacts> {
        self.measured.sources.get(&self.prepared(node)?.source).copied()
    }

    /// Tokens generated, or trained on, for one sample; where lengths are not known, the most that
    /// the options allow.
    fn tokens_of_one(&self, node: &Node) -> Option<f64> {
        let known = self.lengths(node);
        let response = |most: u32| known.map_or(f64::from(most), |it| it.response_tokens);
        let sequence = known.map(|it| it.prompt_tokens + it.response_tokens);
        match &node.stage {
            Stage::Explore(options) => Some(response(options.max_new_tokens)),
            Stage::Evaluate(options) => Some(response(options.max_new_tokens)),
            Stage::Monitor(options) => Some(response(options.max_new_tokens)),
            // A completion begins, on average, half way.
            Stage::Label(options) => Some(response(options.max_new_tokens) / 2.0),
            Stage::Train(options) => Some(sequence.unwrap_or(f64::from(options.max_length))),
            Stage::TrainReward(options) => Some(sequence.unwrap_or(f64::from(options.max_length))),
            Stage::Score(_) => sequence,
            Stage::Import(_)
            | Stage::Hooks(_)
            | Stage::Pretrain(_)
            | Stage::Prepare(_)
            | Stage::Hide(_)
            | Stage::Overlap(_)
            | Stage::Features(_)
            | Stage::Select(_)
            | Stage::Agreement(_)
            | Stage::Balance(_)
            | Stage::Stop(_) => None,
        }
    }

    fn cost(&self, node: &Node, samples: Option<u64>) -> (Option<f64>, Option<u64>) {
        let Some(tally) = self.measured.kinds.get(node.stage.kind()) else { return (None, None) };
        let per_stage = |sum: f64| (tally.stages > 0).then(|| sum / tally.stages as f64);
        let per_sample = |sum: f64| {
            let count = samples? as f64;
            (tally.samples > 0).then(|| sum * count / tally.samples as f64)
        };
        match node.stage {
            Stage::Import(_) | Stage::Hooks(_) => {
                (per_stage(tally.seconds), bytes(per_stage(tally.bytes as f64)))
            }
            // Weights are as large after many samples as after few.
            Stage::Train(_) | Stage::Pretrain(_) => {
                (per_sample(tally.seconds), bytes(per_stage(tally.bytes as f64)))
            }
            _ => (per_sample(tally.seconds), bytes(per_sample(tally.bytes as f64))),
        }
    }
}

fn bytes(value: Option<f64>) -> Option<u64> {
    value.map(|value| value.round() as u64)
}
