//! Comparisons in conditions: of two types they are refused, where Rhai finds them merely unequal, so
//! that `seed == "1"` would leave out nothing and say nothing.

use super::engine::kind_of;
use rhai::{Dynamic, Engine, EvalAltResult};
use std::cmp::Ordering;

/// Whether an operator holds for an order.
type Holds = fn(Ordering) -> bool;

/// Lets the engine compare only what can be equal.
pub(super) fn refuse_mixed(engine: &mut Engine) {
    // The fast operators know nothing of what is registered here.
    engine.set_fast_operators(false);
    for operator in ["==", "!="] {
        engine.register_fn(operator, move |one: Dynamic, other: Dynamic| {
            // `()` stands for a value that is not set, which may be asked of any.
            let may_differ = one.is_unit() || other.is_unit() || is_one_kind(&one, &other);
            match may_differ {
                true => Ok(is_equal(&one, &other) == (operator == "==")),
                false => Err(mixed(operator, &one, &other)),
            }
        });
    }
    let orders: [(&str, Holds); 4] = [
        ("<", Ordering::is_lt),
        ("<=", Ordering::is_le),
        (">", Ordering::is_gt),
        (">=", Ordering::is_ge),
    ];
    for (operator, holds) in orders {
        engine.register_fn(operator, move |one: Dynamic, other: Dynamic| {
            let order = match (number(&one), number(&other)) {
                (Some(one), Some(other)) => Some(one.partial_cmp(&other)),
                _ if one.is_string() && other.is_string() => {
                    Some(text(&one).partial_cmp(&text(&other)))
                }
                _ => None,
            };
            match order {
                Some(order) => Ok(order.is_some_and(holds)),
                None => Err(mixed(operator, &one, &other)),
            }
        });
    }
}

fn mixed(operator: &str, one: &Dynamic, other: &Dynamic) -> Box<EvalAltResult> {
    let shown = |value: &Dynamic| match value.is_string() {
        true => format!("\"{}\"", text(value)),
        false => value.to_string(),
    };
    let (left, right) = (shown(one), shown(other));
    let cut = |it: String| it.chars().take(40).collect::<String>();
    Box::new(EvalAltResult::ErrorSystem(
        format!(
            "`{} {operator} {}` compares {} with {}",
            cut(left),
            cut(right),
            kind_of(one),
            kind_of(other)
        ),
        "".into(),
    ))
}

fn number(value: &Dynamic) -> Option<f64> {
    match value.as_int() {
        Ok(whole) => Some(whole as f64),
        Err(_) => value.as_float().ok(),
    }
}

fn text(value: &Dynamic) -> String {
    value.clone().into_string().unwrap_or_default()
}

fn is_one_kind(one: &Dynamic, other: &Dynamic) -> bool {
    let is_number = |value: &Dynamic| value.is_int() || value.is_float();
    one.type_id() == other.type_id() || is_number(one) && is_number(other)
}

fn is_equal(one: &Dynamic, other: &Dynamic) -> bool {
    if let (Ok(one), Ok(other)) = (one.as_int(), other.as_int()) {
        return one == other;
    }
    if let (Some(one), Some(other)) = (number(one), number(other)) {
        return one == other;
    }
    if !is_one_kind(one, other) {
        return false;
    }
    if let (Ok(one), Ok(other)) = (one.as_array_ref(), other.as_array_ref()) {
        return one.len() == other.len()
            && one.iter().zip(other.iter()).all(|(one, other)| is_equal(one, other));
    }
    if let (Ok(one), Ok(other)) = (one.as_map_ref(), other.as_map_ref()) {
        let has =
            |(key, value): (&_, &Dynamic)| other.get(key).is_some_and(|it| is_equal(value, it));
        return one.len() == other.len() && one.iter().all(|(key, value)| has((key, value)));
    }
    one.is_unit()
        || one.as_bool().is_ok_and(|truth| other.as_bool() == Ok(truth))
        || one.is_string() && text(one) == text(other)
}
