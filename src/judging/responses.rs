//! What the answer reward says of a response before any script is asked.

use crate::data::table::Finish;
use crate::rewards::{Extraction, matches};

/// Where a model writes its answer: the built-in ones after the word `answer`, as they were taught,
/// others under a header, as they are asked to.
pub fn extraction(model: &str) -> Extraction {
    match model.starts_with("builtin:") {
        true => Extraction::AnswerWord,
        false => Extraction::AnswerHeader,
    }
}

/// The answer of a response, and whether it is right; never where the policy did not end it, or
/// where the gold answer is hidden.
pub fn first_judgement(
    extraction: Extraction,
    text: &str,
    finish: Finish,
    gold: Option<&str>,
) -> (Option<String>, bool) {
    let answer = extraction.answer(text, finish == Finish::Stop);
    let correct = answer.as_deref().zip(gold).is_some_and(|(answer, gold)| matches(answer, gold));
    (answer, correct)
}
