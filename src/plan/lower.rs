//! From resolved recipes to the graph: the method, spelled out once.
//!
//! Ground: `import` or `pretrain`, `prepare`, then warm-up (`explore`, `select`, `train`).
//! Iteration t: `explore` with the policy of t-1, `select`, `train`; what `train` starts from is
//! the training method (paper, Table 1). After each: `evaluate`, `monitor` and the benchmarks. Beside it the
//! control, which reads from the evolution and is never read by it: switching it on recomputes
//! nothing.

mod balance;
mod benchmarks;
mod features;
mod files;
mod hooks;
mod prompts;
mod rationalise;
mod reward;
mod stop;
mod warmup;

use super::{
    Branch, Evaluate, Explore, Graph, Import, Lesson, Monitor, Port, Prepare, Pretrain, Role,
    Select, Split, Stage, Train, TrainingSet,
};
use crate::base::{Digest, Key, Seed};
use crate::recipe::{
    ControlData, Method, Moment, Pretraining, Quote, Rates, Recipe, RewardModel, TemperatureMode,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use stop::Watch;
use warmup::Lessons;

/// A recipe with its name in an experiment.
#[derive(Clone, Debug)]
pub struct Member {
    /// What people call it; for a recipe on its own, the recipe's name.
    pub name: String,
    /// What it says.
    pub recipe: Recipe,
}

/// What planning must be told about the world.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Digest of each model that recipes name.
    pub models: BTreeMap<String, Digest>,
    /// Training prompts that each source has when a recipe takes all.
    pub prompts: BTreeMap<String, u64>,
    /// What the files of each source are, for sources that are files.
    pub files: BTreeMap<String, FilesFacts>,
    /// Prompts of each benchmark.
    pub benchmarks: BTreeMap<String, u64>,
    /// Worked examples that the base model of each source was trained on.
    pub demonstrations: BTreeMap<String, u64>,
    /// Each script that recipes name.
    pub scripts: BTreeMap<String, ScriptFacts>,
}

/// Files of samples, as planning must know them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilesFacts {
    /// What the rows are.
    pub format: String,
    /// Where the files lie.
    pub path: String,
    /// Of the files and their images.
    pub digest: Digest,
    /// Samples in them.
    pub samples: u64,
}

/// A script, as planning must know it.
#[derive(Clone, Debug)]
pub struct ScriptFacts {
    /// What people call it.
    pub name: String,
    /// Its text.
    pub text: String,
    /// The moments that it serves.
    pub moments: BTreeSet<Moment>,
}

/// Lowers members into one graph in which equal stages are one. They are asked for one by one, so that
/// whoever gives them can tell how far it is.
pub fn lower<'m>(members: impl IntoIterator<Item = &'m Member>, facts: &Facts) -> Graph {
    let mut graph = Graph::default();
    for member in members {
        let (base, reward, watch, benchmarks) = (None, None, Watch::default(), Vec::new());
        Lowering { graph: &mut graph, member, facts, base, reward, watch, benchmarks }.lower();
    }
    graph
}

/// A policy and the training stage that it came from, if any.
#[derive(Clone, Copy)]
struct Policy {
    key: Key,
    trained: bool,
}

/// What an iteration of the evolution made, and what it was made by.
struct Iteration {
    policy: Policy,
    /// What said whether it was still to be made.
    watch: Watch,
    /// The reward model that it used.
    reward: Option<Key>,
}

struct Lowering<'a> {
    graph: &'a mut Graph,
    member: &'a Member,
    facts: &'a Facts,
    /// The base model.
    base: Option<Key>,
    /// The reward model in use.
    reward: Option<Key>,
    /// Names and prompts of the benchmarks.
    benchmarks: Vec<(String, Key)>,
    /// What says whether the evolution has ended.
    watch: Watch,
}

/// What was measured of a policy on the validation prompts.
#[derive(Clone, Copy, Default)]
struct Measures {
    validation: Option<Key>,
    monitor: Option<Key>,
}

/// What stands in keys for a model of the hub until it was brought, as nobody knows before what it is:
/// the digest of its name.
pub fn digest_of_name(policy: &crate::recipe::Policy) -> Digest {
    let name = match policy.revision.as_str() {
        "main" => policy.model.clone(),
        revision => format!("{}@{revision}", policy.model),
    };
    Digest::of(name.as_bytes())
}

impl Lowering<'_> {
    fn lower(mut self) {
        let recipe = &self.member.recipe;
        if recipe.evaluation.quote == Quote::Best {
            self.graph.quote_best(&self.member.name);
        }
        let base = self.base();
        self.base = Some(base.key);
        let prompts = self.prepare();
        self.benchmarks = self.prepare_benchmarks();
        self.look_for_benchmarks(prompts);
        if recipe.training.method == Method::Sft {
            self.measure(prompts, base, 0, Branch::Ground);
            self.supervised(prompts, base);
            return;
        }
        let (start, warmup_data) = self.warmup(prompts, base);
        if recipe.training.iterations > 0 {
            self.reward = self.reward_model(prompts, (base, start), start, 0);
        }
        let measures = self.measure(prompts, start, 0, Branch::Ground);
        let evolution = self.evolve(prompts, base, start, measures);
        if recipe.control.equal_steps {
            self.control(prompts, start, warmup_data, &evolution);
        }
    }

    fn add(
        &mut self,
        stage: Stage,
        name: String,
        (branch, iteration): (Branch, u32),
        inputs: &[(Port, Key)],
    ) -> Key {
        let mut inputs: BTreeMap<Port, Key> = inputs.iter().copied().collect();
        if stage.calls().is_some() {
            inputs.insert(Port::Hooks, self.script());
        }
        inputs.extend(self.features(&stage, &inputs));
        if let Some(stop) = self.watch.stop {
            inputs.entry(Port::Stop).or_insert(stop);
        }
        self.graph.add(&self.member.name, stage, name, Role { branch, iteration }, inputs)
    }

    /// Adds a stage without inputs that the member may have already.
    fn add_once(&mut self, stage: Stage, name: String, (branch, iteration): (Branch, u32)) -> Key {
        let role = Role { branch, iteration };
        self.graph.add_once(&self.member.name, stage, name, role, BTreeMap::new())
    }

    fn seed(&self, purpose: &str, iteration: u32) -> u64 {
        Seed(self.member.recipe.seed).named(purpose).nth(u64::from(iteration)).0
    }

    fn base(&mut self) -> Policy {
        let recipe = &self.member.recipe;
        if let Some(pretraining) = &recipe.pretraining {
            return self.pretrain(pretraining);
        }
        let model = recipe.policy.model.clone();
        let digest = self.facts.models.get(&model).copied();
        let digest = digest.unwrap_or_else(|| digest_of_name(&recipe.policy));
        let image_pixels = recipe.policy.image_pixels;
        let stage = Stage::Import(Import { model, digest, image_pixels });
        Policy { key: self.add(stage, "import".into(), (Branch::Ground, 0), &[]), trained: false }
    }

    /// Three lessons, each from the weights of the one before, so that several bases share what they
    /// have in common.
    fn pretrain(&mut self, pretraining: &Pretraining) -> Policy {
        let reasoning = Lesson::Reasoning {
            caption_share: pretraining.caption_share,
            captions_from: pretraining.perception.samples.max(pretraining.captions.samples),
            easy_share: pretraining.easy_share,
            number_factor: pretraining.number_factor,
        };
        let lessons = [
            ("perception", Lesson::Perception, &pretraining.perception),
            ("captions", Lesson::Captions, &pretraining.captions),
            ("reasoning", reasoning, &pretraining.reasoning),
        ];
        let recipe = &self.member.recipe;
        let mut inputs = Vec::new();
        for (name, lesson, phase) in lessons {
            let stage = Stage::Pretrain(Pretrain {
                model: recipe.policy.model.clone(),
                dtype: recipe.policy.dtype,
                source: recipe.data.source.clone(),
                data_seed: recipe.data.seed,
                seed: self.seed(name, 0),
                lesson,
                phase: phase.clone(),
            });
            let key = self.add(stage, format!("pretrain {name}"), (Branch::Ground, 0), &inputs);
            inputs = vec![(Port::Policy, key)];
        }
        Policy { key: inputs[0].1, trained: false }
    }

    /// Training prompts in all.
    fn prompts(&self) -> u64 {
        let data = &self.member.recipe.data;
        match data.prompts {
            0 => match self.facts.files.get(&data.source) {
                Some(files) => files.samples.saturating_sub(data.validation + data.test),
                None => self.facts.prompts.get(&data.source).copied().unwrap_or(0),
            },
            prompts => prompts,
        }
    }

    /// Training prompts whose answers may be seen; they come first.
    fn labelled(&self) -> u64 {
        ((self.prompts() as f64 * self.member.recipe.data.labelled).round() as u64).max(1)
    }

    fn prepare(&mut self) -> Key {
        let recipe = &self.member.recipe;
        let data = &recipe.data;
        let stage = Stage::Prepare(Prepare {
            source: self.source(),
            loading: self.loading(),
            seed: data.seed,
            prompts: self.prompts(),
            labelled: self.visible(),
            validation: data.validation,
            test: data.test,
            demonstrations: 0,
        });
        self.add(stage, "prepare".into(), (Branch::Ground, 0), &[])
    }

    /// The worked examples of the base model's training, apart from the prompts, so that a control
    /// on them leaves the keys of the evolution as they are.
    fn demonstrations(&mut self) -> Key {
        let Recipe { data, pretraining, .. } = &self.member.recipe;
        let shipped = || self.facts.demonstrations.get(&data.source).copied().unwrap_or(0);
        let stage = Stage::Prepare(Prepare {
            source: self.source(),
            loading: None,
            seed: data.seed,
            prompts: 0,
            labelled: None,
            validation: 0,
            test: 0,
            demonstrations: pretraining.as_ref().map_or_else(shipped, |it| it.reasoning.samples),
        });
        // Nothing of the evolution decides whether it is made, nor where it ended.
        self.add_once(stage, "prepare demonstrations".into(), (Branch::Ground, 0))
    }

    /// What each iteration made, from the policy that it starts from.
    fn evolve(
        &mut self,
        prompts: Key,
        base: Policy,
        start: Policy,
        mut measures: Measures,
    ) -> Vec<Iteration> {
        let recipe = &self.member.recipe;
        let mut iterations = Vec::new();
        let mut before = start;
        let mut temperature = None;
        self.watch((Branch::Ground, 0), &measures, &[]);
        for iteration in 1..=recipe.training.iterations {
            let at = (Branch::Evolution, iteration);
            let watch = self.watch;
            if self.refreshes(iteration) {
                self.reward = self.reward_model(prompts, (base, start), before, iteration);
            }
            let known = (temperature, measures.validation);
            let balanced = self.balance(prompts, before, known, iteration);
            temperature = balanced.temperature;
            let mut inputs = vec![(Port::Policy, before.key), (Port::Prompts, prompts)];
            inputs.extend(temperature.map(|chosen| (Port::Temperature, chosen)));
            inputs.extend(balanced.search.map(|search| (Port::Search, search)));
            let searched = balanced.searched;
            let explore = Stage::Explore(Explore { searched, ..self.exploration(iteration) });
            let rollouts = self.add(explore, format!("explore {iteration}"), at, &inputs);
            let rollouts = self.rationalise(&inputs, rollouts, iteration);
            let scores = self.score(prompts, rollouts, iteration);
            let select = Stage::Select(Select {
                rule: recipe.reward.select,
                distinct: recipe.reward.distinct,
                keep_per_prompt: recipe.reward.keep_per_prompt,
                pseudo_answer: self.pseudo_answer(iteration),
                keep: 0,
                seed: self.seed("select", iteration),
                hooks: self.selection_calls(iteration),
            });
            let mut inputs = vec![(Port::Rollouts, rollouts), (Port::Prompts, prompts)];
            inputs.extend(scores.map(|scores| (Port::Scores, scores)));
            inputs.extend(self.threshold(temperature));
            inputs.extend(self.oracle(iteration));
            let selected = self.add(select, format!("select {iteration}"), at, &inputs);
            self.agreement(selected, iteration);
            let mut inputs = self.carry_over(start, before);
            inputs.extend([(Port::Selected, selected), (Port::Prompts, prompts)]);
            inputs.extend(self.after(before, self.may_stay()).filter(|_| iteration > 1));
            let train = Stage::Train(self.training(iteration));
            let key = self.add(train, format!("train {iteration}"), at, &inputs);
            let policy = Policy { key, trained: true };
            iterations.push(Iteration { policy, watch, reward: self.reward });
            before = policy;
            measures = Measures::default();
            if self.is_measured(iteration) {
                measures = self.measure(prompts, policy, iteration, Branch::Evolution);
                let drawn = [(Port::Rollouts, rollouts), (Port::Selected, selected)];
                self.watch(at, &measures, &drawn);
            }
        }
        iterations
    }

    /// Whether an iteration may leave the policy of the one before as it is: where a cap is reached,
    /// and where there is nothing to train on and it would start from the warm-up else.
    fn may_stay(&self) -> bool {
        let training = &self.member.recipe.training;
        training.steps > 0 || (training.allow_empty && training.method == Method::RestEm)
    }

    /// What a training stage starts from: the difference between the methods.
    fn carry_over(&self, start: Policy, before: Policy) -> Vec<(Port, Key)> {
        match self.member.recipe.training.method {
            Method::RestEm => vec![(Port::Policy, start.key)],
            Method::Sft | Method::IterativeRft => vec![(Port::Policy, before.key)],
            Method::Continuous if before.trained => {
                vec![(Port::Policy, before.key), (Port::Optimizer, before.key)]
            }
            Method::Continuous => vec![(Port::Policy, before.key)],
        }
    }

    fn is_measured(&self, iteration: u32) -> bool {
        let recipe = &self.member.recipe;
        iteration.is_multiple_of(recipe.evaluation.every) || iteration == recipe.training.iterations
    }

    /// Trains the warmed-up policy for as many steps as the evolution took, without exploration.
    /// Without a warm-up there is nothing selected to train on, so that demonstrations are.
    fn control(
        &mut self,
        prompts: Key,
        start: Policy,
        warmup_data: Option<Lessons>,
        evolution: &[Iteration],
    ) {
        let data = match (self.member.recipe.control.data, warmup_data) {
            (ControlData::Warmup, Some(lessons)) => lessons,
            _ => Lessons {
                set: TrainingSet::Demonstrations,
                labelled: 0,
                inputs: vec![(Port::Prompts, self.demonstrations())],
            },
        };
        let mut before = start;
        for (iteration, Iteration { policy, watch, reward }) in (1..).zip(evolution) {
            (self.watch, self.reward) = (*watch, *reward);
            let mut inputs = self.carry_over(start, before);
            inputs.extend(&data.inputs);
            inputs.push((Port::StepsOf, policy.key));
            inputs.extend(self.after(before, self.may_stay()));
            let seed = self.seed("control", iteration);
            let Lessons { set, labelled, .. } = data;
            let training = self.training(iteration);
            let train = Train { set, labelled, seed, steps: 0, steps_cap: 0, ..training };
            let at = (Branch::Control, iteration);
            let key = self.add(Stage::Train(train), format!("control {iteration}"), at, &inputs);
            before = Policy { key, trained: true };
            if self.is_measured(iteration) {
                self.measure(prompts, before, iteration, Branch::Control);
            }
        }
    }

    fn supervised(&mut self, prompts: Key, base: Policy) {
        let set = TrainingSet::Given(self.member.recipe.training.supervision);
        let (seed, labelled) = (self.seed("sft", 1), self.labelled());
        let train = Train { set, seed, labelled, ..self.training(1) };
        let inputs = [(Port::Policy, base.key), (Port::Prompts, prompts)];
        let at = (Branch::Evolution, 1);
        let key = self.add(Stage::Train(train), "train 1".into(), at, &inputs);
        self.measure(prompts, Policy { key, trained: true }, 1, Branch::Evolution);
    }

    fn measure(
        &mut self,
        prompts: Key,
        policy: Policy,
        iteration: u32,
        branch: Branch,
    ) -> Measures {
        let mut measures = Measures::default();
        let recipe = &self.member.recipe;
        let at = (branch, iteration);
        let inputs = [(Port::Policy, policy.key), (Port::Prompts, prompts)];
        let label = match branch {
            Branch::Ground if policy.trained => "warm-up".to_owned(),
            Branch::Ground => "base".to_owned(),
            Branch::Control => format!("control {iteration}"),
            Branch::Evolution | Branch::Reward | Branch::Search => iteration.to_string(),
        };
        for split in [Split::Validation, Split::Test] {
            let count = match split {
                Split::Validation => recipe.data.validation,
                Split::Test => recipe.data.test,
            };
            if count == 0 {
                continue;
            }
            let stage = Stage::Evaluate(Evaluate {
                split,
                benchmark: None,
                max_new_tokens: recipe.exploration.max_new_tokens,
                dtype: recipe.policy.dtype,
                hooks: self.calls(&[
                    Moment::Prompt,
                    Moment::Extract,
                    Moment::Correct,
                    Moment::Metric,
                ]),
            });
            let suffix = if split == Split::Test { " test" } else { "" };
            let key = self.add(stage, format!("evaluate {label}{suffix}"), at, &inputs);
            if split == Split::Validation {
                measures.validation = Some(key);
            }
        }
        self.evaluate_on_benchmarks(policy, &label, at);
        if recipe.evaluation.pass_samples > 0 && recipe.data.validation > 0 {
            let scores = match recipe.reward.model {
                RewardModel::Hook => iteration > 0 || recipe.training.iterations > 0,
                _ => self.reward.is_some(),
            };
            let verifiers = recipe.evaluation.verifiers && scores;
            let stage = Stage::Monitor(Monitor {
                samples: recipe.evaluation.pass_samples,
                temperature: recipe.evaluation.pass_temperature,
                max_new_tokens: recipe.exploration.max_new_tokens,
                temperatures: recipe.evaluation.temperatures.clone(),
                draws: Vec::new(),
                slice: None,
                prompts: 0,
                score: self.reward.map(|_| self.scoring()),
                keep_scores: false,
                verifiers,
                dtype: recipe.policy.dtype,
                seed: self.seed("monitor", 0),
                hooks: self.calls(&[
                    Moment::Prompt,
                    Moment::Extract,
                    Moment::Correct,
                    Moment::Steps,
                    Moment::Reward,
                ]),
            });
            let reward = self.reward.map(|reward| (Port::RewardModel, reward));
            let inputs: Vec<_> = inputs.into_iter().chain(reward).collect();
            measures.monitor = Some(self.add(stage, format!("monitor {label}"), at, &inputs));
        }
        measures
    }

    /// Iteration `iteration` explores the next slice; the warm-up (0) sets its own.
    fn exploration(&self, iteration: u32) -> Explore {
        let recipe = &self.member.recipe;
        let labelled = self.labelled();
        let index = iteration.saturating_sub(1);
        let (from, count) = slice(labelled, recipe.training.interval, index);
        Explore {
            from,
            count,
            labelled,
            unlabelled: self.unlabelled(iteration),
            samples: recipe.exploration.samples,
            temperature: self.temperature(iteration),
            top_p: recipe.exploration.top_p,
            top_k: recipe.exploration.top_k,
            min_p: recipe.exploration.min_p,
            max_new_tokens: recipe.exploration.max_new_tokens,
            hint: false,
            searched: Vec::new(),
            dtype: recipe.policy.dtype,
            seed: self.seed("explore", iteration),
            hooks: self.calls(&[Moment::Prompt, Moment::Extract, Moment::Correct]),
        }
    }

    fn temperature(&self, iteration: u32) -> f64 {
        let temperature = &self.member.recipe.temperature;
        match temperature.mode {
            TemperatureMode::Schedule => {
                let index = iteration.saturating_sub(1) as usize;
                let points = &temperature.points;
                points.get(index).or(points.last()).copied().unwrap_or(temperature.value)
            }
            TemperatureMode::Fixed | TemperatureMode::Balanced => temperature.value,
        }
    }

    fn training(&self, iteration: u32) -> Train {
        let recipe = &self.member.recipe;
        let training = &recipe.training;
        Train {
            set: TrainingSet::Selected,
            labelled: 0,
            epochs: training.epochs,
            steps: training.steps_per_iteration,
            steps_cap: training.steps,
            allow_empty: training.allow_empty,
            batch_size: training.batch_size,
            micro_batch_size: training.micro_batch_size,
            gradient_checkpointing: training.gradient_checkpointing,
            learning_rate: training.learning_rate,
            rates: Some(training.rates.clone()).filter(|rates| *rates != Rates::default()),
            optimizer: training.optimizer.clone(),
            schedule: training.schedule.clone(),
            max_length: training.max_length,
            parts: match recipe.policy.lora {
                None => recipe.policy.train.clone(),
                Some(_) => Vec::new(),
            },
            lora: recipe.policy.lora.clone(),
            dtype: recipe.policy.dtype,
            seed: self.seed("train", iteration),
            hooks: self.calls(&[Moment::Prompt]),
        }
    }
}

/// Where a slice of a share of some prompts begins, and how many it has. Both ends are rounded, not
/// its length, so that slices meet and each cycle visits the same ones.
fn slice(prompts: u64, interval: f64, index: u32) -> (u64, u64) {
    let length = prompts as f64 * interval;
    let begin = (f64::from(index) * length).round() as u64;
    let end = ((f64::from(index) + 1.0) * length).round() as u64;
    (begin % prompts, (end - begin).max(1))
}
