//! One question about some pictures, outside any run.

use super::failure::{failed, failure};
use super::policy::{Policy, seen};
use crate::base::{Failure, Seed};
use crate::data::{Template, checkpoint};
use crate::engine::{
    self, DeviceChoice, Pixels, Precision, Prompt, Sampling, Settings, Weights, generate,
};
use crate::run::Stop;
use image::RgbImage;
use std::fs;
use std::path::PathBuf;

/// What is asked, and of whom.
pub struct Question {
    /// The model's name, for messages and for `builtin:` models.
    pub model: String,
    /// The folder of another checkpoint.
    pub checkpoint: Option<PathBuf>,
    /// The question.
    pub text: String,
    /// Pictures as PNG.
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

/// Asks.
///
/// # Errors
/// When the model, a picture, the question or the device cannot be used.
pub fn ask(question: &Question) -> Result<Answered, Failure> {
    answer(question).map_err(|stop| match stop {
        Stop::Failed(failure) => failure,
        other => Failure { reason: format!("{other:?}"), hint: None },
    })
}

fn answer(question: &Question) -> Result<Answered, Stop> {
    if question.text.trim().is_empty() {
        return Err(failure("the question is empty", "write one, such as \"bar red + blue ?\""));
    }
    let device: DeviceChoice = question.device.parse().map_err(failed)?;
    let policy = load(question, device.open().map_err(failed)?)?;
    let (mut pixels, mut image_tokens) = (Pixels::none(), 0);
    for bytes in &question.images {
        let image = image::load_from_memory(bytes).map_err(|error| {
            failure(format!("a picture cannot be read: {error}"), "give a PNG file")
        })?;
        let image: RgbImage = image.into_rgb8();
        let picture = seen(&image);
        image_tokens += policy.model.image_tokens(picture.sizes()).ok_or_else(|| {
            let (width, height) = image.dimensions();
            let reason = format!("a picture has {width} x {height} pixels");
            let hint = format!("`{}` sees {}", question.model, policy.model.image_sizes());
            failure(reason, hint)
        })?;
        pixels.extend(&picture);
    }
    let template = Template { image_tokens, ..policy.template };
    let tokens = template.prompt(&policy.tokenizer, &question.text).map_err(failed)?;
    let prompt_tokens: Vec<i64> = tokens.into_iter().map(i64::from).collect();
    let prompt = Prompt { id: 0, tokens: prompt_tokens.clone(), pixels };
    let stop = [i64::from(policy.template.end)];
    let settings = Settings {
        samples: 1,
        first_sample: 0,
        sampling: Sampling::at(question.temperature, question.max_new_tokens as usize, &stop),
        seed: Seed(question.seed),
        slots: 1,
    };
    let generated = generate(&policy.model, &[prompt], &settings, &mut |_| {}, &|| false);
    let generated = generated.map_err(failed)?;
    let tokens = generated.responses.into_iter().next().map(|response| response.tokens);
    let tokens = tokens.unwrap_or_default();
    let ids: Vec<u32> = tokens.iter().map(|&token| token as u32).collect();
    let text = policy.tokenizer.decode(&ids).map_err(failed)?;
    Ok(Answered { prompt_tokens, tokens, text })
}

fn load(question: &Question, device: engine::Device) -> Result<Policy, Stop> {
    if let Some(folder) = &question.checkpoint {
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read(&path).map_err(|error| {
                let reason = format!("`{}` cannot be read: {error}", path.display());
                failure(reason, "a checkpoint has model.safetensors, config.json, tokenizer.json")
            })
        };
        let config = String::from_utf8_lossy(&read("config.json")?).into_owned();
        let tokenizer = read("tokenizer.json")?;
        let weights = Weights::open(folder, Precision::F32, device).map_err(failed)?;
        return Policy::of_parts(weights, &config, tokenizer);
    }
    let Some(shipped) = checkpoint::shipped(&question.model) else {
        let reason = format!("no model is called `{}`", question.model);
        return Err(failure(reason, "`builtin:mini-vlm`, a folder, or the name of a run"));
    };
    let weights = Weights::from_bytes(shipped.weights, &question.model, Precision::F32, device)
        .map_err(failed)?;
    Policy::of_parts(weights, shipped.config, shipped.tokenizer.to_vec())
}
