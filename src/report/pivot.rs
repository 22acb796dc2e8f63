//! Members of a study laid out as the experiment's table asks: rows by columns, means over seeds
//! with intervals, differences from a baseline.
//!
//! A member without its last result is counted and named in its row, and takes part in no mean.

use super::findings::Judged;
use super::interval::{Estimate, student, unpaired};
use super::metric::{Metric, UnknownMetric};
use super::model::{At, Member, Study};
use super::sheet::Sheet;
use crate::base::{Hint, did_you_mean};
use crate::recipe::TableSpec;
use serde_json::Value;
use std::collections::BTreeMap;

/// The pseudo axis of members that no axis tells apart.
const MEMBER: &str = "member";
/// The pseudo axis of several runs.
pub(super) const RUN: &str = "run";
/// The axis that is averaged over when the table does not say otherwise.
const SEED: &str = "seed";

/// What each prompt came to in an evaluation of a member: by member, split and place. `None` when
/// that is no longer known.
pub type Outcomes<'a> = &'a dyn Fn(&str, &str, At) -> Option<Vec<(u64, bool)>>;

/// Why a table cannot be made.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableFault {
    /// A key that is no axis of the members.
    #[error("no member has a value for `{key}`")]
    Key {
        /// The key.
        key: String,
        /// The axes that there are.
        known: Vec<String>,
    },
    /// A key that is asked for twice.
    #[error("`{key}` is named twice in the table")]
    Twice {
        /// The key.
        key: String,
    },
    /// A metric that there is not.
    #[error(transparent)]
    Metric(#[from] UnknownMetric),
    /// A baseline that is no row.
    #[error("no row is called `{name}`")]
    Baseline {
        /// The name.
        name: String,
        /// The rows that there are.
        known: Vec<String>,
    },
}

impl Hint for TableFault {
    fn hint(&self) -> Option<String> {
        let near = |name: &str, known: &[String]| {
            did_you_mean(name, known.iter().map(String::as_str)).map(str::to_owned)
        };
        let suggest = |name: &str, known: &[String], what: &str| match near(name, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => format!("there are no {what}"),
            None if known.len() > 12 => format!("{what}: `{}`, …", known[..12].join("`, `")),
            None => format!("{what}: `{}`", known.join("`, `")),
        };
        match self {
            Self::Key { key, known } => Some(suggest(key, known, "axes")),
            Self::Twice { .. } => Some("name it once: as rows, as columns or averaged over".into()),
            Self::Metric(error) => error.hint(),
            Self::Baseline { name, known } => Some(suggest(name, known, "rows")),
        }
    }
}

/// A table of a study.
#[derive(Clone, Debug)]
pub struct Pivot {
    pub(super) rows: Vec<String>,
    pub(super) columns: Vec<String>,
    pub(super) values: Vec<Metric>,
    pub(super) over: Vec<String>,
    pub(super) baseline: Option<String>,
    /// Values of the columns' axes; one empty list where there are no columns.
    pub(super) heads: Vec<Vec<Value>>,
    pub(super) lines: Vec<Line>,
    pub(super) findings: Vec<Judged>,
}

/// A row.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// Values of the rows' axes.
    pub(super) keys: Vec<Value>,
    /// By column; `None` where no member lies.
    pub(super) groups: Vec<Option<Group>>,
}

/// Members that differ in nothing but what is averaged over.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// What their names have in common.
    pub(super) label: String,
    /// Places in the study.
    pub(super) members: Vec<usize>,
    /// Of those without a value that is asked for, how many by what became of them.
    pub(super) missing: BTreeMap<&'static str, usize>,
    /// What happened to the first of them.
    pub(super) reason: Option<String>,
    /// Whether others are compared with it.
    pub(super) is_baseline: bool,
    /// By metric.
    pub(super) cells: Vec<Cell>,
}

/// What is said of a group about one metric.
#[derive(Clone, Debug, Default)]
pub(super) struct Cell {
    pub(super) value: Option<Estimate>,
    /// From the baseline, paired.
    pub(super) difference: Option<Estimate>,
}

impl Pivot {
    /// The table that is shown when none is declared: every axis a row, means over seeds of the
    /// last accuracy and its gain.
    pub fn default_spec(study: &Study) -> TableSpec {
        let axes = axes(&study.members);
        let over = axes.iter().any(|axis| axis == SEED).then(|| SEED.to_owned());
        let split = study.members.iter().map(Member::result_split).min().unwrap_or("validation");
        let mut values = vec![format!("{split}.accuracy")];
        if Metric::measured_in(study).contains(&Metric::Gain(split.to_owned())) {
            values.push(format!("{split}.gain"));
        }
        TableSpec {
            rows: axes.into_iter().filter(|axis| axis != SEED).collect(),
            columns: Vec::new(),
            values,
            over: over.into_iter().collect(),
            baseline: None,
        }
    }

    /// Lays a study out. Axes that the table does not name are rows; without metrics it shows those
    /// of [`Self::default_spec`]. Outcomes are asked for where one member stands alone.
    ///
    /// # Errors
    /// [`TableFault`], for a key, a metric or a baseline that the study does not have.
    pub fn new(
        study: &Study,
        spec: &TableSpec,
        outcomes: Outcomes<'_>,
    ) -> Result<Self, TableFault> {
        let axes = axes(&study.members);
        let (rows, columns, over) = sides(&study.members, &axes, spec)?;
        let names = match spec.values.is_empty() {
            true => Self::default_spec(study).values,
            false => spec.values.clone(),
        };
        let values = names.iter().map(|name| Metric::parse(name)).collect::<Result<_, _>>()?;
        let mut pivot = Self {
            rows,
            columns,
            values,
            over,
            baseline: spec.baseline.clone(),
            heads: Vec::new(),
            lines: Vec::new(),
            findings: Vec::new(),
        };
        pivot.group(study, &axes);
        let reading = Reading { study, outcomes, over: &pivot.over };
        for group in pivot.lines.iter_mut().flat_map(|line| line.groups.iter_mut().flatten()) {
            reading.fill(group, &pivot.values);
        }
        pivot.compare(study, outcomes)?;
        Ok(pivot)
    }

    /// The same with what the experiment was to show, which every form tells below the table.
    #[must_use]
    pub fn with_findings(self, findings: Vec<Judged>) -> Self {
        Self { findings, ..self }
    }

    /// The table that is shown when none is declared, from the log alone.
    pub(super) fn plain(study: &Study) -> Self {
        Self::new(study, &Self::default_spec(study), &|_, _, _| None)
            .expect("its axes and metrics are those of the study")
    }

    /// For the terminal: at most 100 columns where its cells allow.
    pub fn to_text(&self) -> String {
        super::text::pivot(self)
    }

    /// As a table of Markdown.
    pub fn to_markdown(&self, title: &str) -> String {
        super::markdown::markdown(&Sheet::of(self), title)
    }

    /// As a drawing that stands alone: a dot with its interval for each group and metric.
    pub fn to_svg(&self, title: &str) -> String {
        super::dots::svg(self, title)
    }

    /// As a LaTeX table in the style of booktabs.
    pub fn to_latex(&self, title: &str) -> String {
        super::latex::latex(&Sheet::of(self), title)
    }

    /// As CSV, a row for each group of members.
    pub fn to_csv(&self) -> String {
        super::flat::csv(self)
    }

    /// As a Parquet file, with the columns of the CSV.
    pub fn to_parquet(&self) -> Vec<u8> {
        super::flat::parquet(self)
    }

    /// Sorts members into rows and columns, each in the order in which it first appears.
    fn group(&mut self, study: &Study, axes: &[String]) {
        // What tells members without axes apart is their names.
        let is_plain = |member: &Member| member.values.keys().all(|key| key == RUN);
        let keys = |member: &Member, of: &[String]| -> Vec<Value> {
            let value = |key: &String| match member.values.get(key) {
                None if key == MEMBER && is_plain(member) => Value::from(member.name.as_str()),
                other => other.cloned().unwrap_or_default(),
            };
            of.iter().map(value).collect()
        };
        let text = |values: &[Value]| Value::from(values.to_vec()).to_string();
        let mut lines: BTreeMap<String, usize> = BTreeMap::new();
        let mut heads: BTreeMap<String, usize> = BTreeMap::new();
        let mut places = Vec::with_capacity(study.members.len());
        for member in &study.members {
            let (row, column) = (keys(member, &self.rows), keys(member, &self.columns));
            let line = *lines.entry(text(&row)).or_insert_with(|| {
                self.lines.push(Line { keys: row, groups: Vec::new() });
                self.lines.len() - 1
            });
            let head = *heads.entry(text(&column)).or_insert_with(|| {
                self.heads.push(column);
                self.heads.len() - 1
            });
            places.push((line, head));
        }
        for line in &mut self.lines {
            line.groups.resize(self.heads.len(), None);
        }
        for (index, (member, (line, head))) in study.members.iter().zip(places).enumerate() {
            let group = self.lines[line].groups[head].get_or_insert_with(|| Group {
                label: without(&member.name, &self.over, axes),
                members: Vec::new(),
                missing: BTreeMap::new(),
                reason: None,
                is_baseline: false,
                cells: Vec::new(),
            });
            group.members.push(index);
        }
    }

    /// Fills in the differences from the baseline: of its row in the same column, or, where it names
    /// columns too, of that one group.
    fn compare(&mut self, study: &Study, outcomes: Outcomes<'_>) -> Result<(), TableFault> {
        let Some(name) = self.baseline.clone() else { return Ok(()) };
        let axes = axes(&study.members);
        let row_name = |group: &Group| without(&group.label, &self.columns, &axes);
        // Of several runs, each before its members' names, the first one is meant.
        let is_called = |group: &Group, called: &str| {
            let run =
                group.members.first().and_then(|it| study.members[*it].values.get(RUN)?.as_str());
            let bare = run.and_then(|run| called.strip_prefix(run)?.strip_prefix('/'));
            called == name || bare == Some(name.as_str())
        };
        let is_row = |line: &&Line| {
            let first = line.groups.iter().flatten().next();
            first.is_some_and(|group| is_called(group, &row_name(group)))
        };
        let is_meant = |group: &&Group| {
            let is_member = |index: &usize| study.members[*index].name == name;
            is_called(group, &group.label) || group.members.iter().any(is_member)
        };
        let row = self.lines.iter().find(is_row);
        let single = self.groups().map(|(_, _, group)| group).find(is_meant);
        let bases: Vec<Option<Group>> = match (row, single) {
            (Some(row), _) => row.groups.clone(),
            (None, Some(group)) => vec![Some(group.clone()); self.heads.len()],
            (None, None) => {
                let first = |line: &Line| line.groups.iter().flatten().next().map(row_name);
                let known = self.lines.iter().filter_map(first);
                return Err(TableFault::Baseline { name, known: known.collect() });
            }
        };
        if let (None, Some(cell)) = (row, single) {
            self.baseline = Some(cell.label.clone());
        }
        let reading = Reading { study, outcomes, over: &self.over };
        for line in &mut self.lines {
            for (group, base) in line.groups.iter_mut().zip(&bases) {
                let (Some(group), Some(base)) = (group, base) else { continue };
                group.is_baseline = group.label == base.label;
                if group.is_baseline {
                    continue;
                }
                for (metric, cell) in self.values.iter().zip(&mut group.cells) {
                    cell.difference =
                        reading.difference((metric, &group.members), (metric, &base.members));
                }
            }
        }
        Ok(())
    }

    /// The groups with their row, in the order of the table.
    pub(super) fn groups(&self) -> impl Iterator<Item = (&Line, usize, &Group)> {
        self.lines.iter().flat_map(|line| {
            let groups = line.groups.iter().enumerate();
            groups.filter_map(move |(head, group)| Some((line, head, group.as_ref()?)))
        })
    }

    /// One metric of a group less another of another, over members that share what is averaged over.
    pub(super) fn between(
        &self,
        (metric, group): (&Metric, &Group),
        (base_metric, base): (&Metric, &Group),
        study: &Study,
        outcomes: Outcomes<'_>,
    ) -> Option<Estimate> {
        let reading = Reading { study, outcomes, over: &self.over };
        reading.difference((metric, &group.members), (base_metric, &base.members))
    }

    /// Whether differences are shown.
    pub(super) fn compares(&self) -> bool {
        self.baseline.is_some()
    }

    /// What the members of a group are called.
    pub(super) fn of_members(&self) -> &'static str {
        if self.over == [SEED] { "seeds" } else { "members" }
    }
}

/// Where values come from.
struct Reading<'a> {
    study: &'a Study,
    outcomes: Outcomes<'a>,
    over: &'a [String],
}

impl Reading<'_> {
    fn fill(&self, group: &mut Group, metrics: &[Metric]) {
        let members = || group.members.iter().map(|index| &self.study.members[*index]);
        let cells = metrics.iter().map(|metric| {
            let values: Vec<(&Member, Estimate)> =
                members().filter_map(|member| Some((member, metric.of(member)?))).collect();
            let value = match values.as_slice() {
                [] => None,
                [(member, own)] => Some(self.alone(metric, member).unwrap_or_else(|| own.clone())),
                several => student(&several.iter().map(|(_, own)| own.mean).collect::<Vec<_>>()),
            };
            Cell { value: value.map(|it| it.within(metric.range())), difference: None }
        });
        let cells: Vec<Cell> = cells.collect();
        let lacks = |member: &&Member| {
            member.trouble.is_some() && metrics.iter().any(|metric| metric.of(member).is_none())
        };
        for trouble in members().filter(lacks).filter_map(|member| member.trouble.as_ref()) {
            *group.missing.entry(trouble.word).or_default() += 1;
            group.reason.get_or_insert_with(|| trouble.why.clone());
        }
        group.cells = cells;
    }

    /// A difference between two policies of one member, by the prompts that both answered.
    fn alone(&self, metric: &Metric, member: &Member) -> Option<Estimate> {
        let prompts = self.by_prompt(metric, member).filter(|_| metric.is_difference())?;
        metric.over_prompts(&prompts.into_values().collect::<Vec<_>>())
    }

    /// The difference of a group from another, over members that share what is averaged over.
    fn difference(
        &self,
        (metric, members): (&Metric, &[usize]),
        (base_metric, base): (&Metric, &[usize]),
    ) -> Option<Estimate> {
        let of = |metric: &Metric, index: &usize| {
            let member = &self.study.members[*index];
            Some((member, metric.of(member)?))
        };
        let key = |member: &Member| -> Vec<Option<Value>> {
            self.over.iter().map(|key| member.values.get(key).cloned()).collect()
        };
        let others: Vec<(&Member, Estimate)> =
            base.iter().filter_map(|index| of(base_metric, index)).collect();
        let mut pairs = Vec::new();
        for (member, own) in members.iter().filter_map(|index| of(metric, index)) {
            if let Some((other, base)) = others.iter().find(|(other, _)| key(other) == key(member))
            {
                pairs.push(((member, own), (*other, base)));
            }
        }
        let estimate = match pairs.as_slice() {
            [] => None,
            [((member, own), (other, base))] => {
                let paired = self.paired((metric, member), (base_metric, other));
                Some(paired.unwrap_or_else(|| unpaired(own, base)))
            }
            several => {
                let differences = several.iter().map(|((_, own), (_, base))| own.mean - base.mean);
                student(&differences.collect::<Vec<_>>())
            }
        };
        estimate.map(|it| it.within(metric.range_of_differences()))
    }

    /// The difference of two members over the prompts that both answered.
    fn paired(
        &self,
        (metric, member): (&Metric, &Member),
        (base_metric, other): (&Metric, &Member),
    ) -> Option<Estimate> {
        // Prompts of different splits may have the same number.
        let is_shared = metric.terms(member)?.0 == base_metric.terms(other)?.0;
        let (own, base) = (self.by_prompt(metric, member)?, self.by_prompt(base_metric, other)?);
        let shared = own.iter().filter_map(|(prompt, value)| Some(value - base.get(prompt)?));
        let values: Vec<i32> = shared.collect();
        // Means over fewer prompts than the values beside it would not be their difference.
        let whole = values.len() == own.len() && values.len() == base.len();
        metric.difference_over_prompts(&values).filter(|_| whole && is_shared)
    }

    /// Every prompt's share in a metric.
    fn by_prompt(&self, metric: &Metric, member: &Member) -> Option<BTreeMap<u64, i32>> {
        let (split, terms) = metric.terms(member)?;
        let mut sums: BTreeMap<u64, (i32, usize)> = BTreeMap::new();
        for (at, sign) in &terms {
            for (prompt, right) in (self.outcomes)(&member.name, split, *at)? {
                let sum = sums.entry(prompt).or_default();
                *sum = (sum.0 + sign * i32::from(right), sum.1 + 1);
            }
        }
        let whole = sums.values().all(|(_, evaluations)| *evaluations == terms.len());
        whole.then(|| sums.into_iter().map(|(prompt, (sum, _))| (prompt, sum)).collect())
    }
}

/// Every axis, in the order in which names of members tell them; `member` when there is none.
fn axes(members: &[Member]) -> Vec<String> {
    let mut axes: BTreeMap<&String, usize> = BTreeMap::new();
    for member in members {
        let is_named = |part: &str, key: &str| match part.split_once('=') {
            Some((part, _)) => key == part || key.ends_with(&format!(".{part}")),
            // What a `[[member]]` is called stands there alone.
            None => key == MEMBER && member.values.get(key).is_some_and(|name| name == part),
        };
        for key in member.values.keys().filter(|key| *key != RUN) {
            axes.entry(key).or_insert_with(|| {
                member.name.split(',').position(|part| is_named(part, key)).unwrap_or(usize::MAX)
            });
        }
    }
    let mut axes: Vec<(usize, &String)> = axes.into_iter().map(|(key, at)| (at, key)).collect();
    axes.sort();
    let mut axes: Vec<String> = axes.into_iter().map(|(_, key)| key.clone()).collect();
    if members.iter().any(|member| member.values.contains_key(RUN)) {
        axes.insert(0, RUN.to_owned());
    }
    if axes.is_empty() {
        axes.push(MEMBER.to_owned());
    }
    axes
}

impl Study {
    /// With gains that are paired by prompt where the outcomes are known, of the members that are
    /// shown in full.
    #[must_use]
    pub fn with_paired_gains(mut self, outcomes: Outcomes<'_>) -> Self {
        let shown = self.shown();
        let paired: Vec<Member> =
            shown.into_iter().map(|it| self.with_gains_of(it, outcomes)).collect();
        for with_gains in paired {
            let same = self.members.iter_mut().find(|it| it.name == with_gains.name);
            same.into_iter().for_each(|it| it.paired.clone_from(&with_gains.paired));
        }
        self
    }

    /// A member with gains that are paired by prompt where the outcomes are known.
    pub fn with_gains_of(&self, member: &Member, outcomes: Outcomes<'_>) -> Member {
        let reading = Reading { study: self, outcomes, over: &[] };
        let gains = Metric::measured_of(member).into_iter().filter(Metric::is_difference);
        let paired = gains.filter_map(|it| Some((it.clone(), reading.alone(&it, member)?)));
        Member { paired: paired.collect(), ..member.clone() }
    }
}

/// Rows, columns and what is averaged over.
type Sides = (Vec<String>, Vec<String>, Vec<String>);

fn sides(members: &[Member], axes: &[String], spec: &TableSpec) -> Result<Sides, TableFault> {
    let mut named: Vec<&String> = Vec::new();
    for key in spec.rows.iter().chain(&spec.columns).chain(&spec.over) {
        let is_axis = axes.contains(key);
        // A table that averages over seeds also serves an experiment with one.
        let is_harmless = key == SEED && spec.over.contains(key);
        if !is_axis && !is_harmless {
            return Err(TableFault::Key { key: key.clone(), known: axes.to_vec() });
        }
        if named.contains(&key) {
            return Err(TableFault::Twice { key: key.clone() });
        }
        named.push(key);
    }
    let over = spec.over.iter().filter(|key| axes.contains(key)).cloned().collect();
    let rest = axes.iter().filter(|axis| !named.contains(axis));
    let mut rows = spec.rows.clone();
    for axis in rest {
        let placed: Vec<&String> = rows.iter().chain(&spec.columns).collect();
        if !follows(members, axis, &placed) {
            rows.push(axis.clone());
        }
    }
    Ok((rows, spec.columns.clone(), over))
}

/// Whether the value of an axis is known from those of others, as what a `[[member]]` sets is from its
/// name.
fn follows(members: &[Member], axis: &str, placed: &[&String]) -> bool {
    let mut known = BTreeMap::new();
    !placed.is_empty()
        && members.iter().all(|member| {
            let of = placed.iter().map(|key| member.values.get(*key).cloned().unwrap_or_default());
            let of = Value::from(of.collect::<Vec<Value>>()).to_string();
            let value = member.values.get(axis);
            *known.entry(of).or_insert(value) == value
        })
}

/// A member's name without the parts of some axes: `a=1,seed=2` without `seed` is `a=1`.
fn without(name: &str, dropped: &[String], axes: &[String]) -> String {
    let is_of = |part: &str, key: &str| key == part || key.ends_with(&format!(".{part}"));
    let kept = name.split(',').filter(|text| {
        let Some((part, _)) = text.split_once('=') else { return true };
        // A part that names one axis in full is not the end of another.
        let of = axes.iter().find(|axis| *axis == part);
        let of = of.or_else(|| axes.iter().find(|axis| is_of(part, axis)));
        !of.is_some_and(|axis| dropped.contains(axis))
    });
    kept.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_loses_the_parts_of_axes_that_are_averaged_over() {
        let owned = |keys: &[&str]| keys.iter().map(|&key| key.to_owned()).collect::<Vec<_>>();
        let axes = owned(&["training.method", "data.seed", "seed"]);
        let name = "method=sft,data.seed=7,seed=1";
        assert_eq!(without(name, &owned(&["seed"]), &axes), "method=sft,data.seed=7");
        assert_eq!(without(name, &owned(&["data.seed"]), &axes), "method=sft,seed=1");
        assert_eq!(without(name, &owned(&["training.method"]), &axes), "data.seed=7,seed=1");
        assert_eq!(without("b-star,seed=1", &owned(&["seed"]), &axes), "b-star");
        assert_eq!(without("b-star", &[], &axes), "b-star");
    }

    #[test]
    fn axes_come_in_the_order_of_names() {
        let member = |name: &str, keys: &[&str]| Member {
            name: name.to_owned(),
            values: keys.iter().map(|&key| (key.to_owned(), Value::from(1))).collect(),
            ..Member::default()
        };
        let members = [member("seed=1,method=1", &["training.method", "seed", "run"])];
        assert_eq!(axes(&members), ["run", "seed", "training.method"]);
        assert_eq!(axes(&[member("alone", &[])]), ["member"]);
        let mut named = member("short,seed=1", &["hooks.script", "seed"]);
        named.values.insert("member".to_owned(), Value::from("short"));
        assert_eq!(axes(&[named]), ["member", "seed", "hooks.script"]);
    }
}
