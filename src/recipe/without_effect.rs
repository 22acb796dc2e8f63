//! Keys that mean nothing beside the value of another key: one flat list.
//!
//! Writing such a key is a fault, since whoever did expected something of it. Overriding the other
//! key from a layer above is none: an axis over `temperature.mode` may pass over the `value` that
//! its base recipe gives.

use crate::recipe::{
    Method, OptimizerKind, Recipe, Resolved, RewardModel, ScheduleKind, TemperatureMode, Variation,
};

/// A group of keys that have no effect `when` the value of `decider` is what it is.
struct Inert {
    keys: &'static [&'static str],
    decider: &'static str,
    when: fn(&Recipe) -> bool,
    hint: &'static str,
}

/// A key without effect, the key that makes it so, and the way out.
pub(super) struct Finding {
    pub(super) key: &'static str,
    pub(super) decider: &'static str,
    pub(super) hint: &'static str,
}

/// Every key without effect, written or not.
pub(super) fn find(resolved: &Resolved) -> impl Iterator<Item = Finding> {
    let inert = INERT.iter().filter(|inert| (inert.when)(&resolved.recipe));
    inert.flat_map(|inert| {
        let &Inert { keys, decider, hint, .. } = inert;
        keys.iter().map(move |key| Finding { key, decider, hint })
    })
}

const INERT: &[Inert] = &[
    Inert {
        keys: &[
            "data.columns.question",
            "data.columns.answer",
            "data.columns.image",
            "data.columns.category",
            "data.columns.choices",
            "data.on_bad_sample",
        ],
        decider: "data.source",
        when: |recipe| recipe.data.source.starts_with("builtin:"),
        hint: "leave it out, or name files, such as `data.source = \"jsonl:train.jsonl\"`",
    },
    Inert {
        keys: &["policy.image_pixels"],
        decider: "policy.model",
        when: |recipe| recipe.policy.model.starts_with("builtin:"),
        hint: "leave it out: the embedded model's pictures have one size",
    },
    Inert {
        keys: &["temperature.value"],
        decider: "temperature.mode",
        when: |recipe| recipe.temperature.mode == TemperatureMode::Schedule,
        hint: "leave it out, or write `temperature.mode = \"fixed\"`",
    },
    Inert {
        keys: &["temperature.points"],
        decider: "temperature.mode",
        when: |recipe| recipe.temperature.mode != TemperatureMode::Schedule,
        hint: "leave it out, or write `temperature.mode = \"schedule\"`",
    },
    Inert {
        keys: &[
            "temperature.maximise",
            "temperature.candidates.from",
            "temperature.candidates.to",
            "temperature.candidates.step",
            "temperature.every",
            "temperature.samples",
            "temperature.prompts",
            "temperature.search_on",
            "temperature.also.top_p",
            "temperature.also.top_k",
            "temperature.also.min_p",
            "temperature.also.samples",
            "temperature.also.threshold.from",
            "temperature.also.threshold.to",
            "temperature.also.threshold.step",
        ],
        decider: "temperature.mode",
        when: |recipe| recipe.temperature.mode != TemperatureMode::Balanced,
        hint: "leave it out, or write `temperature.mode = \"balanced\"`",
    },
    Inert {
        keys: &["prompts.mix_at", "prompts.pseudo_answer"],
        decider: "prompts.variation",
        when: |recipe| recipe.prompts.variation != Variation::Mixed,
        hint: "leave it out, or let unlabelled prompts join with `prompts.variation = \"mixed\"`",
    },
    Inert {
        keys: &["reward.aggregate", "reward.steps"],
        decider: "reward.model",
        when: |recipe| recipe.reward.model != RewardModel::Process,
        hint: "leave it out: only a process reward model scores steps",
    },
    Inert {
        keys: &["reward.training.labels", "reward.training.completions", "reward.training.targets"],
        decider: "reward.model",
        when: |recipe| recipe.reward.model == RewardModel::Outcome,
        hint: "leave it out: an outcome reward model learns from answers, not from labelled steps",
    },
    Inert {
        keys: &[
            "reward.training.labels",
            "reward.training.prompts",
            "reward.training.samples",
            "reward.training.completions",
            "reward.training.temperature",
            "reward.training.targets",
            "reward.training.balance",
            "reward.training.held_out",
            "reward.training.from",
            "reward.training.train",
            "reward.training.epochs",
            "reward.training.batch_size",
            "reward.training.learning_rate",
            "reward.training.refresh_every",
        ],
        decider: "reward.model",
        when: |recipe| matches!(recipe.reward.model, RewardModel::Answer | RewardModel::Hook),
        hint: "leave it out: there is no reward model to train",
    },
    Inert {
        keys: &["training.optimizer.muon_learning_rate"],
        decider: "training.optimizer.kind",
        when: |recipe| recipe.training.optimizer.kind != OptimizerKind::Muon,
        hint: "leave it out, or write `training.optimizer.kind = \"muon\"`",
    },
    Inert {
        keys: &["training.schedule.to", "training.schedule.over"],
        decider: "training.schedule.kind",
        when: |recipe| recipe.training.schedule.kind == ScheduleKind::Constant,
        hint: "leave it out, or write `training.schedule.kind = \"linear\"` or `\"cosine\"`",
    },
    Inert {
        keys: &["training.supervision"],
        decider: "training.method",
        when: |recipe| recipe.training.method != Method::Sft,
        hint: "leave it out: the other methods learn from responses of their own",
    },
    Inert {
        keys: &["training.allow_empty"],
        decider: "training.method",
        when: |recipe| recipe.training.method == Method::Sft,
        hint: "leave it out: `sft` selects nothing",
    },
    Inert {
        keys: &["training.iterations"],
        decider: "training.method",
        when: |recipe| recipe.training.method == Method::Sft && recipe.training.iterations > 1,
        hint: "leave it out: `sft` is one supervised run",
    },
    Inert {
        keys: &["training.interval"],
        decider: "training.method",
        when: |recipe| recipe.training.method == Method::Sft && recipe.training.interval < 1.0,
        hint: "leave it out: `sft` learns from all labelled prompts",
    },
    Inert {
        keys: &["exploration.rationalise"],
        decider: "training.method",
        when: |recipe| recipe.training.method == Method::Sft,
        hint: "leave it out: `sft` explores nothing",
    },
    Inert {
        keys: &["reward.model"],
        decider: "training.method",
        when: |recipe| {
            recipe.training.method == Method::Sft && recipe.reward.model != RewardModel::Answer
        },
        hint: "leave it out: `sft` selects nothing that could be scored",
    },
    Inert {
        keys: &["prompts.variation"],
        decider: "training.method",
        when: |recipe| {
            recipe.training.method == Method::Sft && recipe.prompts.variation == Variation::Mixed
        },
        hint: "leave it out: `sft` learns from given answers, which unlabelled prompts have not",
    },
    Inert {
        keys: &["warmup.enabled"],
        decider: "training.method",
        when: |recipe| recipe.training.method == Method::Sft && recipe.warmup.enabled,
        hint: "leave it out: `sft` starts from the base model",
    },
    Inert {
        keys: &["training.stop.patience"],
        decider: "training.method",
        when: |recipe| recipe.training.method == Method::Sft && recipe.training.stop.patience > 0,
        hint: "leave it out: `sft` is one supervised run",
    },
    Inert {
        keys: &["training.stop.min_delta", "training.stop.metric"],
        decider: "training.stop.patience",
        when: |recipe| recipe.training.stop.patience == 0,
        hint: "leave it out, or write `training.stop.patience = 3`",
    },
    Inert {
        keys: &["training.epochs"],
        decider: "training.steps_per_iteration",
        when: |recipe| recipe.training.steps_per_iteration > 0,
        hint: "give either the passes or the steps of an iteration",
    },
    Inert {
        keys: &[
            "warmup.samples",
            "warmup.temperature",
            "warmup.hint",
            "warmup.keep",
            "warmup.keep_per_prompt",
        ],
        decider: "warmup.supervision",
        when: |recipe| recipe.warmup.enabled && recipe.warmup.supervision.is_some(),
        hint: "leave it out: what the data set gives is learned as it is, and nothing is drawn",
    },
    Inert {
        keys: &[
            "warmup.supervision",
            "warmup.prompts",
            "warmup.samples",
            "warmup.temperature",
            "warmup.hint",
            "warmup.keep",
            "warmup.keep_per_prompt",
            "warmup.epochs",
        ],
        decider: "warmup.enabled",
        when: |recipe| !recipe.warmup.enabled,
        hint: "leave it out, or write `warmup.enabled = true`",
    },
    Inert {
        keys: &["control.data"],
        decider: "control.equal_steps",
        when: |recipe| !recipe.control.equal_steps,
        hint: "leave it out, or add the control with `control.equal_steps = true`",
    },
    Inert {
        keys: &["evaluation.pass_temperature", "evaluation.temperatures", "evaluation.verifiers"],
        decider: "evaluation.pass_samples",
        when: |recipe| recipe.evaluation.pass_samples == 0,
        hint: "leave it out, or draw samples with `evaluation.pass_samples = 16`",
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::schema::key_at;

    #[test]
    fn the_list_names_keys_that_exist() {
        for inert in INERT {
            for key in inert.keys.iter().chain([&inert.decider]) {
                assert!(key_at(key).is_some(), "{key}");
            }
        }
    }
}
