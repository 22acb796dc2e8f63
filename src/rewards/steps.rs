//! Where the steps of a response end, in tokens.

use crate::base::Hint;

/// What ends a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepRule {
    /// A line without words.
    BlankLine,
    /// The end of a line.
    Line,
    /// This word, white space around it.
    Separator(String),
}

/// How many tokens of a response there are up to the end of each step, rising; the last is all of
/// them. `pieces` is the text that each token adds.
///
/// What separates belongs to the step before it. A step without words is none of its own. What
/// comes after the last separator, the answer as a rule, is the last step; where nothing comes, it
/// is the step before. A token that ends one step and begins another belongs to the first.
pub fn step_ends(pieces: &[String], rule: &StepRule) -> Vec<usize> {
    ends(pieces, boundaries(&pieces.concat(), rule))
}

/// What a script says of the steps of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cuts {
    /// The text of each step, in the order in which they come.
    Texts(Vec<String>),
    /// Characters up to the end of each step.
    Offsets(Vec<u64>),
}

/// Why steps are not those of a response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CutsError {
    /// A text does not come after the step before it.
    #[error("the response has no step `{step}` after the one before it")]
    NotThere {
        /// The text.
        step: String,
    },
    /// An end is not behind the one before it, or behind the response.
    #[error(
        "a step cannot end at {end} of {characters} characters, after one that ends at {before}"
    )]
    Disorder {
        /// The end.
        end: u64,
        /// The end before it.
        before: u64,
        /// Characters of the response.
        characters: u64,
    },
}

impl Hint for CutsError {
    fn hint(&self) -> Option<String> {
        Some(
            "give the texts of the steps as they stand in `response.text`, or where they end"
                .into(),
        )
    }
}

/// As [`step_ends`], for steps that a script has cut. What lies between two steps belongs to the one
/// before, but for white space. Without any step the response is one.
///
/// # Errors
/// [`CutsError`].
pub fn step_ends_at(pieces: &[String], cuts: &Cuts) -> Result<Vec<usize>, CutsError> {
    let text = pieces.concat();
    let boundaries = match cuts {
        Cuts::Texts(steps) => ends_of_texts(&text, steps)?,
        Cuts::Offsets(offsets) => ends_of_offsets(&text, offsets)?,
    };
    Ok(ends(pieces, boundaries))
}

/// Offsets in bytes of the ends of texts that follow each other; those without words are none.
fn ends_of_texts(text: &str, steps: &[String]) -> Result<Vec<usize>, CutsError> {
    let mut found: Vec<usize> = Vec::new();
    let mut covered = 0;
    for step in steps.iter().map(|step| step.trim()).filter(|step| !step.is_empty()) {
        let place = text[covered..].find(step);
        let begin = covered + place.ok_or_else(|| CutsError::NotThere { step: step.to_owned() })?;
        if let Some(last) = found.last_mut() {
            *last = text[..begin].trim_end().len();
        }
        covered = begin + step.len();
        found.push(covered);
    }
    Ok(found)
}

fn ends_of_offsets(text: &str, offsets: &[u64]) -> Result<Vec<usize>, CutsError> {
    let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let characters = places.len() as u64 - 1;
    let mut before = 0;
    let end = |&end: &u64| {
        if end <= before || end > characters {
            return Err(CutsError::Disorder { end, before, characters });
        }
        before = end;
        Ok(places[end as usize])
    };
    offsets.iter().map(end).collect()
}

/// The tokens up to rising offsets in bytes.
fn ends(pieces: &[String], boundaries: Vec<usize>) -> Vec<usize> {
    let mut tokens = 0;
    let mut covered = 0;
    let mut ends: Vec<usize> = Vec::new();
    for boundary in boundaries {
        while covered < boundary {
            covered += pieces[tokens].len();
            tokens += 1;
        }
        // Two boundaries inside one token are one.
        if ends.last() != Some(&tokens) {
            ends.push(tokens);
        }
    }
    // Tokens without text, such as the one that ends a response, are no step.
    let rest: String = pieces[tokens..].concat();
    if rest.trim().is_empty() {
        ends.pop();
    }
    ends.push(pieces.len());
    ends
}

/// Offsets in bytes after what separates steps.
fn boundaries(text: &str, rule: &StepRule) -> Vec<usize> {
    let mut found = Vec::new();
    let mut has_words = false;
    let parts: Vec<&str> = match rule {
        StepRule::BlankLine | StepRule::Line => text.split_inclusive('\n').collect(),
        StepRule::Separator(_) => text.split_inclusive(char::is_whitespace).collect(),
    };
    let mut offset = 0;
    for part in parts {
        offset += part.len();
        let words = part.trim();
        let (ends, is_content) = match rule {
            StepRule::BlankLine => (words.is_empty() && part.ends_with('\n'), !words.is_empty()),
            StepRule::Line => (!words.is_empty() && part.ends_with('\n'), !words.is_empty()),
            StepRule::Separator(separator) => {
                (words == separator, !words.is_empty() && words != separator)
            }
        };
        has_words |= is_content;
        if ends && has_words {
            // White space after a separator may be part of the next token.
            let blank = part.len() - part.trim_end().len();
            let is_word = matches!(rule, StepRule::Separator(_));
            found.push(if is_word { offset - blank } else { offset });
            has_words = false;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ends(pieces: &[&str], rule: &StepRule) -> Vec<usize> {
        let pieces: Vec<String> = pieces.iter().map(|&piece| piece.to_owned()).collect();
        step_ends(&pieces, rule)
    }

    #[test]
    fn a_separator_ends_its_step_and_the_answer_is_the_last() {
        let rule = StepRule::Separator(";".into());
        let words = ["red", " 4", " ;", " 4", " +", " 3", " =", " 7", " ;", " answer", " 7", ""];
        assert_eq!(ends(&words, &rule), [3, 9, 12]);
        // Nothing after the separator: the step reaches to the end.
        assert_eq!(ends(&["red", " 4", " ;", ""], &rule), [4]);
        assert_eq!(ends(&["red", " ;", " ;", " 4"], &rule), [2, 4]);
        assert_eq!(ends(&[" ;", " 4", " ;", " 5"], &rule), [3, 4]);
        assert_eq!(ends(&["a;b", " ;c"], &rule), [2]);
        assert_eq!(ends(&[""], &rule), [1]);
    }

    #[test]
    fn blank_lines_end_steps_whatever_the_tokens() {
        let rule = StepRule::BlankLine;
        assert_eq!(ends(&["Add.", "\n", "\n", "# Answer", "\n", "7", ""], &rule), [3, 7]);
        assert_eq!(ends(&["Add", ".\n\n", "So", ".\n \n\n", "7"], &rule), [2, 4, 5]);
        // One token that ends a step and begins the next.
        assert_eq!(ends(&["Add", ".\n\nSo", " 7"], &rule), [2, 3]);
        assert_eq!(ends(&["\n\n", "7"], &rule), [2]);
        assert_eq!(ends(&["a\n\nb\n\nc", "d"], &rule), [1, 2]);
    }

    #[test]
    fn lines_end_steps_but_empty_ones_do_not() {
        let rule = StepRule::Line;
        assert_eq!(ends(&["a", "\n", "\n", "b", "\n", "c"], &rule), [2, 5, 6]);
        assert_eq!(ends(&["a\r\n", "b", "\n", ""], &rule), [1, 4]);
    }

    #[test]
    fn a_script_cuts_by_texts_or_by_offsets() {
        let words = ["red", " 4", " ;", " 4", " +", " 3", " =", " 7", " ;", " answer", " 7", ""];
        let pieces: Vec<String> = words.map(str::to_owned).to_vec();
        let texts = |steps: &[&str]| {
            step_ends_at(&pieces, &Cuts::Texts(steps.iter().map(|&it| it.to_owned()).collect()))
        };
        let offsets = |ends: &[u64]| step_ends_at(&pieces, &Cuts::Offsets(ends.to_vec()));
        // Whether the separators are given or not, and the answer is named or not.
        assert_eq!(texts(&["red 4 ;", " 4 + 3 = 7 ;", "answer 7"]), Ok(vec![3, 9, 12]));
        assert_eq!(texts(&["red 4 ", " 4 + 3 = 7 ", " answer 7"]), Ok(vec![3, 9, 12]));
        assert_eq!(texts(&["red 4 ;", "", "4 + 3 = 7 ;"]), Ok(vec![3, 9, 12]));
        assert_eq!(texts(&[]), Ok(vec![12]));
        assert_eq!(texts(&["4", "4"]), Ok(vec![3, 4, 12]));
        assert_eq!(offsets(&[7, 19]), Ok(vec![3, 9, 12]));
        assert_eq!(offsets(&[7, 28]), Ok(vec![3, 12]));
        assert_eq!(offsets(&[1]), Ok(vec![1, 12]));
        let error = texts(&["4 + 3", "red"]).unwrap_err();
        assert_eq!(error.to_string(), "the response has no step `red` after the one before it");
        assert!(matches!(offsets(&[7, 7]), Err(CutsError::Disorder { end: 7, before: 7, .. })));
        assert!(matches!(offsets(&[29]), Err(CutsError::Disorder { characters: 28, .. })));
        assert!(offsets(&[0]).is_err());
    }

    proptest! {
        #[test]
        fn ends_rise_to_the_last_token(
            pieces in proptest::collection::vec("[a; \n]{0,3}", 1..12),
            kind in 0..3,
        ) {
            let rule = match kind {
                0 => StepRule::BlankLine,
                1 => StepRule::Line,
                _ => StepRule::Separator(";".into()),
            };
            let ends = step_ends(&pieces, &rule);
            prop_assert!(ends.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", ends);
            prop_assert_eq!(ends.last(), Some(&pieces.len()));
        }
    }
}
