//! Checkpoints of a training stage: weights, optimizer state and position, so that a killed stage
//! goes on to the weights it would have had.

use super::failure::{as_failure, failed, failure, json};
use crate::engine::{Optimizer, Parameters};
use crate::run::{Context, Stop};
use crate::store::Folder;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Where the position lies.
const POSITION: &str = "checkpoint.json";

/// What [`POSITION`] holds.
#[derive(Serialize, Deserialize)]
struct Checkpoint<P> {
    /// Names the files that belong to it.
    step: u64,
    position: P,
}

/// Keeps checkpoints as often as the run wants them.
pub(super) struct Checkpoints {
    /// Steps of the stage.
    total: u64,
    saved_at: f64,
}

impl Checkpoints {
    /// Of a stage, or of a part of one, that begins.
    pub(super) fn new(total: u64, context: &Context<'_>) -> Self {
        Self { total, saved_at: context.seconds() }
    }

    /// After a step: keeps a checkpoint where one is due, or where the stage is to end, and ends it.
    pub(super) fn after(
        &mut self,
        step: u64,
        (parameters, optimizer): (&Parameters, &Optimizer),
        position: &impl Serialize,
        context: &Context<'_>,
    ) -> Result<(), Stop> {
        let cancelled = context.cancelled();
        let waited = context.seconds() - self.saved_at;
        let due = waited >= context.settings().checkpoint_every_secs && step < self.total;
        if due || cancelled {
            save(parameters, optimizer, step, position, context.work())?;
            self.saved_at = context.seconds();
        }
        if cancelled { Err(Stop::Cancelled) } else { Ok(()) }
    }
}

/// Keeps a checkpoint and removes the one before. The position names the step, and so its files: it
/// is written last, and a kill in between leaves the checkpoint before.
fn save(
    parameters: &Parameters,
    optimizer: &Optimizer,
    step: u64,
    position: &impl Serialize,
    work: &Folder,
) -> Result<(), Stop> {
    let names = file_names(step);
    let older = work.list()?;
    work.write_parts(&names[0], |sink| parameters.write(sink))?;
    work.write_parts(&names[1], |sink| optimizer.write(sink))?;
    work.write(POSITION, &json(&Checkpoint { step, position }))?;
    for name in older {
        if name.ends_with(".safetensors") && !names.contains(&name) {
            work.remove(&name)?;
        }
    }
    Ok(())
}

/// Puts weights and optimizer back to the last checkpoint and gives its position; `None`, and
/// nothing changed, when there is none, or none that can be read, which is told.
pub(super) fn restore<P: DeserializeOwned>(
    parameters: &Parameters,
    optimizer: &mut Optimizer,
    context: &Context<'_>,
) -> Option<P> {
    restored(parameters, optimizer, context.work()).unwrap_or_else(|stop| {
        let reason = as_failure(stop).reason;
        context.note(format!("begins anew, since its checkpoint cannot be read: {reason}"));
        None
    })
}

fn restored<P: DeserializeOwned>(
    parameters: &Parameters,
    optimizer: &mut Optimizer,
    work: &Folder,
) -> Result<Option<P>, Stop> {
    let Some(bytes) = work.read(POSITION)? else { return Ok(None) };
    let broken = |reason: String| failure(reason, "run again, from the first step");
    let checkpoint: Checkpoint<P> = serde_json::from_slice(&bytes)
        .map_err(|error| broken(format!("`{POSITION}` is broken: {error}")))?;
    let [weights, state] = file_names(checkpoint.step);
    let read = |name: &str| -> Result<Vec<u8>, Stop> {
        work.read(name)?.ok_or_else(|| broken(format!("`{name}` is gone")))
    };
    // Whatever can be wrong is found before anything is changed.
    let state = optimizer.read(&read(&state)?, &state).map_err(failed)?;
    parameters.restore(&read(&weights)?, &weights).map_err(failed)?;
    optimizer.take_up(&state);
    Ok(Some(checkpoint.position))
}

fn file_names(step: u64) -> [String; 2] {
    [format!("model-{step}.safetensors"), format!("optimizer-{step}.safetensors")]
}
