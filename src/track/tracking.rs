//! Trackers that are told beside a run, each in a thread of its own: none waits for another, and the
//! run waits for none.

use super::error::TrackError;
use super::tracker::Tracker;
use crate::run::Clock;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// Between two looks at the log.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// Longest wait for a tracker that could not be told.
const TRY_AGAIN: Duration = Duration::from_secs(32);
/// A part of a wait, after which it is seen whether the run has ended.
const PART: Duration = Duration::from_millis(50);
/// Seconds that the end of a run waits for its trackers.
const PATIENCE: f64 = 10.0;

/// What a thread says.
enum Said {
    Warning(String),
    /// The tracker of this number was told everything, or not.
    Ended(usize, bool),
}

/// Trackers that are told of a run that goes on.
pub struct Tracking {
    ends: Arc<AtomicBool>,
    said: Receiver<Said>,
    names: Vec<String>,
}

impl Tracking {
    /// Begins to tell.
    pub fn start(trackers: Vec<Tracker>) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let names = trackers.iter().map(|tracker| tracker.name().to_owned()).collect();
        let (say, said) = channel();
        for (number, tracker) in trackers.into_iter().enumerate() {
            let (ends, say) = (Arc::clone(&ends), say.clone());
            let name = tracker.name().to_owned();
            let failed = say.clone();
            let thread = thread::Builder::new().name("tracker".to_owned());
            let begun = thread.spawn(move || follow(tracker, number, &ends, &say));
            if let Err(error) = begun {
                failed.send(Said::Warning(format!("{name} is not told: {error}"))).ok();
            }
        }
        Self { ends, said, names }
    }

    /// What was to be warned of since the last call.
    pub fn warnings(&self) -> Vec<String> {
        let warning = |said| match said {
            Said::Warning(text) => Some(text),
            Said::Ended(..) => None,
        };
        self.said.try_iter().filter_map(warning).collect()
    }

    /// Lets the trackers be told the end, for some seconds at most; returns what is to be warned of
    /// and the names of those that were not told everything.
    pub fn finish(self) -> (Vec<String>, Vec<String>) {
        self.ends.store(true, Ordering::Release);
        let clock = Clock::start();
        let (mut warnings, mut behind) = (Vec::new(), Vec::new());
        let mut open: Vec<Option<String>> = self.names.into_iter().map(Some).collect();
        while open.iter().any(Option::is_some) {
            let left = Duration::from_secs_f64((PATIENCE - clock.seconds()).max(0.0));
            match self.said.recv_timeout(left) {
                Ok(Said::Warning(text)) => warnings.push(text),
                Ok(Said::Ended(number, is_told)) => {
                    behind.extend(open[number].take().filter(|_| !is_told));
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        behind.extend(open.into_iter().flatten());
        (warnings, behind)
    }
}

/// Tells a tracker until the run has ended. It is warned of once, and tried again ever more rarely.
fn follow(mut tracker: Tracker, number: usize, ends: &AtomicBool, say: &Sender<Said>) {
    let (mut is_warned, mut wait) = (false, TELL_EVERY);
    loop {
        // Seen before the log is read, so that what is read then is everything.
        let is_last = ends.load(Ordering::Acquire);
        let told = tracker.tell();
        if let (Err(error), false) = (&told, is_warned) {
            is_warned = true;
            say.send(Said::Warning(warning(&tracker, error))).ok();
        }
        if is_last {
            say.send(Said::Ended(number, told.is_ok())).ok();
            return;
        }
        wait = if told.is_ok() { TELL_EVERY } else { (wait * 2).min(TRY_AGAIN) };
        let mut waited = Duration::ZERO;
        while waited < wait && !ends.load(Ordering::Acquire) {
            thread::sleep(PART);
            waited += PART;
        }
    }
}

fn warning(tracker: &Tracker, error: &TrackError) -> String {
    format!("warning: {} is behind, and the run goes on without it: {error}", tracker.name())
}
