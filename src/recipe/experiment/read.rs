//! From the text of an experiment file to its parts, with everything that is wrong with it alone.

use super::{
    Assignment, Dimension, Experiment, Explicit, MOST_MEMBERS, Skip,
    finding::{NEEDED, THAN_METRIC, WrittenFinding},
    table::{self, WrittenTable},
    value,
};
use crate::{
    base::{Fault, Faults, Source, did_you_mean},
    recipe::{
        assignment,
        check::{self, join, quoted},
        schema::{Shape, key_at, listed, nearest_key},
        tree::{Entry, Node, Tree, parse},
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::Arc,
};

/// Keys that an experiment has and a recipe has not.
pub(super) const OWN_KEYS: [&str; 8] =
    ["base", "set", "axis", "zip", "member", "skip", "table", "finding"];
const SHARED_KEYS: [&str; 3] = ["format", "name", "description"];

/// Why a key can neither vary nor be set by an experiment; `None` when it can.
pub(super) fn why_fixed(key: &str) -> Option<&'static str> {
    match key.split('.').next() {
        Some("format") => Some("it is the version of the language"),
        Some("name" | "description") => Some("names never change a result"),
        Some("extends") => Some("the base of an experiment may extend a recipe"),
        Some("test") => Some("tests belong to the recipe that holds them"),
        Some("run") => Some("how stages are carried out never changes a result"),
        _ => None,
    }
}

type Entries = BTreeMap<String, Entry>;

impl Experiment {
    /// Reads an experiment file.
    ///
    /// # Errors
    /// Every fault that can be seen without the base.
    pub fn read(source: &Source) -> Result<Self, Faults> {
        let tree = parse(source)?;
        let Node::Table(entries) = tree.node else {
            unreachable!("the root of a file is a table");
        };
        let mut reader = Reader { source, faults: Vec::new() };
        let experiment = reader.experiment(&entries);
        let mut faults = reader.faults;
        if faults.is_empty() {
            return Ok(experiment);
        }
        faults.sort_by_key(|fault| fault.place.as_ref().map(|place| place.span.start));
        Err(Faults(faults))
    }
}

struct Reader<'s> {
    source: &'s Source,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn fault(
        &mut self,
        code: &'static str,
        span: &Range<usize>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let place = Some(self.source.place(span.clone()));
        self.faults.push(Fault { code, message: message.into(), hint: Some(hint.into()), place });
    }

    fn experiment(&mut self, entries: &Entries) -> Experiment {
        for (name, entry) in entries {
            let known = || SHARED_KEYS.into_iter().chain(OWN_KEYS);
            if !known().any(|key| key == name) {
                let hint = self.hint_for_unknown(name, known());
                let message = format!("an experiment has no key `{}`", quoted(name));
                self.fault("unknown-key", &entry.key_span, message, hint);
            }
        }
        if let Some(entry) = entries.get("format")
            && entry.value.node != Node::Integer(1)
        {
            let hint = "this is the first version of the language: write `format = 1`";
            self.fault("out-of-range", &entry.value.span, "`format` is not 1", hint);
        }
        let dimensions = self.dimensions(entries);
        let experiment = Experiment {
            source: self.source.clone(),
            name: self.name(entries),
            base: self.text(entries, "base").map(|(text, span)| (text, self.source.place(span))),
            constants: self.constants(entries),
            dimensions,
            members: self.members(entries),
            skips: self.skips(entries),
            table: self.table(entries),
            findings: self.findings(entries),
        };
        self.check_together(&experiment);
        experiment
    }

    fn hint_for_unknown<'k>(&self, name: &str, known: impl Iterator<Item = &'k str>) -> String {
        if let Some(near) = did_you_mean(name, known) {
            return format!("did you mean `{near}`?");
        }
        if name == "test" {
            return "tests stand in the recipe that the experiment names as its `base`".to_owned();
        }
        if key_at(name).is_some() {
            return format!(
                "for every member, write it under `[set]`; to vary it, under `[axis]`: `{name} = […]`"
            );
        }
        let keys = listed(OWN_KEYS.map(|key| format!("`{key}`")), "and");
        format!("the keys of an experiment are `name`, `description`, {keys}")
    }

    fn name(&mut self, entries: &Entries) -> String {
        let hint = "write `name = \"…\"` at the top: lowercase letters, digits, `.` and `-`";
        let Some((name, span)) = self.text(entries, "name") else {
            if !entries.contains_key("name") {
                self.fault("missing-name", &(0..0), "missing `name`", hint);
            }
            return String::new();
        };
        let is_plain =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' || c == '-';
        if name.is_empty()
            || name.len() > 100
            || name.starts_with(['.', '-'])
            || !name.chars().all(is_plain)
        {
            self.fault("bad-name", &span, format!("`{}` is no name", quoted(&name)), hint);
        }
        name
    }

    fn text(&mut self, entries: &Entries, name: &str) -> Option<(String, Range<usize>)> {
        let entry = entries.get(name)?;
        match &entry.value.node {
            Node::Text(text) => Some((text.clone(), entry.value.span.clone())),
            other => {
                let message = format!("`{name}` takes a string, not {}", other.kind());
                self.fault("wrong-type", &entry.value.span, message, "put it in quotes");
                None
            }
        }
    }

    /// The table at a key; what is written as another type is told.
    fn table_at<'e>(&mut self, entries: &'e Entries, name: &str) -> Option<&'e Entries> {
        let entry = entries.get(name)?;
        if let Node::Table(inner) = &entry.value.node {
            return Some(inner);
        }
        let message = format!("`{name}` takes a table, not {}", entry.value.node.kind());
        let hint = format!("there is one of it: write `[{name}]` with single brackets");
        self.fault("wrong-type", &entry.value.span, message, hint);
        None
    }

    /// The tables of a list such as `[[zip]]`.
    fn tables_at<'e>(
        &mut self,
        entries: &'e Entries,
        name: &str,
    ) -> Vec<(&'e Entries, Range<usize>)> {
        let Some(entry) = entries.get(name) else { return Vec::new() };
        let hint = format!("there may be several: write `[[{name}]]` with double brackets");
        let Node::List(items) = &entry.value.node else {
            let message =
                format!("`{name}` takes a list of tables, not {}", entry.value.node.kind());
            self.fault("wrong-type", &entry.value.span, message, hint);
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in items {
            match &item.node {
                Node::Table(inner) => tables.push((inner, item.span.clone())),
                other => {
                    let message = format!("`{name}` takes tables, not {}", other.kind());
                    self.fault("wrong-type", &item.span, message, hint.clone());
                }
            }
        }
        tables
    }

    /// Keys of the recipe below a table, in the order of the file. A key may be quoted with its
    /// dots, or written as nested tables.
    fn keys<'e>(&mut self, entries: &'e Entries, path: &str) -> Vec<(String, &'e Entry)> {
        let mut found = Vec::new();
        for (name, entry) in entries {
            let key = join(path, name);
            match (&entry.value.node, key_at(&key).map(|key| &key.shape)) {
                (Node::Table(inner), Some(Shape::Table(_))) => found.extend(self.keys(inner, &key)),
                (_, Some(_)) if why_fixed(&key).is_some() => {
                    let why = why_fixed(&key).unwrap_or_default();
                    let message = format!("`{key}` cannot vary");
                    self.fault(
                        "cannot-vary",
                        &entry.key_span,
                        message,
                        format!("leave it out: {why}"),
                    );
                }
                (_, Some(Shape::Table(_))) => {
                    let hint = format!("name one of its keys, such as `\"{key}.…\"`");
                    let message = format!("`{key}` is a table and has no value");
                    self.fault("cannot-vary", &entry.key_span, message, hint);
                }
                (_, Some(_)) => found.push((key, entry)),
                (_, None) => {
                    let hint = match nearest_key(&key) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => "`mstar explain` lists the keys of a recipe".to_owned(),
                    };
                    let message = format!("a recipe has no key `{}`", quoted(&key));
                    self.fault("unknown-key", &entry.key_span, message, hint);
                }
            }
        }
        found.sort_by_key(|(_, entry)| entry.key_span.start);
        found
    }

    /// A value that its key takes; faults of the value are told where it is written.
    fn assignment(
        &mut self,
        key: &Arc<str>,
        key_span: &Range<usize>,
        value: &Tree,
    ) -> Option<Assignment> {
        let segments = key.split('.').map(|name| (name.to_owned(), key_span.clone())).collect();
        let mut faults = Vec::new();
        check::check(&assignment::nest(segments, value.clone()), self.source, &mut faults);
        if !faults.is_empty() {
            self.faults.extend(faults);
            return None;
        }
        let json = value::leaf(value, &key_at(key)?.shape);
        let (key, key_span) = (key.clone(), key_span.clone());
        Some(Assignment { key, key_span, value: value.clone(), json })
    }

    fn assignments(&mut self, keys: Vec<(String, &Entry)>) -> Vec<Assignment> {
        let assigned = keys
            .into_iter()
            .filter_map(|(key, entry)| self.assignment(&key.into(), &entry.key_span, &entry.value));
        assigned.collect()
    }

    fn constants(&mut self, entries: &Entries) -> Vec<Assignment> {
        let Some(inner) = self.table_at(entries, "set") else { return Vec::new() };
        let keys = self.keys(inner, "");
        self.assignments(keys)
    }

    fn dimensions(&mut self, entries: &Entries) -> Vec<Dimension> {
        let mut dimensions = Vec::new();
        if let Some(inner) = self.table_at(entries, "axis") {
            for (key, entry) in self.keys(inner, "") {
                if let Some(column) = self.column(key, entry) {
                    dimensions.push(self.dimension(vec![column]));
                }
            }
        }
        for (inner, span) in self.tables_at(entries, "zip") {
            let keys = self.keys(inner, "");
            let columns: Vec<Column> =
                keys.into_iter().filter_map(|(key, entry)| self.column(key, entry)).collect();
            let length = columns.first().map_or(0, |column| column.values.len());
            if let Some(other) = columns.iter().find(|column| column.values.len() != length) {
                let message = format!(
                    "`{}` has {} values and `{}` has {length}: what is zipped is equally long",
                    other.key,
                    other.values.len(),
                    columns[0].key,
                );
                let hint = "give each key one value for each point, or make them axes of their own";
                self.fault("unequal-zip", &other.list_span, message, hint);
            } else if columns.is_empty() {
                let hint = "write keys with lists of values, such as `seed = [1, 2]`";
                self.fault("too-few", &span, "`[[zip]]` without a key", hint);
            } else {
                dimensions.push(self.dimension(columns));
            }
        }
        dimensions.sort_by_key(|dimension| dimension.keys.first().map(|key| key.1.start));
        dimensions
    }

    /// The list of values of a key.
    fn column<'e>(&mut self, key: String, entry: &'e Entry) -> Option<Column<'e>> {
        let list_span = entry.value.span.clone();
        let Node::List(values) = &entry.value.node else {
            let message =
                format!("`{key}` takes a list of values here, not {}", entry.value.node.kind());
            let hint = "put it in brackets; what is the same for every member goes under `[set]`";
            self.fault("wrong-type", &list_span, message, hint);
            return None;
        };
        if values.is_empty() {
            let hint = "give it a value, or leave the key out";
            self.fault("too-few", &list_span, format!("`{key}` has no values"), hint);
            return None;
        }
        if values.len() as u64 > MOST_MEMBERS {
            let message = format!("`{key}` has {} values", values.len());
            self.fault(
                "too-many-members",
                &list_span,
                message,
                "a grid has at most a million members",
            );
            return None;
        }
        Some(Column { key: key.into(), key_span: entry.key_span.clone(), values, list_span })
    }

    fn dimension(&mut self, columns: Vec<Column<'_>>) -> Dimension {
        let length = columns.first().map_or(0, |column| column.values.len());
        let mut points = Vec::new();
        let mut seen = BTreeSet::new();
        for index in 0..length {
            let point: Vec<Assignment> = columns
                .iter()
                .filter_map(|column| {
                    self.assignment(&column.key, &column.key_span, &column.values[index])
                })
                .collect();
            let values: Vec<String> = point.iter().map(|value| value.json.to_string()).collect();
            if point.len() == columns.len() && !seen.insert(values.join(",")) {
                let (span, what) = (&columns[0].values[index].span, &columns[0].key);
                let message = format!("`{what}` has this value twice");
                self.fault("same-members", span, message, "leave one out");
            }
            points.push(point);
        }
        let keys = columns.into_iter().map(|column| (column.key, column.key_span)).collect();
        Dimension { keys, points }
    }

    fn members(&mut self, entries: &Entries) -> Vec<Explicit> {
        let mut members: Vec<Explicit> = Vec::new();
        for (inner, span) in self.tables_at(entries, super::MEMBER) {
            let mut values = inner.clone();
            values.remove("name");
            let keys = self.keys(&values, "");
            let values = self.assignments(keys);
            let Some((name, name_span)) = self.text(inner, "name") else {
                if !inner.contains_key("name") {
                    let hint = "write `name = \"…\"` in it";
                    self.fault("missing-name", &span, "a member without a name", hint);
                }
                continue;
            };
            let keep = |c: char| c.is_alphanumeric() || "._-+:".contains(c);
            if name.is_empty() || name.len() > 100 || !name.chars().all(keep) {
                let message = format!("`{}` is no name of a member", quoted(&name));
                let hint = "use up to 100 letters, digits, `.`, `_`, `-`, `+` and `:`";
                self.fault("bad-name", &name_span, message, hint);
            } else if members.iter().any(|member| member.name == name) {
                let message = format!("two members are called `{name}`");
                self.fault("same-members", &name_span, message, "give each a name of its own");
            }
            members.push(Explicit { name, name_span, values });
        }
        members
    }

    fn skips(&mut self, entries: &Entries) -> Vec<Skip> {
        let mut skips = Vec::new();
        for (inner, span) in self.tables_at(entries, "skip") {
            let hint =
                "write `when = 'training.method == \"sft\"'`: a Rhai expression over the values";
            for (name, entry) in inner.iter().filter(|(name, _)| *name != "when") {
                let message = format!("`skip` has no key `{}`", quoted(name));
                self.fault("unknown-key", &entry.key_span, message, hint);
            }
            match self.text(inner, "when") {
                Some((when, span)) => skips.push(Skip { when, span }),
                None if !inner.contains_key("when") => {
                    self.fault("bad-skip", &span, "`[[skip]]` without `when`", hint);
                }
                None => {}
            }
        }
        skips
    }

    fn table(&mut self, entries: &Entries) -> WrittenTable {
        let Some(inner) = self.table_at(entries, "table") else { return WrittenTable::default() };
        let span = entries.get("table").map_or(0..0, Entry::span);
        let mut written = WrittenTable { span: Some(span), ..WrittenTable::default() };
        for (name, entry) in inner {
            let list = match name.as_str() {
                "rows" => &mut written.rows,
                "columns" => &mut written.columns,
                "values" => &mut written.values,
                "over" => written.over.get_or_insert_default(),
                "baseline" => {
                    written.baseline = self.text(inner, "baseline");
                    continue;
                }
                _ => {
                    let hint = match did_you_mean(name, table::KEYS) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!(
                            "its keys are {}",
                            listed(table::KEYS.map(|key| format!("`{key}`")), "and")
                        ),
                    };
                    let message = format!("`table` has no key `{}`", quoted(name));
                    self.fault("unknown-key", &entry.key_span, message, hint);
                    continue;
                }
            };
            let single = std::slice::from_ref(&entry.value);
            let items = match &entry.value.node {
                Node::List(items) => items,
                _ if name == "over" => single,
                other => {
                    let message = format!("`{name}` takes a list of names, not {}", other.kind());
                    self.fault("wrong-type", &entry.value.span, message, "put it in brackets");
                    continue;
                }
            };
            for item in items {
                match &item.node {
                    Node::Text(text) => list.push((text.clone(), item.span.clone())),
                    other => {
                        let message = format!("`{name}` takes names, not {}", other.kind());
                        self.fault("wrong-type", &item.span, message, "put it in quotes");
                    }
                }
            }
        }
        written
    }

    fn findings(&mut self, entries: &Entries) -> Vec<WrittenFinding> {
        let hint = "write `says`, `metric`, and the rows `higher` and `than`";
        let mut findings = Vec::new();
        for (inner, span) in self.tables_at(entries, "finding") {
            let is_known = |name: &str| name == THAN_METRIC || NEEDED.contains(&name);
            for (name, entry) in inner.iter().filter(|(name, _)| !is_known(name)) {
                let message = format!("`finding` has no key `{}`", quoted(name));
                self.fault("unknown-key", &entry.key_span, message, hint);
            }
            let missing = NEEDED.iter().find(|key| !inner.contains_key(**key));
            if let Some(missing) = missing {
                self.fault("bad-finding", &span, format!("a finding without `{missing}`"), hint);
                continue;
            }
            let [says, metric, higher, than] = NEEDED.map(|key| self.text(inner, key));
            let (Some(says), Some(metric), Some(higher), Some(than)) = (says, metric, higher, than)
            else {
                continue;
            };
            let than_metric = self.text(inner, THAN_METRIC);
            if higher.0 == than.0 && than_metric.as_ref().is_none_or(|it| it.0 == metric.0) {
                let message = format!("a finding compares `{}` with itself", quoted(&than.0));
                let hint = "name two rows, or two metrics of one with `than_metric`";
                self.fault("bad-finding", &than.1, message, hint);
                continue;
            }
            findings.push(WrittenFinding { says, metric, higher, than, than_metric });
        }
        findings
    }

    /// Keys that are given twice, members that tear a zip apart, and grids that are too large.
    fn check_together(&mut self, experiment: &Experiment) {
        let mut given: BTreeMap<&str, &Range<usize>> = BTreeMap::new();
        let spanned = experiment.dimensions.iter().flat_map(|dimension| &dimension.keys);
        let constants = experiment.constants.iter().map(|value| (&value.key, &value.key_span));
        for (key, span) in spanned.map(|(key, span)| (key, span)).chain(constants) {
            if given.insert(key, span).is_some() {
                let message = format!("`{key}` is given twice");
                self.fault("key-twice", span, message, "it is an axis, or zipped, or set: once");
            }
        }
        for member in &experiment.members {
            for dimension in &experiment.dimensions {
                let sets = |key: &Arc<str>| member.values.iter().any(|value| value.key == *key);
                let set = dimension.keys.iter().filter(|(key, _)| sets(key)).count();
                if set > 0 && set < dimension.keys.len() {
                    let keys = dimension.keys.iter().map(|(key, _)| format!("`{key}`"));
                    let message = format!(
                        "the member `{}` sets a part of what is zipped: {}",
                        member.name,
                        listed(keys, "and")
                    );
                    self.fault("torn-zip", &member.name_span, message, "set all of them, or none");
                }
            }
        }
        let count = experiment.span();
        if count.is_none_or(|count| count > MOST_MEMBERS) {
            let largest = experiment.dimensions.iter().max_by_key(|it| it.points.len());
            let span = largest.map_or(0..0, |dimension| dimension.keys[0].1.clone());
            let count =
                count.map_or("more than can be counted".to_owned(), |count| count.to_string());
            let message = format!("the grid has {count} members, and may have {MOST_MEMBERS}");
            let hint = "zip what moves together, or give the axes fewer values";
            self.fault("too-many-members", &span, message, hint);
        }
    }
}

impl Experiment {
    /// How many members the grid spans before any is skipped; none when there is no such number.
    pub(super) fn span(&self) -> Option<u64> {
        let product = |member: Option<&Explicit>| {
            let crossed = self.dimensions.iter().filter(|dimension| dimension.is_free_in(member));
            crossed.map(|it| it.points.len() as u64).try_fold(1_u64, u64::checked_mul)
        };
        if self.members.is_empty() {
            return product(None);
        }
        self.members.iter().try_fold(0_u64, |sum, member| sum.checked_add(product(Some(member))?))
    }
}

impl Dimension {
    /// Whether a member is crossed with it.
    pub(super) fn is_free_in(&self, member: Option<&Explicit>) -> bool {
        let sets = |member: &Explicit| member.values.iter().any(|it| it.key == self.keys[0].0);
        !member.is_some_and(sets)
    }
}

/// A key with its list of values.
struct Column<'e> {
    key: Arc<str>,
    key_span: Range<usize>,
    values: &'e [Tree],
    list_span: Range<usize>,
}
