//! Names, digests, seeds, units and the shape of a fault: the vocabulary that every room shares.
//!
//! May import: nothing of this crate.
//! Owns: value types without behaviour beyond their own arithmetic. Never: touches disk, clock,
//! network, threads or tensors.

mod codes;
mod digest;
mod fault;
mod nearest;
mod printable;
mod seed;
mod units;

pub use codes::{FAULT_CODES, FaultCode};
pub use digest::{Digest, DigestWriter, Key, digest_of_json};
pub use fault::{Failure, Fault, Faults, Hint, Place, Source};
pub use nearest::did_you_mean;
pub use printable::printable;
pub use seed::Seed;
pub use units::{Bytes, Duration, Rate, counted, plural};
