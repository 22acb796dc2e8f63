//! From which key of a recipe each option of a stage comes, so that reasons name what people wrote.
//!
//! The other direction of `lower.rs`, kept beside the options. A test walks every option of every
//! kind, so that one without an origin is found.

use super::{Lesson, Pretrain, Stage};
use crate::plan::Branch;

/// Where the value of an option comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::plan) enum Origin {
    /// It is the value of a key: of the first of these that is written, else of the last.
    Value(Vec<String>),
    /// It is computed from keys: from the first of these that is written, else from the last.
    Computed(Vec<String>),
    /// It follows from the stage's place in the graph, or from keys that have options of their own.
    Place,
}

/// What else changed; slices of the prompts are computed from what decides how many there are.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::plan) struct Beside {
    /// There are more or fewer prompts.
    pub(in crate::plan) prompts: bool,
    /// The number of labelled prompts is another one.
    pub(in crate::plan) labelled: bool,
}

fn value(key: &str) -> Origin {
    Origin::Value(vec![key.to_owned()])
}

fn computed(keys: &[&str]) -> Origin {
    Origin::Computed(keys.iter().map(|key| (*key).to_owned()).collect())
}

fn labelled(beside: Beside) -> Origin {
    match beside.prompts {
        true => computed(&["data.prompts", "data.labelled"]),
        false => computed(&["data.labelled"]),
    }
}

impl Stage {
    /// Where the option at a dotted path inside [`Stage::identity`] comes from, for a stage of that
    /// branch; `None` for what is no option of the kind.
    pub(in crate::plan) fn origin(
        &self,
        branch: Branch,
        option: &str,
        beside: Beside,
    ) -> Option<Origin> {
        let warms_up = branch == Branch::Ground;
        Some(match (self, option) {
            (Self::Import(_), "digest") => computed(&["policy.model", "policy.revision"]),
            (Self::Import(_), "image_pixels") => value("policy.image_pixels"),
            (Self::Prepare(options), _) if options.is_benchmark() => computed(&["data.benchmarks"]),
            (Self::Prepare(_), "source") => value("data.source"),
            (Self::Prepare(_), "seed") => value("data.seed"),
            (Self::Prepare(_), "prompts") => value("data.prompts"),
            (Self::Prepare(_), "labelled") => labelled(beside),
            (Self::Hide(_), "source") => value("data.source"),
            (Self::Hide(_), "seed") => value("data.seed"),
            (Self::Hide(_), "prompts") => value("data.prompts"),
            (Self::Hide(_), "labelled") => labelled(beside),
            (Self::Hide(_), "held_out") => computed(&["data.validation", "data.test"]),
            (Self::Prepare(_) | Self::Hide(_), _) if option.starts_with("loading") => {
                return of_loading(option);
            }
            (Self::Prepare(_), "validation") => value("data.validation"),
            (Self::Prepare(_), "test") => value("data.test"),
            (Self::Prepare(_), "demonstrations") => computed(&["data.source"]),
            (Self::Hooks(_), "digest") => computed(&["hooks.script"]),
            (_, "hooks" | "hooks.functions") => computed(&["hooks.script"]),
            (_, "dtype") => value("policy.dtype"),
            (Self::Features(_), "split") => Origin::Place,
            (_, "seed") => computed(&["seed"]),
            (Self::Pretrain(options), _) => return of_pretraining(options, option),
            (Self::Explore(_), _) if branch == Branch::Reward => {
                return of_reward_exploration(option, beside);
            }
            (Self::Explore(_), _) => {
                return of_exploration(warms_up, option, beside);
            }
            (Self::Label(_) | Self::TrainReward(_) | Self::Score(_), _) => {
                return of_reward(option);
            }
            (Self::Balance(_), _) if option == "also" || option.starts_with("also.") => {
                return of_knobs(option);
            }
            (Self::Stop(_), "iteration") => Origin::Place,
            (Self::Stop(_), _) => {
                value(&format!("training.stop.{}", option.strip_prefix("rule.")?))
            }
            (Self::Balance(_), "initial") => value("temperature.value"),
            (Self::Balance(_), _) if option.starts_with("maximise") => {
                computed(&["temperature.maximise"])
            }
            (Self::Select(_), "rule") if warms_up => Origin::Place,
            (Self::Select(_), _) if option == "rule" || option.starts_with("rule.") => {
                computed(&["reward.select"])
            }
            (Self::Select(_), "distinct") => value("reward.distinct"),
            (Self::Select(_), "keep_per_prompt") if warms_up => value("warmup.keep_per_prompt"),
            (Self::Select(_), "keep_per_prompt") => value("reward.keep_per_prompt"),
            (Self::Select(_), "keep") if warms_up => value("warmup.keep"),
            (Self::Select(_), "keep") => Origin::Place,
            (Self::Select(_), "pseudo_answer") => value("prompts.pseudo_answer"),
            (Self::Train(_), _) => return of_training(branch, option, beside),
            (Self::Evaluate(_), "split") => Origin::Place,
            (Self::Evaluate(_) | Self::Overlap(_), "benchmark") => computed(&["data.benchmarks"]),
            (Self::Monitor(_), "samples" | "prompts") if branch == Branch::Search => {
                value(&format!("temperature.{option}"))
            }
            (Self::Monitor(_), "temperature" | "temperatures") if branch == Branch::Search => {
                computed(&[
                    "temperature.candidates.from",
                    "temperature.candidates.to",
                    "temperature.candidates.step",
                ])
            }
            (Self::Monitor(_), _) if option == "slice" || option.starts_with("slice.") => {
                computed(&["temperature.search_on"])
            }
            (Self::Monitor(_), "draws") => of_knobs("also.draws")?,
            (Self::Monitor(_), "keep_scores") => computed(&[
                "temperature.also.samples",
                "temperature.also.top_p",
                "temperature.also.top_k",
                "temperature.also.min_p",
                "temperature.also.threshold.from",
            ]),
            (Self::Monitor(_), "verifiers") => value("evaluation.verifiers"),
            (Self::Monitor(_), "prompts") => Origin::Place,
            (Self::Monitor(_), "temperatures") => value("evaluation.temperatures"),
            (Self::Monitor(_), "score") => computed(&["reward.model"]),
            (Self::Monitor(_), _) if option.starts_with("score.") => {
                return of_reward(&option["score.".len()..]);
            }
            (Self::Monitor(_), "samples") => value("evaluation.pass_samples"),
            (Self::Monitor(_), "temperature") => value("evaluation.pass_temperature"),
            (Self::Evaluate(_) | Self::Monitor(_), "max_new_tokens") => {
                value("exploration.max_new_tokens")
            }
            _ => return None,
        })
    }
}

impl Stage {
    /// Keys that enter an option beside those of its origin: a slice of the prompts is cut from as
    /// many as there are.
    pub(in crate::plan) fn also_enter(
        &self,
        branch: Branch,
        option: &str,
    ) -> &'static [&'static str] {
        let slice = option.strip_prefix("unlabelled.").unwrap_or(option);
        if !matches!(self, Self::Explore(_)) || !["from", "count", "of"].contains(&slice) {
            return &[];
        }
        match branch {
            Branch::Ground => &["warmup.prompts", "data.prompts", "data.labelled"],
            Branch::Reward => &["reward.training.prompts", "data.prompts", "data.labelled"],
            _ => &["training.interval", "data.prompts", "data.labelled"],
        }
    }
}

/// Files of samples.
fn of_loading(option: &str) -> Option<Origin> {
    Some(match option.strip_prefix("loading.") {
        None | Some("digest") => computed(&["data.source"]),
        Some(key) => value(&format!("data.{key}")),
    })
}

fn of_pretraining(options: &Pretrain, option: &str) -> Option<Origin> {
    let phase = match options.lesson {
        Lesson::Perception => "perception",
        Lesson::Captions => "captions",
        Lesson::Reasoning { .. } => "reasoning",
    };
    if let Some(name) = option.strip_prefix("phase.") {
        return Some(value(&format!("pretraining.{phase}.{name}")));
    }
    Some(match option {
        "model" => value("policy.model"),
        "source" => value("data.source"),
        "data_seed" => value("data.seed"),
        "lesson" => Origin::Place,
        "lesson.reasoning.caption_share" => value("pretraining.caption_share"),
        "lesson.reasoning.easy_share" => value("pretraining.easy_share"),
        "lesson.reasoning.number_factor" => value("pretraining.number_factor"),
        "lesson.reasoning.captions_from" => {
            computed(&["pretraining.perception.samples", "pretraining.captions.samples"])
        }
        _ => return None,
    })
}

/// What is balanced beside the temperature.
fn of_knobs(option: &str) -> Option<Origin> {
    Some(match option {
        "also" | "also.draws" => computed(&[
            "temperature.search_on",
            "temperature.also.top_p",
            "temperature.also.top_k",
            "temperature.also.min_p",
            "exploration.top_p",
            "exploration.top_k",
            "exploration.min_p",
            "temperature.candidates.from",
            "temperature.candidates.to",
            "temperature.candidates.step",
        ]),
        "also.samples" => value("temperature.also.samples"),
        "also.thresholds" => computed(&[
            "temperature.also.threshold.from",
            "temperature.also.threshold.to",
            "temperature.also.threshold.step",
        ]),
        "also.initial.drawn.temperature" => value("temperature.value"),
        "also.initial.samples" => value("exploration.samples"),
        "also.initial.threshold" => computed(&["reward.select"]),
        _ => value(&format!("exploration.{}", option.strip_prefix("also.initial.drawn.")?)),
    })
}

fn of_exploration(warms_up: bool, option: &str, beside: Beside) -> Option<Origin> {
    Some(match option {
        "searched" => return of_knobs("also.draws"),
        "labelled" => labelled(beside),
        "from" | "count" if beside.labelled => labelled(beside),
        "from" if warms_up => Origin::Place,
        "count" if warms_up => value("warmup.prompts"),
        "from" | "count" => computed(&["training.interval"]),
        "unlabelled" => computed(&["prompts.mix_at", "prompts.variation"]),
        "unlabelled.of" => labelled(beside),
        "unlabelled.from" | "unlabelled.count" if beside.labelled => labelled(beside),
        "unlabelled.from" => computed(&["prompts.mix_at", "training.interval"]),
        "unlabelled.count" => computed(&["training.interval"]),
        "samples" if warms_up => value("warmup.samples"),
        "samples" => value("exploration.samples"),
        "temperature" if warms_up => value("warmup.temperature"),
        "temperature" => {
            Origin::Value(vec!["temperature.points".to_owned(), "temperature.value".to_owned()])
        }
        "hint" if warms_up => value("warmup.hint"),
        "hint" => value("exploration.rationalise"),
        "top_p" | "top_k" | "min_p" | "max_new_tokens" => value(&format!("exploration.{option}")),
        _ => return None,
    })
}

fn of_reward_exploration(option: &str, beside: Beside) -> Option<Origin> {
    Some(match option {
        "labelled" => labelled(beside),
        "from" | "hint" => Origin::Place,
        "count" if beside.labelled => labelled(beside),
        "count" => value("reward.training.prompts"),
        "samples" | "temperature" => value(&format!("reward.training.{option}")),
        "top_p" | "top_k" | "min_p" | "max_new_tokens" => value(&format!("exploration.{option}")),
        _ => return None,
    })
}

/// Options of `label`, `train-reward` and `score`.
fn of_reward(option: &str) -> Option<Origin> {
    Some(match option {
        "dtype" => value("policy.dtype"),
        "seed" => computed(&["seed"]),
        "rollouts" => value("reward.training.labels"),
        "parts" => value("reward.training.train"),
        "scored" => computed(&["reward.model"]),
        "max_new_tokens" => value("exploration.max_new_tokens"),
        "max_length" | "micro_batch_size" => value(&format!("training.{option}")),
        "aggregate" => value("reward.aggregate"),
        "completions" | "temperature" | "targets" | "balance" | "held_out" | "epochs"
        | "batch_size" | "learning_rate" => value(&format!("reward.training.{option}")),
        _ if option == "steps" || option.starts_with("steps.") => computed(&["reward.steps"]),
        _ => return None,
    })
}

fn of_training(branch: Branch, option: &str, beside: Beside) -> Option<Origin> {
    Some(match (branch, option) {
        (Branch::Control, "set" | "set.given") => computed(&["control.data"]),
        (Branch::Ground, "set" | "set.given") => value("warmup.supervision"),
        (Branch::Ground | Branch::Control, "labelled") if !beside.labelled => {
            value("warmup.prompts")
        }
        (_, "set") => computed(&["training.method"]),
        (_, "set.given") => value("training.supervision"),
        (_, "labelled") => labelled(beside),
        (Branch::Ground, "epochs") => value("warmup.epochs"),
        (Branch::Evolution, "steps") => value("training.steps_per_iteration"),
        (Branch::Evolution, "steps_cap") => value("training.steps"),
        (_, "steps" | "steps_cap") => Origin::Place,
        (_, "parts") => computed(&["policy.lora", "policy.train"]),
        (_, "rates") => computed(&[
            "training.rates.vision",
            "training.rates.projector",
            "training.rates.language",
        ]),
        (_, "lora") => computed(&["policy.lora"]),
        _ if option.starts_with("lora.") => value(&format!("policy.{option}")),
        _ if option.starts_with("rates.") => value(&format!("training.{option}")),
        (
            _,
            "epochs"
            | "allow_empty"
            | "batch_size"
            | "micro_batch_size"
            | "gradient_checkpointing"
            | "learning_rate"
            | "max_length",
        ) => value(&format!("training.{option}")),
        _ if option.starts_with("optimizer.") || option.starts_with("schedule.") => {
            value(&format!("training.{option}"))
        }
        _ => return None,
    })
}
