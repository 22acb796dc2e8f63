//! Files that are read whole, each within a limit: what has no end, such as a device or a pipe, is
//! refused, and so is what is too large to be what was meant.

use crate::base::Bytes;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

/// Why a file is not read: what follows its name in a sentence.
#[derive(Debug, thiserror::Error)]
pub enum WholeError {
    /// There is nothing of this name.
    #[error("does not exist")]
    Missing,
    /// It holds other files.
    #[error("is a folder")]
    Folder,
    /// A device, a pipe or a socket.
    #[error("is no regular file")]
    Irregular,
    /// More bytes than are read.
    #[error("is {size} large, and such a file is read up to {limit}")]
    TooLarge {
        /// How large it is.
        size: Bytes,
        /// The limit.
        limit: Bytes,
    },
    /// The system refuses.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
}

impl From<WholeError> for io::Error {
    fn from(error: WholeError) -> Self {
        match error {
            WholeError::Io(error) => error,
            other => Self::other(format!("it {other}")),
        }
    }
}

/// Reads a file of at most so many bytes.
///
/// # Errors
/// [`WholeError`].
pub fn read_whole(path: &Path, most: u64) -> Result<Vec<u8>, WholeError> {
    let file = open_regular(path)?;
    let too_large = |size| WholeError::TooLarge { size: Bytes(size), limit: Bytes(most) };
    let size = file.metadata()?.len();
    if size > most {
        return Err(too_large(size));
    }
    let mut bytes = Vec::new();
    // It may grow meanwhile, or say that it is empty, as those of the system do.
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(too_large(bytes.len() as u64)) } else { Ok(bytes) }
}

/// Opens what is a file and nothing else. Links are followed.
pub(super) fn open_regular(path: &Path) -> Result<File, WholeError> {
    // Opening a pipe waits for who writes to it.
    let about = fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => WholeError::Missing,
        _ => WholeError::Io(error),
    })?;
    match (about.is_file(), about.is_dir()) {
        (true, _) => Ok(File::open(path)?),
        (_, true) => Err(WholeError::Folder),
        _ => Err(WholeError::Irregular),
    }
}
