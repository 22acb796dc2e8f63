//! Conditions and orders as people type them: `training.method=continuous`, `test.accuracy>0.7`.

use super::exit::Trouble;
use super::recorded::{OUTCOMES, STATES, toml_value};
use crate::base::did_you_mean;
use crate::recipe::{self, quoted};
use crate::report::Metric;
use crate::store::{Condition, Names, Relation, Subject, text};

/// What the `[[member]]` of an experiment is called here, where `member` is a member's whole name.
pub(crate) const NAMED: &str = "named";

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
            NAMED => Some(Subject::Value(recipe::MEMBER.to_owned())),
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
        known.extend(Metric::parse(name).err().into_iter().flat_map(|unknown| unknown.known));
        known.extend(names.metrics);
        known.extend(names.keys);
        add_keys("", &mut known);
        let hint = did_you_mean(name, known.iter().map(String::as_str)).map_or_else(
            || "keys of a recipe: `mstar explain`; metrics: such as `test.accuracy`".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        Err(Trouble::wrong(format!("`{}` is neither a key nor a metric", quoted(name)), hint))
    }
}

fn no_condition(typed: &str) -> Trouble {
    Trouble::wrong(
        format!("`{}` is no condition", quoted(typed)),
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
        return Err(Trouble::wrong(format!("`{}` is no {name}", quoted(operand)), hint));
    }
    if (is_number_alone || relation.is_of_order()) && !is_number {
        let message = format!("`{}` is no number to compare `{name}` with", quoted(operand));
        return Err(Trouble::wrong(message, "write a number, such as `0.7`"));
    }
    Ok(())
}

/// Whether it is the name of a metric of the splits that every recipe may have; those of benchmarks
/// are known from the runs that measured them.
fn is_metric(name: &str) -> bool {
    let of_a_split = ["validation.", "test."].iter().any(|split| name.starts_with(split));
    (of_a_split || !name.contains('.')) && Metric::parse(name).is_ok()
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
