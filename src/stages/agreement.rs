//! `agreement`: how many of an iteration's pseudo answers are the hidden ones, for reports. Nothing
//! reads what it writes.

use super::failure::{failed, failure};
use super::hide;
use super::hooks::Hooks;
use super::policy::write_metrics;
use crate::data::table::{self, PseudoAnswer};
use crate::plan::Port;
use crate::rewards::wilson;
use crate::run::{Context, Stop};
use serde_json::{Value, json};

pub(super) fn run(context: &Context<'_>) -> Result<(), Stop> {
    let bytes = context.input(Port::Selected)?.read("pseudo-answers.parquet")?;
    let pseudo: Vec<PseudoAnswer> = table::decode(&bytes).map_err(failed)?;
    let hidden = hide::answers(context)?;
    let hooks = Hooks::of(context)?;
    let (mut answered, mut agreeing) = (0, 0);
    for PseudoAnswer { prompt, answer, .. } in &pseudo {
        let Some(answer) = answer else { continue };
        let gold = hidden.get(prompt).ok_or_else(|| {
            let reason = format!("prompt {prompt} has no hidden answer");
            failure(reason, "plan again: the prompts are not those that were planned")
        })?;
        answered += 1;
        agreeing += u64::from(hooks.compare(answer, gold, &format!("prompt {prompt}"))?);
    }
    let prompts = pseudo.len() as u64;
    let (agreement, interval) = share(agreeing, answered);
    let (coverage, coverage_interval) = share(answered, prompts);
    write_metrics(
        context,
        &json!({
            "prompts": prompts,
            "answered": answered,
            "agreeing": agreeing,
            "agreement": agreement,
            "interval": interval,
            "coverage": coverage,
            "coverage_interval": coverage_interval,
        }),
    )
}

/// A share with its 95 % interval; nothing of nothing.
fn share(part: u64, whole: u64) -> (Value, Value) {
    if whole == 0 {
        return (Value::Null, Value::Null);
    }
    let interval = wilson(part, whole);
    (json!(part as f64 / whole as f64), json!([interval.low, interval.high]))
}
