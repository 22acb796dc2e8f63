//! M3CoT: `judge_answer` of its repository.

use super::mathvista::bracketed_letters;

/// What the rules answer when they find nothing.
pub const FAILED: &str = "FAILED";

/// Letters of options; the official program knows no more.
const LETTERS: [char; 6] = ['A', 'B', 'C', 'D', 'E', 'F'];

/// The option that a response chooses, or `None` for [`FAILED`].
///
/// Of what follows the last `[Answer]`: the last letter in brackets; else the last option whose text
/// is in it; else the last option whose letter stands alone, in upper case, or else in lower case.
/// The text of an option may be part of a longer word, and "last" is the order of the options, not
/// that of the text: so it is in the original.
pub fn m3cot_option(response: &str, choices: &[String]) -> Option<char> {
    let text = between(response);
    if let Some(letter) = bracketed_letters(text).last() {
        return Some(letter.to_ascii_uppercase());
    }
    let lower = text.to_lowercase();
    let lettered = || LETTERS.iter().copied().zip(choices);
    let mentioned = |(_, choice): &(char, &String)| lower.contains(&choice.to_lowercase());
    if let Some((letter, _)) = lettered().rfind(mentioned) {
        return Some(letter);
    }
    let words: Vec<&str> =
        text.split([' ', '\n', '.', ',', '!', '?']).filter(|word| !word.is_empty()).collect();
    let alone = |letter: char| words.iter().any(|word| word.chars().eq([letter]));
    let upper = lettered().map(|(letter, _)| letter).rfind(|&letter| alone(letter));
    upper.or_else(|| {
        let lower = |letter: &char| alone(letter.to_ascii_lowercase());
        lettered().map(|(letter, _)| letter).rfind(lower)
    })
}

/// The part of a response that answers: after the last `[Answer]`, before a new section.
fn between(response: &str) -> &str {
    let Some((_, answer)) = response.rsplit_once("[Answer]") else { return response };
    let answer = answer.split("[Rationale]").next().unwrap_or_default();
    answer.split("[Context]").next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn options_are_found() {
        let choices = ["a cat", "a dog", "ice"].map(str::to_owned);
        for (response, option) in [
            ("(A) then (c)", Some('C')),
            ("[Answer] B [Rationale] (A)", Some('B')),
            ("It is a DOG, not a cat", Some('B')),
            ("nice", Some('C')),
            ("B, or C?", Some('C')),
            ("so b.", Some('B')),
            ("(1)", None),
            ("D", None),
            ("", None),
        ] {
            assert_eq!(m3cot_option(response, &choices), option, "{response}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_rules(
            response in "(\\PC|[()A-Fa-f \n]|\\[Answer\\]|\\[Context\\]){0,40}",
            choices in proptest::collection::vec("\\PC{0,6}", 0..9),
        ) {
            let option = m3cot_option(&response, &choices);
            prop_assert!(option.is_none_or(|letter| letter.is_ascii_uppercase()));
        }
    }
}
