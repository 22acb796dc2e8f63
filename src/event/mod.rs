//! Everything that can be said about a run: serialisable, versioned, the only thing reports read.
//!
//! May import: base.
//! Owns: the vocabulary of events and the line format of the log. Never: draws, writes or decides.

mod log;
mod tail;
mod vocabulary;

pub use log::{FORMAT, Record};
pub use tail::Tail;
pub use vocabulary::{Event, Machine, Outcome, StageSummary, Unit, Versions};
