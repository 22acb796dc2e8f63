//! `balance`: chooses the temperature of the next explorations from what a search measured, and what
//! is balanced beside it.

use super::{Calls, Drawn};
use crate::recipe::Maximise;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) const BEHAVIOUR: u32 = 1;

/// Options of `balance`. The port `search` brings a `monitor` with one measurement for each candidate
/// temperature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Balance {
    /// What is maximised.
    pub maximise: Maximise,
    /// The temperature in use when there was no balance before.
    pub initial: f64,
    /// What is balanced beside the temperature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub also: Option<Knobs>,
    /// What it calls of the script.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Calls>,
}

/// Candidates of several knobs: every draw of the search with each of these counts and thresholds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Knobs {
    /// How the search drew, in its order.
    pub draws: Vec<Drawn>,
    /// Of the responses to a prompt, the first so many; empty for all.
    pub samples: Vec<u32>,
    /// What is selected scores above these; empty where no threshold is balanced.
    pub thresholds: Vec<f64>,
    /// What is in use when there was no balance before.
    pub initial: Setting,
}

/// What explorations and selections go by when more than a temperature is balanced.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Setting {
    /// How tokens are drawn.
    pub drawn: Drawn,
    /// Responses for each prompt.
    pub samples: u32,
    /// What is selected scores above this; none where the rule knows no threshold.
    pub threshold: Option<f64>,
}

impl Setting {
    /// The values of all knobs, the temperature first: what is near is decided in this order.
    pub fn knobs(&self) -> Vec<f64> {
        let Drawn { temperature, top_p, top_k, min_p } = self.drawn;
        let threshold = self.threshold.unwrap_or(0.0);
        vec![temperature, threshold, top_p, f64::from(top_k), min_p, f64::from(self.samples)]
    }
}

impl Knobs {
    /// Every candidate, those of one draw together. What is not balanced has its initial value.
    pub fn candidates(&self) -> Vec<Setting> {
        let or = |values: &[u32], value: u32| match values {
            [] => vec![value],
            values => values.to_vec(),
        };
        let samples = or(&self.samples, self.initial.samples);
        let thresholds: Vec<Option<f64>> = match self.thresholds.as_slice() {
            [] => vec![self.initial.threshold],
            values => values.iter().copied().map(Some).collect(),
        };
        let mut candidates = Vec::new();
        for &drawn in &self.draws {
            for &samples in &samples {
                let with = |&threshold: &Option<f64>| Setting { drawn, samples, threshold };
                candidates.extend(thresholds.iter().map(with));
            }
        }
        candidates
    }
}
