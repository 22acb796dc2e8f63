//! `features`: what the frozen vision tower makes of the pictures of one split, made once for every
//! stage that looks at them.

use super::{Split, Stage, TrainingSet};
use crate::recipe::Dtype;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) const BEHAVIOUR: u32 = 1;

/// The pictures that a stage looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Shown {
    /// Those of the training prompts.
    Train,
    /// Those of the validation prompts.
    Validation,
    /// Those of the test prompts, or of a benchmark.
    Test,
    /// Those of the worked examples that the base model was trained on.
    Demonstrations,
}

impl Shown {
    /// What `prepare` calls the split, such as `train`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
            Self::Demonstrations => "demonstrations",
        }
    }
}

/// Options of `features`. The tower comes in with the base model: no later policy has another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Features {
    /// Whose pictures.
    pub split: Shown,
    /// Type of the weights, and of what is kept.
    pub dtype: Dtype,
}

impl Stage {
    /// The pictures that its model looks at, or `None` where no model does.
    pub fn looks_at(&self) -> Option<Shown> {
        match self {
            Self::Explore(_) | Self::Label(_) | Self::TrainReward(_) | Self::Score(_) => {
                Some(Shown::Train)
            }
            Self::Train(options) => Some(match options.set {
                TrainingSet::Demonstrations => Shown::Demonstrations,
                TrainingSet::Selected | TrainingSet::Given(_) => Shown::Train,
            }),
            Self::Evaluate(options) => Some(match options.split {
                Split::Validation => Shown::Validation,
                Split::Test => Shown::Test,
            }),
            Self::Monitor(options) => Some(match options.slice {
                None => Shown::Validation,
                Some(_) => Shown::Train,
            }),
            Self::Import(_)
            | Self::Hooks(_)
            | Self::Pretrain(_)
            | Self::Prepare(_)
            | Self::Hide(_)
            | Self::Features(_)
            | Self::Select(_)
            | Self::Agreement(_)
            | Self::Balance(_)
            | Self::Stop(_) => None,
        }
    }
}
