//! The contract with stages: what each kind puts into `StageFinished.metrics`.
//!
//! Field names are the keys of the JSON object. Shares and accuracies lie in 0..=1, intervals are
//! `[low, high]` at 95 %, and no metric is a time: a stored stage must say the same as a fresh one.
//! What is `Option` or has a default may be absent; unknown keys are ignored. The interval of what is
//! counted follows from the counts, and is found as everywhere in a report.

use super::interval::{Estimate, share};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `evaluate`: greedy accuracy of a policy on a split.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Evaluated {
    /// `validation`, `test` or the name of a benchmark.
    pub split: String,
    /// Prompts.
    pub count: u64,
    /// Right answers.
    pub correct: u64,
    /// `correct / count`.
    pub accuracy: f64,
    /// Optimizer steps that the policy has behind it, warm-up included.
    #[serde(default)]
    pub step: u64,
    /// The same by category of prompt.
    #[serde(default)]
    pub categories: BTreeMap<String, Category>,
    /// Of the right answers, the share whose steps the checker refuses; reported, never trained on.
    #[serde(default)]
    pub wrong_steps_share: Option<f64>,
    /// Of all answers, the share that is right with right steps.
    #[serde(default)]
    pub steps_right: Option<f64>,
    /// Responses in which no answer was found; they count as wrong.
    #[serde(default)]
    pub unanswered: Option<u64>,
}

/// Accuracy on the prompts of one category.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Category {
    /// Prompts.
    pub count: u64,
    /// Right answers.
    pub correct: u64,
    /// `correct / count`.
    pub accuracy: f64,
}

impl Evaluated {
    /// The accuracy with its interval.
    pub fn estimate(&self) -> Estimate {
        let counted = share(self.correct, self.count);
        let bare = || Estimate::bare(self.accuracy, 1);
        counted.map_or_else(bare, |it| Estimate { mean: self.accuracy, ..it })
    }
}

impl Category {
    /// The accuracy with its interval.
    pub fn estimate(&self) -> Estimate {
        let counted = share(self.correct, self.count);
        let bare = || Estimate::bare(self.accuracy, 1);
        counted.map_or_else(bare, |it| Estimate { mean: self.accuracy, ..it })
    }
}

/// `monitor`: what sampling finds, on the validation prompts.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Monitored {
    /// Always `validation` so far.
    #[serde(default)]
    pub split: String,
    /// The K of the Pass@K that is shown.
    pub k: u32,
    /// Responses in all.
    pub samples: u64,
    /// The first of the temperatures, which the four numbers below are of.
    pub temperature: f64,
    /// Prompts.
    pub count: u64,
    /// Mean accuracy of a sampled response.
    pub mean: f64,
    /// Pass@K by K; every key is a whole number.
    pub pass: BTreeMap<String, f64>,
    /// Reward-Pass@K by K; absent without a reward model.
    #[serde(default)]
    pub reward_pass: Option<BTreeMap<String, f64>>,
    /// Optimizer steps that the policy has behind it.
    #[serde(default)]
    pub step: u64,
    /// The same with intervals at every temperature, the first included; empty in older logs.
    #[serde(default)]
    pub temperatures: Vec<AtTemperature>,
}

/// What sampling finds at one temperature.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct AtTemperature {
    /// Sampling temperature.
    pub temperature: f64,
    /// Mean accuracy of a sampled response.
    pub mean: f64,
    /// Its 95 % interval.
    #[serde(default)]
    pub mean_interval: Option<[f64; 2]>,
    /// Pass@K by K.
    pub pass: BTreeMap<String, f64>,
    /// Their 95 % intervals.
    #[serde(default)]
    pub pass_interval: BTreeMap<String, [f64; 2]>,
    /// Reward-Pass@K by K; absent without a reward model.
    #[serde(default)]
    pub reward_pass: Option<BTreeMap<String, f64>>,
    /// Their 95 % intervals.
    #[serde(default)]
    pub reward_pass_interval: BTreeMap<String, [f64; 2]>,
    /// What verifiers make of N responses; absent where it was not asked for.
    #[serde(default)]
    pub verifiers: Option<Verifiers>,
}

/// Shares of prompts that verifiers answer right, by N.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Verifiers {
    /// The response with the highest score.
    pub best_of_n: BTreeMap<u32, Estimated>,
    /// The answer that most responses give.
    pub majority: BTreeMap<u32, Estimated>,
    /// The answer with the highest sum of scores.
    pub weighted: BTreeMap<u32, Estimated>,
}

/// A mean over prompts with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
pub struct Estimated {
    /// The mean.
    pub value: f64,
    /// Its interval.
    #[serde(default)]
    pub interval: Option<[f64; 2]>,
}

impl Monitored {
    /// Pass@k at the first temperature, when it was measured.
    pub fn pass_at(&self, k: u32) -> Option<f64> {
        self.pass.get(&k.to_string()).copied()
    }

    /// Reward-Pass@k at the first temperature, with its k: 2, as in the paper, or the smallest that
    /// was measured.
    pub fn reward_pass(&self) -> Option<(u32, f64)> {
        shown_k(self.reward_pass.as_ref()?)
    }

    /// What was measured at each temperature.
    pub fn each(&self) -> Vec<AtTemperature> {
        if !self.temperatures.is_empty() {
            let each = self.temperatures.iter().cloned();
            return each.map(|it| it.of_some_width(self.count)).collect();
        }
        vec![AtTemperature {
            temperature: self.temperature,
            mean: self.mean,
            pass: self.pass.clone(),
            reward_pass: self.reward_pass.clone(),
            ..AtTemperature::default()
        }]
    }
}

/// A share and its 95 % interval, if that is known.
pub type Share = (f64, Option<[f64; 2]>);

impl AtTemperature {
    /// With intervals also where all prompts came out alike.
    fn of_some_width(mut self, prompts: u64) -> Self {
        let of = |mean, interval| Estimate::measured(mean, interval, prompts).interval;
        self.mean_interval = of(self.mean, self.mean_interval);
        let shares = [
            (Some(&self.pass), &mut self.pass_interval),
            (self.reward_pass.as_ref(), &mut self.reward_pass_interval),
        ];
        for (shares, intervals) in shares {
            for (k, interval) in intervals {
                let share = shares.and_then(|shares| shares.get(k));
                *interval = share.and_then(|it| of(*it, Some(*interval))).unwrap_or(*interval);
            }
        }
        if let Some(verifiers) = &mut self.verifiers {
            let Verifiers { best_of_n, majority, weighted } = verifiers;
            for it in [best_of_n, majority, weighted].into_iter().flat_map(BTreeMap::values_mut) {
                it.interval = of(it.value, it.interval);
            }
        }
        self
    }

    /// Pass@k, when it was measured.
    pub fn pass_at(&self, k: u32) -> Option<Share> {
        let k = k.to_string();
        self.pass.get(&k).map(|share| (*share, self.pass_interval.get(&k).copied()))
    }

    /// Reward-Pass@k with its k, chosen as by [`Monitored::reward_pass`].
    pub fn reward_pass(&self) -> Option<(u32, Share)> {
        let (k, share) = shown_k(self.reward_pass.as_ref()?)?;
        Some((k, (share, self.reward_pass_interval.get(&k.to_string()).copied())))
    }
}

fn shown_k(measured: &BTreeMap<String, f64>) -> Option<(u32, f64)> {
    let by_k: BTreeMap<u32, f64> =
        measured.iter().filter_map(|(k, share)| Some((k.parse().ok()?, *share))).collect();
    by_k.get(&2).map(|share| (2, *share)).or_else(|| by_k.into_iter().next())
}

/// `balance`: the temperature of the next explorations.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Balanced {
    /// What was maximised, such as `reward-pass@2`.
    pub objective: String,
    /// The temperature that was chosen.
    pub temperature: f64,
    /// The one that was in use.
    pub before: f64,
    /// Whether it is another one.
    pub moved: bool,
    /// Why, in a few words.
    pub reason: String,
    /// The best candidate.
    pub best: f64,
    /// The candidate that stood for the temperature in use.
    pub compared_with: f64,
    /// Every candidate; of several at one temperature the best.
    pub candidates: Vec<BalanceCandidate>,
    /// What was chosen where more than the temperature is balanced.
    #[serde(default)]
    pub setting: Option<Setting>,
}

/// A temperature and what is balanced beside it.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
pub struct Setting {
    /// How tokens are drawn.
    pub drawn: Drawn,
    /// Responses for each prompt.
    pub samples: u32,
    /// What is selected scores above this.
    pub threshold: Option<f64>,
}

/// How tokens are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
pub struct Drawn {
    /// Temperature.
    pub temperature: f64,
    /// Nucleus.
    pub top_p: f64,
    /// Most probable tokens.
    pub top_k: u32,
    /// Share of the most probable token's probability.
    pub min_p: f64,
}

impl Setting {
    /// What is not the temperature, in words; `top_k` and `min_p` where they do something.
    pub(super) fn beside(&self) -> String {
        let Drawn { top_p, top_k, min_p, .. } = self.drawn;
        let mut words = vec![format!("{} samples", self.samples), format!("top-p {top_p}")];
        words.extend((top_k > 0).then(|| format!("top-k {top_k}")));
        words.extend((min_p > 0.0).then(|| format!("min-p {min_p}")));
        words.extend(self.threshold.map(|threshold| format!("above {threshold}")));
        words.join(", ")
    }
}

/// A temperature that was measured for a balance.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct BalanceCandidate {
    /// It.
    pub temperature: f64,
    /// The objective.
    pub value: f64,
    /// Its 95 % interval.
    pub interval: [f64; 2],
    /// How much better it is than the temperature in use.
    pub difference: f64,
    /// The 95 % interval of that, paired by prompt.
    pub difference_interval: [f64; 2],
    /// The whole of it, where more than the temperature is balanced.
    #[serde(default)]
    pub setting: Option<Setting>,
}

/// `stop`: whether the evolution goes on.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Stopped {
    /// The iteration after which it does not.
    #[serde(default)]
    pub stopped_after: Option<u32>,
    /// Why, in a few words.
    #[serde(default)]
    pub reason: Option<String>,
}

/// `explore`: responses sampled to learn from.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Explored {
    /// Prompts.
    pub prompts: u64,
    /// Responses in all.
    pub samples: u64,
    /// Tokens sampled in all.
    pub tokens: u64,
    /// Share of the prompts with at least one right response.
    #[serde(default)]
    pub solved: Option<f64>,
    /// Share of the responses that are right.
    #[serde(default)]
    pub mean_correct: Option<f64>,
    /// Sampling temperature.
    #[serde(default)]
    pub temperature: Option<f64>,
}

/// `select`: what of the responses becomes training data.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Selected {
    /// Responses looked at.
    pub rollouts: u64,
    /// Of these, right.
    pub correct: u64,
    /// Right ones left out because an equal one was kept.
    #[serde(default)]
    pub duplicates: u64,
    /// Kept.
    pub kept: u64,
    /// Prompts with at least one kept response.
    #[serde(default)]
    pub prompts_with_kept: u64,
    /// Of the kept, the share whose steps the checker refuses; reported only.
    #[serde(default)]
    pub wrong_steps_share: Option<f64>,
}

/// `agreement`: pseudo answers of an iteration beside the hidden ones; reported, never used.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Agreed {
    /// Unlabelled prompts that were explored.
    pub prompts: u64,
    /// Of these, those that an answer was found for.
    pub answered: u64,
    /// Of these, those whose answer is the hidden one.
    pub agreeing: u64,
}

impl Agreed {
    /// Of the answers, the share that are the hidden ones; none without answers.
    pub fn agreement(&self) -> Option<Estimate> {
        share(self.agreeing, self.answered)
    }

    /// Of the prompts, the share that an answer was found for.
    pub fn coverage(&self) -> Option<Estimate> {
        share(self.answered, self.prompts)
    }
}

/// `train`: one stretch of optimizer steps.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Trained {
    /// Steps of this stage.
    pub steps: u64,
    /// Steps that the policy has behind it afterwards.
    #[serde(default)]
    pub step: u64,
    /// Examples that were trained on, each counted once.
    #[serde(default)]
    pub samples: u64,
    /// Tokens that were read, pictures and prompts included.
    #[serde(default)]
    pub tokens: u64,
    /// Mean loss of the first steps.
    #[serde(default)]
    pub loss_first: Option<f64>,
    /// Loss of the last step.
    #[serde(default)]
    pub loss_last: Option<f64>,
    /// `[step, loss]`, thinned to at most 200.
    #[serde(default)]
    pub losses: Vec<(f64, f64)>,
    /// Learning rate of the last step.
    #[serde(default)]
    pub learning_rate_last: Option<f64>,
    /// Sequences left out because they were too long.
    #[serde(default)]
    pub dropped_long: u64,
}

/// `train-reward`: a reward model, measured on prompts that were held out.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Rewarded {
    /// Where its head reads: `process` or `outcome`.
    pub scored: String,
    /// Prompts that were held out.
    #[serde(default)]
    pub held_out_prompts: u64,
    /// Steps of responses to them, or such responses.
    #[serde(default)]
    pub held_out_labels: u64,
    /// How well it tells those apart.
    pub places: Area,
    /// From (0, 0) to (1, 1): shares of bad and of good ones above a threshold.
    #[serde(default)]
    pub roc: Vec<[f64; 2]>,
    /// Whether scores are probabilities.
    #[serde(default)]
    pub reliability: Vec<Bin>,
    /// How well the score of a response tells right answers from wrong ones, by aggregation.
    #[serde(default)]
    pub answers: BTreeMap<String, Area>,
    /// Among right answers, how well it tells right reasoning from wrong; reported only.
    #[serde(default)]
    pub reasoning: BTreeMap<String, Area>,
}

impl Rewarded {
    /// Whether it scores responses as a whole.
    pub fn is_outcome(&self) -> bool {
        self.scored == "outcome"
    }
}

/// The area under a receiver operating characteristic.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Area {
    /// The area; none where all are alike.
    pub auc: Option<f64>,
    /// 95 % interval, by a bootstrap over prompts.
    pub interval: Option<[f64; 2]>,
    /// Of how many.
    pub count: u64,
    /// The same among pairs of one prompt; none where no prompt has any, and where it was measured
    /// by a version that did not look.
    #[serde(default)]
    pub within: Option<AreaWithin>,
}

/// The mean over prompts of the area among the pairs of each.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
pub struct AreaWithin {
    /// The mean.
    pub auc: f64,
    /// 95 % interval, by a bootstrap over prompts.
    pub interval: Option<[f64; 2]>,
    /// Prompts that have a good and a bad one.
    pub prompts: u64,
}

/// Scores that are alike, and what turned out.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct Bin {
    /// Their mean.
    pub score: f64,
    /// The share that turned out good.
    pub truth: f64,
    /// How many.
    pub count: u64,
}

/// `prepare`: how many prompts there are.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Prepared {
    /// By split.
    pub prompts: Prompts,
}

/// Prompts by split.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Prompts {
    /// To explore and train on.
    pub train: u64,
    /// To choose by.
    #[serde(default)]
    pub validation: u64,
    /// Read at the end.
    #[serde(default)]
    pub test: u64,
}

impl Prompts {
    /// Whether no split has any.
    pub fn is_empty(&self) -> bool {
        self.train + self.validation + self.test == 0
    }
}

/// `import` and `pretrain`: the model it starts from.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Imported {
    /// Parameters.
    pub parameters: u64,
}
