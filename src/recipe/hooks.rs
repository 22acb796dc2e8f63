//! What a recipe asks of its script: the functions that some stage calls, and those that it needs.

use crate::{
    base::{Fault, Place},
    hooks::{Moment, Script},
    recipe::{
        Maximise, Method, PseudoAnswer, Recipe, RewardModel, Steps, TemperatureMode, Variation,
    },
};
use std::collections::BTreeSet;

/// The moments at which a run of the recipe asks its script, if the script serves them.
pub fn moments_called(recipe: &Recipe) -> BTreeSet<Moment> {
    let evolves = recipe.training.method != Method::Sft && recipe.training.iterations > 0;
    let mut moments =
        BTreeSet::from([Moment::Prompt, Moment::Extract, Moment::Correct, Moment::Metric]);
    if evolves {
        moments.insert(Moment::Keep);
    }
    if evolves && recipe.data.validation > 0 {
        moments.insert(Moment::Stop);
    }
    moments.extend(needed(recipe).map(|(_, moment)| moment));
    moments
}

/// Moments that a recipe names, each with the key by which it does.
pub(super) fn needed(recipe: &Recipe) -> impl Iterator<Item = (&'static str, Moment)> {
    let scores_steps = matches!(recipe.reward.model, RewardModel::Process | RewardModel::Outcome);
    let chooses = recipe.temperature.mode == TemperatureMode::Balanced
        && recipe.temperature.maximise == Some(Maximise::Hook);
    [
        ("temperature.maximise", Moment::Temperature, chooses),
        ("reward.model", Moment::Reward, recipe.reward.model == RewardModel::Hook),
        ("reward.steps", Moment::Steps, scores_steps && recipe.reward.steps == Steps::Hook),
        (
            "prompts.pseudo_answer",
            Moment::PseudoAnswer,
            recipe.prompts.variation == Variation::Mixed
                && recipe.prompts.pseudo_answer == Some(PseudoAnswer::Hook),
        ),
    ]
    .into_iter()
    .filter(|(_, _, is_named)| *is_named)
    .map(|(key, moment, _)| (key, moment))
}

/// What a script lacks that one of its recipes names, and what it has that none of them calls.
/// `recipes` come with what tells where a key is written.
pub fn check_script<'r, P: Fn(&str) -> Option<Place>>(
    script: &Script,
    recipes: impl Iterator<Item = (&'r Recipe, P)>,
) -> Vec<Fault> {
    let mut faults: Vec<Fault> = Vec::new();
    let mut called = BTreeSet::new();
    for (recipe, place) in recipes {
        called.extend(moments_called(recipe));
        for (key, moment) in needed(recipe).filter(|(_, moment)| !script.has(*moment)) {
            let message = format!(
                "`{key} = \"hook\"`, and `{}` has no function `{}`",
                script.name(),
                moment.name()
            );
            if faults.iter().all(|fault| fault.message != message) {
                let hint = Some(format!("write `fn {moment} {{ … }}`"));
                faults.push(Fault { code: "missing-hook", message, hint, place: place(key) });
            }
        }
    }
    for moment in script.moments().difference(&called) {
        let hint = match moment {
            Moment::Reward => "leave it out, or write `reward.model = \"hook\"`",
            Moment::Steps => {
                "leave it out, or write `reward.steps = \"hook\"` beside `reward.model = \"process\"`"
            }
            Moment::Temperature => {
                "leave it out, or write `temperature.maximise = \"hook\"` \
                 beside `temperature.mode = \"balanced\"`"
            }
            Moment::PseudoAnswer => {
                "leave it out, or write `prompts.pseudo_answer = \"hook\"` \
                 beside `prompts.variation = \"mixed\"`"
            }
            _ => "leave it out: the recipe does not come to it",
        };
        faults.push(Fault {
            code: "no-effect",
            message: format!("nothing calls `{}`", moment.name()),
            hint: Some(hint.to_owned()),
            place: script.place(*moment),
        });
    }
    faults
}
