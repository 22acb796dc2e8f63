//! Text to a typed recipe: layers, sources, spans, every fault at once.
//!
//! May import: base, hooks.
//! Owns: the recipe language, its defaults, its JSON Schema and what is said about a bad recipe.
//! Never: knows a stage, touches anything but the text it is given.

mod assignment;
mod check;
mod experiment;
mod hooks;
mod keys;
mod layers;
mod mixing;
mod resolved;
mod rules;
mod schema;
mod tree;
mod trial;
mod without_effect;

pub use crate::hooks::Moment;
pub use assignment::{is_variable, misspelt_variables};
pub use check::quoted;
pub use experiment::{
    Expanded, Experiment, Finding, MEMBER, MemberRecipe, TableSpec, axis_labels, benchmark_name,
    experiment_schema, is_experiment, metrics,
};
pub use hooks::{check_script, moments_called};
pub use keys::*;
pub use layers::{Layers, Origin, Stack, resolve};
pub use mixing::first_mixed;
pub use resolved::{Resolved, to_toml};
pub use rules::{builtin_sample, check_trials, is_file, name_fault, sample_of_files};
pub use schema::{KeyDoc, explain, nearest_key, schema};
pub use tree::{Entry, LARGEST_FILE_BYTES, Node, Tree, parse};
pub use trial::{Expectation, Trial, TrialCandidate, WrittenTrial};
