//! A conversation with pictures to the tokens of a prompt, as each family writes it.

use super::{ChatError, ChatTemplate, Message, SpecialTokens};
use crate::{
    base::Hint,
    data::{
        Tokenizer, TokenizerError,
        processor::{Extent, Processor},
        settings::{Settings, SettingsError},
    },
};

/// InternVL's original code writes its prompts without the tokenizer's template.
const INTERNVL: &str = "{% for message in messages %}<|im_start|>{{ message.role }}\n\
    {{ message.content }}<|im_end|>{% endfor %}\
    {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/// The tokens of a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// All of them; where a picture stands, the id of a token that means nothing else there.
    pub tokens: Vec<u32>,
    /// The places that pictures fill, in the order of the pictures.
    pub slots: Vec<usize>,
}

/// Why a conversation cannot become a prompt.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// The template.
    #[error(transparent)]
    Chat(#[from] ChatError),
    /// The tokenizer.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// A file of the checkpoint is wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The text speaks of more or fewer pictures than there are.
    #[error("the prompt has {places} places for pictures, but {pictures} are given")]
    Pictures {
        /// Places.
        places: usize,
        /// Pictures.
        pictures: usize,
    },
    /// The text spells out a token that stands for pictures.
    #[error("the text holds `{token}`, which stands for pictures")]
    Stray {
        /// The token.
        token: String,
    },
}

impl Hint for PromptError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Chat(error) => error.hint(),
            Self::Tokenizer(error) => error.hint(),
            Self::Settings(error) => error.hint(),
            Self::Pictures { .. } => Some("give as many pictures as the text speaks of".into()),
            Self::Stray { .. } => Some("write it in other words, or leave the sample out".into()),
        }
    }
}

/// What writes the prompts of one checkpoint.
#[derive(Clone, Debug)]
pub struct Prompter {
    /// How its pictures are taken.
    pub processor: Processor,
    /// Its tokens.
    pub tokenizer: Tokenizer,
    /// The tokens with a meaning.
    pub special: SpecialTokens,
    /// Its template.
    pub template: ChatTemplate,
}

impl Prompter {
    /// The template of a checkpoint in InternVL's original layout.
    ///
    /// # Errors
    /// [`SettingsError::Wrong`] for the older conversations that other language models were given.
    pub fn internvl_template(config: &Settings) -> Result<ChatTemplate, PromptError> {
        let known = ["internlm2-chat", "internvl2_5", "internvl2-0", "internvl_zh"];
        if let Some(found) = config.get("template")
            && !found.as_str().is_some_and(|name| known.contains(&name))
        {
            let expected = "`internlm2-chat` or `internvl2_5`";
            return Err(config.wrong("template", expected, found).into());
        }
        Ok(ChatTemplate::new("the InternVL conversation", INTERNVL)?)
    }

    /// The text of a conversation before pictures are put in: with one placeholder for each.
    ///
    /// # Errors
    /// [`PromptError::Chat`].
    pub fn text(&self, messages: &[Message], answering: bool) -> Result<String, PromptError> {
        let mut count = 0;
        let mut spelled = || {
            count += 1;
            match &self.processor {
                Processor::MiniCpmV(_) => "(<image>./</image>)\n".to_owned(),
                Processor::Phi3V(_) => format!("<|image_{count}|>\n"),
                _ => "<image>\n".to_owned(),
            }
        };
        let as_text = match &self.processor {
            Processor::MiniCpmV(_) | Processor::Phi3V(_) => true,
            Processor::InternVl(processor) => processor.original,
            Processor::SmolVlm(_) | Processor::QwenVl(_) => false,
        };
        let spelled: Option<&mut dyn FnMut() -> String> =
            if as_text { Some(&mut spelled) } else { None };
        Ok(self.template.render(messages, &self.special, spelled, answering)?)
    }

    /// The tokens of such a text with its pictures.
    ///
    /// # Errors
    /// [`PromptError`].
    pub fn prompt(&self, text: &str, pictures: &[Extent]) -> Result<Prompt, PromptError> {
        if let Processor::Phi3V(_) = self.processor {
            return self.in_chunks(text, pictures);
        }
        let chunks: Vec<&str> = text.split(self.placeholder()).collect();
        if chunks.len() - 1 != pictures.len() {
            let (places, pictures) = (chunks.len() - 1, pictures.len());
            return Err(PromptError::Pictures { places, pictures });
        }
        let mut whole = chunks[0].to_owned();
        for (picture, chunk) in pictures.iter().zip(&chunks[1..]) {
            whole.push_str(&self.expanded(picture));
            whole.push_str(chunk);
        }
        let tokens = self.tokenizer.encode_with_frame(&whole)?;
        let slots = if pictures.is_empty() { Vec::new() } else { self.slots(&tokens)? };
        let expected: usize = pictures.iter().map(|picture| picture.placeholders).sum();
        if slots.len() != expected {
            return Err(PromptError::Stray { token: self.filler().to_owned() });
        }
        Ok(Prompt { tokens, slots })
    }

    /// What stands for one picture before it is put in.
    fn placeholder(&self) -> &'static str {
        match &self.processor {
            Processor::SmolVlm(_) => "<image>",
            Processor::QwenVl(_) => "<|image_pad|>",
            Processor::InternVl(processor) if processor.original => "<image>",
            Processor::InternVl(_) => "<IMG_CONTEXT>",
            Processor::MiniCpmV(_) => "(<image>./</image>)",
            Processor::Phi3V(_) => "<|image_",
        }
    }

    /// The token that a picture fills.
    fn filler(&self) -> &'static str {
        match &self.processor {
            Processor::SmolVlm(_) => "<image>",
            Processor::QwenVl(_) => "<|image_pad|>",
            Processor::InternVl(_) => "<IMG_CONTEXT>",
            Processor::MiniCpmV(_) => "<unk>",
            Processor::Phi3V(_) => "<|image_1|>",
        }
    }

    fn slots(&self, tokens: &[u32]) -> Result<Vec<usize>, PromptError> {
        let filler = self.tokenizer.id(self.filler())?;
        let places = tokens.iter().enumerate().filter(|(_, token)| **token == filler);
        Ok(places.map(|(place, _)| place).collect())
    }

    /// What one picture becomes in the text.
    fn expanded(&self, picture: &Extent) -> String {
        let all = self.filler().repeat(picture.placeholders);
        let (rows, columns) = (picture.grid.rows, picture.grid.columns);
        match &self.processor {
            Processor::SmolVlm(processor) => {
                const AROUND: &str = "<fake_token_around_image>";
                let tile = "<image>".repeat(processor.tokens);
                let mut text = String::new();
                for row in 1..=rows {
                    for column in 1..=columns {
                        for piece in [AROUND, &format!("<row_{row}_col_{column}>"), &tile] {
                            text.push_str(piece);
                        }
                    }
                    text.push('\n');
                }
                let gap = if rows == 0 { "" } else { "\n" };
                format!("{text}{gap}{AROUND}<global-img>{tile}{AROUND}")
            }
            Processor::QwenVl(_) | Processor::Phi3V(_) => all,
            Processor::InternVl(_) => format!("<img>{all}</img>"),
            Processor::MiniCpmV(processor) => {
                let tile = format!("<image>{}</image>", "<unk>".repeat(processor.tokens));
                if rows == 0 {
                    return tile;
                }
                let slices = vec![tile.repeat(columns); rows].join("\n");
                format!("{tile}<slice>{slices}</slice>")
            }
        }
    }

    /// Phi's prompts: each chunk of text between pictures is tokenized as a text of its own.
    fn in_chunks(&self, text: &str, pictures: &[Extent]) -> Result<Prompt, PromptError> {
        let mut prompt = Prompt { tokens: Vec::new(), slots: Vec::new() };
        let mut rest = text;
        for (number, picture) in (1..).zip(pictures) {
            let places = || text.matches("<|image_").count();
            let Some((chunk, after)) = rest.split_once(&format!("<|image_{number}|>")) else {
                return Err(PromptError::Pictures { places: places(), pictures: pictures.len() });
            };
            prompt.tokens.extend(self.tokenizer.encode_with_frame(chunk)?);
            let start = prompt.tokens.len();
            prompt.slots.extend(start..start + picture.placeholders);
            prompt.tokens.extend(vec![0; picture.placeholders]);
            rest = after;
        }
        prompt.tokens.extend(self.tokenizer.encode_with_frame(rest)?);
        Ok(prompt)
    }
}
