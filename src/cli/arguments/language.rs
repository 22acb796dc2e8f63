//! Arguments of what has to do with writing recipes and typing commands.

use super::TextOrJson;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Arguments of `init`.
#[derive(Args, Debug)]
pub(crate) struct Init {
    /// What the recipe is called, perhaps after a folder (default: `first-recipe`). Nothing is
    /// overwritten.
    pub(crate) name: Option<String>,
}

/// Arguments of `test`.
#[derive(Args, Debug)]
pub(crate) struct Test {
    /// The recipes.
    #[arg(required = true, value_name = "RECIPE")]
    pub(crate) files: Vec<PathBuf>,
    /// Only tests with this in their names.
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Option<String>,
    /// Set a key first.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// In which form.
    #[arg(long, value_enum, default_value_t = TextOrJson::Text)]
    pub(crate) format: TextOrJson,
}

/// Arguments of `schema`.
#[derive(Args, Debug)]
pub(crate) struct Schema {
    /// Of which files.
    #[arg(value_enum, default_value_t = SchemaOf::Recipe)]
    pub(crate) of: SchemaOf,
}

/// What has a schema.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum SchemaOf {
    /// Recipes.
    Recipe,
    /// Experiments.
    Experiment,
}

/// Arguments of `explain`.
#[derive(Args, Debug)]
pub(crate) struct Explain {
    /// Such as `training.method`, `explore`, `stage-finished`, `no-effect` or `keep`; without one, all
    /// keys.
    pub(crate) key: Option<String>,
}

/// Arguments of `completions`.
#[derive(Args, Debug)]
pub(crate) struct Completions {
    /// The shell.
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

/// Arguments of `man`.
#[derive(Args, Debug)]
pub(crate) struct Man {
    /// Write a page for each command into this folder.
    pub(crate) folder: Option<PathBuf>,
}
