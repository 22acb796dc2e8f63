//! The tests of a recipe: what it makes of a sample and of what a policy might say.
//!
//! May import: base, recipe, hooks, data, rewards, judging.
//! Owns: what a test gives, ready to be judged, and the comparison with what it expects. Judging itself
//! is `judging`'s, the same that the stages of a run call. Never: starts a model, plans, or reads a
//! file; whoever calls hands over the texts of files.

mod case;
mod finding;
mod given;

pub use case::{Case, hooks};
pub use finding::{Finding, Tried};
pub use given::{Files, prepare};
