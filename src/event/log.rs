//! The line format of the log: one JSON object a line, each with its time.

use super::Event;
use serde::{Deserialize, Serialize};

/// Version of the log; the first line of every log carries it in `run-started`.
pub const FORMAT: u32 = 1;

/// One line of `events.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub time_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

impl Record {
    /// The line, without its newline.
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).expect("events hold only maps with string keys")
    }

    /// Reads a log. A last line torn by a crash is left out; a torn line anywhere else is an error
    /// that names its number.
    ///
    /// # Errors
    /// The number (from 1) of the first line that is not a record, and why.
    pub fn read_log(text: &str) -> Result<Vec<Self>, (usize, serde_json::Error)> {
        let lines: Vec<&str> = text.lines().collect();
        let mut records = Vec::with_capacity(lines.len());
        for (index, line) in lines.iter().enumerate() {
            match serde_json::from_str(line) {
                Ok(record) => records.push(record),
                Err(_) if index + 1 == lines.len() && !text.ends_with('\n') => break,
                Err(error) => return Err((index + 1, error)),
            }
        }
        Ok(records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Outcome;

    #[test]
    fn torn_last_line_is_left_out_and_torn_middle_is_told() {
        let record = Record {
            time_ms: 5,
            event: Event::RunFinished { outcome: Outcome::Done, seconds: 1.5 },
        };
        let line = record.to_line();
        assert_eq!(line, r#"{"time_ms":5,"event":"run-finished","outcome":"done","seconds":1.5}"#);
        let whole = format!("{line}\n{line}\n");
        assert_eq!(Record::read_log(&whole).unwrap(), vec![record.clone(), record.clone()]);
        let torn = format!("{line}\n{}", &line[..20]);
        assert_eq!(Record::read_log(&torn).unwrap(), vec![record]);
        let broken = format!("{}\n{line}\n", &line[..20]);
        assert_eq!(Record::read_log(&broken).unwrap_err().0, 1);
    }
}
