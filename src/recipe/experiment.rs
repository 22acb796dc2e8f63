//! Experiments: a base recipe and the axes along which its members differ.
//!
//! An experiment file spans a grid. `[axis]` crosses keys, `[[zip]]` moves several keys together,
//! `[[member]]` names points; each member is one combination of all of them, without those that a
//! `[[skip]]` leaves out. A member that sets a key of an axis itself is not crossed with that axis.

mod expand;
mod finding;
mod metrics;
mod name;
mod read;
mod schema;
mod table;
mod value;

pub use expand::{Expanded, MemberRecipe};
pub use finding::Finding;
pub use metrics::{benchmark_name, metrics};
pub use name::axis_labels;
pub use schema::experiment_schema;
pub use table::TableSpec;

use crate::{
    base::{Place, Source},
    recipe::tree::Tree,
};
use finding::WrittenFinding;
use std::{ops::Range, sync::Arc};
use table::WrittenTable;

/// Members that a grid may span at most.
const MOST_MEMBERS: u64 = 1_000_000;

/// An experiment file that was read and checked on its own, without its base.
#[derive(Debug)]
pub struct Experiment {
    /// The file.
    pub source: Source,
    /// What people call it.
    pub name: String,
    /// Path of the base recipe, from the folder of the file, and where it is written.
    pub base: Option<(String, Place)>,
    /// What holds for every member.
    constants: Vec<Assignment>,
    /// Axes and zips, in the order of the file; the first changes slowest.
    dimensions: Vec<Dimension>,
    members: Vec<Explicit>,
    skips: Vec<Skip>,
    table: WrittenTable,
    findings: Vec<WrittenFinding>,
}

/// A key of the recipe and the value that a member gives it.
#[derive(Clone, Debug)]
struct Assignment {
    key: Arc<str>,
    key_span: Range<usize>,
    value: Tree,
    /// The value as a recipe's leaf.
    json: serde_json::Value,
}

/// Keys that vary together.
#[derive(Debug)]
struct Dimension {
    keys: Vec<(Arc<str>, Range<usize>)>,
    /// One assignment for each key, by position.
    points: Vec<Vec<Assignment>>,
}

/// A `[[member]]`.
#[derive(Debug)]
struct Explicit {
    name: String,
    name_span: Range<usize>,
    values: Vec<Assignment>,
}

/// A `[[skip]]`.
#[derive(Debug)]
struct Skip {
    when: String,
    span: Range<usize>,
}

impl Experiment {
    /// Keys that differ between members, in the order of the file; `member` comes first where
    /// members are named.
    pub fn axes(&self) -> Vec<&str> {
        let named = (!self.members.is_empty()).then_some(MEMBER);
        let mut axes: Vec<&str> = named.into_iter().collect();
        let spanned = self.dimensions.iter().flat_map(|it| it.keys.iter().map(|key| &*key.0));
        let own = self.members.iter().flat_map(|it| it.values.iter().map(|value| &*value.key));
        for key in spanned.chain(own) {
            if !axes.contains(&key) {
                axes.push(key);
            }
        }
        axes
    }
}

/// What stands for the names of explicit members among the axes.
pub const MEMBER: &str = "member";

/// Whether a text is an experiment rather than a recipe: it has a key that only experiments have.
/// False for what is not TOML.
pub fn is_experiment(source: &Source) -> bool {
    let Ok(tree) = super::tree::parse(source) else { return false };
    match tree.node {
        super::tree::Node::Table(entries) => {
            read::OWN_KEYS.iter().any(|key| entries.contains_key(*key))
        }
        _ => false,
    }
}
