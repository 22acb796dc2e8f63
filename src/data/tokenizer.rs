//! Text to token ids and back, from a Hugging Face `tokenizer.json`.

use crate::base::Hint;

/// A tokenizer as its file describes it, except that it never pads and never truncates: a silently
/// shortened question would be another question.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
}

/// Unknown words that a message names.
const MOST_UNKNOWN: usize = 8;

/// What can be wrong with a tokenizer or with a text given to it.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// The bytes are not a `tokenizer.json`.
    #[error("cannot read the tokenizer: {reason}")]
    Unreadable {
        /// What the reader said.
        reason: String,
    },
    /// A text holds something that has no token.
    #[error("cannot tokenize `{text}`: {reason}")]
    Encode {
        /// The text.
        text: String,
        /// What the tokenizer said.
        reason: String,
    },
    /// Ids that no text belongs to.
    #[error("cannot turn {count} tokens into text: {reason}")]
    Decode {
        /// How many there were.
        count: usize,
        /// What the tokenizer said.
        reason: String,
    },
    /// A token that a template needs is not in the vocabulary.
    #[error("the tokenizer has no token `{token}`")]
    MissingToken {
        /// The token.
        token: String,
    },
}

impl Hint for TokenizerError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Unreadable { .. } => {
                Some("give the `tokenizer.json` of the model, as `tokenizers` writes it".into())
            }
            Self::Encode { .. } => {
                Some("use only words that are in the tokenizer's vocabulary".into())
            }
            Self::Decode { .. } => None,
            Self::MissingToken { .. } => Some("use the tokenizer that belongs to the model".into()),
        }
    }
}

impl Tokenizer {
    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// [`TokenizerError::Unreadable`].
    pub fn from_bytes(json: &[u8]) -> Result<Self, TokenizerError> {
        let unreadable =
            |error: tokenizers::Error| TokenizerError::Unreadable { reason: error.to_string() };
        let mut inner = tokenizers::Tokenizer::from_bytes(json).map_err(unreadable)?;
        inner.with_padding(None);
        inner.with_truncation(None).map_err(unreadable)?;
        Ok(Self { inner })
    }

    /// The ids of a text; special tokens only where the text spells them out.
    ///
    /// # Errors
    /// [`TokenizerError::Encode`] when a word has no token.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        self.encoded(text, false)
    }

    fn encoded(&self, text: &str, frame: bool) -> Result<Vec<u32>, TokenizerError> {
        let encoding = self.inner.encode(text, frame).map_err(|error| {
            let unknown = self.unknown_words(text);
            let reason = match unknown.is_empty() {
                true => error.to_string(),
                false => format!("there is no token for `{}`", unknown.join("`, `")),
            };
            TokenizerError::Encode { text: text.to_owned(), reason }
        })?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The first words of a text that have no token.
    fn unknown_words<'t>(&self, text: &'t str) -> Vec<&'t str> {
        let is_unknown = |word: &&str| self.inner.encode(*word, false).is_err();
        text.split_whitespace().filter(is_unknown).take(MOST_UNKNOWN).collect()
    }

    /// The ids of a text within the frame that the tokenizer's own file puts round one, such as a
    /// token that begins it.
    ///
    /// # Errors
    /// [`TokenizerError::Encode`] when a word has no token.
    pub fn encode_with_frame(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        self.encoded(text, true)
    }

    /// The text of some ids, without special tokens.
    ///
    /// # Errors
    /// [`TokenizerError::Decode`].
    pub fn decode(&self, tokens: &[u32]) -> Result<String, TokenizerError> {
        self.inner.decode(tokens, true).map_err(|error| TokenizerError::Decode {
            count: tokens.len(),
            reason: error.to_string(),
        })
    }

    /// The text that each of some ids adds to that of those before it; nothing for special tokens,
    /// and for a part of a character that a later id completes.
    ///
    /// # Errors
    /// [`TokenizerError::Decode`].
    pub fn pieces(&self, tokens: &[u32]) -> Result<Vec<String>, TokenizerError> {
        let mut stream = self.inner.decode_stream(true);
        let piece = |&token: &u32| match stream.step(token) {
            Ok(piece) => Ok(piece.unwrap_or_default()),
            Err(error) => {
                Err(TokenizerError::Decode { count: tokens.len(), reason: error.to_string() })
            }
        };
        tokens.iter().map(piece).collect()
    }

    /// The id of one token.
    ///
    /// # Errors
    /// [`TokenizerError::MissingToken`].
    pub fn id(&self, token: &str) -> Result<u32, TokenizerError> {
        self.inner
            .token_to_id(token)
            .ok_or_else(|| TokenizerError::MissingToken { token: token.to_owned() })
    }

    /// How many ids there are.
    pub fn size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::mini_vista::{TOKENIZER_JSON, words};

    fn mini() -> Tokenizer {
        Tokenizer::from_bytes(TOKENIZER_JSON).unwrap()
    }

    #[test]
    fn mini_tokenizer_is_the_word_list() {
        let tokenizer = mini();
        let words = words();
        assert_eq!(words.len(), 233);
        assert_eq!(tokenizer.size(), words.len());
        for (id, word) in (0..).zip(&words) {
            assert_eq!(tokenizer.id(word).unwrap(), id);
        }
        for (word, id) in [("<pad>", 0), ("<sep>", 1), ("<eos>", 2), ("0", 3), ("answer", 231)] {
            assert_eq!(tokenizer.id(word).unwrap(), id);
        }
        assert_eq!(tokenizer.id("<image>").unwrap(), 232);
    }

    #[test]
    fn text_round_trips_and_special_tokens_vanish() {
        let tokenizer = mini();
        let text = "red 4 ; blue 12 ; 4 x 12 = 48 ; answer 48";
        let mut tokens = tokenizer.encode(text).unwrap();
        assert_eq!(tokens.len(), 13 + 1);
        tokens.push(tokenizer.id("<eos>").unwrap());
        assert_eq!(tokenizer.decode(&tokens).unwrap(), text);
    }

    #[test]
    fn pieces_are_the_text_token_by_token() {
        let tokenizer = mini();
        let text = "red 4 ; blue 12 ; 4 x 12 = 48 ; answer 48";
        let mut tokens = tokenizer.encode(text).unwrap();
        tokens.push(tokenizer.id("<eos>").unwrap());
        let pieces = tokenizer.pieces(&tokens).unwrap();
        assert_eq!(pieces.concat(), text);
        let words: Vec<&str> = pieces.iter().map(|piece| piece.trim()).collect();
        assert_eq!(words[..4], ["red", "4", ";", "blue"]);
        assert_eq!(words[13..], ["48", ""]);
    }

    #[test]
    fn unknown_words_and_torn_files_are_errors() {
        let error = mini().encode("how many circles ?").unwrap_err();
        assert!(matches!(error, TokenizerError::Encode { .. }));
        assert!(error.hint().is_some());
        assert!(matches!(mini().id("<bos>"), Err(TokenizerError::MissingToken { .. })));
        let half = &TOKENIZER_JSON[..TOKENIZER_JSON.len() / 2];
        assert!(matches!(Tokenizer::from_bytes(half), Err(TokenizerError::Unreadable { .. })));
    }
}
