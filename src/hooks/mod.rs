//! The one Rhai engine: what a stranger's script may say, and how long it may take to say it.
//!
//! May import: base.
//! Owns: the engine's limits, the moments that a script may serve, and the translation of values.
//! Never: gives a script files, network, clock, chance or output.

mod comparison;
mod engine;
mod expression;
mod moment;
mod outline;
mod script;

pub use expression::{Expression, ExpressionError};
pub use moment::Moment;
pub use script::{HookError, LARGEST_SCRIPT_BYTES, Script};
