//! What `eval` takes.

use super::dtype;
use crate::recipe::Dtype;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Arguments of `eval`.
#[derive(Args, Debug)]
pub(crate) struct Eval {
    /// Ask a model: `builtin:mini-vlm`, a folder with a checkpoint, a model of the hub as `ORG/NAME`, or
    /// the name of a run (its last policy).
    #[arg(required_unless_present = "responses", conflicts_with = "responses")]
    pub(crate) model: Option<String>,
    /// Or score responses that some engine gave: JSON lines with `id` and `response`.
    #[arg(long, value_name = "FILE")]
    pub(crate) responses: Option<PathBuf>,
    /// The benchmark, such as `mathvista/testmini` or `mmstar-r`; as in a recipe, also with where its
    /// files lie: `mathvista:FOLDER`.
    #[arg(long, value_name = "NAME")]
    pub(crate) benchmark: String,
    /// Its questions: a file, or the folder it was fetched into; without it those of the hub.
    #[arg(long, value_name = "FILE|DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Write the model's responses to this file, as `--responses` reads them.
    #[arg(long, value_name = "FILE", requires = "model")]
    pub(crate) save: Option<PathBuf>,
    /// Longest response of the model in tokens.
    #[arg(long, default_value_t = 1024, value_name = "N", requires = "model")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_new_tokens: u32,
    /// Pixels of an image at most; 0 for as many as the checkpoint says.
    #[arg(long, default_value_t = 0, value_name = "N", requires = "model")]
    pub(crate) image_pixels: u64,
    /// Type of the model's weights; without it `fp32`, or for a run what its recipe says.
    #[arg(long, value_parser = dtype(), requires = "model")]
    pub(crate) dtype: Option<Dtype>,
    /// Where the model computes.
    #[arg(long, default_value = "auto", requires = "model")]
    pub(crate) device: String,
    /// Let a model read the answers that the rules do not find: a server that speaks the OpenAI API,
    /// such as `http://localhost:8000/v1`. The key is taken from `OPENAI_API_KEY`.
    #[arg(long, value_name = "URL", requires = "extractor_model")]
    pub(crate) extractor: Option<String>,
    /// What the server calls that model.
    #[arg(long, value_name = "NAME", requires = "extractor")]
    pub(crate) extractor_model: Option<String>,
    /// Count an empty extraction as no answer; MathVista's program takes the nearest choice.
    #[arg(long)]
    pub(crate) ignore_empty_extractions: bool,
    /// Score only questions that have a response; otherwise one without is wrong.
    #[arg(long)]
    pub(crate) partial: bool,
    /// In which form.
    #[arg(long, value_enum, default_value_t = ScoresFormat::Text)]
    pub(crate) format: ScoresFormat,
}

/// Forms of scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScoresFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For notes and pages.
    Markdown,
}
