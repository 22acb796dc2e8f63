//! Responses that some engine gave: an object a line with `id` and `response`, and perhaps
//! `extraction`, what somebody else read out of the response.

use crate::base::Hint;
use crate::data::loaders::{self, Cell, RowsError, Wanted};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// One response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The whole text; empty where there was none.
    pub text: String,
    /// What was read out of it.
    pub extraction: Option<String>,
}

/// Responses by the id of their question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Responses {
    /// Of several for one question, the last.
    pub by_id: BTreeMap<String, Response>,
    /// Questions that have several.
    pub repeated: Vec<String>,
}

/// Why there are no responses.
#[derive(Debug, thiserror::Error)]
pub enum ResponsesError {
    /// The file, or a line of it, cannot be read.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// A line is not what it should be.
    #[error("line {line} of `{file}`: {expected} is expected in `{field}`, and it is {found}")]
    Field {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The field.
        field: &'static str,
        /// What should be there.
        expected: &'static str,
        /// What is there.
        found: &'static str,
    },
}

impl Hint for ResponsesError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Rows(RowsError::UnknownFormat { .. }) => {
                Some("responses are JSON lines: a file that ends with `.jsonl`".to_owned())
            }
            Self::Rows(error) => error.hint(),
            Self::Field { .. } => {
                Some("a line is such as `{\"id\": \"7\", \"response\": \"It is (B).\"}`".to_owned())
            }
        }
    }
}

/// Reads the responses of a file.
///
/// # Errors
/// [`ResponsesError`], with the line and the field.
pub fn responses(file: &Path) -> Result<Responses, ResponsesError> {
    let mut responses = Responses::default();
    let mut failed = None;
    loaders::each(file, Wanted::All, &mut |line, row| {
        let read = row.map_err(ResponsesError::from).and_then(|row| {
            let cell = |field: &str| row.get(field).unwrap_or(&Cell::Null).clone();
            let wrong = |field, expected, found: &Cell| {
                let (file, found) = (file.to_owned(), found.kind());
                ResponsesError::Field { file, line, field, expected, found }
            };
            let id = cell("id");
            let id = id.text().ok_or_else(|| wrong("id", "text or a number", &id))?;
            let text = match row.get("response") {
                Some(Cell::Text(text)) => text.clone(),
                Some(Cell::Null) => String::new(),
                other => return Err(wrong("response", "text", other.unwrap_or(&Cell::Null))),
            };
            let extraction = match cell("extraction") {
                Cell::Null => None,
                other => {
                    let text = other.text();
                    Some(text.ok_or_else(|| wrong("extraction", "text or a number", &other))?)
                }
            };
            Ok((id, Response { text, extraction }))
        });
        match read {
            Ok((id, response)) => {
                if responses.by_id.insert(id.clone(), response).is_some()
                    && !responses.repeated.contains(&id)
                {
                    responses.repeated.push(id);
                }
                ControlFlow::Continue(())
            }
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    failed.map_or(Ok(responses), Err)
}
