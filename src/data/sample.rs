//! A question about a picture, and, kept apart from it, the reasoning that is known to be right.

use image::RgbImage;

/// A question about a picture, with the answer that a reward compares with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Unique within its source, over all streams and splits; below 2^53.
    pub id: u64,
    /// What accuracies are broken down by, such as `FQA`.
    pub category: String,
    /// The question alone, without image placeholders or a template around it.
    pub question: String,
    /// The gold answer.
    pub answer: String,
    /// The picture, 8 bits a channel.
    pub image: RgbImage,
}

/// The reasoning that is known to be right for one sample.
///
/// Only figures of a report and tests may read it: a stage that did would train or select on what
/// the method is meant to find by itself. It is therefore not a part of [`Sample`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The sample's id.
    pub id: u64,
    /// Every list of steps that counts as right reasoning.
    pub variants: Vec<Vec<String>>,
    /// Those of the lists that demonstrations are written from.
    pub gold: Vec<Vec<String>>,
}
