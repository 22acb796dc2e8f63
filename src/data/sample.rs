//! A question about pictures, and, kept apart from it, the reasoning that is known to be right and
//! the answers that are hidden.

use image::RgbImage;

/// What stands in a question where a picture of it belongs.
pub const PLACE: &str = "<image>";

/// A question about pictures, with the answer that a reward compares with, where it may be seen.
///
/// Whoever wants an answer says what is done where there is none:
///
/// ```compile_fail
/// fn reward(answer: &str, sample: &mstar::data::Sample) -> bool {
///     let gold: &str = &sample.answer;
///     answer == gold
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample<I = Vec<RgbImage>> {
    /// Unique within its source, over all streams and splits; below 2^53.
    pub id: u64,
    /// What accuracies are broken down by, such as `FQA`.
    pub category: String,
    /// The question alone, without a template around it. It has a [`PLACE`] for each picture, or none:
    /// then the pictures come first.
    pub question: String,
    /// What the policy is asked instead of the question, where a script says so; no part of tables.
    pub prompt: Option<String>,
    /// The gold answer; none where it is hidden.
    pub answer: Option<String>,
    /// The pictures in their order, 8 bits a channel, or what stands for them; there may be none.
    pub images: I,
}

impl<I> Sample<I> {
    /// What the policy is asked.
    pub fn asked(&self) -> &str {
        self.prompt.as_deref().unwrap_or(&self.question)
    }

    /// The same sample with something else in place of its pictures.
    pub fn with_images<J>(self, images: J) -> Sample<J> {
        let Self { id, category, question, prompt, answer, .. } = self;
        Sample { id, category, question, prompt, answer, images }
    }
}

/// The pictures of a sample, or what stands for them.
pub trait Pictures: Clone {
    /// How many there are.
    fn count(&self) -> usize;
}

impl Pictures for Vec<RgbImage> {
    fn count(&self) -> usize {
        self.len()
    }
}

/// The answer of an unlabelled prompt.
///
/// It lies in an artifact of its own, which only a selection with the oracle and what measures
/// agreement for reports have a port for. It is no part of a [`Sample`], and nothing makes one of it:
///
/// ```compile_fail
/// fn see(mut sample: mstar::data::Sample, hidden: mstar::data::HiddenAnswer) {
///     sample.answer = Some(hidden);
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HiddenAnswer {
    /// The prompt's id.
    pub prompt: u64,
    /// The gold answer.
    pub answer: String,
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
