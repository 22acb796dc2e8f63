//! Data: what is asked, in which picture, as text, tokens, pixels and tables.
//!
//! May import: base.
//! Owns: the embedded task, tokenizing, prompt templates, pixels, the Parquet form of everything a
//! stage reads or writes, contact sheets, what is known of each source without having it, and
//! `loaders`, which alone open files. Never: writes to the disk or touches a tensor; but for loaders, and
//! for pictures that stay in the file which somebody opened, bytes and plain vectors go in, bytes and
//! plain vectors come out.

pub mod checkpoint;
pub mod contamination;
mod dialect;
pub mod loaders;
pub mod mini_vista;
pub mod picture;
pub mod pixels;
pub mod preview;
pub mod processor;
mod sample;
pub mod settings;
pub mod source;
pub mod table;
mod template;
pub mod text;
mod tokenizer;

pub use dialect::{Dialect, DialectError, Written};
pub use sample::{HiddenAnswer, PLACE, Pictures, Reference, Sample};
pub use template::Template;
pub use tokenizer::{Tokenizer, TokenizerError};
