//! `select`: chooses which correct responses to train on.

use super::Calls;
use crate::recipe::{self, PseudoAnswer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) const BEHAVIOUR: u32 = 2;

/// Options of `select`. The answer filter always comes first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Select {
    /// Which of the correct responses to a prompt are kept.
    pub rule: recipe::Select,
    /// Drop exact duplicates first.
    pub distinct: bool,
    /// Cap for each prompt, drawn at random; 0 for none.
    pub keep_per_prompt: u32,
    /// Where the answers of unlabelled prompts come from; none where all are labelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pseudo_answer: Option<PseudoAnswer>,
    /// Cap in all, drawn at random; 0 for none.
    pub keep: u64,
    /// Seed of what is drawn at random.
    pub seed: u64,
    /// What it calls of the script.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Calls>,
}
