//! What the answer reward says of a response before any script is asked.

use crate::data::source::EMBEDDED;
use crate::data::table::Finish;
use crate::rewards::{Extraction, matches};

/// Where the answer of a response to a prompt of this source is.
pub fn extraction(source: &str) -> Extraction {
    if source == EMBEDDED { Extraction::AnswerWord } else { Extraction::AnswerHeader }
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
