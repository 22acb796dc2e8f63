//! A checkpoint's own chat template: Jinja as transformers runs it, with its settings and functions.
//!
//! A template has no clock: `strftime_now` is not defined, so that the same conversation is the same
//! text on every day. What it may do is bounded.

use super::SpecialTokens;
use crate::{
    base::Hint,
    data::settings::{Settings, SettingsError},
};
use minijinja::{Environment, Error, ErrorKind, Value, context, syntax::SyntaxConfig};
use serde::Serialize;
use std::io;

/// Steps of a template at most.
const FUEL: u64 = 1_000_000;

/// What somebody said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// Text and pictures in their order.
    pub content: Vec<Part>,
}

/// A piece of what somebody said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// A picture, the next of those that belong to the conversation.
    Image,
    /// Text.
    Text {
        /// The text.
        text: String,
    },
}

impl Part {
    /// A piece of text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into() }
    }
}

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChatError {
    /// There is none.
    #[error("the checkpoint has no chat template")]
    Missing,
    /// It does not parse.
    #[error("the chat template of `{file}` does not parse: {reason}")]
    Malformed {
        /// The file.
        file: String,
        /// What the parser said.
        reason: String,
    },
    /// It refuses the conversation or fails on it.
    #[error("the chat template of `{file}` fails: {reason}")]
    Failed {
        /// The file.
        file: String,
        /// What happened.
        reason: String,
    },
    /// A file of the checkpoint is wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

impl Hint for ChatError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Missing => Some(
                "copy `chat_template.jinja`, `chat_template.json` or `tokenizer_config.json` from \
                 the checkpoint"
                    .into(),
            ),
            Self::Malformed { .. } => Some("copy the file from the checkpoint again".into()),
            Self::Failed { .. } => {
                Some("check that the template takes the roles and pictures that are given".into())
            }
            Self::Settings(error) => error.hint(),
        }
    }
}

/// A chat template that has been parsed.
#[derive(Clone, Debug)]
pub struct ChatTemplate {
    file: String,
    source: String,
}

impl ChatTemplate {
    /// The template in a `chat_template.jinja`.
    ///
    /// # Errors
    /// [`ChatError::Malformed`].
    pub fn new(file: &str, source: &str) -> Result<Self, ChatError> {
        let template = Self { file: file.into(), source: plain(source) };
        let environment = environment();
        if let Err(error) = environment.template_from_str(&template.source) {
            return Err(ChatError::Malformed { file: file.into(), reason: told(&error) });
        }
        Ok(template)
    }

    /// The template in the field `chat_template` of a file; of several, the one named `default`.
    ///
    /// # Errors
    /// [`ChatError`].
    pub fn from_settings(settings: &Settings) -> Result<Self, ChatError> {
        let Some(value) = settings.get("chat_template") else { return Err(ChatError::Missing) };
        let named = |list: &Vec<serde_json::Value>| {
            let default = list.iter().find(|one| one["name"] == "default")?;
            default["template"].as_str().map(str::to_owned)
        };
        let source = value.as_str().map(str::to_owned);
        let source = source.or_else(|| value.as_array().and_then(named)).ok_or_else(|| {
            settings.wrong(
                "chat_template",
                "a template, or several with one named `default`",
                value,
            )
        })?;
        Self::new(settings.file(), &source)
    }

    /// The text of a conversation. Content is a list of parts where the template wants one, or text
    /// in which `image` says what stands for each picture.
    ///
    /// # Errors
    /// [`ChatError::Failed`].
    pub fn render(
        &self,
        messages: &[Message],
        special: &SpecialTokens,
        image: Option<&mut dyn FnMut() -> String>,
        answering: bool,
    ) -> Result<String, ChatError> {
        let failed =
            |error: Error| ChatError::Failed { file: self.file.clone(), reason: told(&error) };
        let token = |token: &Option<String>| Value::from(token.clone().unwrap_or_default());
        let context = context! {
            messages => content(messages, image),
            add_generation_prompt => answering,
            bos_token => token(&special.begin),
            eos_token => token(&special.end),
            pad_token => token(&special.padding),
            unk_token => token(&special.unknown),
        };
        let environment = environment();
        let template = environment.template_from_str(&self.source).map_err(failed)?;
        template.render(context).map_err(failed)
    }
}

fn content(messages: &[Message], image: Option<&mut dyn FnMut() -> String>) -> Vec<Value> {
    let part = |part: &Part| match part {
        Part::Image => context! { type => "image" },
        Part::Text { text } => context! { type => "text", text => text },
    };
    let as_parts = |message: &Message| {
        let content: Vec<Value> = message.content.iter().map(part).collect();
        context! { role => message.role.as_str(), content => content }
    };
    let Some(image) = image else { return messages.iter().map(as_parts).collect() };
    let mut texts = Vec::new();
    for message in messages {
        let mut text = String::new();
        for part in &message.content {
            match part {
                Part::Image => text.push_str(&image()),
                Part::Text { text: own } => text.push_str(own),
            }
        }
        texts.push(context! { role => message.role.as_str(), content => text });
    }
    texts
}

/// A message with its cause, on one line.
fn told(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// `{% generation %}`, which marks what an assistant said, as a block that changes nothing.
fn plain(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let Some(length) = rest[start..].find("%}") else { break };
        let (before, tag) = (&rest[..start], &rest[start..start + length + 2]);
        out.push_str(before);
        match tag.trim_matches(['{', '}', '%', '-', '+', ' ', '\n', '\t']) {
            "generation" => out.push_str(&tag.replacen("generation", "if true", 1)),
            "endgeneration" => out.push_str(&tag.replacen("endgeneration", "endif", 1)),
            _ => out.push_str(tag),
        }
        rest = &rest[start + length + 2..];
    }
    out.push_str(rest);
    out
}

fn environment<'a>() -> Environment<'a> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.expect("the usual delimiters"));
    environment.set_fuel(Some(FUEL));
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.add_filter("tojson", to_json);
    environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, message))
    });
    environment
}

/// JSON as Python writes it, with blanks after commas and colons and nothing escaped for HTML.
fn to_json(value: Value) -> Result<String, Error> {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Spaced);
    let wrong = |reason: String| Error::new(ErrorKind::BadSerialization, reason);
    value.serialize(&mut serializer).map_err(|error| wrong(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| wrong(error.to_string()))
}

struct Spaced;

impl serde_json::ser::Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        w: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first { Ok(()) } else { w.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        w: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first { Ok(()) } else { w.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, w: &mut W) -> io::Result<()> {
        w.write_all(b": ")
    }
}
