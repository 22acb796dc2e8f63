//! From an experiment and its base to the members: every combination, resolved and checked.

use super::{
    Assignment, Dimension, Experiment, Explicit, Finding, MEMBER, TableSpec, metrics, name, table,
};
use crate::{
    base::{Fault, Faults, Place},
    hooks::{Expression, ExpressionError},
    recipe::{Origin, Recipe, Resolved, Stack, layers, without_effect},
};
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::Arc,
};

/// Different faults that are told; of a grid gone wrong the first say it all.
const FAULTS_TOLD: usize = 20;

/// A member of an experiment.
#[derive(Clone, Debug)]
pub struct MemberRecipe {
    /// Its name, such as `method=sft,seed=1`.
    pub name: String,
    /// The value of every axis, by dotted key; and `member` where members are named.
    pub values: Map<String, Value>,
    /// What it resolves to.
    pub recipe: Recipe,
    /// Keys that it sets and where the value is written, in the experiment file.
    places: Vec<(Arc<str>, Range<usize>)>,
}

/// An experiment on its base.
#[derive(Debug)]
pub struct Expanded {
    /// The members, in the order of the file.
    pub members: Vec<MemberRecipe>,
    /// What the members have in common; on its own it need not pass the checks.
    pub base: Resolved,
    /// How the report lays them out.
    pub table: Option<TableSpec>,
    /// What it is to show.
    pub findings: Vec<Finding>,
    /// What is worth knowing and no fault.
    pub notes: Vec<Fault>,
}

impl Expanded {
    /// Where a value of a member came from.
    pub fn origin(&self, experiment: &Experiment, member: &MemberRecipe, key: &str) -> Origin {
        let written = member.places.iter().find(|place| *place.0 == *key);
        match written {
            Some((_, span)) => Origin::Axis(experiment.source.place(span.clone())),
            None => self.base.origins.get(key).cloned().unwrap_or(Origin::Default),
        }
    }
}

impl Experiment {
    /// Resolves every member over the layers of the base.
    ///
    /// # Errors
    /// Faults of members, each once, with the first member that has it.
    pub fn expand(&self, base: &Stack) -> Result<Expanded, Faults> {
        let written = self.constants.iter().map(Assignment::written);
        let stack = base.with_axes(&self.source, written)?;
        let shared = stack.merge()?;
        self.refuse_axes_that_are_set(&shared)?;
        let mut expansion = Expansion {
            experiment: self,
            stack: &stack,
            skips: self.compile_skips()?,
            labels: BTreeMap::new(),
            templates: BTreeMap::new(),
            taken: BTreeSet::new(),
            members: Vec::new(),
            told: Told::default(),
            used: BTreeSet::new(),
            measured: BTreeSet::new(),
        };
        let axes = self.axes();
        let keys: Vec<&str> = axes.iter().copied().filter(|axis| *axis != MEMBER).collect();
        expansion.labels = name::axis_labels(&keys);
        match self.members.as_slice() {
            [] => expansion.cross(None),
            members => members.iter().for_each(|member| expansion.cross(Some(member))),
        }
        expansion.finish(shared)
    }

    /// Values from the command line and the environment stand above the axes, which would vary
    /// nothing then.
    fn refuse_axes_that_are_set(&self, shared: &Resolved) -> Result<(), Faults> {
        let is_above =
            |origin: &&Origin| matches!(origin, Origin::Environment { .. } | Origin::Set { .. });
        let faults = self.axes().into_iter().filter_map(|axis| {
            let origin = shared.origins.get(axis).filter(is_above)?;
            Some(Fault {
                code: "axis-is-set",
                message: format!("`{axis}` is an axis of the experiment and is set for all of it"),
                hint: Some(match self.member_that_sets(axis, shared.leaves.get(axis)) {
                    Some(name) => {
                        format!("leave it out; it is set by members: `--only '{name}'` chooses one")
                    }
                    None => format!(
                        "leave it out; `--only '*{}=…*'` chooses members",
                        axis.rsplit('.').next().unwrap_or(axis)
                    ),
                }),
                place: origin.place().cloned(),
            })
        });
        let faults: Vec<Fault> = faults.collect();
        if faults.is_empty() { Ok(()) } else { Err(Faults(faults)) }
    }

    /// A pattern for the `[[member]]` that gives a key this value, or any, where only such members
    /// set it: then it is in no member's name.
    fn member_that_sets(&self, key: &str, value: Option<&Value>) -> Option<String> {
        if self.dimensions.iter().any(|it| it.keys.iter().any(|(axis, _)| **axis == *key)) {
            return None;
        }
        let set_to = |member: &Explicit| {
            member.values.iter().find(|it| *it.key == *key).map(|it| Some(&it.json) == value)
        };
        let setting = || self.members.iter().filter(|member| set_to(member).is_some());
        let found =
            setting().find(|member| set_to(member) == Some(true)).or_else(|| setting().next());
        let is_crossed =
            |it: &Explicit| self.dimensions.iter().any(|axis| axis.is_free_in(Some(it)));
        found.map(|it| format!("{}{}", it.name, if is_crossed(it) { ",*" } else { "" }))
    }

    fn compile_skips(&self) -> Result<Vec<Condition<'_>>, Faults> {
        let mut faults = Vec::new();
        let mut conditions = Vec::new();
        for skip in &self.skips {
            match Expression::compile(&skip.when) {
                Ok(expression) => {
                    conditions.push(Condition {
                        expression,
                        span: &skip.span,
                        skipped: 0,
                        is_broken: false,
                    });
                }
                Err(error) => {
                    faults.push(self.skip_fault(&skip.span, &error, "this is no condition"))
                }
            }
        }
        if faults.is_empty() { Ok(conditions) } else { Err(Faults(faults)) }
    }

    fn skip_fault(&self, span: &Range<usize>, error: &ExpressionError, what: &str) -> Fault {
        Fault {
            code: "bad-skip",
            message: format!("{what}: {error}"),
            hint: Some("write a Rhai expression that is true or false, such as `training.method == \"sft\" && seed > 1`".to_owned()),
            place: Some(self.place_in_text(span, error.position)),
        }
    }

    /// The place of a position inside a string that is written at `span`.
    fn place_in_text(&self, span: &Range<usize>, position: Option<(usize, usize)>) -> Place {
        let text = &self.source.text[span.clone()];
        let quotes = if text.starts_with("'''") || text.starts_with("\"\"\"") { 3 } else { 1 };
        let inner = span.start + quotes;
        match position {
            // Escapes would shift it, and several lines too.
            Some((1, column)) if !text.contains(['\\', '\n']) => {
                let before: usize =
                    text[quotes..].chars().take(column - 1).map(char::len_utf8).sum();
                let start = (inner + before).min(span.end - 1);
                self.source.place(start..span.end.saturating_sub(quotes).max(start + 1))
            }
            _ => self.source.place(span.clone()),
        }
    }
}

impl Assignment {
    fn written(&self) -> (String, Range<usize>, crate::recipe::tree::Tree) {
        (self.key.to_string(), self.key_span.clone(), self.value.clone())
    }
}

/// A compiled `[[skip]]`.
struct Condition<'e> {
    expression: Expression,
    span: &'e Range<usize>,
    skipped: usize,
    is_broken: bool,
}

/// Members that set the same keys differ in values only: one of them is merged from the layers, and
/// the others are that one with other values.
struct Template {
    json: Value,
    resolved: Resolved,
}

struct Expansion<'e> {
    experiment: &'e Experiment,
    stack: &'e Stack,
    skips: Vec<Condition<'e>>,
    labels: BTreeMap<&'e str, &'e str>,
    /// By the keys that are set.
    templates: BTreeMap<Vec<Arc<str>>, Template>,
    taken: BTreeSet<String>,
    members: Vec<MemberRecipe>,
    told: Told,
    /// Keys of the experiment that change something in at least one member.
    used: BTreeSet<&'e str>,
    measured: BTreeSet<String>,
}

impl<'e> Expansion<'e> {
    /// All members of a named point, or of the plain grid.
    fn cross(&mut self, explicit: Option<&'e Explicit>) {
        let dimensions = &self.experiment.dimensions;
        let free: Vec<&Dimension> =
            dimensions.iter().filter(|it| it.is_free_in(explicit)).collect();
        let mut indices = vec![0; free.len()];
        loop {
            let own = explicit.map_or(&[][..], |member| &member.values);
            let points =
                free.iter().zip(&indices).flat_map(|(dimension, index)| &dimension.points[*index]);
            let crossed: Vec<&Assignment> = points.collect();
            self.member(explicit, own, &crossed);
            let mut position = free.len();
            // The last dimension changes fastest, like the digits of a number.
            loop {
                if position == 0 {
                    return;
                }
                position -= 1;
                indices[position] += 1;
                if indices[position] < free[position].points.len() {
                    break;
                }
                indices[position] = 0;
            }
        }
    }

    fn member(
        &mut self,
        explicit: Option<&Explicit>,
        own: &'e [Assignment],
        crossed: &[&'e Assignment],
    ) {
        if self.told.is_enough() {
            return;
        }
        let name = self.name(explicit, crossed);
        let assigned: Vec<&'e Assignment> = own.iter().chain(crossed.iter().copied()).collect();
        let Some((json, mut resolved)) = self.resolve(&name, &assigned) else { return };
        if self.is_skipped(&name, explicit, &json) {
            return;
        }
        match serde_json::from_value::<Recipe>(json) {
            Ok(recipe) => resolved.recipe = recipe,
            Err(error) => {
                let message = format!("the merged recipe cannot be read: {error}");
                self.told
                    .add(&name, Fault { code: "unreadable", message, hint: None, place: None });
                return;
            }
        }
        for fault in layers::examine(&resolved) {
            self.told.add(&name, fault);
        }
        self.note_use(&resolved, &assigned);
        let axes = self.experiment.axes();
        let values = axes.into_iter().map(|axis| {
            let value = match explicit {
                Some(member) if axis == MEMBER => member.name.as_str().into(),
                _ => resolved.leaves.get(axis).cloned().unwrap_or(Value::Null),
            };
            (axis.to_owned(), value)
        });
        let name = name::make_distinct(name, &mut self.taken);
        let places = assigned.iter().map(|it| (it.key.clone(), it.value.span.clone())).collect();
        self.measured.extend(metrics(&resolved.recipe));
        self.members.push(MemberRecipe {
            name,
            values: values.collect(),
            recipe: resolved.recipe,
            places,
        });
    }

    fn name(&self, explicit: Option<&Explicit>, crossed: &[&Assignment]) -> String {
        let own = explicit.map(|member| member.name.clone());
        let parts = crossed.iter().map(|it| name::part(self.labels[&*it.key], &it.json));
        let parts: Vec<String> = own.into_iter().chain(parts).collect();
        if parts.is_empty() { self.experiment.name.clone() } else { parts.join(",") }
    }

    /// The recipe of a member as JSON, and with its origins; the typed recipe is not yet its own.
    fn resolve(&mut self, name: &str, assigned: &[&Assignment]) -> Option<(Value, Resolved)> {
        let keys: Vec<Arc<str>> = assigned.iter().map(|it| it.key.clone()).collect();
        if !self.templates.contains_key(&keys) {
            let written = assigned.iter().map(|it| it.written());
            let merged =
                self.stack.with_axes(&self.experiment.source, written).and_then(|it| it.merge());
            match merged {
                Ok(resolved) => {
                    let json =
                        serde_json::to_value(&resolved.recipe).expect("a recipe is plain data");
                    self.templates.insert(keys.clone(), Template { json, resolved });
                }
                Err(faults) => {
                    faults.0.into_iter().for_each(|fault| self.told.add(name, fault));
                    return None;
                }
            }
        }
        let template = self.templates.get(&keys)?;
        let (mut json, mut resolved) = (template.json.clone(), template.resolved.clone());
        for assignment in assigned {
            let place = self.experiment.source.place(assignment.value.span.clone());
            resolved.origins.insert(assignment.key.to_string(), Origin::Axis(place));
            resolved.leaves.insert(assignment.key.to_string(), assignment.json.clone());
            let pointer = format!("/{}", assignment.key.replace('.', "/"));
            *json.pointer_mut(&pointer).expect("a merged recipe has every key that is set") =
                assignment.json.clone();
        }
        Some((json, resolved))
    }

    fn is_skipped(&mut self, name: &str, explicit: Option<&Explicit>, json: &Value) -> bool {
        let Some(values) = json.as_object() else { return false };
        let member = Value::from(explicit.map_or("", |member| &member.name));
        let mut is_skipped = false;
        for condition in self.skips.iter_mut().filter(|condition| !condition.is_broken) {
            let values = values.iter().map(|(name, value)| (name.as_str(), value));
            match condition.expression.holds(values.chain([(MEMBER, &member)])) {
                Ok(true) => {
                    condition.skipped += 1;
                    is_skipped = true;
                }
                Ok(false) => {}
                Err(error) => {
                    condition.is_broken = true;
                    let fault = self.experiment.skip_fault(
                        condition.span,
                        &error,
                        "this cannot be decided",
                    );
                    self.told.add(name, fault);
                }
            }
        }
        is_skipped
    }

    fn note_use(&mut self, resolved: &Resolved, assigned: &[&'e Assignment]) {
        let inert: BTreeSet<&str> =
            without_effect::find(resolved).map(|finding| finding.key).collect();
        let written = self.experiment.constants.iter().chain(assigned.iter().copied());
        self.used.extend(written.map(|it| &*it.key).filter(|key| !inert.contains(key)));
    }

    fn finish(mut self, base: Resolved) -> Result<Expanded, Faults> {
        let mut faults = self.told.finish(self.members.len());
        let experiment = self.experiment;
        if faults.is_empty() && self.members.is_empty() {
            let span = experiment.skips.first().map_or(0..0, |skip| skip.span.clone());
            faults.push(Fault {
                code: "skips-all",
                message: "every member is skipped".to_owned(),
                hint: Some("nothing is left to run: narrow the condition".to_owned()),
                place: Some(experiment.source.place(span)),
            });
        }
        if !faults.is_empty() {
            return Err(Faults(faults));
        }
        faults.extend(self.unused());
        let axes = experiment.axes();
        let table = experiment.table.complete(&axes);
        let names_rows = experiment.table.baseline.is_some() || !experiment.findings.is_empty();
        let over_seeds = || TableSpec { over: vec!["seed".to_owned()], ..TableSpec::default() };
        let rows = match names_rows {
            true => self.rows(&table.clone().unwrap_or_else(over_seeds)),
            false => BTreeSet::new(),
        };
        faults.extend(experiment.table.check(experiment, &self.measured, &rows));
        for finding in &experiment.findings {
            faults.extend(finding.check(experiment, &self.measured, &rows));
        }
        if !faults.is_empty() {
            return Err(Faults(faults));
        }
        let idle = self.skips.iter().filter(|condition| condition.skipped == 0);
        let notes = idle.map(|condition| Fault {
            code: "skips-nothing",
            message: "this condition skips no member".to_owned(),
            hint: Some("leave it out, or look at its values".to_owned()),
            place: Some(experiment.source.place(condition.span.clone())),
        });
        let notes = notes.collect();
        let findings = experiment.findings.iter().map(|finding| finding.finding()).collect();
        Ok(Expanded { members: std::mem::take(&mut self.members), base, table, findings, notes })
    }

    /// Keys of the experiment without effect in any member.
    fn unused(&self) -> Vec<Fault> {
        let experiment = self.experiment;
        let spanned = experiment.dimensions.iter().flat_map(|it| &it.keys);
        let spanned = spanned.map(|(key, span)| (&**key, span));
        let own = experiment.members.iter().flat_map(|it| &it.values).chain(&experiment.constants);
        let own = own.map(|it| (&*it.key, &it.key_span));
        let mut told = BTreeSet::new();
        let unused =
            spanned.chain(own).filter(|(key, _)| !self.used.contains(key) && told.insert(*key));
        unused
            .map(|(key, span)| Fault {
                code: "no-effect",
                message: format!("`{key}` has no effect in any member"),
                hint: Some("another value makes it mean nothing: `mstar explain` says what each key is for; leave it out".to_owned()),
                place: Some(experiment.source.place(span.clone())),
            })
            .collect()
    }

    /// Names of the rows: those of members without the axes that are averaged over.
    fn rows(&self, table: &TableSpec) -> BTreeSet<String> {
        let averaged: Vec<String> = self
            .labels
            .iter()
            .filter(|(axis, _)| table::is_averaged(table, axis))
            .map(|(_, label)| format!("{label}="))
            .collect();
        let is_kept = |part: &&str| !averaged.iter().any(|label| part.starts_with(label.as_str()));
        let row = |name: &str| name.split(',').filter(is_kept).collect::<Vec<_>>().join(",");
        self.members.iter().map(|member| row(&member.name)).collect()
    }
}

/// Faults of members, each once, with how many members have it.
#[derive(Default)]
struct Told {
    faults: Vec<(Fault, String, usize)>,
    by_text: BTreeMap<(&'static str, String, Option<usize>), usize>,
}

impl Told {
    fn add(&mut self, member: &str, fault: Fault) {
        let start = fault.place.as_ref().map(|place| place.span.start);
        let text = (fault.code, fault.message.clone(), start);
        match self.by_text.get(&text) {
            Some(index) => self.faults[*index].2 += 1,
            None => {
                self.by_text.insert(text, self.faults.len());
                self.faults.push((fault, member.to_owned(), 1));
            }
        }
    }

    fn is_enough(&self) -> bool {
        self.faults.len() >= FAULTS_TOLD
    }

    fn finish(&mut self, members: usize) -> Vec<Fault> {
        let told =
            std::mem::take(&mut self.faults).into_iter().map(|(mut fault, member, count)| {
                let more =
                    if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
                if members > 1 || count > 1 {
                    fault.message = format!("{} (member `{member}`{more})", fault.message);
                }
                fault
            });
        told.collect()
    }
}
