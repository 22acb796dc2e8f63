//! What a test gives, read and completed: its sample, its right answer, its response.

use super::Case;
use crate::{
    base::{Fault, Seed, Source},
    data::{
        Sample, checkpoint,
        mini_vista::{MiniVista, POOL_ONE_OPERATION, Stream},
    },
    recipe::{Recipe, WrittenTrial, builtin_sample},
};
use image::RgbImage;
use serde::Deserialize;

/// The texts of the files that a test names.
#[derive(Clone, Debug, Default)]
pub struct Files {
    /// That of `sample`, where it is no built-in one.
    pub sample: Option<Source>,
    /// `sample` itself, where it is one of the recipe's files of data.
    pub of_files: Option<Sample>,
    /// That of `response_file`.
    pub response: Option<Source>,
}

/// A sample in a file of JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SampleFile {
    question: String,
    #[serde(default)]
    category: String,
    answer: Option<String>,
}

/// Makes a test ready to be tried.
///
/// # Errors
/// `unknown-sample` when the recipe has no such sample or its file holds none, and `incomplete-test`
/// when there is no right answer to compare with.
pub fn prepare(written: &WrittenTrial, recipe: &Recipe, files: &Files) -> Result<Case, Fault> {
    let trial = &written.trial;
    let mut sample = sample(written, recipe, files)?;
    if let Some(gold) = &trial.gold {
        sample.answer = Some(gold.clone());
    }
    let expects_right = trial.expect.correct.is_some();
    if sample.answer.is_none() && (expects_right || !trial.candidate.is_empty()) {
        let key = if expects_right { "expect.correct" } else { "candidate" };
        let message = "there is no right answer to compare with".to_owned();
        return Err(written.fault("incomplete-test", key, message, "write `gold = \"…\"`"));
    }
    let file = files.response.as_ref().map(|file| {
        let text = &*file.text;
        let text = text.strip_suffix('\n').unwrap_or(text);
        text.strip_suffix('\r').unwrap_or(text).to_owned()
    });
    let response = trial.response.clone().or(file);
    Ok(Case { written: written.clone(), sample, response })
}

fn sample(written: &WrittenTrial, recipe: &Recipe, files: &Files) -> Result<Sample, Fault> {
    let trial = &written.trial;
    let unknown =
        |message: String, hint: &str| written.fault("unknown-sample", "sample", message, hint);
    let of_parts = |category: String, question: String, answer: Option<String>| Sample {
        id: 0,
        category,
        question,
        prompt: None,
        answer,
        // No function of a script is shown the picture.
        images: vec![RgbImage::new(1, 1)],
    };
    if let Some(sample) = &files.of_files {
        return Ok(sample.clone());
    }
    if let Some(file) = &files.sample {
        let read: SampleFile = serde_json::from_str(&file.text).map_err(|error| {
            let hint = "write `{ \"question\": \"…\", \"category\": \"…\", \"answer\": \"…\" }`";
            unknown(format!("`{}` holds no sample: {error}", file.name), hint)
        })?;
        return Ok(of_parts(read.category, read.question, read.answer));
    }
    let Some((split, number)) = trial.sample.as_deref().and_then(builtin_sample) else {
        let text = |part: &Option<String>| part.clone().unwrap_or_default();
        return Ok(of_parts(text(&trial.category), text(&trial.question), None));
    };
    let data = &recipe.data;
    let (stream, count) = match split {
        "train" if data.prompts == 0 => (Stream::Train, checkpoint::DEFAULT_PROMPTS),
        "train" => (Stream::Train, data.prompts),
        "validation" => (Stream::Validation, data.validation),
        _ => (Stream::Test, data.test),
    };
    if number >= count {
        let message = format!("there is no sample {number} among the {count} of `{split}`");
        let hint = match count {
            0 => "the recipe has none of them: name another split".to_owned(),
            _ => format!("they are numbered from 0 to {}", count - 1),
        };
        return Err(unknown(message, &hint));
    }
    Ok(MiniVista::new(Seed(data.seed), POOL_ONE_OPERATION).sample(stream, number))
}
