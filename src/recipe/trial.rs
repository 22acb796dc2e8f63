//! The tests that a recipe holds: what is given, what is expected, and where that is written.
//!
//! They are no part of [`crate::recipe::Recipe`], so that they enter no key and change no plan, and
//! they belong to the file that they stand in: a recipe that extends another has tests of its own.

use crate::{
    base::{Fault, Place, Source},
    recipe::{
        check::quoted,
        tree::{Entry, Node, Tree},
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A test of the recipe: given a sample and what a policy might say, what the recipe makes of it.
/// `mstar test` runs it without a model. Tests belong to the file that they stand in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Trial {
    /// What the test is called.
    pub name: String,
    /// A sample: `builtin:mini-vista/train/17`, number 17 of the recipe's training prompts, counted
    /// from 0 (`validation` and `test` likewise); `data:17`, number 17 of the recipe's files of data,
    /// counted from 0 before anything is drawn or left out; or a JSON file beside the recipe with
    /// `question`, `category` and `answer`.
    pub sample: Option<String>,
    /// The question, in place of `sample`.
    pub question: Option<String>,
    /// The sample's category, beside `question`.
    pub category: Option<String>,
    /// The right answer; over the sample's own.
    pub gold: Option<String>,
    /// What the policy says.
    pub response: Option<String>,
    /// A file beside the recipe with what the policy says; a line end at its end is dropped.
    pub response_file: Option<String>,
    /// Whether the policy ended the response itself; one that was cut has no answer.
    pub finished: bool,
    /// Tokens of the response, as hooks see them; else those of the built-in model, or the words.
    pub tokens: Option<u32>,
    /// Responses to the sample to select from, numbered from 0.
    pub candidate: Vec<TrialCandidate>,
    /// What the recipe is to make of it.
    pub expect: Expectation,
}

/// A response that may be kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrialCandidate {
    /// What the policy says.
    pub response: String,
    /// Whether the policy ended it itself.
    pub finished: bool,
    /// What the reward model says of it, for rules that rank.
    pub score: Option<f64>,
}

/// What a recipe is to make of what a test gives. Anything that is written is compared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Expectation {
    /// The answer that is found in the response; an empty string for none.
    pub answer: Option<String>,
    /// Whether that answer agrees with the right one.
    pub correct: Option<bool>,
    /// What the function `reward` gives; that of a trained model is not known without it.
    pub reward: Option<f64>,
    /// The numbers of the candidates that are kept, by the rule and the function `keep`. Which of
    /// several a rule draws at random cannot be expected.
    pub kept: Option<Vec<u32>>,
    /// How many of the candidates are kept.
    pub kept_count: Option<u32>,
    /// What the policy is asked, by the function `prompt`; for the built-in model it has to be made of
    /// words that the model knows.
    pub prompt: Option<String>,
}

impl Default for Trial {
    fn default() -> Self {
        Self {
            name: String::new(),
            sample: None,
            question: None,
            category: None,
            gold: None,
            response: None,
            response_file: None,
            finished: true,
            tokens: None,
            candidate: Vec::new(),
            expect: Expectation::default(),
        }
    }
}

impl Default for TrialCandidate {
    fn default() -> Self {
        Self { response: String::new(), finished: true, score: None }
    }
}

/// A test with the place of each of its keys.
#[derive(Clone, Debug)]
pub struct WrittenTrial {
    /// What is written.
    pub trial: Trial,
    source: Source,
    tree: Tree,
}

impl WrittenTrial {
    /// Where the value of a dotted key of the test is written, such as `expect.kept` or
    /// `candidate.1`; the head of the test where it is not.
    pub fn place(&self, key: &str) -> Place {
        let mut tree = &self.tree;
        let mut span = self.header();
        for segment in key.split('.').filter(|segment| !segment.is_empty()) {
            let inner = match &tree.node {
                Node::Table(entries) => {
                    entries.get(segment).map(|entry| (entry.span(), &entry.value))
                }
                Node::List(items) => {
                    let place = segment.parse().ok().and_then(|index: usize| items.get(index));
                    place.map(|item| (item.span.clone(), item))
                }
                _ => None,
            };
            let Some((inner_span, inner)) = inner else { break };
            (span, tree) = (inner_span, inner);
        }
        self.source.place(span)
    }

    /// Whether a key of the test is written.
    pub fn is_written(&self, key: &str) -> bool {
        matches!(&self.tree.node, Node::Table(entries) if entries.contains_key(key))
    }

    /// The first line of the test.
    fn header(&self) -> std::ops::Range<usize> {
        let span = &self.tree.span;
        let text = self.source.text.get(span.clone()).unwrap_or_default();
        let line = text.lines().next().map_or(0, |line| line.trim_end().len());
        span.start..span.start + line
    }

    /// A fault of the test, which points at one of its keys.
    pub fn fault(&self, code: &'static str, key: &str, message: String, hint: &str) -> Fault {
        let message = format!("the test `{}`: {message}", quoted(&self.trial.name));
        Fault { code, message, hint: Some(hint.to_owned()), place: Some(self.place(key)) }
    }
}

/// The tests of a file whose keys and values passed the check; a test without a name is called by
/// its number, from 1.
pub(super) fn read(entry: &Entry, source: &Source) -> Vec<WrittenTrial> {
    let Node::List(items) = &entry.value.node else { return Vec::new() };
    let written = (1..).zip(items).map(|(number, tree)| {
        let mut trial: Trial = serde_json::from_value(tree.node.to_json())
            .expect("what passed the check has the types of the schema");
        if trial.name.is_empty() {
            trial.name = format!("test {number}");
        }
        WrittenTrial { trial, source: source.clone(), tree: tree.clone() }
    });
    written.collect()
}
