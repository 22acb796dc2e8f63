//! One Rhai expression over plain values, such as the condition under which a member is skipped.

use super::comparison::refuse_mixed;
use super::engine::{OF_A_CONDITION, dynamic, engine, kind_of, place, plain, words};
use rhai::{AST, Dynamic, Engine, EvalAltResult, ParseError, Scope};
use serde_json::Value;
use std::fmt;
use thiserror::Error;

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
        let mut engine = engine(OF_A_CONDITION);
        refuse_mixed(&mut engine);
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
        result.as_bool().map_err(|_| ExpressionError {
            message: format!("it gives {}, not true or false", kind_of(&result)),
            position: None,
        })
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expression").field("ast", &self.ast).finish_non_exhaustive()
    }
}

fn of_parser(error: &ParseError) -> ExpressionError {
    ExpressionError { message: plain(&error.err_type().to_string()), position: place(error.1) }
}

fn of_evaluation(error: &EvalAltResult) -> ExpressionError {
    let message = words(error.unwrap_inner());
    ExpressionError { message, position: place(error.position()) }
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
            ("training.cap != 3", true),
            ("training.method < \"t\"", true),
            ("seed == 3.0", true),
            ("[1, seed] == [1.0, 3]", true),
            ("reward.select == #{ top: 2 }", true),
            ("reward.select == #{ top: 3 }", false),
            ("(seed == 3) == true", true),
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
            "sleep(1) == ()",
            "training.method > 1 + ",
            "seed == \"3\"",
            "\"3\" != seed",
            "training.method == 1",
            "training.method > 1",
            "training.cap < 1",
            "reward.select == 2",
            "[\"3\"].contains(seed)",
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
