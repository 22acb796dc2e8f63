//! Reading `config.json`: keys with their full names in every error, in old and new spellings.

use crate::engine::nn::mlp::Activation;
use serde::Deserialize as _;
use serde_json::Value;

/// Larger sizes than any model has are mistakes, and their products would overflow.
pub(super) const LARGEST: i64 = 1 << 24;
/// More layers than any model has.
pub(super) const MOST_LAYERS: i64 = 1024;
/// Pixels or patches along a side.
const LONGEST_SIDE: i64 = 1 << 12;

/// A configuration that no model can have.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// A size or count below 1.
    #[error("`{key}` must be at least 1, found {value}")]
    TooSmall {
        /// The key.
        key: String,
        /// Its value.
        value: i64,
    },
    /// A size that has to be a multiple of another.
    #[error("`{key}` ({value}) must be a multiple of `{of}` ({divisor})")]
    NotDivisible {
        /// The key.
        key: String,
        /// Its value.
        value: i64,
        /// The key of the divisor.
        of: String,
        /// The divisor.
        divisor: i64,
    },
    /// A token id outside the vocabulary.
    #[error("`{key}` ({value}) is outside the vocabulary of {vocabulary}")]
    Token {
        /// The key.
        key: String,
        /// Its value.
        value: i64,
        /// Number of token ids.
        vocabulary: i64,
    },
    /// A head of its own, which this architecture does not have.
    #[error("`tie_word_embeddings` must be true")]
    Untied,
    /// A key without a default that is not there.
    #[error("`{key}` is missing")]
    Missing {
        /// The key.
        key: String,
    },
    /// A value of the wrong type.
    #[error("`{key}` must be {expected}, found {found}")]
    Type {
        /// The key.
        key: String,
        /// What it has to be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// A value that is right and not supported.
    #[error("`{key}` is {found}: only {supported} can be computed")]
    Unsupported {
        /// The key.
        key: String,
        /// Its value.
        found: String,
        /// What is supported.
        supported: &'static str,
    },
}

/// A table of a configuration.
#[derive(Clone, Debug)]
pub(super) struct Keys<'v> {
    value: &'v Value,
    prefix: String,
}

impl<'v> Keys<'v> {
    pub(super) fn new(value: &'v Value) -> Self {
        Self { value, prefix: String::new() }
    }

    pub(super) fn name(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// A value that is there; null is not.
    fn get(&self, key: &str) -> Option<&'v Value> {
        self.value.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    fn of_type<T>(
        &self,
        key: &str,
        expected: &'static str,
        read: impl FnOnce(&'v Value) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let found = || {
            let mut text = value.to_string();
            if text.len() > 60 {
                text = text.chars().take(57).collect::<String>() + "...";
            }
            ConfigError::Type { key: self.name(key), expected, found: text }
        };
        read(value).map(Some).ok_or_else(found)
    }

    pub(super) fn missing(&self, key: &str) -> ConfigError {
        ConfigError::Missing { key: self.name(key) }
    }

    pub(super) fn unsupported(&self, key: &str, supported: &'static str) -> ConfigError {
        let found = self.get(key).map(Value::to_string).unwrap_or_default();
        ConfigError::Unsupported { key: self.name(key), found, supported }
    }

    /// A table, by the first of its names that is there.
    pub(super) fn table(&self, names: &[&str]) -> Result<Option<Self>, ConfigError> {
        for key in names {
            let table = self.of_type(key, "a table", |value| value.is_object().then_some(value))?;
            if let Some(value) = table {
                return Ok(Some(Self { value, prefix: format!("{}.", self.name(key)) }));
            }
        }
        Ok(None)
    }

    pub(super) fn integer(&self, key: &str) -> Result<Option<i64>, ConfigError> {
        self.of_type(key, "an integer", Value::as_i64)
    }

    /// A size or count; without a default it has to be there.
    pub(super) fn size(
        &self,
        key: &str,
        default: impl Into<Option<i64>>,
    ) -> Result<i64, ConfigError> {
        let value = self.integer(key)?.or(default.into()).ok_or_else(|| self.missing(key))?;
        match value {
            ..1 => Err(ConfigError::TooSmall { key: self.name(key), value }),
            1..=LARGEST => Ok(value),
            _ => {
                let expected = "at most 2^24";
                Err(ConfigError::Type { key: self.name(key), expected, found: value.to_string() })
            }
        }
    }

    /// The side of a square, written as one number or as two equal ones.
    pub(super) fn side(&self, key: &str, default: i64) -> Result<i64, ConfigError> {
        let side = match self.get(key).is_some_and(Value::is_array) {
            false => self.size(key, default)?,
            true => match self.integers(key)?.as_deref() {
                Some(&[height, width]) if height == width => height,
                _ => return Err(self.unsupported(key, "a square")),
            },
        };
        match (1..=LONGEST_SIDE).contains(&side) {
            true => Ok(side),
            false => Err(self.unsupported(key, "1 to 4096 pixels")),
        }
    }

    pub(super) fn number(&self, key: &str, default: f64) -> Result<f64, ConfigError> {
        Ok(self.of_type(key, "a number", Value::as_f64)?.unwrap_or(default))
    }

    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, ConfigError> {
        self.of_type(key, "true or false", Value::as_bool)
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&'v str>, ConfigError> {
        self.of_type(key, "a string", Value::as_str)
    }

    /// Whether a value is this text, or a number written so, or not there.
    pub(super) fn is_or_absent(&self, key: &str, wanted: &str) -> bool {
        match self.get(key) {
            None => true,
            Some(Value::String(text)) => text == wanted,
            Some(Value::Number(number)) => number.to_string() == wanted,
            Some(_) => false,
        }
    }

    pub(super) fn integers(&self, key: &str) -> Result<Option<Vec<i64>>, ConfigError> {
        self.of_type(key, "a list of integers", |value| {
            value.as_array()?.iter().map(Value::as_i64).collect()
        })
    }

    pub(super) fn numbers(&self, key: &str) -> Result<Option<Vec<f64>>, ConfigError> {
        self.of_type(key, "a list of numbers", |value| {
            value.as_array()?.iter().map(Value::as_f64).collect()
        })
    }

    /// A token id of a vocabulary.
    pub(super) fn token(
        &self,
        key: &str,
        default: Option<i64>,
        vocabulary: i64,
    ) -> Result<i64, ConfigError> {
        let value = self.integer(key)?.or(default).ok_or_else(|| self.missing(key))?;
        match (0..vocabulary).contains(&value) {
            true => Ok(value),
            false => Err(ConfigError::Token { key: self.name(key), value, vocabulary }),
        }
    }

    /// An activation, by Hugging Face's names.
    pub(super) fn activation(
        &self,
        key: &str,
        default: Activation,
    ) -> Result<Activation, ConfigError> {
        let Some(value) = self.get(key) else { return Ok(default) };
        let supported = "`gelu`, `gelu_pytorch_tanh` or `quick_gelu`";
        Activation::deserialize(value).map_err(|_| self.unsupported(key, supported))
    }

    /// A number of layers, which is never large.
    pub(super) fn layers(&self, key: &str, default: i64) -> Result<usize, ConfigError> {
        match self.size(key, default)? {
            layers @ 1..=MOST_LAYERS => Ok(layers as usize),
            layers => {
                let (expected, found) = ("at most 1024", layers.to_string());
                Err(ConfigError::Type { key: self.name(key), expected, found })
            }
        }
    }

    /// Fails unless `value` is a multiple of `divisor`.
    pub(super) fn divisible(
        &self,
        (key, value): (&str, i64),
        (of, divisor): (&str, i64),
    ) -> Result<(), ConfigError> {
        match value % divisor {
            0 => Ok(()),
            _ => {
                let (key, of) = (self.name(key), of.to_owned());
                Err(ConfigError::NotDivisible { key, value, of, divisor })
            }
        }
    }
}
