//! One Rhai expression over plain values, such as the condition under which a member is skipped.

use rhai::{
    AST, Dynamic, Engine, EvalAltResult, Map, OptimizationLevel, ParseError, Position, Scope,
};
use serde_json::Value;
use std::fmt;
use thiserror::Error;

/// Operations of one evaluation at most; a condition takes a few dozen.
const MOST_OPERATIONS: u64 = 100_000;
/// Depth of nested expressions, characters of a string, elements of a list or map at most.
const DEEPEST: usize = 64;
const LONGEST_STRING: usize = 1 << 16;
const LARGEST_LIST: usize = 1 << 12;

/// A compiled expression. It has no effects: assignments, loops and functions are no expressions.
pub struct Expression {
    engine: Engine,
    ast: AST,
}

/// Why an expression cannot be compiled or evaluated.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct ExpressionError {
    /// What is wrong.
    pub message: String,
    /// Line and column in the expression, both from 1, where known.
    pub position: Option<(usize, usize)>,
}

impl Expression {
    /// Compiles an expression.
    ///
    /// # Errors
    /// When it is none.
    pub fn compile(text: &str) -> Result<Self, ExpressionError> {
        let engine = engine();
        let ast = engine.compile_expression(text).map_err(|error| of_parser(&error))?;
        Ok(Self { engine, ast })
    }

    /// Evaluates a condition over named values. A table is an object map; null is `()`.
    ///
    /// # Errors
    /// When a name is not known, types do not fit, the result is neither true nor false, or it
    /// takes too long.
    pub fn holds<'v>(
        &self,
        values: impl IntoIterator<Item = (&'v str, &'v Value)>,
    ) -> Result<bool, ExpressionError> {
        let mut scope = Scope::new();
        for (name, value) in values {
            scope.push_constant_dynamic(name, dynamic(value));
        }
        let result: Dynamic = self
            .engine
            .eval_ast_with_scope(&mut scope, &self.ast)
            .map_err(|error| of_evaluation(&error))?;
        result.as_bool().map_err(|kind| ExpressionError {
            message: format!("it gives {}, not true or false", kind_of(kind)),
            position: None,
        })
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expression").field("ast", &self.ast).finish_non_exhaustive()
    }
}

fn engine() -> Engine {
    let mut engine = Engine::new();
    engine.set_optimization_level(OptimizationLevel::None);
    engine.set_max_operations(MOST_OPERATIONS);
    engine.set_max_expr_depths(DEEPEST, DEEPEST);
    engine.set_max_string_size(LONGEST_STRING);
    engine.set_max_array_size(LARGEST_LIST);
    engine.set_max_map_size(LARGEST_LIST);
    // A misspelt key of a table must not pass for an absent value.
    engine.set_fail_on_invalid_map_property(true);
    engine.disable_symbol("eval");
    engine.on_print(|_| {});
    engine.on_debug(|_, _, _| {});
    engine
}

fn dynamic(value: &Value) -> Dynamic {
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

fn of_parser(error: &ParseError) -> ExpressionError {
    ExpressionError { message: plain(&error.err_type().to_string()), position: place(error.1) }
}

fn of_evaluation(error: &EvalAltResult) -> ExpressionError {
    let message = match error {
        EvalAltResult::ErrorVariableNotFound(name, _) => format!("there is no `{name}`"),
        EvalAltResult::ErrorPropertyNotFound(name, _) => format!("there is no `{name}` here"),
        EvalAltResult::ErrorTooManyOperations(_) => "it takes too long".to_owned(),
        EvalAltResult::ErrorFunctionNotFound(signature, _) => {
            format!("types do not fit: `{signature}`")
        }
        other => plain(&other.unwrap_inner().to_string()),
    };
    ExpressionError { message, position: place(error.position()) }
}

/// The words of the engine without their position, beginning in lower case.
fn plain(text: &str) -> String {
    let text = text.split(" (line ").next().unwrap_or(text).trim_end_matches('.');
    let mut characters = text.chars();
    characters
        .next()
        .map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}

fn place(position: Position) -> Option<(usize, usize)> {
    Some((position.line()?, position.position()?))
}

fn kind_of(kind: &str) -> &str {
    match kind {
        "i64" => "a whole number",
        "f64" => "a number",
        "string" => "a string",
        "map" => "a table",
        "array" => "a list",
        "()" => "nothing",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn holds(text: &str) -> Result<bool, String> {
        let values = json!({
            "seed": 3,
            "training": { "method": "sft", "interval": 1.0, "cap": null },
            "reward": { "select": { "top": 2 } },
        });
        let values = values.as_object().expect("a table");
        let expression = Expression::compile(text).map_err(|error| error.message)?;
        expression
            .holds(values.iter().map(|(name, value)| (name.as_str(), value)))
            .map_err(|error| error.message)
    }

    #[test]
    fn conditions_read_values_of_every_type() {
        for (text, expected) in [
            ("training.method == \"sft\" && seed > 2", true),
            ("training.interval != 1", false),
            ("training.interval >= 0.5", true),
            ("reward.select.top == 2", true),
            ("training.cap == ()", true),
            ("[1, 3].contains(seed)", true),
            ("training.method.starts_with(\"x\")", false),
        ] {
            assert_eq!(holds(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for text in [
            "training.metod == \"sft\"",
            "sed == 1",
            "seed",
            "seed <",
            "let x = 1",
            "while true {}",
            "eval(\"1\")",
            "training.method > 1 + ",
            "training - 1 == 2",
        ] {
            let said = holds(text).expect_err(text);
            assert!(!said.is_empty() && !said.contains("(line"), "{text}: {said}");
        }
        let error = Expression::compile("seed <").expect_err("half an expression");
        assert_eq!(error.position.map(|place| place.0), Some(1), "{error:?}");
    }

    #[test]
    fn nothing_grows_without_end() {
        let deep = format!("{}1{} == 1", "(".repeat(500), ")".repeat(500));
        for text in [deep.as_str(), "\"x\".pad(100000000, \"y\") == \"z\""] {
            assert!(holds(text).is_err());
        }
    }
}
