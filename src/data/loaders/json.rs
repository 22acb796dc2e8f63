//! Rows out of JSON: an object a line, an array of objects, or one object of objects by id.

use super::by_row::{LONGEST_ROW, RowEnds, by_row};
use super::rows::{RowsError, Visit, open, row_of, unreadable};
use serde::de::{Deserializer as _, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::fmt;
use std::io::{BufRead as _, BufReader, Read as _};
use std::ops::ControlFlow;
use std::path::Path;

/// An object a line; empty lines are passed over.
pub(super) fn lines(file: &Path, visit: &mut Visit<'_>) -> Result<(), RowsError> {
    let mut reader = BufReader::new(open(file)?);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = reader.by_ref().take(LONGEST_ROW).read_until(b'\n', &mut line);
        let read = read.map_err(|error| unreadable(file, &error))?;
        if read == 0 {
            break;
        }
        if read as u64 == LONGEST_ROW && line.last() != Some(&b'\n') {
            let reason = format!("line {number} is longer than {LONGEST_ROW} bytes");
            return Err(malformed(file, reason));
        }
        let start: &[u8] = if number == 1 { b"\xef\xbb\xbf" } else { b"" };
        let text = line.strip_prefix(start).unwrap_or(&line).trim_ascii();
        if text.is_empty() {
            continue;
        }
        let row = match serde_json::from_slice::<Value>(text) {
            Ok(value) => row_of(file, number, value),
            Err(error) => {
                let reason = format!("it is no JSON: {error}");
                Err(RowsError::Row { file: file.to_owned(), row: number, reason })
            }
        };
        if visit(number, row).is_break() {
            break;
        }
    }
    Ok(())
}

/// An array of objects, or an object whose values are objects; a name becomes the column `id` where
/// there is none.
pub(super) fn whole(file: &Path, visit: &mut Visit<'_>) -> Result<(), RowsError> {
    let (reader, row_ends) = by_row(open(file)?);
    let mut deserializer = serde_json::Deserializer::from_reader(BufReader::new(reader));
    let mut ended = false;
    let rows = Rows { file, visit, row_ends, ended: &mut ended };
    let read = (&mut deserializer).deserialize_any(rows).and_then(|()| deserializer.end());
    match read {
        Err(error) if !ended => Err(malformed(file, error.to_string())),
        _ => Ok(()),
    }
}

fn malformed(file: &Path, reason: String) -> RowsError {
    RowsError::Malformed { file: file.to_owned(), format: "JSON of rows", reason }
}

/// Hands on one row after the other while the text is still being read.
struct Rows<'a, 'v> {
    file: &'a Path,
    visit: &'a mut Visit<'v>,
    row_ends: RowEnds,
    /// Whether `visit` has seen enough, which ends the reading with an error that is none.
    ended: &'a mut bool,
}

impl Rows<'_, '_> {
    fn hand_on<E: serde::de::Error>(&mut self, number: u64, value: Value) -> Result<(), E> {
        self.row_ends.tell();
        if (self.visit)(number, row_of(self.file, number, value)) == ControlFlow::Break(()) {
            *self.ended = true;
            return Err(E::custom("enough was read"));
        }
        Ok(())
    }
}

impl<'de> Visitor<'de> for Rows<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of objects, or objects by id")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut rows: A) -> Result<(), A::Error> {
        for number in 1.. {
            let Some(value) = rows.next_element::<Value>()? else { break };
            self.hand_on(number, value)?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut rows: A) -> Result<(), A::Error> {
        for number in 1.. {
            let Some(id) = rows.next_key::<String>()? else { break };
            let mut value = rows.next_value::<Value>()?;
            let Value::Object(columns) = &mut value else {
                return Err(A::Error::custom(format!(
                    "`{id}` should be an object: a file of several objects, one a line, ends with \
                     `.jsonl`"
                )));
            };
            columns.entry("id").or_insert(Value::String(id));
            self.hand_on(number, value)?;
        }
        Ok(())
    }
}
