//! `balance`: chooses the temperature of the next explorations from what a search measured.

use crate::recipe::Maximise;
use serde::{Deserialize, Serialize};

pub(super) const BEHAVIOUR: u32 = 1;

/// Options of `balance`. The port `search` brings a `monitor` with one measurement for each candidate
/// temperature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Balance {
    /// What is maximised.
    pub maximise: Maximise,
    /// The temperature in use when there was no balance before.
    pub initial: f64,
}
