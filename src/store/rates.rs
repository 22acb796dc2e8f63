//! How fast each kind of stage went on this machine: what estimates are made of.

use super::{
    disk::{self, Sync},
    error::Error,
    layout::Store,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Work and the time it took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Units that the stages of a kind count: samples, steps, prompts.
    pub units: f64,
    /// Seconds of one worker.
    pub seconds: f64,
}

impl Measured {
    /// Units in a second; `None` before anything was measured.
    pub fn rate(self) -> Option<f64> {
        (self.units > 0.0 && self.seconds > 0.0).then(|| self.units / self.seconds)
    }
}

/// Measurements by kind of stage.
pub type Rates = BTreeMap<String, Measured>;

impl Store {
    /// What was measured so far. A file that cannot be parsed counts as none: it holds nothing that
    /// the next run does not measure again.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn rates(&self) -> Result<Rates, Error> {
        let bytes = disk::read(&self.path().join("rates.json"))?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default())
    }

    /// Adds measurements. What was known before counts half, so that the newest weigh most.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add_rates(&self, measured: &Rates) -> Result<(), Error> {
        if measured.is_empty() {
            return Ok(());
        }
        let held = self.lock_whole("rates.lock")?;
        let mut rates = self.rates()?;
        for (kind, new) in measured {
            let known = rates.entry(kind.clone()).or_default();
            known.units = known.units / 2.0 + new.units;
            known.seconds = known.seconds / 2.0 + new.seconds;
        }
        let text = serde_json::to_vec_pretty(&rates).expect("rates are plain data");
        disk::replace(&self.path().join("rates.json"), &text, Sync::Later)?;
        drop(held);
        Ok(())
    }
}
