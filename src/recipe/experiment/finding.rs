//! What an experiment is to show: claims about two rows of its table, which the report compares with
//! the numbers.

use super::{
    Experiment,
    table::{self, Word},
};
use crate::base::Fault;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The keys of `[[finding]]` that are needed.
pub(super) const NEEDED: [&str; 4] = ["says", "metric", "higher", "than"];
/// The one that is not.
pub(super) const THAN_METRIC: &str = "than_metric";

/// A `[[finding]]` of an experiment file: of two rows one is said to be higher in a metric.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The claim in words.
    pub says: String,
    /// The metric, such as `test.accuracy`.
    pub metric: String,
    /// The row that is said to be higher: the name that its members have in common, without the axes
    /// averaged over.
    pub higher: String,
    /// The row that it is compared with.
    pub than: String,
    /// The metric of that row, where it is another.
    #[serde(default)]
    pub than_metric: Option<String>,
}

/// The same with places.
#[derive(Clone, Debug)]
pub(super) struct WrittenFinding {
    pub(super) says: Word,
    pub(super) metric: Word,
    pub(super) higher: Word,
    pub(super) than: Word,
    pub(super) than_metric: Option<Word>,
}

impl WrittenFinding {
    pub(super) fn finding(&self) -> Finding {
        let [says, metric, higher, than] =
            [&self.says, &self.metric, &self.higher, &self.than].map(|word| word.0.clone());
        let than_metric = self.than_metric.as_ref().map(|word| word.0.clone());
        Finding { says, metric, higher, than, than_metric }
    }

    /// What is wrong with it: a metric that no member has, rows that there are not.
    pub(super) fn check(
        &self,
        experiment: &Experiment,
        measured: &BTreeSet<String>,
        rows: &BTreeSet<String>,
    ) -> Vec<Fault> {
        let metrics = [Some(&self.metric), self.than_metric.as_ref()].into_iter().flatten();
        let mut faults: Vec<Fault> = metrics
            .filter_map(|metric| table::metric_fault(experiment, metric, measured))
            .collect();
        for word in [&self.higher, &self.than] {
            faults.extend(table::row_fault(experiment, "no-row", word, rows));
        }
        faults
    }
}
