//! Digests of large files, kept between calls, so that a plan need not read a model of many gigabytes
//! each time.
//!
//! A digest is kept with what the system says of its file, and is good while it says the same. A file
//! that was changed shortly before it was read could change again and show no sign of it: of those
//! none is kept.

use crate::base::Digest;
use crate::run::Clock;
use crate::store;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Names the folder of the kept digests; empty for none.
const FOLDER: &str = "MSTAR_CACHE";
/// The file in it.
const NAME: &str = "digests.json";
/// Bytes of the smallest file whose digest is kept.
const LARGE: u64 = 1 << 20;
/// Milliseconds for which a change may leave the times of a file as they are.
const UNSURE_MS: i64 = 2000;
/// Files that are known at most; more than that are forgotten together.
const MOST: usize = 4096;

/// What the system says of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Signs {
    bytes: u64,
    device: u64,
    inode: u64,
    /// Seconds and nanoseconds of the last change of its contents, and of anything about it.
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Signs {
    fn of(about: &Metadata) -> Self {
        Self {
            bytes: about.len(),
            device: about.dev(),
            inode: about.ino(),
            modified: (about.mtime(), about.mtime_nsec()),
            changed: (about.ctime(), about.ctime_nsec()),
        }
    }

    /// Whether the last change is so long ago that another would show.
    fn is_settled(&self, now_ms: i64) -> bool {
        let latest = self.modified.max(self.changed);
        latest.0.saturating_mul(1000) + latest.1 / 1_000_000 < now_ms - UNSURE_MS
    }
}

/// The digest of a file, and what was said of it then.
#[derive(Debug, Serialize, Deserialize)]
struct Known {
    signs: Signs,
    digest: Digest,
}

/// The digests that are kept.
#[derive(Debug, Default)]
pub(crate) struct Digests {
    file: Option<PathBuf>,
    known: BTreeMap<String, Known>,
    is_new: bool,
}

impl Digests {
    /// Those in the folder that the environment says.
    pub(crate) fn of_environment() -> Self {
        let set =
            |name: &str| std::env::var_os(name).filter(|it| !it.is_empty()).map(PathBuf::from);
        let folder = match std::env::var_os(FOLDER) {
            Some(folder) => Some(PathBuf::from(folder)).filter(|it| !it.as_os_str().is_empty()),
            None => set("XDG_CACHE_HOME")
                .or_else(|| set("HOME").map(|home| home.join(".cache")))
                .map(|cache| cache.join("mstar")),
        };
        folder.map_or_else(Self::default, |folder| Self::read(folder.join(NAME)))
    }

    /// Those in a file. What cannot be read is made again.
    fn read(file: PathBuf) -> Self {
        let known = std::fs::read(&file).ok();
        let known = known.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self { file: Some(file), known: known.unwrap_or_default(), is_new: false }
    }

    /// The digest of an open file.
    ///
    /// # Errors
    /// What reading fails with.
    pub(crate) fn of(&mut self, path: &Path, file: File) -> io::Result<Digest> {
        self.of_at(path, file, i64::try_from(Clock::date_ms()).unwrap_or(i64::MAX))
    }

    fn of_at(&mut self, path: &Path, file: File, now_ms: i64) -> io::Result<Digest> {
        let signs = Signs::of(&file.metadata()?);
        if self.file.is_none() || signs.bytes < LARGE {
            return Digest::of_reader(file);
        }
        let name = path.canonicalize()?.display().to_string();
        if let Some(known) = self.known.get(&name).filter(|known| known.signs == signs) {
            return Ok(known.digest);
        }
        let digest = Digest::of_reader(&file)?;
        let is_same = Signs::of(&file.metadata()?) == signs;
        if is_same && signs.is_settled(now_ms) {
            if self.known.len() >= MOST {
                self.known.clear();
            }
            self.known.insert(name, Known { signs, digest });
            self.is_new = true;
        }
        Ok(digest)
    }

    /// Keeps what was found. A folder that cannot be written costs only time.
    pub(crate) fn keep(&self) {
        let Some(file) = self.file.as_ref().filter(|_| self.is_new) else { return };
        let bytes = serde_json::to_vec(&self.known).expect("signs and digests are plain data");
        let made = file.parent().map(store::make_output_folder).transpose();
        made.and_then(|_| store::write_beside(file, &bytes)).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write as _;

    const LATER: i64 = 1 << 50;

    fn digest(digests: &mut Digests, path: &Path, now_ms: i64) -> Digest {
        digests.of_at(path, File::open(path).unwrap(), now_ms).unwrap()
    }

    /// Writes into a file as it lies.
    fn overwrite(path: &Path, bytes: &[u8]) {
        let mut file = File::options().write(true).open(path).unwrap();
        file.write_all(bytes).unwrap();
    }

    #[test]
    fn a_digest_is_kept_while_nothing_shows_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let (path, kept) = (folder.path().join("model"), folder.path().join("cache/digests.json"));
        let mut file = tempfile::NamedTempFile::new_in(folder.path()).unwrap();
        file.write_all(&vec![1; LARGE as usize]).unwrap();
        file.persist(&path).unwrap();
        let mut digests = Digests::read(kept.clone());
        let first = digest(&mut digests, &path, LATER);
        assert_eq!(first, Digest::of(&fs::read(&path).unwrap()));
        digests.keep();
        // What is kept is what is used: another digest would be believed.
        let text = fs::read_to_string(&kept).unwrap();
        let other = Digest::of(b"other");
        overwrite(&kept, text.replace(&first.to_string(), &other.to_string()).as_bytes());
        let mut digests = Digests::read(kept.clone());
        assert_eq!(digest(&mut digests, &path, LATER), other);
        // Other contents of the same size, with the old time of change.
        let before = fs::metadata(&path).unwrap().modified().unwrap();
        overwrite(&path, &[2; 9]);
        File::options().write(true).open(&path).unwrap().set_modified(before).unwrap();
        let changed = digest(&mut digests, &path, LATER);
        assert_eq!(changed, Digest::of(&fs::read(&path).unwrap()));
        assert!(changed != first && changed != other);
        overwrite(&kept, b"{ torn");
        assert_eq!(digest(&mut Digests::read(kept), &path, LATER), changed);
    }

    #[test]
    fn what_was_changed_just_now_is_read_each_time_and_so_is_what_is_small() {
        let folder = tempfile::tempdir().unwrap();
        for (bytes, late) in [(LARGE as usize, 1000), (LARGE as usize - 1, LATER)] {
            let mut file = tempfile::NamedTempFile::new_in(folder.path()).unwrap();
            file.write_all(&vec![1; bytes]).unwrap();
            let written = fs::metadata(file.path()).unwrap().ctime() * 1000;
            let mut digests = Digests::read(folder.path().join("digests.json"));
            digest(&mut digests, file.path(), written.saturating_add(late));
            assert!(digests.known.is_empty() && !digests.is_new);
        }
    }
}
