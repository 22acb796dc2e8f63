//! Text to a typed recipe: layers, sources, spans, every fault at once.
//!
//! May import: base.
//! Owns: the recipe language, its defaults, its JSON Schema and what is said about a bad recipe.
//! Never: knows a stage, touches anything but the text it is given.

mod keys;

pub use keys::*;
