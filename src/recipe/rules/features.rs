//! Stored features are those of a vision tower that nothing changes.

use super::Checker;
use crate::recipe::{Features, Method, Part, RewardModel};

/// What linear maps of vision towers are called. Some are called so in language models, too: what a
/// recipe names by such an end would be adapted in both.
const OF_TOWERS: [&str; 16] = [
    "patch_fc1",
    "patch_fc2",
    "q_proj",
    "k_proj",
    "v_proj",
    "out_proj",
    "projection_layer",
    "fc1",
    "fc2",
    "qkv",
    "proj",
    "linear_fc1",
    "linear_fc2",
    "gate_proj",
    "up_proj",
    "down_proj",
];
/// Parts of names that stand for language models alone.
const OF_LANGUAGE: [&str; 3] = ["language_model", "llm", "text_model"];

/// Every stage that trains leaves the tower as it is.
pub(super) fn tower_is_frozen(check: &mut Checker<'_>) {
    let recipe = check.recipe;
    if recipe.policy.features != Features::Stored {
        return;
    }
    let rewards = matches!(recipe.reward.model, RewardModel::Outcome | RewardModel::Process)
        && recipe.training.method != Method::Sft;
    for (key, trains, parts) in [
        ("policy.train", recipe.policy.lora.is_none(), &recipe.policy.train),
        ("reward.training.train", rewards, &recipe.reward.training.train),
    ] {
        if trains && parts.contains(&Part::Vision) {
            let message = format!(
                "`policy.features = \"stored\"` needs a frozen vision tower, and `{key}` trains it"
            );
            let hint = format!(
                "write `{key} = [\"projector\", \"language\"]`, or `policy.features = \"computed\"`"
            );
            check.fault("features-of-a-trained-tower", &[key, "policy.features"], message, hint);
        }
    }
}

/// Adapters are none of the tower's.
pub(super) fn adapters_leave_the_tower_alone(check: &mut Checker<'_>) {
    let recipe = check.recipe;
    let Some(lora) = &recipe.policy.lora else { return };
    if recipe.policy.features != Features::Stored {
        return;
    }
    let may_be_of_a_tower = |target: &&String| {
        let is_language = target.split('.').any(|part| OF_LANGUAGE.contains(&part));
        let last = target.rsplit('.').next().unwrap_or_default();
        !is_language && OF_TOWERS.contains(&last)
    };
    if let Some(target) = lora.targets.iter().find(may_be_of_a_tower) {
        let message = format!(
            "`policy.features = \"stored\"` needs a vision tower without adapters, and `{target}` \
             may be a map of the tower"
        );
        let hint = "leave `policy.lora.targets` out, which takes all maps of the language model, \
                    or write `policy.features = \"computed\"`";
        let keys = ["policy.lora.targets", "policy.features"];
        check.fault("features-of-an-adapted-tower", &keys, message, hint.to_owned());
    }
}
