//! What is made of a response: its answer, whether that is right, what it is worth, whether it is
//! kept.
//!
//! May import: base, recipe, hooks, data, rewards.
//! Owns: how the rules of `rewards` and the functions of a script are put together. Stages judge by it
//! what a policy said, and the tests of a recipe what somebody wrote. Never: knows a stage, a file or
//! a tensor.

mod error;
mod hooks;
mod responses;
mod selection;

pub use error::JudgingError;
pub use hooks::Hooks;
pub use responses::{extraction, first_judgement};
pub use selection::{Terms, candidates, is_drawn, rule};
