//! The exact step checker: whether a response reasons as one of the accepted lists of steps does.
//!
//! It reads the gold steps, so nothing that trains or selects may call it: it is for the share of
//! right answers with wrong reasoning in a report, and for the skyline that says so.

use crate::data::Reference;

/// What the checker says of one response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepVerdict {
    /// For each step of the response, whether it is the step at that place of the accepted list that
    /// fits best.
    pub steps: Vec<bool>,
    /// Whether the response ends in `answer` and the gold answer, and nothing else.
    pub answer: bool,
    /// Whether all is right and no step is missing.
    pub all: bool,
}

/// A response cut at its semicolons: its steps, and last what it says the answer is.
pub fn parts(response: &str) -> Vec<String> {
    let words: Vec<&str> = response.split_whitespace().collect();
    words.split(|&word| word == ";").map(|part| part.join(" ")).collect()
}

/// Judges a response text (without the token that ends it) against a reference and the gold answer.
/// Among the accepted lists the one with the most right steps counts, the first of equals.
pub fn judge(reference: &Reference, answer: &str, response: &str) -> StepVerdict {
    let mut parts = parts(response);
    let last = parts.pop().unwrap_or_default();
    let answer = last == format!("answer {answer}");
    let mut best = StepVerdict { steps: vec![false; parts.len()], answer, all: false };
    for variant in &reference.variants {
        let steps: Vec<bool> =
            parts.iter().enumerate().map(|(at, step)| variant.get(at) == Some(step)).collect();
        let right = |steps: &[bool]| steps.iter().filter(|&&right| right).count();
        let all = answer && right(&steps) == variant.len() && steps.len() == variant.len();
        if right(&steps) > right(&best.steps) || all {
            best = StepVerdict { steps, answer, all };
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference() -> Reference {
        let list = |steps: [&str; 3]| steps.map(str::to_owned).to_vec();
        Reference {
            id: 1,
            variants: vec![
                list(["red 2", "blue 3", "2 + 3 = 5"]),
                list(["blue 3", "red 2", "3 + 2 = 5"]),
            ],
            gold: Vec::new(),
        }
    }

    #[test]
    fn verdicts_name_the_wrong_step() {
        let judge = |text| judge(&reference(), "5", text);
        let right = judge("blue 3 ; red 2 ; 3 + 2 = 5 ; answer 5");
        assert_eq!((right.steps, right.answer, right.all), (vec![true; 3], true, true));
        let slip = judge("red 2 ; blue 4 ; 2 + 3 = 5 ; answer 5");
        assert_eq!((slip.steps, slip.answer, slip.all), (vec![true, false, true], true, false));
        let short = judge("red 2 ; blue 3 ; answer 5");
        assert_eq!((short.steps, short.answer, short.all), (vec![true, true], true, false));
        let long = judge("red 2 ; blue 3 ; 2 + 3 = 5 ; 5 + 0 = 5 ; answer 5");
        assert_eq!(long.steps, [true, true, true, false]);
        assert!(!long.all);
        let wrong = judge("red 2 ; blue 3 ; 2 + 3 = 5 ; answer 6");
        assert_eq!((wrong.steps, wrong.answer, wrong.all), (vec![true; 3], false, false));
        let unfinished = judge("red 2 ; blue 3 ; 2 + 3 = 5 ;");
        assert!(!unfinished.answer && !unfinished.all);
        assert!(!judge("").all);
    }
}
