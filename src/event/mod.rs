//! Everything that can be said about a run: serialisable, versioned, the only thing reports read.
//!
//! May import: base.
//! Owns: the vocabulary of events and the line format of the log. Never: draws, writes or decides.

mod docs;
mod log;
mod tail;
mod vocabulary;

pub use docs::{EventDoc, event_docs};
pub use log::{FORMAT, Record};
pub use tail::Tail;
pub use vocabulary::{Event, Machine, Outcome, StageSummary, Unit, Versions};
