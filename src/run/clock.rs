//! The one place where time is read.
#![expect(clippy::disallowed_methods, reason = "this is the clock")]

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Measures from its start, and tells the date.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// Starts measuring.
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// Seconds since the start; never runs backwards.
    pub fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub fn date_ms() -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}
