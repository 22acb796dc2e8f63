//! What is wrong with a bundle or a lock, and the way out of each.

use crate::base::{Bytes, Hint};
use thiserror::Error;

/// A fault of a bundle or a lock.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// Not an archive of this kind at all.
    #[error("it is no bundle: {reason}")]
    NotABundle {
        /// What stands there instead.
        reason: String,
    },
    /// Written by a later program.
    #[error("its {what} has format {found}, and this mstar knows {known}")]
    Newer {
        /// Such as `manifest`.
        what: &'static str,
        /// The format that it says.
        found: u32,
        /// The newest that is known.
        known: u32,
    },
    /// The list of members, or a lock, is not what it should be.
    #[error("its {what} cannot be read: {reason}")]
    Unreadable {
        /// Such as `manifest`.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// The archive ends early, or its compression is damaged.
    #[error("it is torn: {reason}")]
    Torn {
        /// Where.
        reason: String,
    },
    /// Something follows the end.
    #[error("something follows its end")]
    Trailing,
    /// A name that could leave a folder, hide in it, or mean something else elsewhere.
    #[error("a member is called `{name}`: {reason}")]
    BadName {
        /// The name, with what cannot be shown written out.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Two names that some systems take for one.
    #[error("two members are called `{name}`, in capitals or not")]
    Duplicate {
        /// The second.
        name: String,
    },
    /// A link, a folder, a device or an extension.
    #[error("member `{name}` is {kind}, not a file")]
    NotAFile {
        /// The name.
        name: String,
        /// What it is.
        kind: &'static str,
    },
    /// A header with more in it than a name and a size.
    #[error("the header of member `{name}` says more than its name and size")]
    OddHeader {
        /// The name.
        name: String,
    },
    /// A member at a place where the list has another or none.
    #[error("member `{name}` is not in its list at that place")]
    Unlisted {
        /// The name.
        name: String,
    },
    /// A member is not as large as the list says.
    #[error("member `{name}` says it holds {said}, and the list has {listed}")]
    Size {
        /// The name.
        name: String,
        /// Its own size.
        said: Bytes,
        /// The size in the list.
        listed: Bytes,
    },
    /// More members than are read.
    #[error("it has {count} members, and up to {limit} are read")]
    TooMany {
        /// How many.
        count: u64,
        /// The limit.
        limit: u64,
    },
    /// More bytes than are read.
    #[error("{what} would be {size}, and up to {limit} are read")]
    TooLarge {
        /// Such as `` member `x` ``.
        what: String,
        /// How large.
        size: Bytes,
        /// The limit.
        limit: Bytes,
    },
    /// The bytes are not those that the list has.
    #[error("member `{name}` was altered: its digest is another")]
    Altered {
        /// The name.
        name: String,
    },
    /// A member without which it is no bundle.
    #[error("it has no member `{name}`")]
    Missing {
        /// The name.
        name: String,
    },
    /// Who reads did not want more.
    #[error("reading was stopped")]
    Stopped,
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotABundle { .. } => "`mstar bundle RUN` makes one".into(),
            Self::Newer { .. } => "use the mstar that wrote it, or a newer one".into(),
            Self::Torn { .. } => "fetch it again: it did not arrive whole, or was altered".into(),
            Self::Altered { .. } | Self::Size { .. } | Self::Trailing => {
                "fetch it again from who made it: these are not the bytes that were bundled".into()
            }
            Self::Unreadable { what: super::lock::WHAT, .. } => {
                "it was altered, or is no lock: `mstar lock` writes one".into()
            }
            Self::Stopped => return None,
            Self::Unreadable { .. }
            | Self::BadName { .. }
            | Self::Duplicate { .. }
            | Self::NotAFile { .. }
            | Self::OddHeader { .. }
            | Self::Unlisted { .. }
            | Self::TooMany { .. }
            | Self::TooLarge { .. }
            | Self::Missing { .. } => {
                "`mstar bundle` does not write such a thing: nothing of it was used".into()
            }
        })
    }
}
