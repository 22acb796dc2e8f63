//! What a run measured beside what the bundle says of the run that it repeats.

use super::opened::Opened;
use super::packing::{Left, left};
use crate::base::Key;
use crate::cli::exit::Trouble;
use crate::cli::recorded;
use crate::event::Machine;
use crate::report::Study;
use crate::store::{IndexedMetric, Store};
use std::collections::{BTreeMap, BTreeSet};

/// What was measured again and means the same nowhere.
pub(super) const NEVER_COMPARED: &str = "seconds";

/// How a metric agrees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// To the last bit.
    Equal,
    /// On another kind of machine, within the interval that the bundle states.
    Within,
    /// Another number, on another kind of machine, and the bundle states no interval.
    Unstated,
    /// It does not.
    Differs,
    /// It was not measured.
    Unmeasured,
}

impl Verdict {
    /// The word for people and programs.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Within => "within",
            Self::Unstated => "no interval",
            Self::Differs => "differs",
            Self::Unmeasured => "not measured",
        }
    }

    /// Whether nothing speaks against the bundle.
    pub(crate) fn agrees(self) -> bool {
        matches!(self, Self::Equal | Self::Within | Self::Unstated)
    }
}

/// A metric of a member.
pub(crate) struct Row {
    /// The member.
    pub(crate) member: String,
    /// The metric, as the bundle has it.
    pub(crate) bundled: IndexedMetric,
    /// What it is now.
    pub(crate) now: Option<f64>,
    /// How they agree.
    pub(crate) verdict: Verdict,
}

/// Everything that was compared.
pub(crate) struct Agreement {
    /// Metric by metric.
    pub(crate) rows: Vec<Row>,
    /// In what the two machines are of different kinds; then numbers need not be equal.
    pub(crate) other_kind: Vec<String>,
    /// Files of stages that are equal, and files that both have.
    pub(crate) files: [usize; 2],
}

impl Agreement {
    /// Compares a finished run with the bundle that it repeats.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn of(
        bundle: &Opened,
        (store, now): (&Store, &Study),
        machine: &Machine,
    ) -> Result<Self, Trouble> {
        let left = left(store, &bundle.planned)?;
        let other_kind = other_kind((&bundle.study, &bundle.machine), (now, machine));
        let must_equal = other_kind.is_empty();
        let mut rows = Vec::new();
        for member in &bundle.study.members {
            let found = now.members.iter().find(|it| it.name == member.name);
            let found = found.map_or_else(Vec::new, recorded::metrics);
            for bundled in recorded::metrics(member) {
                if bundled.name == NEVER_COMPARED {
                    continue;
                }
                let now = found.iter().find(|it| it.name == bundled.name).map(|it| it.value);
                let verdict = verdict(&bundled, now, must_equal);
                rows.push(Row { member: member.name.clone(), bundled, now, verdict });
            }
        }
        Ok(Self { rows, other_kind, files: equal_files(bundle.left(), &left) })
    }

    /// Whether nothing speaks against the bundle.
    pub(crate) fn agrees(&self) -> bool {
        self.rows.iter().all(|row| row.verdict.agrees())
    }
}

fn verdict(bundled: &IndexedMetric, now: Option<f64>, must_equal: bool) -> Verdict {
    let Some(now) = now else { return Verdict::Unmeasured };
    if now.to_bits() == bundled.value.to_bits() {
        return Verdict::Equal;
    }
    match bundled.interval {
        _ if must_equal => Verdict::Differs,
        Some([low, high]) if (low..=high).contains(&now) => Verdict::Within,
        Some(_) => Verdict::Differs,
        None => Verdict::Unstated,
    }
}

fn other_kind(
    (before, machine_before): (&Study, &Machine),
    (now, machine_now): (&Study, &Machine),
) -> Vec<String> {
    let computed_on = |study: &Study| {
        let all: BTreeSet<&str> = study.stages.iter().map(|it| it.computed_on.as_str()).collect();
        all.into_iter().collect::<Vec<_>>().join(" and ")
    };
    let facts = |study: &Study, machine: &Machine| {
        let (mstar, platform) = (study.versions.mstar.clone(), study.versions.platform.clone());
        let processor = machine.processor.clone();
        [
            ("mstar", mstar),
            ("platform", platform),
            ("processor", processor),
            ("computed on", computed_on(study)),
        ]
    };
    let pairs = facts(before, machine_before).into_iter().zip(facts(now, machine_now));
    let different = pairs.filter(|(before, now)| before != now);
    let mut told: Vec<String> = different
        .map(|((what, before), (_, now))| format!("{what}: `{before}` there, `{now}` here"))
        .collect();
    if told.is_empty() && super::packing::device_of(now) == "cuda" {
        told.push("a GPU does not add in one order".to_owned());
    }
    told
}

fn equal_files(before: &BTreeMap<Key, Left>, now: &BTreeMap<Key, Left>) -> [usize; 2] {
    let mut counts = [0, 0];
    for (key, left) in before {
        let Some(found) = now.get(key) else { continue };
        for (name, entry) in &left.files {
            counts[0] += usize::from(found.files.get(name) == Some(entry));
            counts[1] += usize::from(found.files.contains_key(name));
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_equal_here_and_within_the_interval_elsewhere() {
        let bundled = |interval| IndexedMetric {
            name: "test.accuracy".into(),
            value: 0.5,
            interval,
            count: None,
        };
        let stated = bundled(Some([0.4, 0.6]));
        assert_eq!(verdict(&stated, Some(0.5), true), Verdict::Equal);
        assert_eq!(verdict(&stated, Some(0.55), true), Verdict::Differs);
        assert_eq!(verdict(&stated, Some(0.55), false), Verdict::Within);
        assert_eq!(verdict(&stated, Some(0.61), false), Verdict::Differs);
        assert_eq!(verdict(&stated, Some(f64::NAN), false), Verdict::Differs);
        assert_eq!(verdict(&stated, None, false), Verdict::Unmeasured);
        assert_eq!(verdict(&bundled(None), Some(0.6), false), Verdict::Unstated);
    }
}
