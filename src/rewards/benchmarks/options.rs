//! Questions of choice as VLMEvalKit reads them (`can_infer`), without its language model: MMBench,
//! MMStar, AI2D.

use super::python::is_space;
use serde::{Deserialize, Serialize};

/// What stands for "none of the options", also where a response refuses to answer.
pub const UNANSWERABLE: char = 'Z';

/// Characters that part words, beside white space.
const PARTING: &str = ".()[],:;!*#{}";

/// A response with one of these is no answer.
const REFUSALS: [&str; 4] = [
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "Cannot determine the answer",
];

/// Options by letter, in the order of the letters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options(pub Vec<(char, String)>);

impl Options {
    /// Options that are lettered in their order, as far as the letters go.
    pub fn lettered(choices: &[String]) -> Self {
        Self(('A'..='Z').zip(choices.iter().cloned()).collect())
    }

    /// Whether there is such an option.
    pub fn has(&self, letter: char) -> bool {
        self.0.iter().any(|(it, _)| *it == letter)
    }
}

/// The option that a response chooses; [`UNANSWERABLE`] where it says that it chooses none, `None`
/// where the rules find nothing.
///
/// First the one letter of an option that stands alone among the last four words; then what follows
/// `answer is`, which may be the first letter of a word; then the only option whose text is in the
/// response, unless the response is more than twice as long as all options.
pub fn infer_option(response: &str, options: &Options) -> Option<char> {
    by_letter(response, options).or_else(|| by_text(response, options))
}

fn by_letter(response: &str, options: &Options) -> Option<char> {
    if response.contains("Failed to obtain answer via API") {
        return None;
    }
    if REFUSALS.iter().any(|refusal| response.contains(refusal)) {
        return Some(UNANSWERABLE);
    }
    let parts = |c: char| PARTING.contains(c) || is_space(c);
    let words: Vec<&str> = response.split(parts).filter(|word| !word.is_empty()).collect();
    let place = |letter: char| words.iter().position(|word| word.chars().eq([letter]));
    let alone: Vec<(char, usize)> =
        options.0.iter().filter_map(|(letter, _)| Some((*letter, place(*letter)?))).collect();
    match alone.as_slice() {
        [(letter, at)] if at + 5 > words.len() => return Some(*letter),
        [] if place(UNANSWERABLE).is_some() => return Some(UNANSWERABLE),
        _ => {}
    }
    after_answer_is(response).filter(|letter| options.has(*letter))
}

/// The letter after the first `answer is` that one of A to D follows, in any case.
fn after_answer_is(response: &str) -> Option<char> {
    let characters: Vec<char> = response.chars().collect();
    (0..characters.len()).find_map(|start| {
        let rest = expect(&characters[start..], "answer")?;
        let rest = expect(spaces(rest)?, "is")?;
        let rest = spaces(rest)?;
        let stars = rest.iter().take_while(|&&c| c == '*').count();
        let letter = rest.get(stars)?.to_ascii_uppercase();
        ('A'..='D').contains(&letter).then_some(letter)
    })
}

/// What follows at least one white space.
fn spaces(text: &[char]) -> Option<&[char]> {
    let count = text.iter().take_while(|&&c| is_space(c)).count();
    (count > 0).then(|| &text[count..])
}

/// What follows a word in any case. Python takes `ı`, `İ` and `ſ` for an `i` and an `s`.
fn expect<'a>(text: &'a [char], word: &str) -> Option<&'a [char]> {
    let mut rest = text;
    for expected in word.chars() {
        let (first, after) = rest.split_first()?;
        let same = match first {
            'ı' | 'İ' => expected == 'i',
            'ſ' => expected == 's',
            other => other.eq_ignore_ascii_case(&expected),
        };
        if !same {
            return None;
        }
        rest = after;
    }
    Some(rest)
}

fn by_text(response: &str, options: &Options) -> Option<char> {
    let response = response.to_lowercase();
    let longest = 2 * options.0.iter().map(|(_, text)| text.chars().count()).sum::<usize>();
    if response.chars().count() > longest {
        return None;
    }
    let mut named = options.0.iter().filter(|(_, text)| response.contains(&text.to_lowercase()));
    match (named.next(), named.next()) {
        (Some((letter, _)), None) => Some(*letter),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn options(texts: &[&str]) -> Options {
        Options::lettered(&texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_inferred() {
        let animals = options(&["a brown cat", "a dog", "two horses", "no animal at all"]);
        for (response, option) in [
            ("B", Some('B')),
            ("(B).", Some('B')),
            ("**C**", Some('C')),
            ("A or B", None),
            ("A cat sits on the long red mat", None),
            ("The answer is clear to see", Some('C')),
            ("The correct answer is **B**. Here is why: it barks at the postman", Some('B')),
            ("the anſwer ıs  d, as I said before in this long text", Some('D')),
            ("it is a DOG", Some('B')),
            ("I see a dog and two horses", None),
            ("Z", Some('Z')),
            ("Cannot determine the answer", Some('Z')),
            ("E", None),
            ("", None),
        ] {
            assert_eq!(infer_option(response, &animals), option, "{response}");
        }
        let long = "I think, after a good look at all of it, that it must be a dog, since it has a tail, \
                    and barks at everyone";
        assert_eq!(infer_option(long, &animals), None);
        assert_eq!(infer_option("the answer is D", &options(&["x", "y"])), None);
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_rules(
            response in "(\\PC|[()A-FZ .]|answer is ){0,40}",
            choices in proptest::collection::vec("\\PC{0,6}", 0..30),
        ) {
            let options = Options::lettered(&choices);
            if let Some(option) = infer_option(&response, &options) {
                prop_assert!(options.has(option) || option == UNANSWERABLE);
            }
        }
    }
}
