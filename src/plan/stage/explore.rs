//! `explore`: draws rollouts from a policy for a slice of the prompts. With the port `rollouts` only
//! for those prompts of the slice that have no right response there; those rollouts come along.

use super::Calls;
use crate::recipe::Dtype;
use serde::{Deserialize, Serialize};

pub(super) const BEHAVIOUR: u32 = 1;

/// Prompts in a shard: enough to fill a batch with their samples, few enough that a killed run
/// loses little.
const SHARD_PROMPTS: u64 = 512;

/// Options of `explore`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explore {
    /// Index of the slice's first prompt among the labelled ones.
    pub from: u64,
    /// Prompts in the slice; it goes on at the beginning when it reaches the end.
    pub count: u64,
    /// Labelled prompts in all.
    pub labelled: u64,
    /// Responses for each prompt.
    pub samples: u32,
    /// Temperature of the draw; 0 is greedy.
    pub temperature: f64,
    /// Nucleus; 1 for all tokens.
    pub top_p: f64,
    /// Most probable tokens; 0 for all.
    pub top_k: u32,
    /// Share of the most probable token's probability; 0 for all.
    pub min_p: f64,
    /// Longest response in tokens.
    pub max_new_tokens: u32,
    /// Whether the gold answer is shown as a hint.
    pub hint: bool,
    /// Type of the weights.
    pub dtype: Dtype,
    /// Seed of the draw.
    pub seed: u64,
    /// What it calls of the script.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Calls>,
}

impl Explore {
    /// See [`super::Stage::shards`].
    pub fn shards(&self) -> u64 {
        self.count.div_ceil(SHARD_PROMPTS).max(1)
    }

    /// Indices, among the labelled prompts, of those in a shard.
    pub fn shard(&self, shard: u64) -> Vec<u64> {
        let begin = shard * SHARD_PROMPTS;
        let end = (begin + SHARD_PROMPTS).min(self.count);
        (begin..end).map(|index| (self.from + index) % self.labelled.max(1)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_cover_the_slice_once_and_wrap_around() {
        let options = Explore {
            from: 900,
            count: 1200,
            labelled: 1500,
            samples: 1,
            temperature: 1.0,
            top_p: 1.0,
            top_k: 0,
            min_p: 0.0,
            max_new_tokens: 8,
            hint: false,
            dtype: Dtype::Fp32,
            seed: 0,
            hooks: None,
        };
        let all: Vec<u64> = (0..options.shards()).flat_map(|shard| options.shard(shard)).collect();
        let expected: Vec<u64> = (900..1500).chain(0..600).collect();
        assert_eq!(all, expected);
    }
}
