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

impl Source {
    /// A source from the bytes of a file.
    ///
    /// # Errors
    /// `not-utf-8`, with the offset of the first byte that is not.
    pub fn from_bytes(name: impl Into<String>, bytes: Vec<u8>) -> Result<Self, Fault> {
        let name = name.into();
        String::from_utf8(bytes).map(|text| Self { name: name.clone(), text: text.into() }).map_err(
            |error| {
                let offset = error.utf8_error().valid_up_to();
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                let span = offset..offset + char::REPLACEMENT_CHARACTER.len_utf8();
                Fault {
                    code: "not-utf-8",
                    message: format!("byte {offset} is not part of UTF-8 text"),
                    hint: Some("save the file with the encoding UTF-8".to_owned()),
                    place: Some(Self { name, text: text.into() }.place(span)),
                }
            },
        )
    }

    /// A place in this text.
    pub fn place(&self, span: Range<usize>) -> Place {
        Place { source: self.clone(), span }
    }
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
        let text = &*self.source.text;
        let before = &text[..floor_boundary(text, self.span.start)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

impl Place {
    /// The line that the place begins on and the carets below it, both ready to print: control
    /// characters replaced, and a long line cut to what surrounds the place.
    fn line_and_carets(&self) -> (String, String) {
        let text = &*self.source.text;
        let start = floor_boundary(text, self.span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
        let end = floor_boundary(text, self.span.end.min(line_end)).max(start);

        let before: Vec<char> = text[line_start..start].chars().map(printable).collect();
        let inside: String = text[start..end].trim_end().chars().map(printable).collect();
        let inside: String = inside.chars().take(WIDEST_LINE).collect();
        let after: String = text[start..line_end].trim_end().chars().map(printable).collect();

        let cut = before.len().saturating_sub(WIDEST_LINE / 2);
        let mark = if cut > 0 { "…" } else { "" };
        let shown: String = before[cut..].iter().collect();
        let room = WIDEST_LINE.saturating_sub(shown.chars().count()).max(inside.chars().count());
        let mut line: String = format!("{mark}{shown}");
        line.extend(after.chars().take(room));
        if after.chars().count() > room {
            line.push('…');
        }
        let padding = mark.chars().count() + shown.chars().count();
        (line, format!("{}{}", " ".repeat(padding), "^".repeat(inside.chars().count().max(1))))
    }
}

/// Characters of a line that are shown at most, so that a file without line breaks stays readable.
const WIDEST_LINE: usize = 100;

/// A stranger's text must not steer the terminal, and a tab must be as wide as its caret.
fn printable(character: char) -> char {
    match character {
        '\t' => ' ',
        control if control.is_control() => char::REPLACEMENT_CHARACTER,
        other => other,
    }
}

fn floor_boundary(text: &str, offset: usize) -> usize {
    (0..=offset.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
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

impl Fault {
    /// The fault for people, without colour: place and message, the line with carets, the way out.
    pub fn to_text(&self) -> String {
        let mut text = match &self.place {
            Some(place) => {
                let (line_number, _) = place.line_and_column();
                let (line, carets) = place.line_and_carets();
                let number = line_number.to_string();
                let margin = " ".repeat(number.len());
                let message = &self.message;
                format!("{place}: {message}\n{number} | {line}\n{margin} | {carets}\n")
            }
            None => format!("{}\n", self.message),
        };
        if let Some(hint) = &self.hint {
            text.push_str("hint: ");
            text.push_str(hint);
            text.push('\n');
        }
        text
    }
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

    fn fault(text: &str, span: Range<usize>) -> String {
        let place = Source { name: "a.toml".into(), text: text.into() }.place(span);
        let hint = Some("do that".to_owned());
        Fault { code: "wrong", message: "it is wrong".into(), hint, place: Some(place) }.to_text()
    }

    #[test]
    fn text_underlines_the_first_line_of_a_place() {
        assert_eq!(
            fault("x = 1\r\n\tä = [\r\n 1]\r\n", 8..19),
            "a.toml:2:2: it is wrong\n2 |  ä = [\n  |  ^^^^^\nhint: do that\n"
        );
        assert_eq!(fault("", 0..0), "a.toml:1:1: it is wrong\n1 | \n  | ^\nhint: do that\n");
    }

    #[test]
    fn text_cuts_long_lines_and_keeps_terminals_safe() {
        let long = format!("{}\u{1b}[31m{}", "ä".repeat(500), "z".repeat(500));
        let text = fault(&long, 1001..1005);
        assert!(text.lines().all(|line| line.chars().count() < 130), "{text}");
        assert!(!text.contains('\u{1b}'));
        assert!(text.contains("[31mz"));
    }

    #[test]
    fn any_offsets_render() {
        let text = "ä\nö";
        for start in 0..9 {
            for end in 0..9 {
                assert!(fault(text, start..end).contains('^'));
            }
        }
    }

    #[test]
    fn bytes_that_are_not_text_are_told_by_offset() {
        let fault = Source::from_bytes("a.toml", b"x = 1\ny = \"\xff\"".to_vec()).unwrap_err();
        assert_eq!(
            fault.to_text(),
            "a.toml:2:6: byte 11 is not part of UTF-8 text\n2 | y = \"\u{fffd}\"\n  |      ^\n\
             hint: save the file with the encoding UTF-8\n"
        );
    }
}
