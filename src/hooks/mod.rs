//! The one Rhai engine: what a stranger's script may say, and how long it may take to say it.
//!
//! May import: base.
//! Owns: the engine's limits and the translation of values. Never: gives a script files, network,
//! clock, randomness or output.

mod expression;

pub use expression::{Expression, ExpressionError};
