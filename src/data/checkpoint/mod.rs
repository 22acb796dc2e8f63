//! Checkpoints: those that are shipped inside the program with what is known of their training, and
//! the small files that any checkpoint has beside its weights.

mod companions;

pub use companions::Companions;

use crate::base::Digest;

/// Training prompts of the embedded task when a recipe does not say how many.
pub const DEFAULT_PROMPTS: u64 = 24_000;

/// Worked examples that the shipped base was trained on: `pretraining.reasoning.samples` of
/// `recipes/base.toml`.
pub const DEMONSTRATIONS: u64 = 400;

/// A checkpoint as files in memory, in the Hugging Face layout.
#[derive(Clone, Copy, Debug)]
pub struct Checkpoint {
    /// `model.safetensors`.
    pub weights: &'static [u8],
    /// `config.json`.
    pub config: &'static str,
    /// `tokenizer.json`.
    pub tokenizer: &'static [u8],
}

impl Checkpoint {
    /// What it has beside its weights.
    pub fn companions(&self) -> Companions {
        let files = [("config.json", self.config.as_bytes()), ("tokenizer.json", self.tokenizer)];
        Companions::of(files.map(|(name, bytes)| (name, bytes.to_vec())))
    }

    /// Digest of all of it.
    pub fn digest(&self) -> Digest {
        let parts = [self.weights, self.config.as_bytes(), self.tokenizer];
        let digests: String = parts.map(|part| Digest::of(part).to_string()).concat();
        Digest::of(digests.as_bytes())
    }
}

/// The base model of the embedded task, made by `recipes/base.toml`.
static MINI_VLM: Checkpoint = Checkpoint {
    weights: include_bytes!("../mini_vlm/model.safetensors"),
    config: include_str!("../mini_vlm/config.json"),
    tokenizer: crate::data::mini_vista::TOKENIZER_JSON,
};

/// The checkpoint that a recipe calls `builtin:…`.
pub fn shipped(name: &str) -> Option<Checkpoint> {
    (name == "builtin:mini-vlm").then_some(MINI_VLM)
}
