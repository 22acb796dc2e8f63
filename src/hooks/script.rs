//! A script of hooks: functions named after the moments that they serve.
//!
//! A function is given plain values and gives one. It keeps nothing between calls, and sees no
//! tensor, no file and no other function's variables.

use super::engine::{
    OF_A_SPLIT, OF_ONE_RESPONSE, STACK_BYTES, dynamic, engine, place, plain, words,
};
use super::{Moment, outline::Outline};
use crate::base::{Digest, Fault, Hint, Place, Source};
use rhai::{AST, CallFnOptions, Dynamic, Engine, EvalAltResult, Scope};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::{fmt, ops::Range};
use thiserror::Error;

/// Longest script that is read.
pub const LARGEST_SCRIPT_BYTES: u64 = 256 << 10;

/// What is wrong with a script, or went wrong in it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{place}: {message}")]
pub struct HookError {
    /// Where.
    pub place: Place,
    /// What is wrong.
    pub message: String,
    /// The way out, where there is more to say.
    pub hint: Option<String>,
}

impl Hint for HookError {
    fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
}

impl From<HookError> for Fault {
    fn from(HookError { place, message, hint }: HookError) -> Self {
        Self { code: "bad-hook", message, hint, place: Some(place) }
    }
}

/// A compiled script.
pub struct Script {
    source: Source,
    ast: AST,
    /// Where the name of each moment's function stands.
    functions: BTreeMap<Moment, Range<usize>>,
    /// For functions that see a response or a few, and for those that see a split.
    engine: Engine,
    large_engine: Engine,
}

impl Script {
    /// Compiles a script; `name` is what people call it.
    ///
    /// # Errors
    /// When it is no script, holds more than functions, serves a moment with other parameters, or has
    /// a function that nothing calls and whose name is nearly that of a moment.
    pub fn compile(name: &str, text: &str) -> Result<Self, HookError> {
        let source = Source { name: name.to_owned(), text: text.into() };
        let error = |span: Range<usize>, message: String, hint: Option<String>| HookError {
            place: source.place(span),
            message,
            hint,
        };
        if text.len() as u64 > LARGEST_SCRIPT_BYTES {
            let message = format!("the script has {} bytes", text.len());
            return Err(error(0..0, message, Some("keep it under 256 KiB".to_owned())));
        }
        let engine_of_one = engine(OF_ONE_RESPONSE);
        let ast = engine_of_one.compile(text).map_err(|found| {
            let span = span_of(text, place(found.1), &(0..0));
            error(span, plain(&found.err_type().to_string()), None)
        })?;
        let outline = Outline::of(text);
        if let Some(span) = &outline.stray {
            let message = "a script holds functions and nothing beside them".to_owned();
            let hint = "put it into a function: a constant is `fn limit() { 40 }`".to_owned();
            return Err(error(span.clone(), message, Some(hint)));
        }
        let mut functions = BTreeMap::new();
        for function in &outline.functions {
            let Some(moment) = Moment::named(&function.name) else {
                if let Some(near) = near(&function.name).filter(|_| !outline.names(&function.name))
                {
                    let message = format!("nothing calls `{}`", function.name);
                    let hint = format!("did you mean `{near}`?");
                    return Err(error(function.span.clone(), message, Some(hint)));
                }
                continue;
            };
            functions.insert(moment, function.span.clone());
            let declared = ast.iter_functions().filter(|it| it.name == moment.name());
            for count in declared.map(|it| it.params.len()) {
                let wanted = moment.parameters().len();
                if count != wanted {
                    let message =
                        format!("`{}` takes {}, not {count}", function.name, many(wanted));
                    let hint = format!("write `fn {moment}`");
                    return Err(error(function.span.clone(), message, Some(hint)));
                }
            }
        }
        let large_engine = engine(OF_A_SPLIT);
        Ok(Self { source, ast, functions, engine: engine_of_one, large_engine })
    }

    /// The digest of its text.
    pub fn digest(&self) -> Digest {
        Digest::of(self.source.text.as_bytes())
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        &self.source.name
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.source.text
    }

    /// Whether it serves a moment.
    pub fn has(&self, moment: Moment) -> bool {
        self.functions.contains_key(&moment)
    }

    /// The moments that it serves.
    pub fn moments(&self) -> BTreeSet<Moment> {
        self.functions.keys().copied().collect()
    }

    /// Where the function of a moment is written.
    pub fn place(&self, moment: Moment) -> Option<Place> {
        self.functions.get(&moment).map(|span| self.source.place(span.clone()))
    }

    /// Calls the function of a moment.
    ///
    /// # Errors
    /// When there is none, it throws, takes too long, makes too much data, or gives what its moment
    /// cannot use.
    pub fn call(&self, moment: Moment, arguments: &[Value]) -> Result<Value, HookError> {
        let name = moment.name();
        let fails = |span: Range<usize>, message: String| HookError {
            place: self.source.place(span),
            message,
            hint: None,
        };
        let Some(declared) = self.functions.get(&moment) else {
            return Err(fails(0..0, format!("there is no function `{name}`")));
        };
        let wanted = moment.parameters().len();
        if arguments.len() != wanted {
            let message = format!("`{name}` takes {}, not {}", many(wanted), arguments.len());
            return Err(fails(declared.clone(), message));
        }
        let call = |engine: &Engine| {
            let options = CallFnOptions::new().eval_ast(false);
            let arguments: Vec<Dynamic> = arguments.iter().map(dynamic).collect();
            let (scope, ast) = (&mut Scope::new(), &self.ast);
            let given = engine.call_fn_with_options(options, scope, ast, name, arguments);
            let given = given.map_err(|error| {
                let span = span_of(&self.source.text, innermost(&error), declared);
                let (error, most) = (error.unwrap_inner(), engine.max_operations());
                let is_long = matches!(error, EvalAltResult::ErrorTooManyOperations(_));
                let hint = is_long.then(|| format!("a call takes at most {most} operations"));
                HookError { hint, ..fails(span, words(error)) }
            })?;
            moment.value(given).map_err(|instead| {
                let message = format!("`{name}` gives {instead}, not {}", moment.gives());
                fails(declared.clone(), message)
            })
        };
        let engine = if moment == Moment::Metric { &self.large_engine } else { &self.engine };
        let fail = |why: &str| fails(declared.clone(), format!("`{name}` cannot be called: {why}"));
        std::thread::scope(|scope| {
            let builder = std::thread::Builder::new().stack_size(STACK_BYTES);
            let thread = builder.spawn_scoped(scope, || call(engine));
            let thread = thread.map_err(|error| fail(&error.to_string()))?;
            thread.join().unwrap_or_else(|_| Err(fail("the engine broke")))
        })
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let functions: Vec<_> = self.functions.keys().collect();
        f.debug_struct("Script")
            .field("name", &self.source.name)
            .field("functions", &functions)
            .finish_non_exhaustive()
    }
}

fn many(parameters: usize) -> String {
    if parameters == 1 { "1 parameter".to_owned() } else { format!("{parameters} parameters") }
}

/// The moment that a name nearly is.
fn near(name: &str) -> Option<&'static str> {
    let distance = |moment: &str| strsim::damerau_levenshtein(name, moment);
    let names = Moment::ALL.map(|moment| (distance(moment.name()), moment.name()));
    let (distance, near) = names.into_iter().min()?;
    (distance <= 1 + near.len() / 5).then_some(near)
}

/// Where an error came up: in the innermost call that has a place.
fn innermost(error: &EvalAltResult) -> Option<(usize, usize)> {
    let inner = match error {
        EvalAltResult::ErrorInFunctionCall(_, _, inner, _) => innermost(inner),
        _ => None,
    };
    inner.or_else(|| place(error.position()))
}

/// The word or the character at a line and column, or else `otherwise`.
fn span_of(text: &str, place: Option<(usize, usize)>, otherwise: &Range<usize>) -> Range<usize> {
    let Some((line, column)) = place else { return otherwise.clone() };
    let begin: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let rest = text.get(begin..).unwrap_or("").split('\n').next().unwrap_or("");
    let offset: usize = rest.chars().take(column - 1).map(char::len_utf8).sum();
    let at = &rest[offset..];
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let word: usize = at.chars().take_while(|c| is_word(*c)).map(char::len_utf8).sum();
    let length = if word > 0 { word } else { at.chars().next().map_or(0, char::len_utf8) };
    begin + offset..begin + offset + length
}

#[cfg(test)]
mod tests;
