//! Which metrics a recipe will have measured: the names that tables and conditions use.

use crate::recipe::{Method, Recipe, RewardModel, Variation};

/// Names of the metrics that a run of this recipe has at its end. `<split>.accuracy` is that of the
/// last policy; `start` that of the policy it began with; `gain` the difference; `control` that of
/// the equal-steps control.
pub fn metrics(recipe: &Recipe) -> Vec<String> {
    let mut names = vec!["steps".to_owned(), "seconds".to_owned()];
    let splits = [("validation", recipe.data.validation), ("test", recipe.data.test)];
    let splits = splits.into_iter().filter(|(_, count)| *count > 0).map(|(split, _)| split);
    let benchmarks = recipe.data.benchmarks.iter().map(|name| benchmark_name(name));
    for split in splits.chain(benchmarks) {
        let mut endings = vec!["accuracy", "start", "gain", "steps_right"];
        if recipe.control.equal_steps {
            endings.extend(["control", "over_control"]);
        }
        names.extend(endings.into_iter().map(|ending| format!("{split}.{ending}")));
    }
    if recipe.evaluation.pass_samples > 0 && recipe.data.validation > 0 {
        names.extend(["validation.pass", "validation.pass.start"].map(str::to_owned));
        if recipe.reward.model != RewardModel::Answer {
            names.push("validation.reward_pass".to_owned());
        }
        if recipe.evaluation.verifiers {
            let verifiers = ["verifier.best_of_n", "verifier.majority", "verifier.weighted"];
            names.extend(verifiers.map(str::to_owned));
        }
    }
    if matches!(recipe.reward.model, RewardModel::Outcome | RewardModel::Process) {
        names.extend(["reward.auc", "reward.auc_within"].map(str::to_owned));
    }
    let explores = recipe.training.method != Method::Sft && recipe.training.iterations > 0;
    if recipe.prompts.variation == Variation::Mixed && explores {
        names.extend(["pseudo.agreement", "pseudo.coverage"].map(str::to_owned));
    }
    names
}

/// What the metrics of a benchmark begin with: its name, without the split and the place of its files.
pub fn benchmark_name(written: &str) -> &str {
    written.split(['/', ':']).next().unwrap_or(written)
}

/// Whether a name is one of them; `<split>.accuracy.<CATEGORY>` is whenever the split is measured.
pub(super) fn is_among(name: &str, names: &[String]) -> bool {
    let category_of = |known: &String| {
        known.ends_with(".accuracy")
            && name
                .strip_prefix(known.as_str())
                .is_some_and(|rest| rest.len() > 1 && rest.starts_with('.'))
    };
    names.iter().any(|known| known == name || category_of(known))
}
