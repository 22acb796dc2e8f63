//! What storing the features of pictures saved: how often the vision tower ran, and how often it
//! would have.

use super::model::{StageRow, Study};
use super::numbers::count;
use crate::base::{Bytes, Duration};
use serde::Serialize;

/// The vision tower of a study whose features are stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Tower {
    /// How many pictures it looked at.
    pub(super) ran: u64,
    /// How often stages looked up what it made of one.
    pub(super) instead_of: u64,
    /// How long it took.
    pub(super) seconds: f64,
    /// What is kept of it.
    pub(super) bytes: u64,
}

/// What is known of it; none where no features are stored.
pub(super) fn of(study: &Study) -> Option<Tower> {
    let number = |row: &StageRow, name: &str| row.metrics.get(name).and_then(|it| it.as_u64());
    let mut tower = Tower::default();
    let mut is_stored = false;
    for row in study.stages.iter().filter(|row| row.state.has_result()) {
        tower.instead_of += number(row, "looked_up").unwrap_or(0);
        if row.summary.kind == "features" {
            is_stored = true;
            tower.ran += number(row, "pictures").unwrap_or(0);
            tower.bytes += row.bytes;
            tower.seconds += row.seconds;
        }
    }
    is_stored.then_some(tower)
}

/// The same in a sentence.
pub(super) fn sentence(study: &Study) -> Option<String> {
    let Tower { ran, instead_of, seconds, bytes } = of(study)?;
    let took = match seconds {
        0.0 => String::new(),
        seconds => format!("{}, ", Duration(seconds)),
    };
    Some(format!(
        "the vision tower ran {} times instead of {} ({took}{} of features kept)",
        count(ran),
        count(instead_of),
        Bytes(bytes)
    ))
}
