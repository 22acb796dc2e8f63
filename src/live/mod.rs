//! A run as it goes, in a terminal and in a browser.
//!
//! May import: base, event, store, run, report.
//! Owns: the state that a log tells of so far, and the page that follows it on this machine. Never:
//! speaks with the run or changes anything of it. It reads the same log as the report does, so that
//! whatever becomes of a reader, the run does not notice.

mod curve;
mod feed;
mod request;
mod server;
mod status;
mod text;

pub use feed::Source;
pub use server::{ServeError, Server};
pub use status::{Stage, Status};
pub use text::text;
