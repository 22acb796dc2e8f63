//! The engine and its limits, the same in debug and release, and values on their way in and out.
//!
//! Time is bounded by counting: an evaluation may take so many operations, each over data of bounded
//! size. No clock is read, so that a script ends the same way on every machine.

use rhai::{Dynamic, Engine, EvalAltResult, Map, OptimizationLevel, Position};
use serde_json::{Number, Value};

/// What one evaluation may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Operations: about one for each node of the syntax tree that is visited.
    pub(super) operations: u64,
    /// Bytes of all strings within a value.
    pub(super) text: usize,
    /// Elements of all lists, and of all maps, within a value.
    pub(super) items: usize,
}

/// A condition takes a few dozen operations.
pub(super) const OF_A_CONDITION: Limits =
    Limits { operations: 100_000, text: 1 << 16, items: 1 << 12 };
/// Enough for the edit distance of two responses.
pub(super) const OF_ONE_RESPONSE: Limits =
    Limits { operations: 1_000_000, text: 1 << 16, items: 1 << 12 };
/// Enough for some passes over the responses to a whole split.
pub(super) const OF_A_SPLIT: Limits =
    Limits { operations: 20_000_000, text: 1 << 24, items: 1 << 14 };
/// Bytes of stack within which data may nest as deeply as the limits let it. Only addresses are taken,
/// until something goes that deep.
pub(super) const STACK_BYTES: usize = 256 << 20;

/// Depth of nested expressions and of calls.
const DEEPEST_EXPRESSION: usize = 64;
const DEEPEST_IN_FUNCTIONS: usize = 32;
const DEEPEST_CALLS: usize = 24;
/// Variables that live at a time, and functions of a script.
const MOST_VARIABLES: usize = 256;
const MOST_FUNCTIONS: usize = 256;

/// The engine, with every limit set: what Rhai does by default depends on how it was built.
pub(super) fn engine(limits: Limits) -> Engine {
    let mut engine = Engine::new();
    engine.set_optimization_level(OptimizationLevel::None);
    engine.set_max_operations(limits.operations);
    engine.set_max_expr_depths(DEEPEST_EXPRESSION, DEEPEST_IN_FUNCTIONS);
    engine.set_max_call_levels(DEEPEST_CALLS);
    engine.set_max_variables(MOST_VARIABLES);
    engine.set_max_functions(MOST_FUNCTIONS);
    engine.set_max_string_size(limits.text);
    engine.set_max_array_size(limits.items);
    engine.set_max_map_size(limits.items);
    // A misspelt key of a table must not pass for an absent value.
    engine.set_fail_on_invalid_map_property(true);
    engine.disable_symbol("eval");
    // These are functions, not symbols: hidden by some that refuse.
    engine.register_fn("sleep", |_: i64| refused("sleep"));
    engine.register_fn("sleep", |_: f64| refused("sleep"));
    engine.register_fn("exit", || refused("exit"));
    engine.register_fn("exit", |_: Dynamic| refused("exit"));
    engine.on_print(|_| {});
    engine.on_debug(|_, _, _| {});
    engine
}

fn refused(name: &str) -> Result<(), Box<EvalAltResult>> {
    Err(format!("there is no `{name}`").into())
}

/// A value for a script. A table is an object map; null is `()`.
pub(super) fn dynamic(value: &Value) -> Dynamic {
    match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(truth) => (*truth).into(),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => whole.into(),
            None => number.as_f64().unwrap_or(f64::NAN).into(),
        },
        Value::String(text) => text.clone().into(),
        Value::Array(items) => items.iter().map(dynamic).collect::<Vec<_>>().into(),
        Value::Object(entries) => {
            let entries = entries.iter().map(|(name, value)| (name.into(), dynamic(value)));
            entries.collect::<Map>().into()
        }
    }
}

/// The number that a script gave, if it is a finite one.
pub(super) fn number(value: &Dynamic) -> Option<Number> {
    match value.as_int() {
        Ok(whole) => Some(whole.into()),
        Err(_) => value.as_float().ok().and_then(Number::from_f64),
    }
}

/// What went wrong in an evaluation, in our words where the engine's say less.
pub(super) fn words(error: &EvalAltResult) -> String {
    match error {
        EvalAltResult::ErrorVariableNotFound(name, _) => format!("there is no `{name}`"),
        EvalAltResult::ErrorPropertyNotFound(name, _) => format!("there is no `{name}` here"),
        EvalAltResult::ErrorTooManyOperations(_) => "it takes too long".to_owned(),
        EvalAltResult::ErrorStackOverflow(_) => "its calls go too deep".to_owned(),
        EvalAltResult::ErrorDataTooLarge(what, _) => {
            format!("it makes too much data: {}", plain(what))
        }
        EvalAltResult::ErrorSystem(message, _) => message.clone(),
        EvalAltResult::ErrorRuntime(thrown, _) => match thrown.is_unit() {
            true => "it throws".to_owned(),
            false => format!("it throws: {thrown}"),
        },
        EvalAltResult::ErrorFunctionNotFound(signature, _) => {
            let signature = signature.replace("&str | ImmutableString | String", "string");
            format!("types do not fit, or there is no such function: `{signature}`")
        }
        other => plain(&other.to_string()),
    }
}

/// The words of the engine without their position, beginning in lower case.
pub(super) fn plain(text: &str) -> String {
    let text = text.split(" (line ").next().unwrap_or(text).trim_end_matches('.');
    let mut characters = text.chars();
    characters
        .next()
        .map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}

/// Line and column, both from 1, where known.
pub(super) fn place(position: Position) -> Option<(usize, usize)> {
    Some((position.line()?, position.position()?))
}

/// What people call a value of that kind.
pub(super) fn kind_of(value: &Dynamic) -> &'static str {
    if value.is_unit() {
        "nothing"
    } else if value.is_bool() {
        "true or false"
    } else if value.is_int() {
        "a whole number"
    } else if value.is_float() {
        match value.as_float() {
            Ok(number) if number.is_nan() => "`NaN`",
            Ok(number) if number.is_infinite() => "an infinite number",
            _ => "a number",
        }
    } else if value.is_string() {
        "a string"
    } else if value.is_array() {
        "a list"
    } else if value.is_map() {
        "a table"
    } else {
        "something else"
    }
}
