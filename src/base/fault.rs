//! The shape of a fault: what is wrong, where, and the way out.

use serde::{Deserialize, Serialize};
use std::{fmt, ops::Range, sync::Arc};

/// An error that knows a way out.
pub trait Hint: std::error::Error {
    /// One sentence that says what to do; `None` when the message says it all.
    fn hint(&self) -> Option<String> {
        None
    }
}

/// A text that values came from: a file, the environment, the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// What people call it: a path as it was given, or `the command line`.
    pub name: String,
    /// The whole text, for carets.
    pub text: Arc<str>,
}

/// A place in a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The text.
    pub source: Source,
    /// Byte offsets into it.
    pub span: Range<usize>,
}

impl Place {
    /// Line and column of the beginning, both from 1; columns count characters.
    pub fn line_and_column(&self) -> (usize, usize) {
        let before = self.source.text.get(..self.span.start).unwrap_or(&self.source.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.line_and_column();
        write!(f, "{}:{line}:{column}", self.source.name)
    }
}

/// One thing that is wrong with what the user gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// A stable name for the kind of fault, such as `unknown-key`, for documentation and tests.
    pub code: &'static str,
    /// A lowercase fragment with back-ticked names and no final period.
    pub message: String,
    /// The way out.
    pub hint: Option<String>,
    /// Where; `None` only for what has no text.
    pub place: Option<Place>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, " (hint: {hint})")?;
        }
        Ok(())
    }
}

/// Every fault that was found, in the order of their places.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// What a failed stage says of itself, across the process boundary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What happened.
    pub reason: String,
    /// The way out.
    pub hint: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_counts_lines_and_characters() {
        let source = Source { name: "a.toml".into(), text: "x = 1\nä = µ\n".into() };
        let place = Place { span: 11..13, source };
        assert_eq!(place.to_string(), "a.toml:2:5");
    }
}
