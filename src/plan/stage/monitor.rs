//! `monitor`: Pass@K on the validation prompts, the measure of what exploration can still find.

use super::{Calls, Score};
use crate::recipe::Dtype;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) const BEHAVIOUR: u32 = 2;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

/// How tokens are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Drawn {
    /// Temperature; 0 is greedy.
    pub temperature: f64,
    /// Nucleus; 1 for all tokens.
    pub top_p: f64,
    /// Most probable tokens; 0 for all.
    pub top_k: u32,
    /// Share of the most probable token's probability; 0 for all.
    pub min_p: f64,
}

/// A slice of the labelled prompts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Slice {
    /// Index of its first prompt.
    pub from: u64,
    /// Prompts in it; it goes on at the beginning when it reaches the end.
    pub count: u64,
    /// Labelled prompts in all.
    pub labelled: u64,
}

/// Options of `monitor`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Monitor {
    /// Samples for each prompt: K.
    pub samples: u32,
    /// Temperature of the draw.
    pub temperature: f64,
    /// Longest response in tokens.
    pub max_new_tokens: u32,
    /// More temperatures at which the same is measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub temperatures: Vec<f64>,
    /// How it is drawn where more than the temperature varies, in place of both temperatures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub draws: Vec<Drawn>,
    /// Labelled prompts to ask in place of the validation prompts, all with the same noise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slice: Option<Slice>,
    /// Prompts that take part, the first of them; 0 for all.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub prompts: u64,
    /// How a response is scored, with a reward model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<Score>,
    /// Whether the scores are kept, for whoever chooses more than a temperature.
    #[serde(default, skip_serializing_if = "is_false")]
    pub keep_scores: bool,
    /// Whether verifiers are measured: the best of N by score, and votes.
    #[serde(default, skip_serializing_if = "is_false")]
    pub verifiers: bool,
    /// Type of the weights.
    pub dtype: Dtype,
    /// Seed of the draw. The same for all iterations, so that curves are paired.
    pub seed: u64,
    /// What it calls of the script.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Calls>,
}

impl Monitor {
    /// Every way in which it draws, in its order.
    pub fn draws(&self) -> Vec<Drawn> {
        if !self.draws.is_empty() {
            return self.draws.clone();
        }
        let temperatures =
            std::iter::once(self.temperature).chain(self.temperatures.iter().copied());
        let plain = |temperature| Drawn { temperature, top_p: 1.0, top_k: 0, min_p: 0.0 };
        temperatures.map(plain).collect()
    }
}
