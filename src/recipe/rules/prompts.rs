//! What must hold where unlabelled prompts take part.

use super::Checker;
use crate::recipe::{Method, PseudoAnswer, RewardModel, Variation, mixing::first_mixed};

pub(super) fn mixing_has_prompts_and_answers(check: &mut Checker<'_>) {
    let recipe = check.recipe;
    if recipe.prompts.variation != Variation::Mixed {
        return;
    }
    if recipe.data.labelled == 1.0 {
        let message = "`prompts.variation = \"mixed\"` finds no unlabelled prompt to mix in";
        let hint = "label fewer, such as `data.labelled = 0.5`".to_owned();
        let keys = ["data.labelled", "prompts.variation"];
        check.fault("nothing-unlabelled", &keys, message.to_owned(), hint);
    }
    if recipe.prompts.pseudo_answer.is_none() {
        let message = "`prompts.variation = \"mixed\"` needs answers to the unlabelled prompts";
        let hint = "say where they come from: `prompts.pseudo_answer = \"majority-vote\"`";
        let keys = ["prompts.variation"];
        check.fault("mixed-without-answers", &keys, message.to_owned(), hint.to_owned());
    }
}

pub(super) fn hints_have_answers(check: &mut Checker<'_>) {
    let mixed = check.recipe.prompts.variation == Variation::Mixed;
    if mixed && check.recipe.exploration.rationalise {
        let message = "rationalisation shows the gold answer, which unlabelled prompts do not have";
        let hint =
            "leave `exploration.rationalise` out, or write `prompts.variation = \"labelled\"`";
        let keys = ["exploration.rationalise", "prompts.variation"];
        check.fault("hint-without-answer", &keys, message.to_owned(), hint.to_owned());
    }
}

pub(super) fn vote_has_scores(check: &mut Checker<'_>) {
    let weighted = check.recipe.prompts.pseudo_answer == Some(PseudoAnswer::WeightedVote);
    let mixed = check.recipe.prompts.variation == Variation::Mixed;
    if mixed && weighted && check.recipe.reward.model == RewardModel::Answer {
        let message = "a weighted vote adds up scores, and `reward.model = \"answer\"` gives none";
        let hint = "write `prompts.pseudo_answer = \"majority-vote\"`, or train a reward model";
        check.fault("vote-without-scores", &["prompts.pseudo_answer"], message.into(), hint.into());
    }
}

pub(super) fn mixing_happens(check: &mut Checker<'_>) {
    let recipe = check.recipe;
    let mixes = recipe.prompts.variation == Variation::Mixed;
    let evolves = recipe.training.method != Method::Sft && recipe.training.iterations > 0;
    if !mixes || !evolves {
        return;
    }
    let iterations = recipe.training.iterations;
    if let Some(mix_at) = recipe.prompts.mix_at.filter(|_| first_mixed(recipe) > iterations) {
        let message =
            format!("no iteration of {iterations} begins after the share {mix_at} of them");
        let hint = "let unlabelled prompts join earlier, or add iterations".to_owned();
        check.fault("mixed-too-late", &["prompts.mix_at"], message, hint);
    }
}
