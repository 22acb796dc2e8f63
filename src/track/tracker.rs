//! A tracker of a run: what the log says beyond what it was told, it is told.

use super::error::TrackError;
use super::item::{Item, Parameters, Reader};
use super::sink::{Cursor, Sink};
use super::target::{Credentials, Target};
use crate::event::Tail;
use crate::store::{Run, Store, Telling};
use std::collections::VecDeque;

/// A tracker that is told of a run. No other process tells it of the same run meanwhile.
pub struct Tracker {
    name: String,
    run: Run,
    telling: Telling,
    sink: Sink,
    tail: Tail,
    reader: Reader,
    cursor: Cursor,
    /// Items that are to be told, all from before `read`.
    pending: VecDeque<Item>,
    read: u64,
    /// Items after the cursor's offset that were taken before this began.
    passed_over: u64,
    told: u64,
}

impl Tracker {
    /// Goes on where the tracker was told last. Asks nothing of it yet.
    ///
    /// # Errors
    /// [`TrackError::Busy`], and when the store or the tracker's folder cannot be read or written.
    pub fn new(
        store: &Store,
        run: &Run,
        target: &Target,
        credentials: &Credentials,
        parameters: Parameters,
    ) -> Result<Self, TrackError> {
        let name = target.name();
        let telling = store.telling(run, &target.slug())?;
        let telling = telling.ok_or_else(|| TrackError::Busy { target: name.clone() })?;
        let kept = telling.kept()?;
        // What cannot be read was torn by a loss of power: the tracker is told anew.
        let kept = kept.and_then(|bytes| serde_json::from_slice::<Cursor>(&bytes).ok());
        let sink = Sink::new(target, credentials, parameters);
        let mut cursor = kept.unwrap_or_default();
        if !sink.still_has(&cursor)? {
            cursor = Cursor::default();
        }
        Ok(Self {
            name,
            run: run.clone(),
            telling,
            sink,
            tail: Tail::default(),
            reader: Reader::default(),
            passed_over: cursor.taken,
            cursor,
            pending: VecDeque::new(),
            read: 0,
            told: 0,
        })
    }

    /// The tracker, as it was named.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Numbers that it was told by this.
    pub fn told(&self) -> u64 {
        self.told
    }

    /// Tells everything that the log has by now. What was taken is taken also when this fails, and
    /// the next call goes on from there.
    ///
    /// # Errors
    /// Why the tracker could not be told, or the store not be read or written.
    pub fn tell(&mut self) -> Result<(), TrackError> {
        loop {
            if self.pending.is_empty() {
                self.look()?;
            }
            if self.pending.is_empty() {
                return Ok(());
            }
            let items = self.pending.make_contiguous();
            let taken = self.sink.tell(items, &self.reader, &mut self.cursor)?;
            self.pending.drain(..taken);
            self.told += taken as u64;
            self.cursor.taken += taken as u64;
            if self.pending.is_empty() {
                (self.cursor.offset, self.cursor.taken) = (self.read, 0);
            }
            self.keep()?;
        }
    }

    /// Reads what is new in the log.
    fn look(&mut self) -> Result<(), TrackError> {
        let bytes = self.run.events_from(self.tail.offset())?;
        for (end, record) in self.tail.take(&bytes) {
            let items = self.reader.take(&record);
            if end <= self.cursor.offset {
                continue;
            }
            for item in items {
                match self.passed_over {
                    0 => self.pending.push_back(item),
                    _ => self.passed_over -= 1,
                }
            }
        }
        self.read = self.tail.offset();
        Ok(())
    }

    fn keep(&self) -> Result<(), TrackError> {
        let bytes = serde_json::to_vec(&self.cursor).expect("a cursor is plain data");
        Ok(self.telling.keep(&bytes)?)
    }
}
