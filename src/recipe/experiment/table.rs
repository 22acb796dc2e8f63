//! What table an experiment is read as.

use super::{Experiment, MEMBER, metrics};
use crate::{
    base::{Fault, did_you_mean},
    recipe::{check::quoted, schema::listed},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, ops::Range};

/// The keys of `[table]`.
pub(super) const KEYS: [&str; 5] = ["rows", "columns", "values", "over", "baseline"];

/// The `[table]` of an experiment file: how its members are laid out and what is read of each.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TableSpec {
    /// Axes of which each combination is a row: dotted keys of the recipe, or `member` for the
    /// names of explicit members. Those on neither side and not averaged over are rows too, unless
    /// their values follow from those that are.
    pub rows: Vec<String>,
    /// Axes of which each combination is a column; below it stand the values.
    pub columns: Vec<String>,
    /// Metrics, such as `test.accuracy`.
    pub values: Vec<String>,
    /// Axes that are averaged over, usually `seed`; mean and 95 % interval are shown.
    pub over: Vec<String>,
    /// The row that the others are compared with: the name that its members have in common, without
    /// the axes averaged over.
    pub baseline: Option<String>,
}

/// A word and where it is written.
pub(super) type Word = (String, Range<usize>);

/// The same with places.
#[derive(Debug, Default)]
pub(super) struct WrittenTable {
    /// Where the table is; none when there is none.
    pub(super) span: Option<Range<usize>>,
    pub(super) rows: Vec<Word>,
    pub(super) columns: Vec<Word>,
    pub(super) values: Vec<Word>,
    /// None when it is not written: then seeds are averaged over.
    pub(super) over: Option<Vec<Word>>,
    pub(super) baseline: Option<Word>,
}

impl WrittenTable {
    /// The table with `seed` averaged over where nothing is said of it.
    pub(super) fn complete(&self, axes: &[&str]) -> Option<TableSpec> {
        self.span.as_ref()?;
        let words = |words: &[Word]| words.iter().map(|word| word.0.clone()).collect::<Vec<_>>();
        let mut over = words(self.over.as_deref().unwrap_or_default());
        let columns = words(&self.columns);
        let rows = words(&self.rows);
        if self.over.is_none()
            && axes.contains(&"seed")
            && ![&rows, &columns].iter().any(|it| it.iter().any(|key| key == "seed"))
        {
            over.push("seed".to_owned());
        }
        let baseline = self.baseline.as_ref().map(|word| word.0.clone());
        Some(TableSpec { rows, columns, values: words(&self.values), over, baseline })
    }

    /// What is wrong with it: keys that are no axis or stand twice, metrics that no member has, a
    /// baseline that is no row.
    pub(super) fn check(
        &self,
        experiment: &Experiment,
        measured: &BTreeSet<String>,
        rows: &BTreeSet<String>,
    ) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut fault = |code, span: &Range<usize>, message, hint| {
            let place = Some(experiment.source.place(span.clone()));
            faults.push(Fault { code, message, hint: Some(hint), place });
        };
        let axes = experiment.axes();
        let mut seen = BTreeSet::new();
        for (key, span) in self.rows.iter().chain(&self.columns).chain(self.over.iter().flatten()) {
            if !axes.contains(&key.as_str()) {
                let known = listed(axes.iter().map(|axis| format!("`{axis}`")), "and");
                let hint = match did_you_mean(key, axes.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if axes.is_empty() => "there are no axes yet".to_owned(),
                    None => format!("the axes are {known}"),
                };
                fault(
                    "no-axis",
                    span,
                    format!("`{}` is no axis of this experiment", quoted(key)),
                    hint,
                );
            } else if !seen.insert(key) {
                let hint = "an axis stands in rows, in columns or in `over`: once".to_owned();
                fault("no-axis", span, format!("`{key}` stands here twice"), hint);
            }
        }
        faults.extend(self.values.iter().filter_map(|it| metric_fault(experiment, it, measured)));
        let baseline = self.baseline.as_ref();
        faults.extend(baseline.and_then(|it| row_fault(experiment, "no-baseline", it, rows)));
        faults
    }
}

/// The fault of a metric that no member has.
pub(super) fn metric_fault(
    experiment: &Experiment,
    (name, span): &Word,
    measured: &BTreeSet<String>,
) -> Option<Fault> {
    let measured: Vec<String> = measured.iter().cloned().collect();
    if metrics::is_among(name, &measured) {
        return None;
    }
    let hint = match did_you_mean(name, measured.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            let names = measured.iter().map(|name| format!("`{name}`"));
            format!("they have {}", listed(names, "and"))
        }
    };
    let message = format!("no member will have the metric `{}`", quoted(name));
    let place = Some(experiment.source.place(span.clone()));
    Some(Fault { code: "no-metric", message, hint: Some(hint), place })
}

/// The fault of a name that no row has.
pub(super) fn row_fault(
    experiment: &Experiment,
    code: &'static str,
    (name, span): &Word,
    rows: &BTreeSet<String>,
) -> Option<Fault> {
    if rows.contains(name) {
        return None;
    }
    let named = || rows.iter().filter(|row| !row.is_empty());
    let near = did_you_mean(name, named().map(String::as_str));
    let shown = || named().take(8).map(|row| format!("`{row}`"));
    let hint = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None if named().next().is_none() => {
            "there is a single row, over all axes, and it has no name".to_owned()
        }
        None if rows.len() > 8 => {
            let shown: Vec<_> = shown().collect();
            format!("rows are {} and {} more", shown.join(", "), rows.len() - 8)
        }
        None => format!("the rows are {}", listed(shown(), "and")),
    };
    let message = format!("no row is called `{}`", quoted(name));
    let place = Some(experiment.source.place(span.clone()));
    Some(Fault { code, message, hint: Some(hint), place })
}

/// Whether an axis takes part in the name of a row.
pub(super) fn is_averaged(table: &TableSpec, axis: &str) -> bool {
    axis != MEMBER && table.over.iter().any(|key| key == axis)
}
