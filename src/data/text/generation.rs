//! How a checkpoint generates where nobody says otherwise: `generation_config.json`.

use crate::data::settings::{Settings, SettingsError};
use serde_json::Value;

/// What the file sets; the rest is left to who generates.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GenerationDefaults {
    /// Ids that end a response.
    pub end: Vec<u32>,
    /// The id that fills up a batch.
    pub padding: Option<u32>,
    /// The id that begins a text.
    pub begin: Option<u32>,
    /// Whether tokens are drawn rather than the likeliest taken.
    pub sample: Option<bool>,
    /// The temperature.
    pub temperature: Option<f64>,
    /// The share of probability that is drawn from.
    pub top_p: Option<f64>,
    /// How many tokens are drawn from at most; 0 is all.
    pub top_k: Option<u64>,
    /// What the probability of a token that was there is divided by.
    pub repetition_penalty: Option<f64>,
    /// Tokens of a response at most.
    pub max_new_tokens: Option<u64>,
}

impl GenerationDefaults {
    /// Reads the file.
    ///
    /// # Errors
    /// [`SettingsError::Wrong`].
    pub fn new(settings: &Settings) -> Result<Self, SettingsError> {
        const IDS: std::ops::RangeInclusive<u64> = 0..=u32::MAX as u64;
        let id = |field: &str| Ok(settings.count(field, IDS)?.map(|id| id as u32));
        let end = match settings.get("eos_token_id") {
            None => Vec::new(),
            Some(value) => {
                let one = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
                let ids: Option<Vec<u32>> = match value {
                    Value::Array(ids) => ids.iter().map(one).collect(),
                    single => one(single).map(|id| vec![id]),
                };
                ids.ok_or_else(|| settings.wrong("eos_token_id", "an id or several", value))?
            }
        };
        Ok(Self {
            end,
            padding: id("pad_token_id")?,
            begin: id("bos_token_id")?,
            sample: settings.flag("do_sample")?,
            temperature: settings.number("temperature")?,
            top_p: settings.number("top_p")?,
            top_k: settings.count("top_k", IDS)?,
            repetition_penalty: settings.number("repetition_penalty")?,
            max_new_tokens: settings.count("max_new_tokens", IDS)?,
        })
    }
}
