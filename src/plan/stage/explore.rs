//! `explore`: draws rollouts from a policy for a slice of the prompts. With the port `rollouts` only
//! for those prompts of the slice that have no right response there; those rollouts come along.

use super::{Calls, Drawn};
use crate::recipe::Dtype;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) const BEHAVIOUR: u32 = 2;

/// Prompts in a shard: enough to fill a batch with their samples, few enough that a killed run
/// loses little.
const SHARD_PROMPTS: u64 = 512;

/// Options of `explore`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Explore {
    /// Index of the slice's first prompt among the labelled ones.
    pub from: u64,
    /// Prompts in the slice; it goes on at the beginning when it reaches the end.
    pub count: u64,
    /// Labelled prompts in all.
    pub labelled: u64,
    /// The slice of the unlabelled prompts that is explored too; none for labelled ones alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unlabelled: Option<Unlabelled>,
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
    /// How the search drew whose responses are taken over, where they are; by the port `search`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub searched: Vec<Drawn>,
    /// Type of the weights.
    pub dtype: Dtype,
    /// Seed of the draw.
    pub seed: u64,
    /// What it calls of the script.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Calls>,
}

/// A slice of the unlabelled prompts, which come after the labelled ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unlabelled {
    /// Index of the slice's first prompt among the unlabelled ones.
    pub from: u64,
    /// Prompts in the slice; it goes on at the beginning when it reaches the end.
    pub count: u64,
    /// Unlabelled prompts in all.
    pub of: u64,
}

impl Explore {
    /// See [`super::Stage::shards`].
    pub fn shards(&self) -> u64 {
        self.prompts().div_ceil(SHARD_PROMPTS).max(1)
    }

    /// Prompts that are explored.
    pub fn prompts(&self) -> u64 {
        self.count + self.unlabelled.map_or(0, |unlabelled| unlabelled.count)
    }

    /// Indices, among the training prompts, of those in a shard: labelled ones, then unlabelled ones.
    pub fn shard(&self, shard: u64) -> Vec<u64> {
        let begin = shard * SHARD_PROMPTS;
        let end = (begin + SHARD_PROMPTS).min(self.prompts());
        (begin..end).map(|index| self.prompt(index)).collect()
    }

    fn prompt(&self, index: u64) -> u64 {
        match self.unlabelled {
            Some(unlabelled) if index >= self.count => {
                let index = unlabelled.from + index - self.count;
                self.labelled + index % unlabelled.of.max(1)
            }
            _ => (self.from + index) % self.labelled.max(1),
        }
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
            unlabelled: None,
            samples: 1,
            temperature: 1.0,
            top_p: 1.0,
            top_k: 0,
            min_p: 0.0,
            max_new_tokens: 8,
            hint: false,
            searched: Vec::new(),
            dtype: Dtype::Fp32,
            seed: 0,
            hooks: None,
        };
        let all: Vec<u64> = (0..options.shards()).flat_map(|shard| options.shard(shard)).collect();
        let expected: Vec<u64> = (900..1500).chain(0..600).collect();
        assert_eq!(all, expected);

        let unlabelled = Some(Unlabelled { from: 90, count: 20, of: 100 });
        let mixed = Explore { unlabelled, ..options };
        let all: Vec<u64> = (0..mixed.shards()).flat_map(|shard| mixed.shard(shard)).collect();
        assert_eq!(all.len() as u64, mixed.prompts());
        let expected: Vec<u64> = expected.into_iter().chain(1590..1600).chain(1500..1510).collect();
        assert_eq!(all, expected);
    }
}
