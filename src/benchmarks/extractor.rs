//! A model that reads the answer out of a response, behind any server that speaks the OpenAI API. The
//! question that it is asked is our own, so scores are comparable among themselves, and near those
//! that other judges give.

use crate::base::Hint;
use crate::rewards::benchmarks::Options;
use serde_json::{Value, json};
use std::time::Duration;

/// How often a question is asked before it counts as failed.
const TRIES: u32 = 3;
/// How long one answer may take.
const LONGEST: Duration = Duration::from_secs(120);
/// Bytes of the longest reply that is read.
const LONGEST_REPLY: u64 = 1 << 20;

/// A model on a server.
#[derive(Debug)]
pub struct Extractor {
    agent: ureq::Agent,
    url: String,
    model: String,
    key: Option<String>,
}

/// What the model is asked about.
pub(super) struct Asked<'a> {
    /// The benchmark's question.
    pub(super) question: &'a str,
    /// Its options, where the model is to name one.
    pub(super) options: Option<&'a Options>,
    /// The response.
    pub(super) response: &'a str,
}

/// The model did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the model that extracts answers did not reply at `{url}`: {reason}")]
pub struct ExtractorError {
    /// The address.
    pub url: String,
    /// What was said.
    pub reason: String,
}

impl Hint for ExtractorError {
    fn hint(&self) -> Option<String> {
        Some(
            "check the address, the model's name and `OPENAI_API_KEY`, or leave the model out"
                .into(),
        )
    }
}

impl Extractor {
    /// A model on the server at `base`, such as `http://localhost:8000/v1`.
    pub fn new(base: &str, model: &str, key: Option<String>) -> Self {
        let config = ureq::Agent::config_builder().timeout_global(Some(LONGEST)).build();
        let url = format!("{}/chat/completions", base.trim_end_matches('/'));
        Self { agent: config.into(), url, model: model.to_owned(), key }
    }

    /// What the model reads out of a response.
    pub(super) fn extract(&mut self, asked: &Asked<'_>) -> Result<String, ExtractorError> {
        let mut reason = String::new();
        for _ in 0..TRIES {
            match self.ask(&asked.prompt()) {
                Ok(answer) => return Ok(answer),
                Err(error) => reason = error,
            }
        }
        Err(ExtractorError { url: self.url.clone(), reason })
    }

    fn ask(&self, prompt: &str) -> Result<String, String> {
        let body = json!({
            "model": self.model,
            "temperature": 0,
            "max_tokens": 64,
            "messages": [{ "role": "user", "content": prompt }],
        });
        let mut request = self.agent.post(&self.url);
        if let Some(key) = &self.key {
            request = request.header("authorization", &format!("Bearer {key}"));
        }
        let mut reply = request.send_json(&body).map_err(|error| error.to_string())?;
        let text = reply.body_mut().with_config().limit(LONGEST_REPLY).read_to_string();
        let text = text.map_err(|error| error.to_string())?;
        let reply: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let content = reply.pointer("/choices/0/message/content").and_then(Value::as_str);
        content
            .map(|text| text.trim().to_owned())
            .ok_or_else(|| "the reply has no text in `choices[0].message.content`".to_owned())
    }
}

impl Asked<'_> {
    fn prompt(&self) -> String {
        let Self { question, response, .. } = self;
        let Some(options) = self.options else {
            return format!(
                "Below are a question and what a model replied. Reply with the final answer of the \
                 model and nothing else: a number, a list, or the letter of an option, as the \
                 question asks for. Do not answer the question yourself.\n\nQuestion:\n{question}\n\
                 \nReply of the model:\n{response}\n\nFinal answer:"
            );
        };
        let list: Vec<String> =
            options.0.iter().map(|(letter, text)| format!("{letter}. {text}")).collect();
        format!(
            "Below are a question, its options, and what a model replied. Reply with the letter of \
             the option that the model chose, and nothing else; reply Z if it chose none of them. Do \
             not answer the question yourself.\n\nQuestion:\n{question}\n\nOptions:\n{}\n\nReply of \
             the model:\n{response}\n\nLetter:",
            list.join("\n")
        )
    }
}
