//! Carries out a graph: a scheduler, worker processes, cancellation, and going on after a kill.
//!
//! May import: base, event, store, plan.
//! Owns: the clock, the workers' protocol, and the order in which stages run. The scheduler alone
//! commits, holds the locks and says what happened; a worker only fills a staging folder. The one
//! place where a panic of tensor code is caught is [`serve`]. Never: knows what a stage computes,
//! or draws.

mod account;
mod board;
mod clock;
mod context;
mod dispatch;
mod interrupts;
mod message;
mod options;
mod pool;
mod resources;
mod shard;
mod speaker;
#[cfg(test)]
mod tests;
mod work;
mod worker;

pub use clock::Clock;
pub use context::{Context, Performer, Settings};
pub use dispatch::run;
pub use interrupts::Interrupts;
pub use message::{Part, Stop, Task};
pub use options::{Options, RunError, RunSummary};
pub use resources::{Device, DeviceError, Resources, Slot};
pub use worker::{WorkerError, serve};
