//! The Hugging Face hub: models and data sets by name, brought into the cache that Python's
//! `huggingface_hub` has too.
//!
//! May import: base, store.
//! Owns: what is asked of the hub, which files of a repository are wanted, and the layout of that
//! cache. Never: runs or unpickles what it brought, sends a token to another host than the one it
//! is for, or asks anything where only what is there already is wanted ([`cached`]).
//!
//! ```text
//! ~/.cache/huggingface/hub/               HF_HUB_CACHE, or hub/ in HF_HOME
//!     .locks/models--ORG--NAME/<etag>.lock    held while a blob is brought, by Python too
//!     models--ORG--NAME/                      datasets--… for data
//!         refs/<revision>                     the commit that a branch or tag was last
//!         blobs/<etag>                        contents, by the digest that the hub has
//!         blobs/<etag>.incomplete             what came of one before the connection broke
//!         snapshots/<commit>/<file>           links to blobs
//!         mstar/<commit>.json                 the files of a snapshot that was brought whole
//!         mstar/<commit>/<archive>/           the files of an archive, linked into the snapshot
//! ```
//!
//! The `hf-hub` library (1.0) has the same layout, but needs an asynchronous runtime and the client
//! of Xet, begins a broken file anew, and compares no digest; hence a small client of our own.

mod archive;
mod blob;
mod cache;
mod client;
mod date;
mod error;
mod footer;
mod repo;
mod settings;
mod snapshot;
mod wanted;

pub use archive::{is_unpacked, unpack};
pub use cache::{Inside, Snapshot, cached};
pub use error::HubError;
pub use repo::{Kind, Repo};
pub use settings::{Settings, Token};
pub use snapshot::{Progress, Tell, resolve_commit, snapshot};
