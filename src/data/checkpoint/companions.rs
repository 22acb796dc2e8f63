//! What a checkpoint has beside its weights: small files, kept byte for byte with every policy that is
//! trained from it, so that each is whole.

use crate::data::settings::{Settings, SettingsError};
use std::collections::BTreeMap;

/// The files by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Companions(BTreeMap<&'static str, Vec<u8>>);

impl Companions {
    /// Every file that is looked for.
    pub const NAMES: [&'static str; 14] = [
        "added_tokens.json",
        "chat_template.jinja",
        "chat_template.json",
        "config.json",
        "generation_config.json",
        "merges.txt",
        Self::OWN,
        "preprocessor_config.json",
        "processor_config.json",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer.model",
        "tokenizer_config.json",
        "vocab.json",
    ];

    /// What mstar has to say of a checkpoint: how pictures are seen in a recipe.
    pub const OWN: &'static str = "mstar.json";

    /// Those that `read` has.
    ///
    /// # Errors
    /// The first that cannot be read.
    pub fn read<E>(
        mut read: impl FnMut(&'static str) -> Result<Option<Vec<u8>>, E>,
    ) -> Result<Self, E> {
        let mut files = BTreeMap::new();
        for name in Self::NAMES {
            if let Some(bytes) = read(name)? {
                files.insert(name, bytes);
            }
        }
        Ok(Self(files))
    }

    /// Given ones.
    pub fn of(files: impl IntoIterator<Item = (&'static str, Vec<u8>)>) -> Self {
        Self(files.into_iter().collect())
    }

    /// One of them.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(Vec::as_slice)
    }

    /// The same with pictures of at most so many pixels; 0 leaves that to the files.
    #[must_use]
    pub fn seen_within(mut self, pixels: u64) -> Self {
        if pixels > 0 {
            let own = format!("{{\"image_pixels\": {pixels}}}\n");
            self.0.insert(Self::OWN, own.into_bytes());
        }
        self
    }

    /// All, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &[u8])> {
        self.0.iter().map(|(name, bytes)| (*name, bytes.as_slice()))
    }

    /// One of them as a JSON object.
    ///
    /// # Errors
    /// [`SettingsError::NotAnObject`].
    pub fn settings(&self, name: &str) -> Result<Option<Settings>, SettingsError> {
        self.get(name).map(|bytes| Settings::from_bytes(name, bytes)).transpose()
    }
}
