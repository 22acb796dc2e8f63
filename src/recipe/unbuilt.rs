//! What the language can say and the engine cannot do yet, refused by name before anything runs.
//!
//! A line goes when its feature comes, and the file with the last one.

use crate::{base::Fault, recipe::Resolved};

/// Every key whose value is not built yet.
pub(super) fn refuse(resolved: &Resolved) -> Vec<Fault> {
    let recipe = &resolved.recipe;
    [
        (
            "policy.model",
            !recipe.policy.model.starts_with("builtin:"),
            "models from the hub and from folders",
            "`builtin:mini-vlm` and `builtin:mini-vlm/random` work today",
        ),
        (
            "policy.lora",
            recipe.policy.lora.is_some(),
            "low-rank adapters",
            "leave `policy.lora` out; `policy.train` chooses the parts that are trained",
        ),
        (
            "data.source",
            !recipe.data.source.starts_with("builtin:"),
            "data other than the embedded task",
            "`builtin:mini-vista` works today",
        ),
        (
            "data.benchmarks",
            !recipe.data.benchmarks.is_empty(),
            "benchmarks inside a recipe",
            "leave them out; the test split is evaluated",
        ),
    ]
    .into_iter()
    .filter(|(_, is_asked_for, ..)| *is_asked_for)
    .map(|(key, _, what, hint)| Fault {
        code: "not-built-yet",
        message: format!("not built yet: {what} (`{key}`)"),
        hint: Some(hint.to_owned()),
        place: resolved.place(key),
    })
    .collect()
}
