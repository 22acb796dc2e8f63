//! `hooks`: puts the script into the store; and which of its functions a stage calls.

use super::failure::failed;
use super::policy::write_metrics;
use crate::hooks::Script;
pub(super) use crate::judging::Hooks;
use crate::judging::JudgingError;
use crate::plan;
use crate::run::{Context, Stop};
use serde_json::json;

/// The file of the artifact.
const FILE: &str = "script.rhai";

pub(super) fn run(options: &plan::Hooks, context: &Context<'_>) -> Result<(), Stop> {
    let script = Script::compile(FILE, &options.text).map_err(failed)?;
    context.results().write(FILE, options.text.as_bytes())?;
    write_metrics(context, &json!({ "functions": script.moments() }))
}

impl Hooks {
    /// Those of the stage that is carried out; often there are none.
    pub(super) fn of(context: &Context<'_>) -> Result<Self, Stop> {
        let Some(calls) = context.stage().calls() else { return Ok(Self::default()) };
        let bytes = context.input(plan::Port::Hooks)?.read(FILE)?;
        let text = String::from_utf8_lossy(&bytes);
        let script = Script::compile(&calls.script, &text).map_err(failed)?;
        Ok(Self::new(Some(script), calls.functions.iter().copied().collect()))
    }
}

impl From<JudgingError> for Stop {
    fn from(error: JudgingError) -> Self {
        failed(error)
    }
}
