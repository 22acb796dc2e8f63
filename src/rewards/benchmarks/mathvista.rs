//! MathVista: `extract_answer.py` and `calculate_score.py` of its repository.
//!
//! The extraction there asks a language model for whatever the first rules do not find; without one,
//! [`Problem::guess`] stands in for it, and says that it did.

use super::{options::Options, python};
use serde::{Deserialize, Serialize};

/// What an answer has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AnswerType {
    /// Words.
    Text,
    /// A whole number.
    Integer,
    /// A number with so many digits after the point.
    Float,
    /// A list as Python writes it.
    List,
}

/// What of a question decides how its responses are read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// The choices of a question of choice; none for a free answer.
    pub choices: Option<Vec<String>>,
    /// What an answer has to be.
    pub answer_type: AnswerType,
    /// Digits after the point of a float; Python takes `int` of it.
    pub precision: Option<f64>,
}

impl Problem {
    /// What the official rules find in a response without a language model: the response itself
    /// where it is an answer, or what stands in `The answer is "…".`. `None` where the official
    /// program would ask a model.
    pub fn extract(&self, response: &str) -> Option<String> {
        if response.is_empty() {
            return Some(String::new());
        }
        if self.choices.iter().flatten().any(|choice| choice == response) {
            return Some(response.to_owned());
        }
        let number = match self.answer_type {
            AnswerType::Integer => python::integer(response),
            AnswerType::Float => python::float(response).map(python::repr),
            AnswerType::Text | AnswerType::List => None,
        };
        number.or_else(|| quoted(response).map(str::to_owned))
    }

    /// What a response seems to answer, by rules of our own: the option that it names, the last
    /// list or number in it, or what follows its last `answer is`.
    pub fn guess(&self, response: &str) -> Option<String> {
        if let Some(choices) = &self.choices {
            let options = Options::lettered(choices);
            if let Some(letter) = super::infer_option(response, &options) {
                return Some(letter.to_string());
            }
            return last_bracketed_letter(response).map(|letter| letter.to_string());
        }
        match self.answer_type {
            AnswerType::Integer | AnswerType::Float => last_number(response),
            AnswerType::List => {
                let end = response.rfind(']')?;
                let start = response[..end].rfind('[')?;
                Some(response[start..=end].to_owned())
            }
            AnswerType::Text => after_last_answer(response).map(str::to_owned),
        }
    }

    /// An extraction in the form in which it is compared; `None` where it has none.
    ///
    /// A choice is named by its letter, alone or in brackets, or else is the one of the smallest
    /// edit distance, also to an empty extraction unless `ignore_empty`. Whole numbers are cut, and
    /// floats rounded to the precision, as Python does both.
    pub fn normalise(&self, extraction: &str, ignore_empty: bool) -> Option<String> {
        if let Some(choices) = &self.choices {
            return chosen(python::strip(extraction), choices, ignore_empty);
        }
        match self.answer_type {
            AnswerType::Integer => python::float(extraction).and_then(python::truncated),
            AnswerType::Float => {
                let precision = self.precision.filter(|precision| precision.is_finite())?;
                let value = python::float(extraction)?;
                Some(python::repr(python::rounded(value, precision.trunc() as i64)))
            }
            // For a free answer in words the official program has no rule.
            AnswerType::List | AnswerType::Text => Some(extraction.to_owned()),
        }
    }
}

fn chosen(extraction: &str, choices: &[String], ignore_empty: bool) -> Option<String> {
    if ignore_empty && extraction.is_empty() {
        return None;
    }
    let letter = bracketed_letters(extraction).next().map(|letter| letter.to_ascii_uppercase());
    let letter = letter.map_or_else(|| extraction.to_owned(), |letter| letter.to_string());
    let mut letters = letter.chars();
    if let (Some(one), None) = (letters.next(), letters.next())
        && let Some(at) = u32::from(one).checked_sub(u32::from('A'))
        && let Some(choice) = choices.get(at as usize)
    {
        return Some(choice.clone());
    }
    // The first of the nearest ones, as Python's `index` and Rust's `min_by_key` both say.
    let distance = |choice: &&String| strsim::levenshtein(&letter, choice);
    choices.iter().min_by_key(distance).cloned()
}

/// Every single ASCII letter in brackets, from left to right.
pub(super) fn bracketed_letters(text: &str) -> impl Iterator<Item = char> {
    text.as_bytes().windows(3).filter_map(|three| match three {
        [b'(', letter, b')'] if letter.is_ascii_alphabetic() => Some(char::from(*letter)),
        _ => None,
    })
}

fn last_bracketed_letter(text: &str) -> Option<char> {
    bracketed_letters(text).last().map(|letter| letter.to_ascii_uppercase())
}

/// What stands in `The answer is "…".`: up to the last such end of the line.
fn quoted(response: &str) -> Option<&str> {
    const START: &str = "The answer is \"";
    response.match_indices(START).find_map(|(at, _)| {
        let rest = &response[at + START.len()..];
        let line = rest.split('\n').next().unwrap_or(rest);
        line.rfind("\".").map(|end| &line[..end])
    })
}

/// The last number of a text, its thousands ungrouped.
fn last_number(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let is_part = |at: usize| {
        let digit =
            |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
        match bytes[at] {
            b'0'..=b'9' => true,
            b'.' => digit(Some(at + 1)),
            b',' => digit(at.checked_sub(1)) && (1..=3).all(|next| digit(Some(at + next))),
            _ => false,
        }
    };
    let last = (0..bytes.len()).rev().find(|&at| bytes[at].is_ascii_digit())?;
    let mut first = (0..=last).rev().take_while(|&at| is_part(at)).last()?;
    if first > 0 && bytes[first - 1] == b'-' {
        first -= 1;
    }
    Some(text[first..=last].replace(',', ""))
}

/// What follows the last `answer is` or `answer:`, up to the end of its line.
fn after_last_answer(response: &str) -> Option<&str> {
    let ends = ["answer is", "Answer is", "answer:", "Answer:"];
    let at = ends.iter().filter_map(|end| response.rfind(end).map(|at| at + end.len())).max()?;
    let line = response[at..].split('\n').next().unwrap_or_default();
    let answer = line.trim().trim_start_matches(':').trim().trim_end_matches('.');
    (!answer.is_empty()).then_some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn free(answer_type: AnswerType, precision: Option<f64>) -> Problem {
        Problem { choices: None, answer_type, precision }
    }

    fn choice(choices: &[&str]) -> Problem {
        let choices = choices.iter().map(|&choice| choice.to_owned()).collect();
        Problem { choices: Some(choices), answer_type: AnswerType::Text, precision: None }
    }

    #[test]
    fn responses_are_extracted() {
        let integer = free(AnswerType::Integer, None);
        assert_eq!(integer.extract(" 07 ").as_deref(), Some("7"));
        assert_eq!(integer.extract("It is 7."), None);
        assert_eq!(integer.extract("So. The answer is \"7\".").as_deref(), Some("7"));
        assert_eq!(integer.guess("Of 1,200 and 3 it is -1,204.").as_deref(), Some("-1204"));
        assert_eq!(integer.guess("none"), None);
        let list = free(AnswerType::List, None);
        assert_eq!(list.guess("from [1] to [2, 3].").as_deref(), Some("[2, 3]"));
        assert_eq!(choice(&["3/11", "8/11"]).guess("It is (B) 8/11").as_deref(), Some("B"));
    }

    #[test]
    fn extractions_are_normalised() {
        let three = choice(&["0", "2", "1.5"]);
        for (extraction, answer) in
            [("(c)", "1.5"), ("B", "2"), ("b", "0"), ("", "0"), ("1.4", "1.5"), ("Z", "0")]
        {
            assert_eq!(three.normalise(extraction, false).as_deref(), Some(answer), "{extraction}");
        }
        assert_eq!(three.normalise("  ", true), None);
        assert_eq!(free(AnswerType::Integer, None).normalise("-3.9", false).as_deref(), Some("-3"));
        let float = free(AnswerType::Float, Some(2.0));
        assert_eq!(float.normalise("2.675", false).as_deref(), Some("2.67"));
        assert_eq!(float.normalise("2", false).as_deref(), Some("2.0"));
        assert_eq!(float.normalise("2 cm", false), None);
        assert_eq!(free(AnswerType::Float, None).normalise("2", false), None);
        assert_eq!(choice(&[]).normalise("A", false), None);
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_rules(
            response in "(\\PC|[()A-D0-9.,\\[\\]\" -]|answer is ){0,40}",
            choices in proptest::collection::vec("\\PC{0,6}", 0..5),
            precision in proptest::option::of(any::<f64>()),
        ) {
            for answer_type in
                [AnswerType::Text, AnswerType::Integer, AnswerType::Float, AnswerType::List]
            {
                for choices in [None, Some(choices.clone())] {
                    let problem = Problem { choices, answer_type, precision };
                    let read = problem.extract(&response).or_else(|| problem.guess(&response));
                    let normal = problem.normalise(&read.unwrap_or_default(), false);
                    if let (Some(choices), Some(normal)) = (&problem.choices, normal) {
                        prop_assert!(choices.contains(&normal));
                    }
                }
            }
        }
    }
}
