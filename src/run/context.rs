//! What a stage sees of the world: its inputs, its folders, and whom to tell.

use super::{Clock, Stop, Task};
use crate::{
    base::{Failure, Key},
    event::{Event, Unit},
    plan::{Node, Port, Stage},
    store::{Artifact, Folder, Staging, Store},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

/// Seconds between two reports of progress; the last one always passes.
const PROGRESS_EVERY: f64 = 0.2;

/// Carries out stages. One lives in each worker process and keeps what it likes between tasks, such
/// as the models it loaded.
pub trait Performer {
    /// Fills the folders of one stage, or of one part of it. An equal task gives equal bytes, also
    /// when it goes on from what a killed attempt left in [`Context::work`].
    ///
    /// # Errors
    /// Why it could not be done.
    fn perform(&mut self, task: &Task, context: &Context<'_>) -> Result<(), Stop>;

    /// Device and library, for the record: equal text promises equal bytes.
    fn computed_on(&self) -> String;
}

/// How stages are carried out; never what they compute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Seconds between two checkpoints.
    pub checkpoint_every_secs: f64,
}

/// What a stage sees of the world.
pub struct Context<'a> {
    node: Node,
    inputs: BTreeMap<Port, Artifact>,
    staging: Staging,
    settings: Settings,
    threads: u32,
    cancel: &'a AtomicBool,
    say: &'a dyn Fn(Event),
    clock: Clock,
    reported: Mutex<f64>,
}

impl<'a> Context<'a> {
    /// Opens what a task reads and the folders that it fills.
    ///
    /// # Errors
    /// [`Stop::Altered`] when an input is damaged or gone, a failure when a stage would be shown hidden
    /// answers that its kind has no port for, and the store's own errors.
    pub fn open(
        store: &Store,
        task: &Task,
        settings: Settings,
        threads: u32,
        cancel: &'a AtomicBool,
        say: &'a dyn Fn(Event),
    ) -> Result<Self, Stop> {
        let mut inputs = BTreeMap::new();
        for (port, key) in &task.node.inputs {
            if *port == Port::Hidden && !task.node.stage.may_read(Port::Hidden) {
                let reason = format!("`{}` may not read hidden answers", task.node.name);
                let hint = "its graph was altered: run the recipe again".to_owned();
                return Err(Stop::Failed(Failure { reason, hint: Some(hint) }));
            }
            let gone = || Stop::Altered { key: *key, file: crate::store::MANIFEST.into() };
            inputs.insert(*port, store.artifact(*key)?.ok_or_else(gone)?);
        }
        Ok(Self {
            node: task.node.clone(),
            inputs,
            staging: store.staging(task.node.key)?,
            settings,
            threads,
            cancel,
            say,
            clock: Clock::start(),
            reported: Mutex::new(f64::NEG_INFINITY),
        })
    }

    /// The stage's key: what its artifact will be called.
    pub fn key(&self) -> Key {
        self.node.key
    }

    /// What the stage does.
    pub fn stage(&self) -> &Stage {
        &self.node.stage
    }

    /// What the stage reads by a port.
    ///
    /// # Errors
    /// When the graph connects nothing to that port.
    pub fn input(&self, port: Port) -> Result<&Artifact, Stop> {
        self.optional_input(port).ok_or_else(|| {
            let reason = format!("nothing is connected to the port `{port}`");
            Stop::Failed(Failure { reason, hint: None })
        })
    }

    /// What the stage reads by a port that may stay open.
    pub fn optional_input(&self, port: Port) -> Option<&Artifact> {
        self.inputs.get(&port)
    }

    /// What the artifact will hold, with `metrics.json`, an object of what was measured. Empty when
    /// the task begins, also when it goes on after a kill; not for shards.
    pub fn results(&self) -> &Folder {
        self.staging.results()
    }

    /// Shards and checkpoints: still there after a kill, never part of the artifact. Written files
    /// are whole and synced. A checkpoint that cannot be read counts as none.
    pub fn work(&self) -> &Folder {
        self.staging.work()
    }

    /// Says something.
    pub fn emit(&self, event: Event) {
        (self.say)(event);
    }

    /// Says something about this stage that is worth knowing and no failure, in one sentence.
    pub fn note(&self, message: impl Into<String>) {
        self.emit(Event::Note { key: Some(self.node.key), message: message.into() });
    }

    /// Says how far this part is. Cheap: call it as often as there is something to say, first with
    /// what was done when it began, and last with `done == total`.
    pub fn progress(&self, done: u64, total: u64, unit: Unit, watched: &[(&str, f64)]) {
        let now = self.clock.seconds();
        let mut reported = self.reported.lock().expect("no holder panics");
        if now - *reported < PROGRESS_EVERY && done < total {
            return;
        }
        *reported = now;
        let watched: Map<String, Value> =
            watched.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
        self.emit(Event::StageProgress { key: self.node.key, done, total, unit, watched });
    }

    /// Whether to stop: leave what is needed to go on in [`Context::work`] and return
    /// [`Stop::Cancelled`].
    pub fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    /// Threads this worker may use.
    pub fn threads(&self) -> u32 {
        self.threads
    }

    /// How to carry it out.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Seconds since the task began, for pacing checkpoints.
    pub fn seconds(&self) -> f64 {
        self.clock.seconds()
    }
}
