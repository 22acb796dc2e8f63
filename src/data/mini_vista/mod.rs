//! `builtin:mini-vista`: a small, exact visual reasoning task, drawn on demand.
//!
//! Five categories that mirror `MathVista`'s, pictures of 32 x 32 pixels, questions of at most nine
//! words, answers 0 to 199, and reasoning that can be checked step by step. A sample is a pure
//! function of (data seed, share of one-operation questions, stream, index).

mod checker;
mod draw;
mod example;
mod paint;
mod question;
mod scene;
mod stream;
mod words;

pub use checker::{StepVerdict, judge, parts};
pub use example::{
    CAPTION_QUESTION, DEMONSTRATION_ONE_OPERATION, Example, MiniVista, POOL_ONE_OPERATION,
};
pub use paint::{PATCH_COLOURS, PATCH_KINDS, PatchLabel};
pub use stream::Stream;
pub use words::{IMAGE_TOKEN, TOKENIZER_JSON, words};
