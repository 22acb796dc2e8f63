//! The moments at which a script may be asked, and what it has to answer.

use super::engine::{kind_of, number};
use rhai::Dynamic;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;

/// A moment of a run. A script serves it by a function of that name.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// What the policy is asked about a sample.
    Prompt,
    /// The answer of a response; `()` for none.
    Extract,
    /// Whether an answer agrees with the gold one.
    Correct,
    /// The pieces of a response that a process reward model scores.
    Steps,
    /// The score of a response, higher is better.
    Reward,
    /// Whether what the selection rule chose is kept.
    Keep,
    /// The answer of an unlabelled prompt from its responses; `()` for none.
    PseudoAnswer,
    /// The temperature of the next iteration.
    Temperature,
    /// Whether the evolution ends here.
    Stop,
    /// Named numbers of an evaluation.
    Metric,
}

/// What a function may give.
#[derive(Clone, Copy)]
enum Form {
    Text,
    TextOrNothing,
    Truth,
    Number,
    TextsOrOffsets,
    Numbers,
}

/// Fields of what functions are given.
const OF_SAMPLE: &[&str] = &["prompt", "sample", "category", "question", "images"];
const OF_RESPONSE: &[&str] = &["text", "tokens", "finished", "temperature"];
const JUDGED: &[&str] = &["answer", "gold", "correct"];
const OF_SELECTION: &[&str] =
    &["score", "solve_rate", "kept", "kept_of_prompt", "kept_of_category"];
const MEASURED: &[&str] = &["greedy", "k", "pass", "mean", "reward_pass"];
const OF_SEARCH: &[&str] = &["entropy", "candidates", "chosen"];
const OF_ITERATION: &[&str] = &["temperature", "solved", "mean_correct", "kept"];

/// Named numbers that a function gives at most, and the length of a name.
const MOST_NUMBERS: usize = 64;
const LONGEST_NAME: usize = 64;

impl Moment {
    /// All of them, in the order in which a run meets them.
    pub const ALL: [Self; 10] = [
        Self::Prompt,
        Self::Extract,
        Self::Correct,
        Self::Steps,
        Self::Reward,
        Self::Keep,
        Self::PseudoAnswer,
        Self::Temperature,
        Self::Stop,
        Self::Metric,
    ];

    /// The name of the function.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prompt => "prompt",
            Self::Extract => "extract",
            Self::Correct => "correct",
            Self::Steps => "steps",
            Self::Reward => "reward",
            Self::Keep => "keep",
            Self::PseudoAnswer => "pseudo_answer",
            Self::Temperature => "temperature",
            Self::Stop => "stop",
            Self::Metric => "metric",
        }
    }

    /// The moment of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|moment| moment.name() == name)
    }

    /// What the function says, in a sentence.
    pub fn about(self) -> &'static str {
        match self {
            Self::Prompt => "What the policy is asked about a sample.",
            Self::Extract => "The answer of a response; `()` for none.",
            Self::Correct => "Whether an answer agrees with the gold one.",
            Self::Steps => "The pieces of a response that a process reward model scores.",
            Self::Reward => "The score of a response, higher is better.",
            Self::Keep => "Whether what the selection rule chose is kept.",
            Self::PseudoAnswer => {
                "The answer of an unlabelled prompt from its responses; `()` for none."
            }
            Self::Temperature => "The temperature of the next iteration.",
            Self::Stop => "Whether the evolution ends here.",
            Self::Metric => "Named numbers of an evaluation.",
        }
    }

    /// What the function is given.
    pub fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::Prompt => &["sample"],
            Self::Extract | Self::Steps | Self::Reward => &["response"],
            Self::Correct => &["answer", "gold"],
            Self::Keep => &["candidate"],
            Self::PseudoAnswer => &["candidates"],
            Self::Temperature | Self::Stop => &["history"],
            Self::Metric => &["responses"],
        }
    }

    /// What is in the map that the function is given, or in each map of the list.
    pub fn fields(self) -> Vec<&'static str> {
        match self {
            Self::Prompt => vec!["id", "category", "question", "images"],
            Self::Correct => Vec::new(),
            Self::Extract => [OF_SAMPLE, OF_RESPONSE].concat(),
            Self::Steps => [OF_SAMPLE, OF_RESPONSE, &["answer"]].concat(),
            Self::PseudoAnswer => [OF_SAMPLE, OF_RESPONSE, &["answer", "score"]].concat(),
            Self::Reward | Self::Metric => [OF_SAMPLE, OF_RESPONSE, JUDGED].concat(),
            Self::Keep => [OF_SAMPLE, OF_RESPONSE, JUDGED, OF_SELECTION].concat(),
            Self::Temperature => [&["search", "temperature"][..], MEASURED, OF_SEARCH].concat(),
            Self::Stop => [&["iteration", "step"][..], MEASURED, OF_ITERATION].concat(),
        }
    }

    /// Whether the function is given a list of such maps.
    pub fn takes_list(self) -> bool {
        matches!(self, Self::Temperature | Self::Stop | Self::Metric | Self::PseudoAnswer)
    }

    /// What the function has to give, in words.
    pub fn gives(self) -> &'static str {
        match self.form() {
            Form::Text => "a string",
            Form::TextOrNothing => "a string or `()`",
            Form::Truth => "true or false",
            Form::Number if self == Self::Temperature => "the temperature of one of the candidates",
            Form::Number => "a finite number",
            Form::TextsOrOffsets => "a list of strings or of whole numbers",
            Form::Numbers => "a map of finite numbers",
        }
    }

    fn form(self) -> Form {
        match self {
            Self::Prompt => Form::Text,
            Self::Extract | Self::PseudoAnswer => Form::TextOrNothing,
            Self::Correct | Self::Keep | Self::Stop => Form::Truth,
            Self::Steps => Form::TextsOrOffsets,
            Self::Reward | Self::Temperature => Form::Number,
            Self::Metric => Form::Numbers,
        }
    }

    /// The value that a function gave; else what it gave instead.
    pub(super) fn value(self, given: Dynamic) -> Result<Value, String> {
        match self.form() {
            Form::TextOrNothing if given.is_unit() => Ok(Value::Null),
            Form::Text | Form::TextOrNothing => text(given),
            Form::Truth => given.as_bool().map(Value::Bool).map_err(|_| kind_of(&given).into()),
            Form::Number => number(&given).map(Value::Number).ok_or_else(|| kind_of(&given).into()),
            Form::TextsOrOffsets => match given.into_array() {
                Ok(items) => texts_or_offsets(items),
                Err(_) => Err("no list".into()),
            },
            Form::Numbers => numbers(given),
        }
    }
}

fn text(given: Dynamic) -> Result<Value, String> {
    let kind = kind_of(&given);
    given.into_string().map(Value::String).map_err(|_| kind.into())
}

/// Strings, or whole numbers from 0; which of them, the first says.
fn texts_or_offsets(items: Vec<Dynamic>) -> Result<Value, String> {
    let are_offsets = items.first().is_some_and(Dynamic::is_int);
    let item = |item: Dynamic| match item.as_int() {
        Ok(whole) if are_offsets && whole >= 0 => Ok(whole.into()),
        Ok(whole) if are_offsets => Err(format!("a list with {whole}")),
        _ if are_offsets => Err(format!("a list of numbers with {}", kind_of(&item))),
        _ => text(item).map_err(|kind| format!("a list with {kind}")),
    };
    items.into_iter().map(item).collect()
}

fn numbers(given: Dynamic) -> Result<Value, String> {
    let kind = kind_of(&given);
    let Some(map) = given.try_cast::<rhai::Map>() else { return Err(kind.into()) };
    if map.len() > MOST_NUMBERS {
        return Err(format!("{} numbers; {MOST_NUMBERS} are read", map.len()));
    }
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-.".contains(c);
    let mut numbers = Map::new();
    for (name, value) in map {
        if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(is_plain) {
            let name: String = name.chars().take(LONGEST_NAME).collect();
            let name = name.escape_debug();
            return Err(format!("the name `{name}`, which is not lowercase letters and digits"));
        }
        match number(&value) {
            Some(number) => numbers.insert(name.to_string(), Value::Number(number)),
            None => return Err(format!("{} as `{name}`", kind_of(&value))),
        };
    }
    Ok(Value::Object(numbers))
}

impl fmt::Display for Moment {
    /// Such as `correct(answer, gold)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name(), self.parameters().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_moments() {
        for moment in Moment::ALL {
            assert_eq!(Moment::named(moment.name()), Some(moment));
            let written = serde_json::to_value(moment).unwrap();
            assert_eq!(written, moment.name());
        }
        assert_eq!(Moment::named("rewards"), None);
    }
}
