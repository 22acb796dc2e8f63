//! Layers, lowest first: defaults, at most one extended recipe, the file, the environment, `--set`.
//!
//! Each layer is checked on its own, so that every fault is told where it was written; then figment
//! merges them and remembers which layer a value came from, and the value itself carries its span.
//! Tables merge key by key; lists and choices replace each other whole.

use crate::{
    base::{Fault, Faults, Place, Source},
    recipe::{
        Recipe, Resolved, WrittenTrial, assignment,
        check::{check, join},
        rules,
        schema::{EXTENDS, Key, Shape, TEST, shape, values},
        tree::{self, Entry, Node, Tree},
        trial,
    },
};
use figment::{
    Figment, Metadata, Profile, Provider,
    value::{Dict, Empty, Map, Num, Tag, Value},
};
use indexmap::IndexMap;
use std::{collections::BTreeMap, fmt, ops::Range, sync::Arc};

/// The texts of which a recipe is resolved.
#[derive(Clone, Debug)]
pub struct Layers {
    /// The recipe file.
    pub file: Source,
    /// The variables of the environment; those that do not speak of a recipe are passed over.
    pub environment: Vec<(String, String)>,
    /// What `--set` was given, in this order.
    pub set: Vec<String>,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    /// Nobody wrote it.
    Default,
    /// The recipe that the file extends.
    Extends(Place),
    /// The file.
    File(Place),
    /// An axis of an experiment.
    Axis(Place),
    /// A variable of the environment.
    Environment {
        /// Its name.
        name: String,
        /// The place in `NAME=content`.
        place: Place,
    },
    /// `--set`.
    Set {
        /// What it was given.
        text: String,
        /// The place therein.
        place: Place,
    },
}

impl Origin {
    /// The place; `None` for a default.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Default => None,
            Self::Extends(place)
            | Self::File(place)
            | Self::Axis(place)
            | Self::Environment { place, .. }
            | Self::Set { place, .. } => Some(place),
        }
    }

    /// The height of the layer; what is written higher overrides.
    pub(super) fn layer(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::Extends(_) => 1,
            Self::File(_) => 2,
            Self::Axis(_) => 3,
            Self::Environment { .. } => 4,
            Self::Set { .. } => 5,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Extends(place) | Self::File(place) | Self::Axis(place) => {
                write!(f, "{}:{}", place.source.name, place.line_and_column().0)
            }
            Self::Environment { name, .. } => write!(f, "environment {name}"),
            Self::Set { text, .. } => write!(f, "--set {text}"),
        }
    }
}

/// Resolves the layers into a recipe. `load_extends` is given the path that `extends` names, as it
/// is written, and the place where it does.
///
/// # Errors
/// Every fault of every layer; when there is none, every fault of the values together.
pub fn resolve(
    layers: &Layers,
    load_extends: &mut dyn FnMut(&str, &Place) -> Result<Source, Fault>,
) -> Result<Resolved, Faults> {
    Stack::read(layers, load_extends)?.resolve()
}

/// Layers that were read and checked, each on its own. Cheap to clone, so that the members of a grid
/// share what they have in common.
#[derive(Clone, Debug)]
pub struct Stack {
    file: Source,
    layers: Vec<Arc<Layer>>,
    /// The tests that the file holds.
    trials: Arc<[WrittenTrial]>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Extends,
    File,
    Axis,
    Environment,
    Set,
}

#[derive(Debug)]
struct Layer {
    kind: Kind,
    source: Source,
    values: Dict,
    /// Tables that are written, by dotted path.
    tables: BTreeMap<String, Range<usize>>,
}

impl Stack {
    /// Reads and checks every layer.
    ///
    /// # Errors
    /// Every fault of every layer.
    pub fn read(
        layers: &Layers,
        load_extends: &mut dyn FnMut(&str, &Place) -> Result<Source, Fault>,
    ) -> Result<Self, Faults> {
        let mut reader = Reader::default();
        reader.file(&layers.file, load_extends);
        let mut variables: Vec<_> = layers.environment.iter().collect();
        variables.sort();
        for (name, content) in variables {
            if let Some(assigned) = assignment::variable(name, content) {
                reader.assigned(Kind::Environment, assigned);
            }
        }
        for text in &layers.set {
            reader.assigned(Kind::Set, assignment::set(text));
        }
        if reader.faults.is_empty() {
            let trials = reader.trials.into();
            Ok(Self { file: layers.file.clone(), layers: reader.layers, trials })
        } else {
            Err(Faults(reader.faults))
        }
    }

    /// The same layers with one more between the file and the environment: what the axes of an
    /// experiment say. Each value comes with its dotted key and where that is written.
    ///
    /// # Errors
    /// What is wrong with the values, each on its own.
    pub fn with_axes(
        &self,
        source: &Source,
        values: impl IntoIterator<Item = (String, Range<usize>, Tree)>,
    ) -> Result<Self, Faults> {
        let mut reader = Reader::default();
        for (key, key_span, value) in values {
            let segments = key.split('.').map(|name| (name.to_owned(), key_span.clone())).collect();
            reader.layer(Kind::Axis, source, &assignment::nest(segments, value));
        }
        if !reader.faults.is_empty() {
            return Err(Faults(reader.faults));
        }
        let mut stack = self.clone();
        let above = |layer: &Arc<Layer>| matches!(layer.kind, Kind::Environment | Kind::Set);
        let position = stack.layers.iter().position(above).unwrap_or(stack.layers.len());
        stack.layers.splice(position..position, reader.layers);
        Ok(stack)
    }

    /// Merges the layers and checks the values together.
    ///
    /// # Errors
    /// Every combination of values that means nothing.
    pub fn resolve(&self) -> Result<Resolved, Faults> {
        let resolved = self.merge()?;
        let mut faults = examine(&resolved);
        if faults.is_empty() {
            return Ok(resolved);
        }
        faults.sort_by_key(|fault| self.position(fault));
        Err(Faults(faults))
    }

    pub(super) fn merge(&self) -> Result<Resolved, Faults> {
        let mut figment = Figment::new().merge(Provided { index: None, values: &self.defaults() });
        for (index, layer) in self.layers.iter().enumerate() {
            figment = figment.merge(Provided { index: Some(index), values: &layer.values });
        }
        let merged = figment.find_value("").expect("every layer has data");
        let mut origins = BTreeMap::new();
        let origin = |tag, span| self.origin(&figment, tag, span);
        let json = decode(merged, "", &origin, &mut origins);
        let recipe: Recipe = serde_json::from_value(json).map_err(|error| {
            let message = format!("the merged recipe cannot be read: {error}");
            Faults(vec![Fault { code: "unreadable", message, hint: None, place: None }])
        })?;
        let mut tables = BTreeMap::new();
        // A table is not overridden: it is where it was first written.
        for layer in &self.layers {
            for (key, span) in &layer.tables {
                let place = || layer.source.place(span.clone());
                tables.entry(key.clone()).or_insert_with(place);
            }
        }
        let file = (self.file.clone(), Arc::clone(&self.trials));
        Ok(Resolved::new(recipe, origins, tables, file))
    }

    fn origin(&self, figment: &Figment, tag: Tag, span: Range<usize>) -> Origin {
        let metadata = figment.get_metadata(tag);
        let index = metadata.and_then(|metadata| metadata.source.as_ref()?.custom()?.parse().ok());
        let Some(layer) = index.and_then(|index: usize| self.layers.get(index)) else {
            return Origin::Default;
        };
        let place = layer.source.place(span);
        let text = || layer.source.text.to_string();
        match layer.kind {
            Kind::Extends => Origin::Extends(place),
            Kind::File => Origin::File(place),
            Kind::Axis => Origin::Axis(place),
            Kind::Environment => {
                let name = text().split('=').next().unwrap_or_default().to_owned();
                Origin::Environment { name, place }
            }
            Kind::Set => Origin::Set { text: text(), place },
        }
    }

    /// What holds where nothing is written. An optional table has defaults as soon as it is there.
    fn defaults(&self) -> Dict {
        fn visit(keys: &IndexMap<String, Key>, path: &str, stack: &Stack) -> Dict {
            let mut dict = Dict::new();
            for (name, key) in values(keys, path) {
                let path = join(path, name);
                let is_there = || stack.layers.iter().any(|layer| layer.tables.contains_key(&path));
                let value = match &key.shape {
                    Shape::Table(inner) if !key.is_optional() || is_there() => {
                        Value::Dict(Tag::Default, visit(inner, &path, stack))
                    }
                    _ => leaf(from_json(&key.default), 0..0),
                };
                dict.insert(name.clone(), value);
            }
            dict
        }
        visit(shape(), "", self)
    }

    fn position(&self, fault: &Fault) -> (usize, usize) {
        let Some(place) = &fault.place else { return (0, 0) };
        let layer = self.layers.iter().position(|layer| layer.source == place.source);
        (layer.unwrap_or(0), place.span.start)
    }
}

/// Every combination of values that means nothing.
pub(super) fn examine(resolved: &Resolved) -> Vec<Fault> {
    rules::check(resolved)
}

/// Collects layers and what is wrong with them.
#[derive(Default)]
struct Reader {
    layers: Vec<Arc<Layer>>,
    trials: Vec<WrittenTrial>,
    faults: Vec<Fault>,
}

impl Reader {
    fn file(
        &mut self,
        source: &Source,
        load_extends: &mut dyn FnMut(&str, &Place) -> Result<Source, Fault>,
    ) {
        let mut tree = match tree::parse(source) {
            Ok(tree) => tree,
            Err(faults) => return self.faults.extend(faults.0),
        };
        if let Some(entry) = take(&mut tree, EXTENDS) {
            let place = source.place(entry.value.span.clone());
            match entry.value.node {
                Node::Text(path) => match load_extends(&path, &place) {
                    Ok(below) => self.extended(&below),
                    Err(fault) => self.faults.push(fault),
                },
                other => self.faults.push(Fault {
                    code: "wrong-type",
                    message: format!("`{EXTENDS}` takes a string, not {}", other.kind()),
                    hint: Some(format!("name one recipe: `{EXTENDS} = \"base.toml\"`")),
                    place: Some(place),
                }),
            }
        }
        self.layer(Kind::File, source, &tree);
    }

    fn extended(&mut self, source: &Source) {
        let mut tree = match tree::parse(source) {
            Ok(tree) => tree,
            Err(faults) => return self.faults.extend(faults.0),
        };
        if let Some(entry) = take(&mut tree, EXTENDS) {
            self.faults.push(Fault {
                code: "extends-twice",
                message: "a recipe that is extended may not extend another".to_owned(),
                hint: Some("extend the lowest one directly, or write its values here".to_owned()),
                place: Some(source.place(entry.span())),
            });
        }
        self.layer(Kind::Extends, source, &tree);
    }

    fn assigned(&mut self, kind: Kind, assigned: Result<(Source, Tree), Fault>) {
        match assigned {
            Ok((source, mut tree)) => {
                let way_out = [
                    (EXTENDS, "misplaced-extends", "write `extends = \"base.toml\"` in the recipe"),
                    (TEST, "misplaced-test", "write `[[test]]` in the recipe"),
                ];
                for (key, code, hint) in way_out {
                    if let Some(entry) = take(&mut tree, key) {
                        self.faults.push(Fault {
                            code,
                            message: format!("`{key}` stands in a file only"),
                            hint: Some(hint.to_owned()),
                            place: Some(source.place(entry.key_span)),
                        });
                    }
                }
                self.layer(kind, &source, &tree);
            }
            Err(fault) => self.faults.push(fault),
        }
    }

    fn layer(&mut self, kind: Kind, source: &Source, tree: &Tree) {
        let mut faults = Vec::new();
        check(tree, source, &mut faults);
        if faults.is_empty()
            && let Node::Table(entries) = &tree.node
        {
            let mut tables = BTreeMap::new();
            let values = encode(entries, shape(), "", &mut tables);
            if kind == Kind::File {
                self.trials = entries.get(TEST).map_or_else(Vec::new, |it| trial::read(it, source));
            }
            self.layers.push(Arc::new(Layer { kind, source: source.clone(), values, tables }));
        }
        let start = |fault: &Fault| fault.place.as_ref().map(|place| place.span.start);
        faults.sort_by_key(start);
        self.faults.extend(faults);
    }
}

fn take(tree: &mut Tree, key: &str) -> Option<Entry> {
    match &mut tree.node {
        Node::Table(entries) => entries.remove(key),
        _ => None,
    }
}

/// One layer as figment sees it. The name of the source is the position of the layer.
struct Provided<'a> {
    index: Option<usize>,
    values: &'a Dict,
}

impl Provider for Provided<'_> {
    fn metadata(&self) -> Metadata {
        match self.index {
            None => Metadata::named("default"),
            Some(index) => Metadata::from("layer", index.to_string().as_str()),
        }
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

/// A value with its span, wrapped in a list, because figment replaces lists but would merge the
/// tables in which choices such as `{ top = 2 }` are written.
fn leaf(value: Value, span: Range<usize>) -> Value {
    Value::Array(Tag::Default, vec![value, Value::from(span.start), Value::from(span.end)])
}

/// The values of a layer that passed the check.
fn encode(
    entries: &BTreeMap<String, Entry>,
    keys: &IndexMap<String, Key>,
    path: &str,
    tables: &mut BTreeMap<String, Range<usize>>,
) -> Dict {
    let mut dict = Dict::new();
    for (name, entry) in entries.iter().filter(|(name, _)| !path.is_empty() || *name != TEST) {
        let path = join(path, name);
        let value = match (keys.get(name).map(|key| &key.shape), &entry.value.node) {
            (Some(Shape::Table(keys)), Node::Table(inner)) => {
                tables.insert(path.clone(), entry.span());
                Value::Dict(Tag::Default, encode(inner, keys, &path, tables))
            }
            _ => leaf(from_tree(&entry.value), entry.span()),
        };
        dict.insert(name.clone(), value);
    }
    dict
}

fn from_tree(tree: &Tree) -> Value {
    match &tree.node {
        Node::Text(text) => Value::from(text.as_str()),
        Node::Integer(number) => Value::Num(Tag::Default, whole(*number)),
        Node::Float(number) => Value::from(*number),
        Node::Boolean(truth) => Value::from(*truth),
        Node::Datetime => Value::Empty(Tag::Default, Empty::Unit),
        Node::List(items) => Value::Array(Tag::Default, items.iter().map(from_tree).collect()),
        Node::Table(entries) => {
            let pairs = entries.iter();
            let pairs = pairs.map(|(name, entry)| (name.clone(), from_tree(&entry.value)));
            Value::Dict(Tag::Default, pairs.collect())
        }
    }
}

/// Whole numbers as narrow as JSON keeps them; a wider one fits only keys that take any number.
fn whole(number: i128) -> Num {
    u64::try_from(number)
        .map(Num::U64)
        .or_else(|_| i64::try_from(number).map(Num::I64))
        .unwrap_or(Num::F64(number as f64))
}

fn from_json(json: &serde_json::Value) -> Value {
    Value::serialize(json).expect("defaults are plain data")
}

/// Takes the leaves out of their wrapping, and notes where each came from.
fn decode(
    value: Value,
    path: &str,
    origin: &dyn Fn(Tag, Range<usize>) -> Origin,
    origins: &mut BTreeMap<String, Origin>,
) -> serde_json::Value {
    match value {
        Value::Dict(_, dict) => dict
            .into_iter()
            .map(|(name, value)| {
                let path = join(path, &name);
                let value = decode(value, &path, origin, origins);
                (name, value)
            })
            .collect(),
        Value::Array(tag, wrapped) => {
            let offset = |index: usize| {
                wrapped.get(index).and_then(Value::to_u128).map_or(0, |offset| offset as usize)
            };
            origins.insert(path.to_owned(), origin(tag, offset(1)..offset(2)));
            wrapped.first().map_or(serde_json::Value::Null, to_json)
        }
        other => to_json(&other),
    }
}

fn to_json(value: &Value) -> serde_json::Value {
    serde_json::to_value(value).unwrap_or(serde_json::Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::schema::Form;

    fn source(name: &str, text: &str) -> Source {
        Source { name: name.into(), text: text.into() }
    }

    fn stack(file: &str, environment: &[(&str, &str)], set: &[&str]) -> Stack {
        let layers = Layers {
            file: source("recipe.toml", file),
            environment: environment.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect(),
            set: set.iter().map(|text| (*text).into()).collect(),
        };
        let below = "name = 'below'\nseed = 1\n[reward]\nselect = { random = 3 }\n[training]\n\
            interval = 0.1\niterations = 9\n";
        let mut load = |path: &str, _: &Place| Ok(source(path, below));
        Stack::read(&layers, &mut load).unwrap_or_else(|faults| panic!("{faults}"))
    }

    #[test]
    fn nothing_written_gives_the_defaults() {
        let resolved = stack("", &[], &[]).merge().unwrap();
        assert_eq!(resolved.recipe, Recipe::default());
        assert!(resolved.origins.values().all(|origin| *origin == Origin::Default));
        assert!(resolved.leaves.keys().eq(resolved.origins.keys()));
    }

    #[test]
    fn every_layer_overrides_the_one_below() {
        let file = "extends = 'below.toml'\nname = 'a'\n[training]\ninterval = 0.2\n\
            learning_rate = 1\nbatch_size = 8\n[reward]\nselect = 'all'\n";
        let environment = [("MSTAR_TRAINING__BATCH_SIZE", "16"), ("MSTAR_STORE", "/x")];
        let set = ["training.learning_rate = 0.5", "description=a b"];
        let resolved = stack(file, &environment, &set).merge().unwrap();
        let training = &resolved.recipe.training;
        assert_eq!((training.interval, training.iterations), (0.2, 9));
        assert_eq!((training.batch_size, training.learning_rate), (16, 0.5));
        assert_eq!(resolved.recipe.reward.select, crate::recipe::Select::All);
        for (key, origin) in [
            ("name", "recipe.toml:2"),
            ("description", "--set description=a b"),
            ("seed", "below.toml:2"),
            ("training.interval", "recipe.toml:4"),
            ("training.iterations", "below.toml:7"),
            ("training.batch_size", "environment MSTAR_TRAINING__BATCH_SIZE"),
            ("training.learning_rate", "--set training.learning_rate = 0.5"),
            ("training.method", "default"),
            ("reward.select", "recipe.toml:8"),
        ] {
            assert_eq!(resolved.origins[key].to_string(), origin, "{key}");
        }
        assert_eq!(resolved.place("training").unwrap().to_string(), "below.toml:5:1");
    }

    #[test]
    fn forms_of_a_choice_replace_each_other() {
        let file = "extends = 'below.toml'\nname = 'a'\n[reward]\nselect = { above = 1 }\n";
        let resolved = stack(file, &[], &[]).merge().unwrap();
        assert_eq!(resolved.recipe.reward.select, crate::recipe::Select::Above(1.0));
        assert_eq!(resolved.leaves["reward.select"], serde_json::json!({ "above": 1.0 }));
    }

    #[test]
    fn an_optional_table_has_defaults_once_it_is_there() {
        let resolved = stack("[pretraining]\ncaption_share = 0.5\n", &[], &[]).merge().unwrap();
        let pretraining = resolved.recipe.pretraining.as_ref().unwrap();
        assert_eq!(pretraining.caption_share, 0.5);
        assert_eq!(pretraining.easy_share, crate::recipe::Pretraining::default().easy_share);
        assert_eq!(resolved.origins["pretraining.easy_share"], Origin::Default);
        assert!(resolved.is_written("pretraining.caption_share"));
    }

    #[test]
    fn axes_stand_between_the_file_and_the_environment() {
        let base = stack("name = 'a'\nseed = 1\n", &[("MSTAR_SEED", "9")], &[]);
        let text = source("grid.toml", "\"temperature.value\" = [0.5]\nseed = [2]\n");
        let tree = |number, span| Tree { node: Node::Float(number), span };
        let values = [
            ("temperature.value".to_owned(), 0..19, tree(0.5, 23..26)),
            ("seed".to_owned(), 28..32, Tree { node: Node::Integer(2), span: 36..37 }),
        ];
        let resolved = base.with_axes(&text, values).unwrap().resolve().unwrap();
        assert_eq!(resolved.recipe.temperature.value, 0.5);
        assert_eq!(resolved.origins["temperature.value"].to_string(), "grid.toml:1");
        assert_eq!(resolved.recipe.seed, 9);
        let wrong = [("seed".to_owned(), 28..32, tree(0.5, 36..37))];
        assert_eq!(base.with_axes(&text, wrong).unwrap_err().0[0].code, "wrong-type");
    }

    #[test]
    fn an_axis_may_pass_over_what_its_base_wrote() {
        let base = stack("name = 'a'\n[training]\niterations = 8\ninterval = 0.5\n", &[], &[]);
        let text = source("grid.toml", "\"training.method\" = ['sft']\n");
        let value = Tree { node: Node::Text("sft".into()), span: 21..26 };
        let member = base.with_axes(&text, [("training.method".to_owned(), 0..17, value)]);
        assert!(member.unwrap().resolve().is_ok());
    }

    /// A value of the shape, other than the default.
    fn other(shape: &Shape, default: &serde_json::Value) -> String {
        let candidates: Vec<String> = match shape {
            Shape::Integer(range) | Shape::Number(range) => {
                let least = range.least.unwrap_or(0.0);
                vec![least.to_string(), (least + 1.0).min(range.most.unwrap_or(1e9)).to_string()]
            }
            Shape::Text => vec!["\"something else\"".into()],
            Shape::Boolean => vec!["true".into(), "false".into()],
            Shape::List { item, .. } => {
                vec![format!("[{}]", other(item, &serde_json::Value::Null))]
            }
            Shape::Union(forms) => forms.iter().map(written).collect(),
            Shape::Table(_) => unreachable!("tables are no leaves"),
        };
        let is_other = |text: &String| {
            text.parse::<f64>().ok() != default.as_f64() || default.as_f64().is_none()
        };
        let default = default.to_string();
        let is_other = |text: &String| is_other(text) && *text != default;
        candidates.into_iter().find(is_other).unwrap()
    }

    fn written(form: &Form) -> String {
        match &form.payload {
            None => format!("\"{}\"", form.name),
            Some(payload) => {
                format!("{{ {} = {} }}", form.name, other(payload, &serde_json::Value::Null))
            }
        }
    }

    #[test]
    fn every_leaf_can_be_set_and_says_so() {
        let file = "name = 'a'\npolicy.lora = {}\ntemperature.also.threshold = {}\n[pretraining]\n";
        let base = stack(file, &[], &[]).merge().unwrap();
        assert!(base.leaves.len() > 90, "{}", base.leaves.len());
        for (key, before) in base.leaves.iter().filter(|(key, _)| *key != "format") {
            let shape = &crate::recipe::schema::key_at(key).unwrap().shape;
            let text = format!("{key}={}", other(shape, before));
            let resolved = stack(file, &[], &[&text]).merge().unwrap();
            assert_ne!(resolved.leaves[key], *before, "{text}");
            assert_eq!(resolved.origins[key].to_string(), format!("--set {text}"));
            let changed =
                base.leaves.iter().filter(|(key, value)| resolved.leaves[*key] != **value);
            assert_eq!(changed.count(), 1, "{text}");
        }
    }
}
