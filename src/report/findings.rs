//! What an experiment was to show, and what its numbers say of it: paired differences with their
//! 95 % intervals decide, and nobody's judgement.

use super::interval::Estimate;
use super::metric::Metric;
use super::model::Study;
use super::pivot::{Group, Outcomes, Pivot};
use super::sheet::estimated;
use crate::recipe::{Finding, TableSpec};

/// What the numbers say of a claim that one row is higher than another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The interval of the difference lies above zero.
    Shows,
    /// It holds zero.
    DoesNotSeparate,
    /// It lies below zero.
    OppositeShows,
    /// There is no difference to look at, or it has no interval.
    NotMeasured,
}

impl Verdict {
    fn of(difference: Option<&Estimate>) -> Self {
        match difference.and_then(|it| it.interval) {
            None => Self::NotMeasured,
            Some([low, _]) if low > 0.0 => Self::Shows,
            Some([_, high]) if high < 0.0 => Self::OppositeShows,
            Some(_) => Self::DoesNotSeparate,
        }
    }

    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Shows => "shows",
            Self::DoesNotSeparate => "does not separate",
            Self::OppositeShows => "the opposite shows",
            Self::NotMeasured => "not measured",
        }
    }
}

/// A finding and what became of it.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The claim.
    pub finding: Finding,
    /// What the numbers say.
    pub verdict: Verdict,
    /// The row that is said to be higher.
    pub(super) higher: Option<Estimate>,
    /// The row that it is compared with.
    pub(super) than: Option<Estimate>,
    /// The first less the second, paired.
    pub(super) difference: Option<Estimate>,
}

impl Judged {
    /// Judges the findings of an experiment that declares this table.
    pub fn all(
        study: &Study,
        table: Option<&TableSpec>,
        findings: &[Finding],
        outcomes: Outcomes<'_>,
    ) -> Vec<Self> {
        let default = Pivot::default_spec(study);
        let table = table.unwrap_or(&default);
        findings.iter().map(|finding| Self::of(study, table, finding, outcomes)).collect()
    }

    /// Every combination of axes is a row here, so that the names of rows are whole.
    fn of(study: &Study, table: &TableSpec, finding: &Finding, outcomes: Outcomes<'_>) -> Self {
        let than_metric = finding.than_metric.as_ref().unwrap_or(&finding.metric);
        let spec = TableSpec {
            rows: [table.rows.as_slice(), &table.columns].concat(),
            columns: Vec::new(),
            values: vec![finding.metric.clone(), than_metric.clone()],
            over: table.over.clone(),
            baseline: None,
        };
        let mut judged = Self {
            finding: finding.clone(),
            verdict: Verdict::NotMeasured,
            higher: None,
            than: None,
            difference: None,
        };
        let Ok(pivot) = Pivot::new(study, &spec, outcomes) else { return judged };
        let [metric, than_metric] = [&pivot.values[0], &pivot.values[1]];
        let group = |name: &str| {
            let is_meant = |group: &&Group| group.label == name;
            pivot.groups().map(|(_, _, group)| group).find(is_meant)
        };
        let (higher, than) = (group(&finding.higher), group(&finding.than));
        judged.higher = higher.and_then(|group| group.cells[0].value.clone());
        judged.than = than.and_then(|group| group.cells[1].value.clone());
        judged.difference = higher.zip(than).and_then(|(higher, than)| {
            pivot.between((metric, higher), (than_metric, than), study, outcomes)
        });
        judged.verdict = Verdict::of(judged.difference.as_ref());
        judged
    }

    /// The numbers behind the verdict, such as `test.accuracy` of `continuous` and of `rest-em`.
    pub(super) fn numbers(&self) -> String {
        let Finding { metric, higher, than, .. } = &self.finding;
        let than_metric = self.finding.than_metric.as_ref().unwrap_or(metric);
        let text = |name: &str, estimate: &Option<Estimate>, signed: bool| {
            let Some((metric, estimate)) = Metric::parse(name).ok().zip(estimate.as_ref()) else {
                return "–".to_owned();
            };
            estimated(&metric, estimate, signed || metric.is_difference()).text
        };
        let other = match (than_metric == metric, than == higher) {
            (true, _) => format!("of `{than}`"),
            (false, true) => format!("`{than_metric}`"),
            (false, false) => format!("`{than_metric}` of `{than}`"),
        };
        format!(
            "`{metric}` of `{higher}` {}, {other} {}; difference {}",
            text(metric, &self.higher, false),
            text(than_metric, &self.than, false),
            text(metric, &self.difference, true),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::interval::Method;

    #[test]
    fn the_interval_of_the_difference_decides() {
        let of = |interval| {
            let estimate = Estimate { mean: 0.1, interval, method: Method::Student, count: 3 };
            Verdict::of(Some(&estimate))
        };
        assert_eq!(of(Some([0.01, 0.2])), Verdict::Shows);
        assert_eq!(of(Some([0.0, 0.2])), Verdict::DoesNotSeparate);
        assert_eq!(of(Some([-0.2, -0.01])), Verdict::OppositeShows);
        assert_eq!(of(None), Verdict::NotMeasured);
        assert_eq!(Verdict::of(None), Verdict::NotMeasured);
    }
}
