//! One question about some pictures, outside any run.

use super::failure::{as_failure, failed, failure};
use super::named::NamedModel;
use super::policy::Asked;
use crate::base::{Failure, Seed};
use crate::data::picture::{PictureLimits, decode};
use crate::engine::{DeviceChoice, Prompt, Sampling, Settings, stream};
use crate::run::Stop;
use image::RgbImage;

/// What is asked, and of whom.
pub struct Question {
    /// The model.
    pub model: NamedModel,
    /// The question.
    pub text: String,
    /// The files of pictures.
    pub images: Vec<Vec<u8>>,
    /// Temperature; 0 is greedy.
    pub temperature: f64,
    /// Longest response in tokens.
    pub max_new_tokens: u32,
    /// Seed of the draw.
    pub seed: u64,
    /// Where to compute.
    pub device: String,
}

/// What is answered.
pub struct Answered {
    /// Tokens of the prompt, with placeholders where pictures stand.
    pub prompt_tokens: Vec<i64>,
    /// Tokens of the response, its end included.
    pub tokens: Vec<i64>,
    /// The response.
    pub text: String,
}

/// Asks; `hear` is given the response piece by piece, as it is drawn.
///
/// # Errors
/// When the model, a picture, the question or the device cannot be used.
pub fn ask(question: &Question, hear: &mut dyn FnMut(&str)) -> Result<Answered, Failure> {
    answer(question, hear).map_err(as_failure)
}

fn answer(question: &Question, hear: &mut dyn FnMut(&str)) -> Result<Answered, Stop> {
    if question.text.trim().is_empty() {
        return Err(failure("the question is empty", "write one, such as \"bar red + blue ?\""));
    }
    let device: DeviceChoice = question.device.parse().map_err(failed)?;
    let policy = question.model.load(device.open().map_err(failed)?)?;
    let pictures: Vec<RgbImage> = question
        .images
        .iter()
        .map(|bytes| decode(bytes, &PictureLimits::default()).map_err(failed))
        .collect::<Result<_, _>>()?;
    let seen: Vec<&RgbImage> = pictures.iter().collect();
    let Asked { tokens, pixels } = policy.asked(&question.text, &seen).map_err(failed)?;
    for images in pixels.pictures() {
        if policy.model.image_tokens(images).is_none() {
            let sizes = images.iter().map(|size| format!("{} x {}", size.width, size.height));
            let sizes: Vec<String> = sizes.collect();
            let reason = format!("a picture has {} pixels", sizes.join(" and "));
            let hint = format!("`{}` sees {}", question.model.name, policy.model.image_sizes());
            return Err(failure(reason, hint));
        }
    }
    let longest = question.max_new_tokens as usize;
    let settings = Settings {
        samples: 1,
        first_sample: 0,
        sampling: Sampling::at(question.temperature, longest, &policy.ends()),
        seed: Seed(question.seed),
        slots: 1,
    };
    let prompt = Prompt { id: 0, tokens: tokens.clone(), pixels };
    let (mut drawn, mut told): (Vec<u32>, usize) = (Vec::new(), 0);
    let tokenizer = policy.dialect.tokenizer();
    let mut listen = |token: i64| {
        drawn.push(token as u32);
        // A character may take several tokens: what ends in half of one waits for the rest.
        let text = tokenizer.decode(&drawn).unwrap_or_default();
        if let Some(new) = text.get(told..).filter(|new| !new.ends_with('\u{fffd}')) {
            hear(new);
            told = text.len();
        }
    };
    let answered = stream(&policy.model, prompt, &settings, &mut listen).map_err(failed)?;
    let text = policy.text(&drawn)?;
    hear(text.get(told..).unwrap_or_default());
    Ok(Answered { prompt_tokens: tokens, tokens: answered, text })
}
