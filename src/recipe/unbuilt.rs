//! What the language can say and the engine cannot do yet, refused by name before anything runs.
//!
//! What no stage stands for is a fault of the recipe. What has its stages and no engine behind them can
//! be checked and planned, and only a run refuses it. A line goes when its feature comes, and the file
//! with the last one.

use crate::{
    base::{Fault, Place},
    recipe::{Recipe, Resolved},
};

/// A key, whether its value is not built, what that is, and the way out.
type Line = (&'static str, bool, &'static str, &'static str);

/// Every key whose value no stage stands for yet.
pub(super) fn refuse(resolved: &Resolved) -> Vec<Fault> {
    let recipe = &resolved.recipe;
    faults(
        &|key| resolved.place(key),
        &[(
            "policy.lora",
            recipe.policy.lora.is_some(),
            "low-rank adapters",
            "leave `policy.lora` out; `policy.train` chooses the parts that are trained",
        )],
    )
}

/// Every key of a recipe whose value can be planned and not run yet; `place` says where it is
/// written, `is_in_folder` whether a model is the checkpoint of a folder.
pub fn planned_only(
    recipe: &Recipe,
    is_in_folder: &dyn Fn(&str) -> bool,
    place: &dyn Fn(&str) -> Option<Place>,
) -> Vec<Fault> {
    faults(
        place,
        &[
            (
                "policy.model",
                !recipe.policy.model.starts_with("builtin:") && !is_in_folder(&recipe.policy.model),
                "models that are fetched from the hub",
                "give the folder of a checkpoint, such as `./smolvlm`, or `builtin:mini-vlm`",
            ),
            (
                "data.source",
                !recipe.data.source.contains(':'),
                "data that is fetched by its name",
                "write where its files are, such as `mathv360k:data/MathV360K`",
            ),
            (
                "data.benchmarks",
                !recipe.data.benchmarks.is_empty(),
                "benchmarks inside a recipe",
                "leave them out; the test split is evaluated",
            ),
        ],
    )
}

fn faults(place: &dyn Fn(&str) -> Option<Place>, lines: &[Line]) -> Vec<Fault> {
    let fault = |(key, _, what, hint): &Line| Fault {
        code: "not-built-yet",
        message: format!("not built yet: {what} (`{key}`)"),
        hint: Some((*hint).to_owned()),
        place: place(key),
    };
    lines.iter().filter(|(_, is_asked_for, ..)| *is_asked_for).map(fault).collect()
}
