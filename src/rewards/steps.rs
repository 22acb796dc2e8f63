//! Where the steps of a response end, in tokens.

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
    let text = pieces.concat();
    let mut tokens = 0;
    let mut covered = 0;
    let mut ends: Vec<usize> = Vec::new();
    for boundary in boundaries(&text, rule) {
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
