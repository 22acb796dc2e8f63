//! Where in a response its answer is.

use serde::{Deserialize, Serialize};

/// A rule that finds the answer of a response. A response that was cut at the largest length has
/// none: what it ends with was not meant as its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Extraction {
    /// The word after the first `answer`, if the response ends there: the built-in task's form.
    AnswerWord,
    /// The text under the last header `# Answer`: the form that reasoning in steps has in M-STAR.
    ///
    /// The header is a line of its own, or begins the line that holds the answer, with or without a
    /// colon. What follows it up to the end is the answer, without the white space around it.
    AnswerHeader,
}

impl Extraction {
    /// A response of nothing but an answer.
    pub fn written(self, answer: &str) -> String {
        match self {
            Self::AnswerWord => format!("answer {answer}"),
            Self::AnswerHeader => format!("# Answer\n{answer}"),
        }
    }

    /// The answer of a response; `finished` says that the policy ended it by itself.
    pub fn answer(self, response: &str, finished: bool) -> Option<String> {
        if !finished {
            return None;
        }
        match self {
            Self::AnswerWord => {
                let mut words = response.split_whitespace().skip_while(|&word| word != "answer");
                let answer = words.nth(1)?;
                words.next().is_none().then(|| answer.to_owned())
            }
            Self::AnswerHeader => {
                let mut answer = None;
                let mut start = 0;
                for line in response.split_inclusive('\n') {
                    let after = start + line.len();
                    if let Some(rest) = after_header(line) {
                        answer = response.get(after - rest.len()..);
                    }
                    start = after;
                }
                answer.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
            }
        }
    }
}

/// What a line holds after the header `# Answer`; `None` when it does not begin with it.
fn after_header(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("# Answer")?;
    if let Some(rest) = rest.strip_prefix(':') {
        return Some(rest);
    }
    (rest.is_empty() || rest.starts_with(char::is_whitespace)).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_word_is_the_last() {
        let answer = |text| Extraction::AnswerWord.answer(text, true);
        assert_eq!(answer("red 4 ; 4 + 3 = 7 ; answer 7").as_deref(), Some("7"));
        assert_eq!(answer("answer 7 ;"), None);
        assert_eq!(answer("answer 7 8"), None);
        assert_eq!(answer("answer answer 7"), None);
        assert_eq!(answer("red 4 ; answer"), None);
        assert_eq!(answer("red 4"), None);
        assert_eq!(Extraction::AnswerWord.answer("answer 7", false), None);
    }

    #[test]
    fn the_answer_is_under_the_last_header() {
        let answer = |text| Extraction::AnswerHeader.answer(text, true);
        assert_eq!(answer("Add them.\n\n# Answer\n\n 42 \n").as_deref(), Some("42"));
        assert_eq!(answer("# Answer: (B)").as_deref(), Some("(B)"));
        assert_eq!(answer("# Answer 3\nNo.\n# Answer\r\n4\r\n").as_deref(), Some("4"));
        assert_eq!(answer("# Answer\nthe ä\nand ö").as_deref(), Some("the ä\nand ö"));
        assert_eq!(answer("# Answers\n42"), None);
        assert_eq!(answer("the # Answer\n42"), None);
        assert_eq!(answer("# Answer\n\n"), None);
        assert_eq!(answer(""), None);
    }
}
