//! Archives in which a run is handed over, and locks that pin what decides its result.
//!
//! May import: base.
//! Owns: the format of both, and what is refused of an archive that somebody else made. Never:
//! touches disk, runs what it reads, or keeps more of it than its limits say.
//!
//! A bundle is a tar inside one zstd frame. Its first member, `manifest.json`, lists all others in
//! the order in which they follow, each with its size and digest, so that whatever was not listed
//! is refused before a byte of it is kept.

mod error;
mod limits;
mod lock;
mod manifest;
mod name;
mod read;
mod write;

pub use error::Error;
pub use limits::Limits;
pub use lock::{Lock, LockedMember, LockedModel, LockedStage, MadeBy};
pub use manifest::{Entry, FORMAT, MANIFEST, Manifest, WEIGHTS};
pub use name::{check_name, safe_name};
pub use read::{Contents, contents, is_compressed, read};
pub use write::{Content, Member, write};
