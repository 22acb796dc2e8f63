//! What responses are worth: each read by its question's rule, and counted as the benchmark counts.

use super::{Benchmark, Extractor, ExtractorError, Question, Responses, Rule, extractor::Asked};
use crate::base::Hint;
use crate::rewards::{
    Extraction, Interval,
    benchmarks::{FAILED, infer_option, m3cot_option},
    wilson,
};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// How is counted where there is a choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// An empty extraction is no answer, where MathVista's program takes the nearest choice.
    pub ignore_empty: bool,
    /// Only questions that have a response count; otherwise one without is wrong.
    pub partial: bool,
}

/// What became of one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The question.
    pub id: String,
    /// What was read out of the response; none where there is no response or nothing was found.
    pub extraction: Option<String>,
    /// That in the form in which it is compared.
    pub prediction: Option<String>,
    /// Whether it is right.
    pub correct: bool,
    /// Whether there is a response at all.
    pub responded: bool,
    /// How the extraction was found: `given`, `rule`, `guess`, `model` or `none`.
    pub found: &'static str,
}

/// How many of some questions are right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Right ones.
    pub correct: u64,
    /// All.
    pub count: u64,
}

impl Line {
    /// The share of right ones; 0 of none.
    pub fn accuracy(self) -> f64 {
        if self.count == 0 { 0.0 } else { self.correct as f64 / self.count as f64 }
    }

    /// Its 95 % interval.
    pub fn interval(self) -> Interval {
        wilson(self.correct, self.count)
    }

    fn add(&mut self, correct: bool) {
        self.count += 1;
        self.correct += u64::from(correct);
    }
}

/// A way of sorting the questions, with what is right of each sort.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breakdown {
    /// Such as `task`.
    pub name: Cow<'static, str>,
    /// By value, such as `GPS`.
    pub lines: BTreeMap<String, Line>,
}

/// The scores of a file of responses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scores {
    /// The benchmark.
    pub benchmark: Benchmark,
    /// Everything together.
    pub total: Line,
    /// By category; the first is the one that people quote.
    pub breakdowns: Vec<Breakdown>,
    /// Responses in which no answer was found.
    pub unanswered: u64,
    /// Whether questions were asked in several rotations, all of which have to be right.
    pub circular: bool,
    /// Questions without a response.
    pub missing: Vec<String>,
    /// Questions with several responses.
    pub repeated: Vec<String>,
    /// Responses to questions that there are not.
    pub unknown: Vec<String>,
    /// Every question that was looked at.
    pub records: Vec<Record>,
}

/// Why nothing can be scored.
#[derive(Debug, thiserror::Error)]
pub enum ScoringError {
    /// No response is to a question of the benchmark.
    #[error("none of the {responses} responses has the id of a question of `{benchmark}`")]
    Foreign {
        /// Responses in the file.
        responses: usize,
        /// The benchmark.
        benchmark: String,
        /// An id of the benchmark.
        example: String,
        /// An id of the responses.
        found: String,
    },
    /// The model that extracts did not.
    #[error(transparent)]
    Extractor(#[from] ExtractorError),
}

impl Hint for ScoringError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Foreign { example, found, .. } => Some(format!(
                "ids of the benchmark are such as `{example}`, those of the responses `{found}`"
            )),
            Self::Extractor(error) => error.hint(),
        }
    }
}

/// Scores the responses.
///
/// # Errors
/// [`ScoringError`].
pub fn score(
    benchmark: &Benchmark,
    questions: &[Question],
    responses: &Responses,
    settings: Settings,
    mut extractor: Option<&mut Extractor>,
) -> Result<Scores, ScoringError> {
    let known: BTreeMap<&str, &Question> =
        questions.iter().map(|question| (question.id.as_str(), question)).collect();
    let is_unknown = |id: &&String| !known.contains_key(id.as_str());
    let unknown: Vec<String> = responses.by_id.keys().filter(is_unknown).cloned().collect();
    if unknown.len() == responses.by_id.len() {
        let example = questions.first().map(|question| question.id.clone()).unwrap_or_default();
        let found = unknown.first().cloned().unwrap_or_else(|| "none".to_owned());
        let (responses, benchmark) = (unknown.len(), benchmark.to_string());
        return Err(ScoringError::Foreign { responses, benchmark, example, found });
    }
    let mut records = Vec::with_capacity(questions.len());
    for question in questions {
        records.push(judge(question, responses, settings, extractor.as_deref_mut())?);
    }
    let without = |record: &&Record| !record.responded;
    let missing = records.iter().filter(without).map(|record| record.id.clone()).collect();
    if settings.partial {
        records.retain(|record| record.responded);
    }
    let (total, breakdowns) = count(&records, &known);
    let unanswered = |record: &&Record| record.responded && record.extraction.is_none();
    Ok(Scores {
        benchmark: benchmark.clone(),
        total,
        breakdowns,
        unanswered: records.iter().filter(unanswered).count() as u64,
        circular: questions.iter().any(|question| question.circle != question.id),
        missing,
        repeated: responses.repeated.clone(),
        unknown,
        records,
    })
}

fn judge(
    question: &Question,
    responses: &Responses,
    settings: Settings,
    extractor: Option<&mut Extractor>,
) -> Result<Record, ScoringError> {
    let mut record = Record {
        id: question.id.clone(),
        extraction: None,
        prediction: None,
        correct: false,
        responded: false,
        found: "none",
    };
    let Some(response) = responses.by_id.get(&question.id) else { return Ok(record) };
    record.responded = true;
    let (extraction, found) = match &response.extraction {
        Some(given) => (Some(given.clone()), "given"),
        None => extract(question, &response.text, extractor)?,
    };
    let text = extraction.clone().unwrap_or_default();
    record.prediction = match &question.rule {
        Rule::MathVista(problem) => problem.normalise(&text, settings.ignore_empty),
        Rule::M3Cot(choices) => {
            let option = m3cot_option(&text, choices);
            Some(option.map_or_else(|| FAILED.to_owned(), |letter| letter.to_string()))
        }
        Rule::Options(options) => infer_option(&text, options).map(|letter| letter.to_string()),
    };
    record.correct = record.prediction.as_ref() == Some(&question.answer);
    let is_answer = |text: &String| !text.is_empty();
    // What the rules of choice read is the option itself.
    record.extraction = match (&question.rule, found) {
        (Rule::MathVista(_), _) | (_, "given") => extraction.filter(is_answer),
        _ => record.prediction.clone().filter(|option| option != FAILED),
    };
    record.found = if record.extraction.is_some() { found } else { "none" };
    Ok(record)
}

/// What answers in a response, and how it was found: by the official rules, by the model that
/// extracts, or by rules of our own in its place.
fn extract(
    question: &Question,
    response: &str,
    extractor: Option<&mut Extractor>,
) -> Result<(Option<String>, &'static str), ScoringError> {
    let by_rule = match &question.rule {
        Rule::MathVista(problem) => problem.extract(response),
        Rule::M3Cot(_) => Some(response.to_owned()),
        Rule::Options(options) => infer_option(response, options).map(|_| response.to_owned()),
    };
    if let Some(extraction) = by_rule {
        return Ok((Some(extraction), "rule"));
    }
    if let Some(extractor) = extractor {
        let options = match &question.rule {
            Rule::Options(options) => Some(options),
            _ => None,
        };
        let asked = Asked { question: &question.text, options, response };
        return Ok((Some(extractor.extract(&asked)?), "model"));
    }
    let Rule::MathVista(problem) = &question.rule else { return Ok((None, "none")) };
    // A policy that was trained by this program answers under a header.
    let answer = Extraction::AnswerHeader.answer(response, true);
    let text = answer.as_deref().unwrap_or(response);
    let guess = problem.extract(text).filter(|_| answer.is_some());
    Ok((guess.or_else(|| problem.guess(text)), "guess"))
}

/// Counts circles: all rotations of a question have to be right, and it is the first that counts.
fn count(records: &[Record], known: &BTreeMap<&str, &Question>) -> (Line, Vec<Breakdown>) {
    let mut circles: BTreeMap<&str, bool> = BTreeMap::new();
    for record in records {
        let circle = known[record.id.as_str()].circle.as_str();
        *circles.entry(circle).or_insert(true) &= record.correct;
    }
    let mut total = Line::default();
    let mut breakdowns: Vec<Breakdown> = Vec::new();
    for record in records {
        let question = known[record.id.as_str()];
        if question.circle != question.id {
            continue;
        }
        let correct = circles[question.circle.as_str()];
        total.add(correct);
        for (at, (name, values)) in question.groups.iter().enumerate() {
            if breakdowns.len() == at {
                breakdowns.push(Breakdown { name: name.clone(), lines: BTreeMap::new() });
            }
            for value in values {
                breakdowns[at].lines.entry(value.clone()).or_default().add(correct);
            }
        }
    }
    breakdowns.retain(|breakdown| !breakdown.lines.is_empty());
    (total, breakdowns)
}
