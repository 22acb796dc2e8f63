//! What a checkpoint's files say of text: its tokens, its chat template, how pictures stand in a
//! prompt, and how it generates where nobody asks for something else.

mod chat;
mod generation;
mod prompt;
mod sentencepiece;
mod vocabulary;

pub use chat::{ChatError, ChatTemplate, Message, Part};
pub use generation::GenerationDefaults;
pub use prompt::{Prompt, PromptError, Prompter};
pub use vocabulary::{SpecialTokens, VocabularyError, VocabularyFiles, vocabulary};
