//! A checkpoint's tokenizer from whichever files it has: `tokenizer.json` or a sentencepiece model,
//! with the tokens that `tokenizer_config.json` adds.

use super::sentencepiece;
use crate::{
    base::Hint,
    data::{
        Tokenizer, TokenizerError,
        settings::{Settings, SettingsError},
    },
};
use serde_json::{Value, json};

/// The bytes of a checkpoint's files about tokens.
#[derive(Clone, Copy, Debug)]
pub struct VocabularyFiles<'a> {
    /// `tokenizer.json`, where there is one.
    pub tokenizer: Option<&'a [u8]>,
    /// `tokenizer.model`, a sentencepiece model, read where there is no `tokenizer.json`.
    pub sentencepiece: Option<&'a [u8]>,
    /// `tokenizer_config.json`.
    pub config: Option<&'a Settings>,
    /// How many rows the embedding has, where that is known: every token must have one.
    pub rows: Option<usize>,
}

/// The tokens that a model's files give a meaning to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpecialTokens {
    /// What begins a text.
    pub begin: Option<String>,
    /// What ends one.
    pub end: Option<String>,
    /// What fills up a batch.
    pub padding: Option<String>,
    /// What stands for text that has no token.
    pub unknown: Option<String>,
}

/// Why a checkpoint has no tokenizer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum VocabularyError {
    /// There is no file to read it from.
    #[error("the checkpoint has neither `tokenizer.json` nor `tokenizer.model`")]
    NoFile,
    /// The sentencepiece model cannot be read.
    #[error("cannot read the sentencepiece model `tokenizer.model`: {reason}")]
    Sentencepiece {
        /// Why.
        reason: String,
    },
    /// The `tokenizer.json` cannot be read.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// `tokenizer_config.json` is wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The two files disagree.
    #[error(
        "`added_tokens_decoder` of `{file}` gives `{token}` the id {expected}, but the tokenizer \
         gives it {found}"
    )]
    Misfit {
        /// The file.
        file: String,
        /// The token.
        token: String,
        /// Its id there.
        expected: u32,
        /// Its id here.
        found: String,
    },
    /// The tokenizer is another model's.
    #[error("the tokenizer has {tokens} tokens, but the embedding has {rows} rows")]
    TooMany {
        /// Tokens, counted by the largest id.
        tokens: usize,
        /// Rows.
        rows: usize,
    },
}

impl Hint for VocabularyError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoFile => Some("copy the tokenizer's files from the checkpoint".into()),
            Self::Sentencepiece { .. } => Some(
                "convert it to `tokenizer.json` with `AutoTokenizer` and `save_pretrained`".into(),
            ),
            Self::Tokenizer(error) => error.hint(),
            Self::Settings(error) => error.hint(),
            Self::Misfit { .. } | Self::TooMany { .. } => {
                Some("use the tokenizer that belongs to the model".into())
            }
        }
    }
}

/// The tokenizer of a checkpoint, and the tokens that it names.
///
/// # Errors
/// [`VocabularyError`].
pub fn vocabulary(
    files: &VocabularyFiles<'_>,
) -> Result<(Tokenizer, SpecialTokens), VocabularyError> {
    let empty = Settings::empty("tokenizer_config.json");
    let config = files.config.unwrap_or(&empty);
    let mut json = match (files.tokenizer, files.sentencepiece) {
        (Some(bytes), _) => serde_json::from_slice(bytes)
            .map_err(|error| TokenizerError::Unreadable { reason: error.to_string() })?,
        (None, Some(bytes)) => {
            let begins = config.flag("add_bos_token")?.unwrap_or(true);
            sentencepiece::to_json(bytes, begins)?
        }
        (None, None) => return Err(VocabularyError::NoFile),
    };
    let added = added_tokens(config)?;
    add(&mut json, &added);
    let tokenizer = Tokenizer::from_bytes(json.to_string().as_bytes())?;
    for token in &added {
        let (Some(content), Some(id)) = (token["content"].as_str(), token["id"].as_u64()) else {
            continue;
        };
        let found = tokenizer.id(content).ok();
        if found.map(u64::from) != Some(id) {
            return Err(VocabularyError::Misfit {
                file: config.file().into(),
                token: content.into(),
                expected: id as u32,
                found: found.map_or_else(|| "none".into(), |id| id.to_string()),
            });
        }
    }
    if let Some(rows) = files.rows
        && tokenizer.size() > rows
    {
        return Err(VocabularyError::TooMany { tokens: tokenizer.size(), rows });
    }
    Ok((tokenizer, special_tokens(config)?))
}

/// What `added_tokens_decoder` lists, as `tokenizer.json` writes it, in the order of ids.
fn added_tokens(config: &Settings) -> Result<Vec<Value>, SettingsError> {
    let listed = match config.get("added_tokens_decoder") {
        None => return Ok(Vec::new()),
        Some(Value::Object(listed)) => listed,
        Some(found) => return Err(config.wrong("added_tokens_decoder", "an object", found)),
    };
    let mut tokens = Vec::new();
    for (id, token) in listed {
        let flag = |field: &str| token[field].as_bool().unwrap_or(false);
        let (Ok(id), Some(content)) = (id.parse::<u32>(), token["content"].as_str()) else {
            let field = format!("added_tokens_decoder.{id}");
            return Err(config.wrong(&field, "a token with `content` under its id", token));
        };
        tokens.push(json!({
            "id": id, "content": content, "single_word": flag("single_word"),
            "lstrip": flag("lstrip"), "rstrip": flag("rstrip"), "normalized": flag("normalized"),
            "special": flag("special"),
        }));
    }
    tokens.sort_by_key(|token| token["id"].as_u64());
    Ok(tokens)
}

/// Adds the tokens that a `tokenizer.json` does not list itself.
fn add(json: &mut Value, tokens: &[Value]) {
    let Some(listed) = json.get_mut("added_tokens").and_then(Value::as_array_mut) else {
        if let Some(object) = json.as_object_mut() {
            object.insert("added_tokens".into(), tokens.into());
        }
        return;
    };
    let known: Vec<Value> = listed.iter().map(|token| token["content"].clone()).collect();
    listed.extend(tokens.iter().filter(|token| !known.contains(&token["content"])).cloned());
    listed.sort_by_key(|token| token["id"].as_u64());
}

fn special_tokens(config: &Settings) -> Result<SpecialTokens, SettingsError> {
    let token = |field: &str| match config.get(field) {
        None => Ok(None),
        Some(value) => match value.as_str().or_else(|| value["content"].as_str()) {
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(config.wrong(field, "a token", value)),
        },
    };
    Ok(SpecialTokens {
        begin: token("bos_token")?,
        end: token("eos_token")?,
        padding: token("pad_token")?,
        unknown: token("unk_token")?,
    })
}
