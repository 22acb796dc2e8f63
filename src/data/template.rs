//! How a question and its picture become the tokens of a prompt, and a response those of a target.

use crate::data::{Tokenizer, TokenizerError, mini_vista::IMAGE_TOKEN};

/// The frame of a prompt: `image_tokens` times the image token, the question, a separator; and of a
/// response: its text and an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Template {
    /// How many tokens stand for the picture.
    pub image_tokens: usize,
    /// The id that stands for a piece of the picture.
    pub image: u32,
    /// The id between question and response.
    pub separator: u32,
    /// The id that ends a response.
    pub end: u32,
    /// The id that fills up a batch; it is never in a prompt or a response.
    pub padding: u32,
}

impl Template {
    /// The frame of the built-in model: 16 patches, `<sep>`, `<eos>`.
    ///
    /// # Errors
    /// [`TokenizerError::MissingToken`] when the tokenizer is another model's.
    pub fn mini(tokenizer: &Tokenizer) -> Result<Self, TokenizerError> {
        Ok(Self {
            image_tokens: 16,
            image: tokenizer.id(IMAGE_TOKEN)?,
            separator: tokenizer.id("<sep>")?,
            end: tokenizer.id("<eos>")?,
            padding: tokenizer.id("<pad>")?,
        })
    }

    /// The tokens of a prompt.
    ///
    /// # Errors
    /// [`TokenizerError::Encode`] when a word of the question has no token.
    pub fn prompt(
        &self,
        tokenizer: &Tokenizer,
        question: &str,
    ) -> Result<Vec<u32>, TokenizerError> {
        let mut tokens = vec![self.image; self.image_tokens];
        tokens.extend(tokenizer.encode(question)?);
        tokens.push(self.separator);
        Ok(tokens)
    }

    /// The tokens of a response, with its end.
    ///
    /// # Errors
    /// [`TokenizerError::Encode`] when a word of the response has no token.
    pub fn response(&self, tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>, TokenizerError> {
        let mut tokens = tokenizer.encode(text)?;
        tokens.push(self.end);
        Ok(tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::mini_vista::TOKENIZER_JSON;

    #[test]
    fn prompt_and_response_have_their_frames() {
        let tokenizer = Tokenizer::from_bytes(TOKENIZER_JSON).unwrap();
        let template = Template::mini(&tokenizer).unwrap();
        let prompt = template.prompt(&tokenizer, "bar red + blue ?").unwrap();
        assert_eq!(prompt[..16], [232; 16]);
        assert_eq!(prompt[16..], [212, 203, 228, 205, 211, 1]);
        let response = template.response(&tokenizer, "red 4 ; answer 4").unwrap();
        assert_eq!(response, [203, 7, 226, 231, 7, 2]);
        assert_eq!(tokenizer.decode(&response).unwrap(), "red 4 ; answer 4");
    }
}
