//! How one model writes: a question about pictures as tokens and numbers, an answer as tokens.
//!
//! The embedded model has a frame of its own. Every other checkpoint says by its files how it cuts
//! text and pictures, which template a conversation has and what ends an answer.

use super::{
    PLACE, Template, Tokenizer, TokenizerError,
    checkpoint::Companions,
    pixels::{self, Numbers},
    processor::{Extent, Grid, Processor, ProcessorError, ProcessorFiles},
    settings::{Settings, SettingsError},
    text::{
        ChatError, ChatTemplate, GenerationDefaults, Message, Part, PromptError, Prompter,
        VocabularyError, VocabularyFiles, vocabulary,
    },
};
use crate::base::Hint;
use image::RgbImage;

/// `model_type` of the embedded model.
const EMBEDDED: &str = "mstar_mini_vlm";
/// What an assistant says when a template is asked for what follows it.
const SAID: &str = "THE-ANSWER";

/// How a model writes.
#[derive(Clone, Debug)]
pub struct Dialect {
    grammar: Grammar,
    /// Ids that end a response, the one that ends those to learn from first.
    ends: Vec<u32>,
}

#[derive(Clone, Debug)]
enum Grammar {
    Embedded(Box<Tokenizer>, Template),
    Chat(Box<Prompter>),
}

/// A question with its pictures.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// Its tokens.
    pub tokens: Vec<u32>,
    /// The places among them that pictures fill.
    pub slots: Vec<usize>,
    /// What is seen of each picture, image by image, in the order of the places.
    pub pictures: Vec<Vec<Numbers>>,
}

/// Why a model cannot write, or not this.
#[derive(Debug, thiserror::Error)]
pub enum DialectError {
    /// A file is not there.
    #[error("the checkpoint has no `{0}`")]
    NoFile(
        /// Its name.
        &'static str,
    ),
    /// Nothing says what ends an answer.
    #[error(
        "neither `generation_config.json` nor `tokenizer_config.json` says what ends an answer"
    )]
    Endless,
    /// A file is wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The chat template is.
    #[error(transparent)]
    Chat(#[from] ChatError),
    /// The tokenizer is.
    #[error(transparent)]
    Vocabulary(#[from] VocabularyError),
    /// A text cannot be cut into tokens.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// A picture cannot be seen.
    #[error(transparent)]
    Processor(#[from] ProcessorError),
    /// Text and pictures do not become a prompt.
    #[error(transparent)]
    Prompt(#[from] PromptError),
}

impl Hint for DialectError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoFile(name) => Some(format!("copy `{name}` from the checkpoint")),
            Self::Endless => Some("set `eos_token_id` in `generation_config.json`".to_owned()),
            Self::Settings(error) => error.hint(),
            Self::Chat(error) => error.hint(),
            Self::Vocabulary(error) => error.hint(),
            Self::Tokenizer(error) => error.hint(),
            Self::Processor(error) => error.hint(),
            Self::Prompt(error) => error.hint(),
        }
    }
}

impl Dialect {
    /// That of the checkpoint which has these files.
    ///
    /// # Errors
    /// [`DialectError`].
    pub fn new(files: &Companions) -> Result<Self, DialectError> {
        let config = files.settings("config.json")?.ok_or(DialectError::NoFile("config.json"))?;
        if config.text("model_type")? == Some(EMBEDDED) {
            let json = files.get("tokenizer.json").ok_or(DialectError::NoFile("tokenizer.json"))?;
            let tokenizer = Tokenizer::from_bytes(json)?;
            let template = Template::mini(&tokenizer)?;
            let ends = vec![template.end];
            return Ok(Self { grammar: Grammar::Embedded(Box::new(tokenizer), template), ends });
        }
        let about_tokens = files.settings("tokenizer_config.json")?;
        let (tokenizer, special) = vocabulary(&VocabularyFiles {
            tokenizer: files.get("tokenizer.json"),
            sentencepiece: files.get("tokenizer.model"),
            config: about_tokens.as_ref(),
            rows: rows(&config)?,
        })?;
        let template = template(files, &config, about_tokens.as_ref())?;
        let processor = processor(files, &config)?;
        let prompter = Prompter { processor, tokenizer, special, template };
        let ends = ends(files, &config, &prompter)?;
        Ok(Self { grammar: Grammar::Chat(Box::new(prompter)), ends })
    }

    /// Its tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        match &self.grammar {
            Grammar::Embedded(tokenizer, _) => tokenizer,
            Grammar::Chat(prompter) => &prompter.tokenizer,
        }
    }

    /// Ids that end a response.
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// Whether it is the embedded model's, which answers with the word `answer`.
    pub fn is_embedded(&self) -> bool {
        matches!(self.grammar, Grammar::Embedded(..))
    }

    /// A question about pictures, up to where the answer begins. Each picture stands where the text
    /// has a [`PLACE`] for it, or all of them first where it has none.
    ///
    /// # Errors
    /// [`DialectError`].
    pub fn question(&self, text: &str, pictures: &[&RgbImage]) -> Result<Written, DialectError> {
        let looked: Result<Vec<_>, _> = pictures.iter().map(|picture| self.look(picture)).collect();
        let (pictures, extents): (Vec<_>, Vec<_>) = looked?.into_iter().unzip();
        Ok(Written { pictures, ..self.question_on(text, &extents)? })
    }

    /// The same question where of its pictures no more is known than their extents; nothing is seen.
    ///
    /// # Errors
    /// [`DialectError`].
    pub fn question_on(&self, text: &str, pictures: &[Extent]) -> Result<Written, DialectError> {
        match &self.grammar {
            Grammar::Embedded(tokenizer, template) => {
                let image_tokens = template.image_tokens * pictures.len();
                let framed = Template { image_tokens, ..*template };
                // It was taught to look first.
                let text = match is_placed(text, pictures.len()) {
                    true => text.replace(PLACE, " "),
                    false => text.to_owned(),
                };
                let tokens = framed.prompt(tokenizer, &text)?;
                Ok(Written { tokens, slots: (0..image_tokens).collect(), pictures: Vec::new() })
            }
            Grammar::Chat(prompter) => {
                let asked = prompter.text(&[user(text, pictures.len())], true)?;
                let prompt = prompter.prompt(&asked, pictures)?;
                Ok(Written { tokens: prompt.tokens, slots: prompt.slots, pictures: Vec::new() })
            }
        }
    }

    /// What is seen of one picture, image by image, and what a question has to know of it.
    ///
    /// # Errors
    /// [`DialectError::Processor`].
    pub fn look(&self, picture: &RgbImage) -> Result<(Vec<Numbers>, Extent), DialectError> {
        Ok(match &self.grammar {
            Grammar::Embedded(_, template) => {
                let grid = Grid { rows: 0, columns: 0 };
                (vec![plain(picture)], Extent { grid, placeholders: template.image_tokens })
            }
            Grammar::Chat(prompter) => {
                let seen = prompter.processor.process(picture)?;
                (prompter.processor.images(&seen), seen.extent())
            }
        })
    }

    /// What is seen of the pictures of a question, as [`Dialect::question`] has it.
    ///
    /// # Errors
    /// [`DialectError::Processor`].
    pub fn see(&self, pictures: &[&RgbImage]) -> Result<Vec<Vec<Numbers>>, DialectError> {
        pictures.iter().map(|picture| Ok(self.look(picture)?.0)).collect()
    }

    /// An answer to learn from, with its end.
    ///
    /// # Errors
    /// [`DialectError::Tokenizer`].
    pub fn answer(&self, text: &str) -> Result<Vec<u32>, DialectError> {
        let mut tokens = self.tokenizer().encode(text)?;
        tokens.push(self.ends[0]);
        Ok(tokens)
    }
}

/// A picture as the embedded model sees it.
fn plain(picture: &RgbImage) -> Numbers {
    Numbers {
        height: picture.height() as usize,
        width: picture.width() as usize,
        values: pixels::channels_last(picture),
    }
}

/// Whether a text has a place for each of its pictures.
fn is_placed(text: &str, pictures: usize) -> bool {
    pictures > 0 && text.matches(PLACE).count() == pictures
}

/// A question of a user, its pictures in their places or else first.
fn user(text: &str, pictures: usize) -> Message {
    let mut content = Vec::new();
    if is_placed(text, pictures) {
        for (index, piece) in text.split(PLACE).enumerate() {
            if index > 0 {
                content.push(Part::Image);
            }
            if !piece.is_empty() {
                content.push(Part::text(piece));
            }
        }
    } else {
        content = vec![Part::Image; pictures];
        content.push(Part::text(text));
    }
    Message { role: "user".to_owned(), content }
}

/// Rows of the embedding, where the configuration says so.
fn rows(config: &Settings) -> Result<Option<usize>, SettingsError> {
    const ROWS: std::ops::RangeInclusive<u64> = 1..=1 << 24;
    for part in ["text_config", "llm_config"] {
        if let Some(rows) = config.object(part)?.count("vocab_size", ROWS)? {
            return Ok(Some(rows as usize));
        }
    }
    Ok(config.count("vocab_size", ROWS)?.map(|rows| rows as usize))
}

fn template(
    files: &Companions,
    config: &Settings,
    about_tokens: Option<&Settings>,
) -> Result<ChatTemplate, DialectError> {
    if config.text("model_type")? == Some("internvl_chat") {
        return Ok(Prompter::internvl_template(config)?);
    }
    if let Some(bytes) = files.get("chat_template.jinja") {
        let source = String::from_utf8_lossy(bytes);
        return Ok(ChatTemplate::new("chat_template.jinja", &source)?);
    }
    match (files.settings("chat_template.json")?, about_tokens) {
        (Some(own), _) => Ok(ChatTemplate::from_settings(&own)?),
        (None, Some(shared)) => Ok(ChatTemplate::from_settings(shared)?),
        (None, None) => Err(ChatError::Missing.into()),
    }
}

fn processor(files: &Companions, config: &Settings) -> Result<Processor, DialectError> {
    let processor = Processor::new(&ProcessorFiles {
        config: config.clone(),
        preprocessor: files.settings("preprocessor_config.json")?,
        processor: files.settings("processor_config.json")?,
    })?;
    let own = files.settings(Companions::OWN)?;
    let bound = own.map(|own| own.count("image_pixels", 1..=1 << 40)).transpose()?.flatten();
    Ok(match bound {
        Some(pixels) => processor.within(pixels),
        None => processor,
    })
}

/// What ends an answer: what the files list, and what the template writes after one.
fn ends(
    files: &Companions,
    config: &Settings,
    prompter: &Prompter,
) -> Result<Vec<u32>, DialectError> {
    let defaults = |settings: Option<Settings>| match settings {
        Some(settings) => Ok(GenerationDefaults::new(&settings)?.end),
        None => Ok::<_, DialectError>(Vec::new()),
    };
    let mut ends = defaults(files.settings("generation_config.json")?)?;
    if ends.is_empty() {
        ends = match &prompter.special.end {
            Some(token) => vec![prompter.tokenizer.id(token)?],
            None => defaults(Some(config.clone()))?,
        };
    }
    if let Some(written) = written_after(prompter)? {
        ends.retain(|&end| end != written);
        ends.insert(0, written);
    }
    if ends.is_empty() { Err(DialectError::Endless) } else { Ok(ends) }
}

/// The special token that the template writes after an answer; none where it writes none, or takes
/// no answers.
fn written_after(prompter: &Prompter) -> Result<Option<u32>, DialectError> {
    let said = Message { role: "assistant".to_owned(), content: vec![Part::text(SAID)] };
    let Ok(text) = prompter.text(&[user("?", 0), said], false) else { return Ok(None) };
    let Some((_, after)) = text.rsplit_once(SAID) else { return Ok(None) };
    let Some(&first) = prompter.tokenizer.encode(after)?.first() else { return Ok(None) };
    let is_special = prompter.tokenizer.decode(&[first])?.is_empty();
    Ok(is_special.then_some(first))
}
