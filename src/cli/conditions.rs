//! Conditions and orders as people type them: `training.method=continuous`, `test.accuracy>0.7`.

use super::exit::Trouble;
use super::recorded::{OF_A_SPLIT, OUTCOMES, STATES, toml_value};
use crate::recipe;
use crate::store::{Condition, Names, Relation, Subject, text};

/// Signs of relations; of two that begin alike the longer one first.
const SIGNS: [(&str, Relation); 7] = [
    ("==", Relation::Equal),
    ("!=", Relation::Different),
    (">=", Relation::AtLeast),
    ("<=", Relation::AtMost),
    ("=", Relation::Equal),
    (">", Relation::More),
    ("<", Relation::Less),
];

/// What a word that a user may compare by means.
pub(crate) struct Vocabulary<'a> {
    /// Whether members are found, not runs.
    pub(crate) of_members: bool,
    /// What the runs have, asked for only when the recipe language does not know a word.
    pub(crate) names: &'a dyn Fn() -> Result<Names, Trouble>,
}

impl Vocabulary<'_> {
    /// Reads a condition.
    pub(crate) fn condition(&self, typed: &str) -> Result<Condition, Trouble> {
        let at = typed.find(['=', '!', '<', '>']);
        let sign = at.and_then(|at| {
            SIGNS.iter().find(|(sign, _)| typed[at..].starts_with(sign)).map(|sign| (at, sign))
        });
        let Some((at, (sign, relation))) = sign else { return Err(no_condition(typed)) };
        let (name, operand) = (typed[..at].trim(), typed[at + sign.len()..].trim());
        if name.is_empty() || operand.is_empty() {
            return Err(no_condition(typed));
        }
        let subject = self.subject(name)?;
        let quoted = operand.starts_with(['"', '\'', '[', '{']);
        let operand = match toml_value(operand).filter(|_| quoted) {
            Some(value) => text(&value),
            None => operand.to_owned(),
        };
        check_operand(name, &subject, *relation, &operand)?;
        Ok(Condition { subject, relation: *relation, operand })
    }

    /// What a word means.
    pub(crate) fn subject(&self, name: &str) -> Result<Subject, Trouble> {
        let known = match name {
            "run" => Some(Subject::Run),
            "name" => Some(Subject::Name),
            "outcome" => Some(Subject::Outcome),
            "member" => Some(Subject::Member),
            "state" => Some(Subject::State),
            "seconds" if !self.of_members => Some(Subject::RunSeconds),
            _ => None,
        };
        if let Some(known) = known {
            return Ok(known);
        }
        if is_metric(name) {
            return Ok(Subject::Metric(name.to_owned()));
        }
        match recipe::explain(name).filter(|_| !name.is_empty()) {
            Some(doc) if doc.takes == "a table" => {
                let part = doc.parts.first().map_or("", |(part, _)| part);
                let hint = format!("name a key in it, such as `{name}.{part}`");
                Err(Trouble::wrong(format!("`{name}` is a table, which has no value"), hint))
            }
            Some(_) => Ok(Subject::Value(name.to_owned())),
            None => self.subject_of_some_run(name),
        }
    }

    fn subject_of_some_run(&self, name: &str) -> Result<Subject, Trouble> {
        let names = (self.names)()?;
        if names.metrics.contains(name) {
            return Ok(Subject::Metric(name.to_owned()));
        }
        if names.keys.contains(name) {
            return Ok(Subject::Value(name.to_owned()));
        }
        let mut known: Vec<String> =
            ["run", "name", "outcome", "member", "state", "seconds"].map(str::to_owned).into();
        known.extend(metric_names());
        known.extend(names.metrics);
        known.extend(names.keys);
        add_keys("", &mut known);
        let hint = nearest(name, known.iter().map(String::as_str)).map_or_else(
            || "keys of a recipe: `mstar explain`; metrics: such as `test.accuracy`".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        Err(Trouble::wrong(format!("`{name}` is neither a key nor a metric"), hint))
    }
}

fn no_condition(typed: &str) -> Trouble {
    Trouble::wrong(
        format!("`{typed}` is no condition"),
        "write a key or a metric, one of `=`, `!=`, `<`, `<=`, `>`, `>=`, and a value, such as \
         `test.accuracy>0.7`",
    )
}

fn check_operand(
    name: &str,
    subject: &Subject,
    relation: Relation,
    operand: &str,
) -> Result<(), Trouble> {
    let is_number = operand.parse::<f64>().is_ok_and(f64::is_finite);
    let words: &[&str] = match subject {
        Subject::Outcome => &OUTCOMES,
        Subject::State => &STATES,
        _ => &[],
    };
    let is_number_alone = matches!(subject, Subject::Metric(_) | Subject::RunSeconds);
    let is_text = !is_number_alone && !matches!(subject, Subject::Value(_));
    if is_text && relation.is_of_order() {
        let message = format!("`{name}` is a word and has no order");
        return Err(Trouble::wrong(message, "compare it with `=` or `!=`"));
    }
    if !words.is_empty() && !words.contains(&operand) {
        let hint = format!("one of {}", words.join(", "));
        return Err(Trouble::wrong(format!("`{operand}` is no {name}"), hint));
    }
    if (is_number_alone || relation.is_of_order()) && !is_number {
        let message = format!("`{operand}` is no number to compare `{name}` with");
        return Err(Trouble::wrong(message, "write a number, such as `0.7`"));
    }
    Ok(())
}

fn metric_names() -> Vec<String> {
    let of_splits = ["validation", "test"]
        .into_iter()
        .flat_map(|split| OF_A_SPLIT.map(|part| format!("{split}.{part}")));
    of_splits.chain(["validation.pass", "steps", "seconds"].map(str::to_owned)).collect()
}

fn is_metric(name: &str) -> bool {
    metric_names().iter().any(|known| known == name)
}

/// All keys of the recipe language below a table.
fn add_keys(table: &str, keys: &mut Vec<String>) {
    let Some(doc) = recipe::explain(table) else { return };
    if !table.is_empty() && doc.takes != "a table" {
        keys.push(table.to_owned());
        return;
    }
    for (part, _) in &doc.parts {
        let key = if table.is_empty() { part.clone() } else { format!("{table}.{part}") };
        add_keys(&key, keys);
    }
}

/// The word that a user may have meant.
pub(crate) fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.map(|name| (strsim::jaro_winkler(typed, name), name));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 > 0.8).then_some(best.1)
}
