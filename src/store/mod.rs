//! What is kept: artifacts by content, work in progress, records of runs.
//!
//! May import: base.
//! Owns: the folder `.mstar/`, its layout, its locks, and every write of the whole program. Nothing
//! is ever changed in place: a file is written beside its name and renamed, and a folder
//! becomes an artifact by one rename. Never: knows what a stage computes, or reads the clock.
//!
//! ```text
//! .mstar/version                     layout version
//!        artifact-v1/<2 hex>/<key>/  finished work: files and their `manifest.json`; never changes
//!        staging-v1/<key>/results    what the next commit will hold
//!        staging-v1/<key>/work       what a killed stage goes on from: shards, checkpoints
//!        run-v1/<run>/               the log, the recipe, what it resolved to, the graph, and how
//!                                    far trackers were told
//!        index-v1.sqlite             what the records say, to find runs by; made again at any time
//!        lock-v1/                    kernel locks, which end with their process
//!        tmp/                        on the way out
//! ```

#![expect(clippy::disallowed_methods, reason = "this room owns the disk")]

mod arriving;
mod artifact;
mod disk;
mod error;
mod index;
mod layout;
mod lock;
mod new_folder;
mod query;
mod record;
mod retention;
mod staging;
#[cfg(test)]
mod tests;
mod tracked;

pub use arriving::{Arriving, link};
pub use artifact::{Artifact, FileEntry, MANIFEST, Manifest, Provenance};
pub use disk::{Sync, make_output_folder, write_beside, write_through};
pub use error::{Error, free_space};
pub use index::{Counts, Entry, IndexedMember, IndexedMetric, ReadEntry};
pub use layout::Store;
pub use lock::{Lock, Presence};
pub use new_folder::{NewFolder, check_inside};
pub use query::{Condition, Found, Names, Query, Relation, Subject, text};
pub use record::{Run, RunFiles, RunLog};
pub use retention::{Removable, Removal, Retention};
pub use staging::{Folder, Scratch, StagedFile, Staging};
pub use tracked::{Growing, Telling};
