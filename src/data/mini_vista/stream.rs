//! The streams that samples are drawn from, and why no picture is in two of them.
//!
//! Each stream has its own seed, which makes a shared picture improbable. What makes it impossible
//! is a mark: the sum of a picture's bytes, modulo 8, is the code of its stream. The painter raises
//! up to seven bytes by one to get there, far below the noise, and the same for every category and
//! answer. So a test picture is in no other stream, under no data seed, whatever was drawn. What may
//! well be in two streams is a question, and the drawn objects without their noise: a rectangle of
//! 3 x 4 is found in all of them, as in any data set that is split at random.

use serde::{Deserialize, Serialize};

/// What a sample is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stream {
    /// The prompts that an evolving policy is trained on.
    Train,
    /// What choices are made on.
    Validation,
    /// What is read at the end.
    Test,
    /// The few questions with reasoning that the base model is trained on.
    Demonstrations,
    /// The pictures that the base model learns to name objects in.
    Captions,
}

impl Stream {
    /// All streams.
    pub const ALL: [Self; 5] =
        [Self::Train, Self::Validation, Self::Test, Self::Demonstrations, Self::Captions];

    /// Bytes of a picture sum up to this modulo [`Self::CODES`]; also the upper part of an id.
    pub(super) fn code(self) -> u32 {
        match self {
            Self::Train => 0,
            Self::Validation => 1,
            Self::Test => 2,
            Self::Demonstrations => 3,
            Self::Captions => 4,
        }
    }

    /// How many codes there are room for.
    pub(super) const CODES: u32 = 8;

    /// What its seed is derived with; a part of every sample's identity, so it never changes.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
            Self::Demonstrations => "demonstrations",
            Self::Captions => "captions",
        }
    }
}
