//! A JSON file of a checkpoint, read field by field: what is absent has the reference's default, what
//! has another type or an impossible value is told with file and field.

use crate::base::Hint;
use serde_json::Value;
use std::ops::RangeInclusive;

/// One JSON object of a checkpoint with the name of its file.
#[derive(Clone, Debug)]
pub struct Settings {
    file: String,
    prefix: String,
    value: Value,
}

/// What is wrong with a file of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// It is not a JSON object.
    #[error("`{file}` is no JSON object: {reason}")]
    NotAnObject {
        /// The file.
        file: String,
        /// What the reader said.
        reason: String,
    },
    /// A field that has no default is not there.
    #[error("`{file}` has no `{field}`; expected {expected}")]
    Missing {
        /// The file.
        file: String,
        /// The field, with dots.
        field: String,
        /// What it should have been.
        expected: String,
    },
    /// A field holds something else than it must.
    #[error("`{field}` of `{file}` is {found}; expected {expected}")]
    Wrong {
        /// The file.
        file: String,
        /// The field, with dots.
        field: String,
        /// What it should have been.
        expected: String,
        /// What it is.
        found: String,
    },
}

impl Hint for SettingsError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotAnObject { file, .. } => format!("copy `{file}` from the checkpoint again"),
            Self::Missing { file, field, .. } => {
                format!("add `{field}` to `{file}`, or copy the file from the checkpoint again")
            }
            Self::Wrong { file, .. } => format!("mend `{file}`, or copy it from the checkpoint"),
        })
    }
}

impl Settings {
    /// Reads the bytes of `file`.
    ///
    /// # Errors
    /// [`SettingsError::NotAnObject`].
    pub fn from_bytes(file: &str, bytes: &[u8]) -> Result<Self, SettingsError> {
        let wrong = |reason: String| SettingsError::NotAnObject { file: file.into(), reason };
        let value: Value =
            serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
        if !value.is_object() {
            return Err(wrong("it holds something else".into()));
        }
        Ok(Self { file: file.into(), prefix: String::new(), value })
    }

    /// A file in which nothing is set.
    pub fn empty(file: &str) -> Self {
        Self { file: file.into(), prefix: String::new(), value: Value::Object(Default::default()) }
    }

    /// The file's name.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The value of a field, unless it is absent or null.
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.value.get(field).filter(|value| !value.is_null())
    }

    /// The object in a field, or one in which nothing is set.
    ///
    /// # Errors
    /// [`SettingsError::Wrong`].
    pub fn object(&self, field: &str) -> Result<Self, SettingsError> {
        let value = match self.get(field) {
            None => Value::Object(Default::default()),
            Some(value @ Value::Object(_)) => value.clone(),
            Some(found) => return Err(self.wrong(field, "an object", found)),
        };
        let prefix = format!("{}{field}.", self.prefix);
        Ok(Self { file: self.file.clone(), prefix, value })
    }

    /// A whole number in a range.
    ///
    /// # Errors
    /// [`SettingsError::Wrong`].
    pub fn count(
        &self,
        field: &str,
        range: RangeInclusive<u64>,
    ) -> Result<Option<u64>, SettingsError> {
        let Some(value) = self.get(field) else { return Ok(None) };
        match value.as_u64() {
            Some(count) if range.contains(&count) => Ok(Some(count)),
            _ => {
                let expected = format!("a whole number from {} to {}", range.start(), range.end());
                Err(self.wrong(field, &expected, value))
            }
        }
    }

    /// A finite number.
    ///
    /// # Errors
    /// [`SettingsError::Wrong`].
    pub fn number(&self, field: &str) -> Result<Option<f64>, SettingsError> {
        let Some(value) = self.get(field) else { return Ok(None) };
        value.as_f64().map(Some).ok_or_else(|| self.wrong(field, "a number", value))
    }

    /// Yes or no.
    ///
    /// # Errors
    /// [`SettingsError::Wrong`].
    pub fn flag(&self, field: &str) -> Result<Option<bool>, SettingsError> {
        let Some(value) = self.get(field) else { return Ok(None) };
        value.as_bool().map(Some).ok_or_else(|| self.wrong(field, "`true` or `false`", value))
    }

    /// A text.
    ///
    /// # Errors
    /// [`SettingsError::Wrong`].
    pub fn text(&self, field: &str) -> Result<Option<&str>, SettingsError> {
        let Some(value) = self.get(field) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| self.wrong(field, "a string", value))
    }

    /// A number for each colour.
    ///
    /// # Errors
    /// [`SettingsError::Wrong`].
    pub fn colours(&self, field: &str) -> Result<Option<[f64; 3]>, SettingsError> {
        let Some(value) = self.get(field) else { return Ok(None) };
        let numbers: Option<Vec<f64>> = match value {
            Value::Array(items) => items.iter().map(Value::as_f64).collect(),
            one => one.as_f64().map(|number| vec![number; 3]),
        };
        let three = numbers.and_then(|numbers| <[f64; 3]>::try_from(numbers).ok());
        three.map(Some).ok_or_else(|| self.wrong(field, "three numbers", value))
    }

    /// That a field is absent which must be there.
    pub fn missing(&self, field: &str, expected: &str) -> SettingsError {
        SettingsError::Missing {
            file: self.file.clone(),
            field: format!("{}{field}", self.prefix),
            expected: expected.into(),
        }
    }

    /// That a field holds something else than it must.
    pub fn wrong(&self, field: &str, expected: &str, found: &Value) -> SettingsError {
        let mut found = found.to_string();
        if found.chars().count() > 60 {
            found = found.chars().take(59).chain(['…']).collect();
        }
        SettingsError::Wrong {
            file: self.file.clone(),
            field: format!("{}{field}", self.prefix),
            expected: expected.into(),
            found: format!("`{found}`"),
        }
    }
}
