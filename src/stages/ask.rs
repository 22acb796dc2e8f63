//! One question about some pictures, outside any run.

use super::failure::{failed, failure};
use super::policy::{Asked, Policy};
use crate::base::{Failure, Seed};
use crate::data::checkpoint;
use crate::data::loaders::CheckpointFolder;
use crate::data::picture::{PictureLimits, decode};
use crate::engine::{self, DeviceChoice, Precision, Prompt, Sampling, Settings, Weights, stream};
use crate::run::Stop;
use image::RgbImage;
use std::path::PathBuf;

/// What is asked, and of whom.
pub struct Question {
    /// The model's name, for messages and for `builtin:` models.
    pub model: String,
    /// The folder of another checkpoint.
    pub checkpoint: Option<PathBuf>,
    /// The question.
    pub text: String,
    /// The files of pictures.
    pub images: Vec<Vec<u8>>,
    /// Pixels of a picture at most; 0 for as many as the checkpoint says.
    pub image_pixels: u64,
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
    answer(question, hear).map_err(|stop| match stop {
        Stop::Failed(failure) => failure,
        other => Failure { reason: format!("{other:?}"), hint: None },
    })
}

fn answer(question: &Question, hear: &mut dyn FnMut(&str)) -> Result<Answered, Stop> {
    if question.text.trim().is_empty() {
        return Err(failure("the question is empty", "write one, such as \"bar red + blue ?\""));
    }
    let device: DeviceChoice = question.device.parse().map_err(failed)?;
    let policy = load(question, device.open().map_err(failed)?)?;
    let pictures: Vec<RgbImage> = question
        .images
        .iter()
        .map(|bytes| decode(bytes, &PictureLimits::default()).map_err(failed))
        .collect::<Result<_, _>>()?;
    let seen: Vec<&RgbImage> = pictures.iter().collect();
    let Asked { tokens, pixels } = policy.asked(&question.text, &seen).map_err(failed)?;
    for size in pixels.sizes() {
        if policy.model.image_tokens(*size).is_none() {
            let reason = format!("a picture has {} x {} pixels", size.width, size.height);
            let hint = format!("`{}` sees {}", question.model, policy.model.image_sizes());
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

fn load(question: &Question, device: engine::Device) -> Result<Policy, Stop> {
    let precision = Precision::F32;
    if let Some(path) = &question.checkpoint {
        let folder = CheckpointFolder::open(path).map_err(failed)?;
        let companions = folder.companions().map_err(failed)?.seen_within(question.image_pixels);
        let weights = Weights::open(path, precision, device).map_err(failed)?;
        return Policy::of_parts(weights, companions);
    }
    let Some(shipped) = checkpoint::shipped(&question.model) else {
        let reason = format!("no model is called `{}`", question.model);
        return Err(failure(reason, "`builtin:mini-vlm`, a folder, or the name of a run"));
    };
    let weights = Weights::from_bytes(shipped.weights, &question.model, precision, device);
    Policy::of_parts(weights.map_err(failed)?, shipped.companions())
}
