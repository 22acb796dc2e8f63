//! Following a log that grows: whole lines become records, and one that is torn is waited for.

use super::Record;

/// How far a log was read.
#[derive(Clone, Debug, Default)]
pub struct Tail {
    offset: u64,
    unreadable: u64,
}

impl Tail {
    /// Bytes of whole lines that were read; the next bytes are wanted from there.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Lines that are no record that this program knows. They are passed over, because whoever
    /// follows a run is not to stop before it ends.
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// Takes what the log holds from [`Tail::offset`] on; returns the records of its whole lines,
    /// each with the offset at which it ends. What comes after the last newline is left for the next
    /// time: it may be half a line, and a run that is resumed cuts it.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<(u64, Record)> {
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let mut records = Vec::new();
        for line in bytes[..whole].split_inclusive(|byte| *byte == b'\n') {
            self.offset += line.len() as u64;
            match serde_json::from_slice(line) {
                Ok(record) => records.push((self.offset, record)),
                Err(_) => self.unreadable += 1,
            }
        }
        records
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, Outcome};

    #[test]
    fn a_log_cut_anywhere_gives_the_same_records() {
        let line = |time_ms| {
            let event = Event::RunFinished { outcome: Outcome::Done, seconds: 1.5 };
            Record { time_ms, event }.to_line() + "\n"
        };
        let log = format!("{}{}{}", line(1), line(2), line(3));
        for cut in 0..=log.len() {
            let mut tail = Tail::default();
            let mut found = tail.take(&log.as_bytes()[..cut]);
            found.extend(tail.take(&log.as_bytes()[tail.offset() as usize..]));
            let times: Vec<u64> = found.iter().map(|(_, record)| record.time_ms).collect();
            assert_eq!((times, tail.unreadable()), (vec![1, 2, 3], 0), "cut at {cut}");
            assert_eq!(found[1].0 as usize, line(1).len() + line(2).len());
        }
    }

    #[test]
    fn what_is_no_record_is_counted_and_passed_over() {
        let last = Event::RunFinished { outcome: Outcome::Done, seconds: 1.5 };
        let last = Record { time_ms: 7, event: last }.to_line();
        let mut tail = Tail::default();
        let found = tail.take(format!("\u{0}\u{ff}\n{{\"event\":\"later\"}}\n{last}\n").as_bytes());
        assert_eq!((found.len(), found[0].1.time_ms, tail.unreadable()), (1, 7, 2));
    }
}
