//! The one way by which events leave a run: to its log and to whoever listens.

use super::Clock;
use crate::{
    base::Key,
    event::{Event, Record},
    store::{Error, RunLog},
};
use std::collections::BTreeMap;

/// Milliseconds between two lines of one stage's progress in the log; listeners get all.
const LOGGED_EVERY_MS: u64 = 1000;
/// Milliseconds between two syncs of the log.
const SYNCED_EVERY_MS: u64 = 1000;

/// Writes the log and tells the listener.
pub(super) struct Speaker<'a> {
    log: RunLog,
    listener: &'a mut dyn FnMut(&Record),
    progress_logged_ms: BTreeMap<Key, u64>,
    synced_ms: u64,
}

impl<'a> Speaker<'a> {
    pub(super) fn new(log: RunLog, listener: &'a mut dyn FnMut(&Record)) -> Self {
        let synced_ms = Clock::date_ms();
        Self { log, listener, progress_logged_ms: BTreeMap::new(), synced_ms }
    }

    pub(super) fn run(&self) -> &str {
        self.log.id()
    }

    pub(super) fn say(&mut self, event: Event) -> Result<(), Error> {
        let record = Record { time_ms: Clock::date_ms(), event };
        if self.is_logged(&record) {
            self.log.append(&record.to_line())?;
        }
        let stage_ended = matches!(
            record.event,
            Event::StageFinished { .. } | Event::StageFailed { .. } | Event::StageSkipped { .. }
        );
        if stage_ended && record.time_ms >= self.synced_ms + SYNCED_EVERY_MS {
            self.synced_ms = record.time_ms;
            self.log.sync()?;
        }
        (self.listener)(&record);
        Ok(())
    }

    pub(super) fn close(self) -> Result<(), Error> {
        self.log.close()
    }

    fn is_logged(&mut self, record: &Record) -> bool {
        let Event::StageProgress { key, done, total, .. } = &record.event else { return true };
        let last = self.progress_logged_ms.get(key).copied().unwrap_or(0);
        let due = record.time_ms >= last + LOGGED_EVERY_MS || done >= total;
        if due {
            self.progress_logged_ms.insert(*key, record.time_ms);
        }
        due
    }
}
