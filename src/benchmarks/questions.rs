//! The questions of a benchmark, out of the files in which it is handed round: the hub's Parquet, the
//! JSON of its repository, or the tables of VLMEvalKit. Images are not read.

use super::{Benchmark, Family, files::files};
use crate::base::Hint;
use crate::data::loaders::{self, BadSample, Cell, LoadError, Row, RowsError, Wanted};
use crate::rewards::benchmarks::{AnswerType, Options, Problem};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// Columns that hold images, which no rule looks at. Tables show them all the same.
const IMAGES: [&str; 3] = ["image", "decoded_image", "images"];
/// Texts that pandas reads as nothing: in VLMEvalKit's tables an option that is one of them does not
/// exist, and the published numbers were measured so.
const NOTHING_IN_PANDAS: [&str; 18] = [
    "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>",
    "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
];
/// Characters of the longest text in a column of images that is the index of another row, in a table
/// of VLMEvalKit.
const LONGEST_INDEX: usize = 64;
/// The short names of MathVista's tasks.
const TASKS: [(&str, &str); 5] = [
    ("figure question answering", "FQA"),
    ("geometry problem solving", "GPS"),
    ("math word problem", "MWP"),
    ("textbook question answering", "TQA"),
    ("visual question answering", "VQA"),
];
/// What MMStar-R leaves out, and what MMBench-R keeps.
const PERCEPTION: [&str; 2] = ["coarse perception", "fine-grained perception"];
const REASONING: [&str; 3] = ["attribute_reasoning", "logic_reasoning", "relation_reasoning"];

/// How responses to a question are read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Rule {
    /// MathVista's.
    MathVista(Problem),
    /// M3CoT's, for these choices.
    M3Cot(Vec<String>),
    /// VLMEvalKit's, for these options.
    Options(Options),
}

/// A question, without what it asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// What responses call it.
    pub id: String,
    /// What it asks, for an extractor that is a model.
    pub text: String,
    /// How responses to it are read.
    pub rule: Rule,
    /// The answer, in the form that the rule gives.
    pub answer: String,
    /// What it counts under, by breakdown; the first is the one that people quote.
    pub groups: Vec<(Cow<'static, str>, Vec<String>)>,
    /// The question of which it is a rotation: itself where it is none.
    pub circle: String,
}

/// Why there are no questions.
#[derive(Debug, thiserror::Error)]
pub enum QuestionsError {
    /// The file cannot be read.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// There is no file, or more than one could be meant.
    #[error("{found} with the split `{split}` in `{folder}`")]
    Files {
        /// The folder.
        folder: PathBuf,
        /// The split that was looked for.
        split: String,
        /// What was found.
        found: String,
        /// Files that are there.
        hint: String,
    },
    /// A row is not what the benchmark promises.
    #[error("row {row} of `{file}`: {expected} is expected in `{column}`, and it is {found}")]
    Column {
        /// The file.
        file: PathBuf,
        /// The row, from 1.
        row: u64,
        /// The column.
        column: String,
        /// What should be there.
        expected: &'static str,
        /// What is there.
        found: String,
        /// The way out.
        hint: String,
    },
    /// Nothing is left to ask.
    #[error("`{file}` holds no question of `{benchmark}`")]
    Empty {
        /// The file.
        file: PathBuf,
        /// The benchmark.
        benchmark: String,
    },
    /// A question cannot be asked.
    #[error(transparent)]
    Unasked(#[from] Box<LoadError>),
    /// A row has no picture, or none that is one.
    #[error(transparent)]
    Sample(#[from] Box<BadSample>),
}

impl Hint for QuestionsError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Rows(error) => error.hint(),
            Self::Files { hint, .. } | Self::Column { hint, .. } => Some(hint.clone()),
            Self::Empty { .. } => Some("name the benchmark's own file".to_owned()),
            Self::Unasked(error) => error.hint(),
            Self::Sample(_) => {
                Some("fetch the benchmark's files again, pictures included".to_owned())
            }
        }
    }
}

/// The questions of a benchmark in a file, or in the files of its split in a folder.
///
/// # Errors
/// [`QuestionsError`], with file, row and column.
pub fn questions(benchmark: &Benchmark, data: &Path) -> Result<Vec<Question>, QuestionsError> {
    let mut questions = Vec::new();
    visit(benchmark, &files(benchmark, data)?, &mut |question, _| questions.push(question))?;
    Ok(questions)
}

/// Where a question stands, and what is asked.
pub(super) struct Written {
    /// Its file, as the number of it.
    pub(super) file: usize,
    /// Its row, from 1.
    pub(super) row: u64,
    /// What a model is asked, with the choices.
    pub(super) asked: String,
    /// The question whose picture it has, where the table says so.
    pub(super) picture_of: Option<String>,
}

/// Visits the questions of some files in their order.
pub(super) fn visit(
    benchmark: &Benchmark,
    files: &[PathBuf],
    visit: &mut dyn FnMut(Question, Written),
) -> Result<(), QuestionsError> {
    let mut before = 0;
    for (at, file) in files.iter().enumerate() {
        let is_table = file.extension().is_some_and(|end| end.eq_ignore_ascii_case("tsv"));
        let wanted = if is_table { Wanted::All } else { Wanted::Without(&IMAGES) };
        let mut failed = None;
        loaders::each(file, wanted, &mut |number, row| {
            let question = row.map_err(QuestionsError::from).and_then(|row| {
                let place = Place { file, row: number, columns: &row };
                let Some(question) = place.question(benchmark, before)? else { return Ok(()) };
                before += 1;
                let asked = place.asked(&question);
                let picture_of = place.picture_of().filter(|_| is_table);
                visit(question, Written { file: at, row: number, asked, picture_of });
                Ok(())
            });
            failed = question.err();
            if failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
    }
    if before == 0 {
        let file = files.first().cloned().unwrap_or_default();
        return Err(QuestionsError::Empty { file, benchmark: benchmark.to_string() });
    }
    Ok(())
}

/// A row and where it is.
struct Place<'a> {
    file: &'a Path,
    row: u64,
    columns: &'a Row,
}

impl Place<'_> {
    /// The first of some columns that holds anything, by its name.
    fn find<'n>(&self, names: &[&'n str]) -> Option<(&'n str, &Cell)> {
        names.iter().find_map(|name| {
            let cell = self.columns.get(*name).filter(|cell| !cell.is_empty())?;
            Some((*name, cell))
        })
    }

    fn wrong(&self, column: &str, expected: &'static str) -> QuestionsError {
        let cell = self.columns.get(column);
        let columns: Vec<String> =
            self.columns.keys().take(16).map(|name| format!("`{name}`")).collect();
        QuestionsError::Column {
            file: self.file.to_owned(),
            row: self.row,
            column: column.to_owned(),
            expected,
            found: match cell {
                Some(cell) if cell.is_empty() => "empty".to_owned(),
                other => other.map_or("missing", Cell::kind).to_owned(),
            },
            hint: match cell.is_none_or(Cell::is_empty) && column == "answer" {
                true => "the answers of this split are not published: use another one".to_owned(),
                false => format!("the row has {}", columns.join(", ")),
            },
        }
    }

    fn text(&self, names: &[&str], expected: &'static str) -> Result<String, QuestionsError> {
        let found = self.find(names).and_then(|(_, cell)| cell.text());
        found.ok_or_else(|| self.wrong(names[0], expected))
    }

    /// The question of the row; none where the benchmark leaves it out.
    fn question(
        &self,
        benchmark: &Benchmark,
        before: usize,
    ) -> Result<Option<Question>, QuestionsError> {
        let id = match self.find(&["pid", "index", "id"]) {
            Some((name, cell)) => {
                cell.text().ok_or_else(|| self.wrong(name, "text or a number"))?
            }
            // The hub's AI2D has no ids: its rows are counted.
            None => before.to_string(),
        };
        let text = self.find(&["query", "question"]).and_then(|(_, cell)| cell.text());
        let (rule, answer) = match benchmark.family {
            Family::MathVista => self.mathvista()?,
            Family::M3Cot => self.m3cot()?,
            Family::MmStar | Family::MmBench | Family::Ai2d => self.options()?,
        };
        let groups = self.groups(benchmark.family);
        let main = groups.first().and_then(|(_, values)| values.first());
        let left_out = match benchmark.family {
            _ if !benchmark.reasoning => false,
            Family::MmStar => PERCEPTION.contains(&main.map_or("", String::as_str)),
            Family::MmBench => {
                let category = main.ok_or_else(|| self.wrong("l2-category", "text"))?;
                !REASONING.contains(&category.as_str())
            }
            _ => false,
        };
        let circle = match (benchmark.family, id.parse::<u64>()) {
            (Family::MmBench, Ok(index)) => (index % 1_000_000).to_string(),
            _ => id.clone(),
        };
        let question =
            Question { id, text: text.unwrap_or_default(), rule, answer, groups, circle };
        Ok((!left_out).then_some(question))
    }

    /// What a model is asked: the question with what comes before it, and the choices below it where
    /// it does not say them itself.
    fn asked(&self, question: &Question) -> String {
        let before = match question.rule {
            Rule::MathVista(_) => None,
            Rule::M3Cot(_) => self.find(&["context"]),
            Rule::Options(_) => self.find(&["hint"]),
        };
        let before = before.and_then(|(_, cell)| cell.text());
        let before = before.filter(|text| !NOTHING_IN_PANDAS.contains(&text.as_str()));
        let text = question.text.replace("<image>", "").trim().to_owned();
        let has_choices = text.contains("Choices:") || !inline(&text).0.is_empty();
        let options = match &question.rule {
            _ if has_choices => Options::default(),
            Rule::MathVista(problem) => {
                Options::lettered(problem.choices.as_deref().unwrap_or(&[]))
            }
            Rule::M3Cot(choices) => Options::lettered(choices),
            Rule::Options(options) => options.clone(),
        };
        let mut lines: Vec<String> = before.into_iter().chain([text]).collect();
        if !options.0.is_empty() {
            lines.push("Choices:".to_owned());
        }
        lines.extend(options.0.iter().map(|(letter, text)| format!("({letter}) {text}")));
        lines.join("\n")
    }

    /// The question whose picture this one has: tables hold a picture once for all rotations.
    fn picture_of(&self) -> Option<String> {
        let text = self.columns.get("image").and_then(Cell::text)?;
        (!text.is_empty() && text.len() <= LONGEST_INDEX).then_some(text)
    }

    fn mathvista(&self) -> Result<(Rule, String), QuestionsError> {
        let expected = "`multi_choice` or `free_form`";
        let choices = match self.text(&["question_type"], expected)?.as_str() {
            "multi_choice" => {
                let choices = self.columns.get("choices").and_then(Cell::texts);
                Some(choices.ok_or_else(|| self.wrong("choices", "a list of texts"))?)
            }
            "free_form" => None,
            _ => return Err(self.wrong("question_type", expected)),
        };
        let expected = "`text`, `integer`, `float` or `list`";
        let answer_type = match self.text(&["answer_type"], expected)?.as_str() {
            "text" => AnswerType::Text,
            "integer" => AnswerType::Integer,
            "float" => AnswerType::Float,
            "list" => AnswerType::List,
            _ => return Err(self.wrong("answer_type", expected)),
        };
        let precision = match self.find(&["precision"]) {
            Some((_, cell)) => {
                Some(cell.number().ok_or_else(|| self.wrong("precision", "a number"))?)
            }
            None => None,
        };
        let answer = self.text(&["answer"], "text")?;
        Ok((Rule::MathVista(Problem { choices, answer_type, precision }), answer))
    }

    fn m3cot(&self) -> Result<(Rule, String), QuestionsError> {
        let choices = self.columns.get("choices").and_then(Cell::texts);
        let choices = choices.ok_or_else(|| self.wrong("choices", "a list of texts"))?;
        Ok((Rule::M3Cot(choices), self.letter()?))
    }

    /// The letter of the answer, which some files give as a number from 0.
    fn letter(&self) -> Result<String, QuestionsError> {
        let answer = self.text(&["answer"], "a letter, or a number from 0")?;
        let number = answer.parse().ok().and_then(|at| ('A'..='Z').nth(at));
        let letter = number.map_or_else(|| answer.trim().to_owned(), |letter| letter.to_string());
        let is_letter = letter.len() == 1 && letter.bytes().all(|byte| byte.is_ascii_uppercase());
        is_letter
            .then_some(letter)
            .ok_or_else(|| self.wrong("answer", "a letter, or a number from 0"))
    }

    fn options(&self) -> Result<(Rule, String), QuestionsError> {
        let lists = self.find(&["options", "choices"]).and_then(|(_, cell)| cell.texts());
        let columns = || {
            let option = |letter: char| {
                let text = self.columns.get(&letter.to_string())?.text()?;
                (!NOTHING_IN_PANDAS.contains(&text.as_str())).then_some((letter, text))
            };
            Options(('A'..='Z').filter_map(option).collect())
        };
        let mut options = lists.map_or_else(columns, |list| Options::lettered(&list));
        if options.0.is_empty() {
            let question = self.columns.get("question").and_then(Cell::text);
            options = inline(&question.unwrap_or_default());
        }
        if options.0.is_empty() {
            return Err(self.wrong("A", "the text of an option"));
        }
        Ok((Rule::Options(options), self.letter()?))
    }

    fn groups(&self, family: Family) -> Vec<(Cow<'static, str>, Vec<String>)> {
        let named = |(name, values)| (Cow::Borrowed(name), values);
        self.named_groups(family).into_iter().map(named).collect()
    }

    fn named_groups(&self, family: Family) -> Vec<(&'static str, Vec<String>)> {
        let metadata = self.columns.get("metadata").unwrap_or(&Cell::Null);
        let values = |names: &[&str]| -> Vec<String> {
            let cells = names
                .iter()
                .map(|name| self.columns.get(*name).unwrap_or_else(|| metadata.at(name)));
            let Some(cell) = cells.into_iter().find(|cell| !cell.is_empty()) else { return vec![] };
            let list = match cell {
                Cell::Text(text) if !text.trim_start().starts_with('[') => None,
                other => other.texts(),
            };
            list.or_else(|| cell.text().map(|text| vec![text])).unwrap_or_default()
        };
        let short = |tasks: Vec<String>| {
            let short = |task: String| {
                let known = TASKS.iter().find(|(long, _)| *long == task);
                known.map_or(task, |(_, short)| (*short).to_owned())
            };
            tasks.into_iter().map(short).collect()
        };
        match family {
            Family::MathVista => vec![
                ("task", short(values(&["task"]))),
                ("skills", values(&["skills"])),
                ("category", values(&["category"])),
                ("context", values(&["context"])),
                ("grade", values(&["grade"])),
                ("question_type", values(&["question_type"])),
                ("answer_type", values(&["answer_type"])),
                ("language", values(&["language"])),
                ("source", values(&["source"])),
            ],
            Family::M3Cot => vec![("domain", values(&["domain"])), ("topic", values(&["topic"]))],
            Family::MmStar => vec![
                ("category", values(&["category"])),
                ("l2-category", values(&["l2_category", "l2-category"])),
            ],
            Family::MmBench => vec![
                ("l2-category", values(&["l2-category", "L2-category", "l2_category"])),
                ("category", values(&["category"])),
            ],
            Family::Ai2d => vec![],
        }
    }
}

/// Options that stand in the question itself: `… Options: A: red, B: blue`.
fn inline(question: &str) -> Options {
    let Some((_, list)) = question.rsplit_once("Options:") else { return Options::default() };
    let mut options = Vec::new();
    let mut rest = list.trim();
    for letter in 'A'..='Z' {
        let Some(text) = rest.strip_prefix(&format!("{letter}:")) else { break };
        let next = char::from_u32(u32::from(letter) + 1).map(|next| format!("{next}:"));
        let marks = next.iter().flat_map(|next| [format!(", {next}"), format!("\n{next}")]);
        let cut = marks.filter_map(|mark| text.find(&mark)).min();
        let (text, after) = cut.map_or((text, ""), |at| text.split_at(at));
        options.push((letter, text.trim().trim_end_matches('.').to_owned()));
        rest = after.trim_start_matches([',', '\n', ' ']);
    }
    Options(options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn options_inside_a_question_are_found() {
        let options = inline("What is it?\nOptions: A: red, green, B: blue, C: A: no\n");
        let expected =
            [('A', "red, green"), ('B', "blue"), ('C', "A: no")].map(|(l, t)| (l, t.to_owned()));
        assert_eq!(options.0, expected);
        assert_eq!(inline("What is it?"), Options::default());
    }

    proptest! {
        #[test]
        fn no_question_breaks_its_options(text in "(\\PC|Options:|[A-E]: |, |\n){0,40}") {
            inline(&text);
        }
    }
}
