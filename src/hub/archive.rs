//! Pictures that come in an archive: unpacked once, beside the snapshot that holds it.
//!
//! Whoever made the archive is not trusted: before the first file is written, every name, size and
//! kind in it was looked at, and no file gets more bytes than were promised.

use super::{HubError, Progress, Repo, Settings, Snapshot, Tell, cache::Cache, footer};
use crate::base::Bytes;
use crate::store::{self, NewFolder, free_space};
use std::collections::BTreeSet;
use std::fmt::Display;
use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;
use zip::ZipArchive;

/// Files of the largest archive.
const MOST_FILES: u64 = 4_000_000;
/// Bytes of the largest file in one.
const LARGEST_FILE: u64 = 256 << 20;
/// How many times as large as the archive its files may be in all; pictures hardly shrink.
const LARGEST_SHARE: u64 = 100;
/// Bytes that are unpacked at a time.
const PIECE: usize = 1 << 16;
/// The bits of a Unix mode that say what something is, and those of a file.
const KIND: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;

/// A file of an archive.
struct Member {
    at: usize,
    name: String,
    bytes: u64,
}

/// The name of the folder in which the files of an archive lie.
fn folder_of(archive: &str) -> &str {
    archive.rsplit_once('.').map_or(archive, |(name, _)| name)
}

/// Whether an archive of a snapshot was unpacked.
pub fn is_unpacked(snapshot: &Snapshot, archive: &str) -> bool {
    snapshot.folder.join(folder_of(archive)).is_dir()
}

/// Unpacks an archive of a snapshot, if that was not done before: its files then lie in the snapshot,
/// in a folder of the archive's name.
///
/// # Errors
/// When it is damaged, holds anything but files that stay in their folder, or finds no room; nothing
/// of it is then there.
pub fn unpack(
    (repo, snapshot): (&Repo, &Snapshot),
    archive: &str,
    settings: &Settings,
    progress: &mut Tell<'_>,
) -> Result<(), HubError> {
    if is_unpacked(snapshot, archive) {
        return Ok(());
    }
    let cache = Cache::of(repo, settings);
    let name = folder_of(archive);
    let [folder, lock] = cache.unpacked(&snapshot.commit, name);
    if let Some(draft) = NewFolder::begin_once(&folder, &lock)? {
        let path = snapshot.folder.join(archive);
        let mut zip = Zip::open(&path)?;
        let members = zip.members(name)?;
        let bytes = members.iter().map(|member| member.bytes).sum();
        let free = free_space(&settings.cache);
        if bytes > free.0 {
            let (repo, folder) = (archive.to_owned(), settings.cache.clone());
            return Err(HubError::Full { repo, folder, needed: Bytes(bytes), free });
        }
        progress(Progress::Found { files: members.len(), bytes });
        zip.unpack(&members, draft, progress)?;
    }
    Ok(store::link(&cache.seen_from_snapshot(&folder), &snapshot.folder.join(name))?)
}

/// An archive that is read.
struct Zip<'a> {
    path: &'a Path,
    length: u64,
    zip: ZipArchive<BufReader<File>>,
}

impl<'a> Zip<'a> {
    fn open(path: &'a Path) -> Result<Self, HubError> {
        let open = || -> Result<Self, String> {
            let unreadable = |error: &dyn Display| format!("cannot be read: {error}");
            let mut file = File::open(path).map_err(|error| unreadable(&error))?;
            let length = file.metadata().map_err(|error| unreadable(&error))?.len();
            footer::check(&mut file, MOST_FILES)?;
            let zip = ZipArchive::new(BufReader::new(file)).map_err(|error| unreadable(&error))?;
            Ok(Self { path, length, zip })
        };
        open().map_err(|fault| bad(path, fault))
    }

    /// The files that are unpacked, all of which may be. Where all lie in a folder of the given name,
    /// they are taken out of it.
    fn members(&mut self, name: &str) -> Result<Vec<Member>, HubError> {
        members(&mut self.zip, self.length, name).map_err(|fault| bad(self.path, fault))
    }

    fn unpack(
        &mut self,
        members: &[Member],
        mut draft: NewFolder,
        progress: &mut Tell<'_>,
    ) -> Result<(), HubError> {
        let mut piece = vec![0; PIECE];
        for Member { at, name, bytes } in members {
            progress(Progress::File { name, bytes: *bytes });
            let damaged = |reason: String| bad(self.path, format!("has a bad `{name}`: {reason}"));
            let file = self.zip.by_index(*at).map_err(|error| damaged(error.to_string()))?;
            // One byte more than was promised is enough to know.
            let (mut file, mut found) = (file.take(bytes + 1), 0);
            draft.append(name, &[])?;
            loop {
                let count = file.read(&mut piece).map_err(|error| damaged(error.to_string()))?;
                found += count as u64;
                if found > *bytes || count == 0 && found < *bytes {
                    return Err(damaged(format!("it has not the {bytes} bytes that it should")));
                }
                if count == 0 {
                    break;
                }
                draft.append(name, &piece[..count])?;
                progress(Progress::Arrived(count as u64));
            }
        }
        Ok(draft.finish()?)
    }
}

fn bad(path: &Path, fault: String) -> HubError {
    HubError::BadArchive { archive: path.to_owned(), fault }
}

fn members(
    zip: &mut ZipArchive<impl Read + Seek>,
    length: u64,
    folder: &str,
) -> Result<Vec<Member>, String> {
    let (mut members, mut names, mut total) = (Vec::new(), BTreeSet::new(), 0_u64);
    for at in 0..zip.len() {
        let file = zip.by_index_raw(at).map_err(|error| format!("is damaged: {error}"))?;
        let (name, bytes) = (file.name().to_owned(), file.size());
        let shown = name.escape_default().take(80).collect::<String>();
        // What a Mac leaves behind.
        if file.is_dir() || name.split('/').any(|part| part == "__MACOSX" || part == ".DS_Store") {
            continue;
        }
        let kind = file.unix_mode().map_or(0, |mode| mode & KIND);
        if kind != 0 && kind != REGULAR {
            return Err(format!("holds `{shown}`, which is a link or a device"));
        }
        if store::check_inside(&name).is_err() {
            return Err(format!("holds `{shown}`, which could leave its folder or hide in it"));
        }
        if bytes > LARGEST_FILE {
            return Err(format!("holds `{shown}` of {}", Bytes(bytes)));
        }
        total += bytes;
        if total > length.saturating_mul(LARGEST_SHARE) {
            let (total, length) = (Bytes(total), Bytes(length));
            return Err(format!("would become {total} or more out of {length}"));
        }
        if !names.insert(name.clone()) {
            return Err(format!("holds `{shown}` twice"));
        }
        members.push(Member { at, name, bytes });
    }
    if members.is_empty() {
        return Err("holds no files".to_owned());
    }
    let folders = |name: &str| -> Vec<String> {
        name.match_indices('/').map(|(end, _)| name[..end].to_owned()).collect()
    };
    if let Some(both) = names.iter().flat_map(|name| folders(name)).find(|it| names.contains(it)) {
        let shown = both.escape_default().take(80).collect::<String>();
        return Err(format!("holds `{shown}` as a file and as a folder"));
    }
    let outer = format!("{folder}/");
    if members.iter().all(|member| member.name.starts_with(&outer)) {
        members.iter_mut().for_each(|member| drop(member.name.drain(..outer.len())));
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Cursor, Write as _};
    use zip::{ZipWriter, write::FileOptions};

    type Files<'a> = &'a [(&'a str, &'a [u8], FileOptions)];

    fn told(files: Files<'_>) -> Result<Vec<(String, u64)>, String> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes, options) in files {
            writer.start_file(*name, *options).unwrap();
            writer.write_all(bytes).unwrap();
        }
        of_archive(writer.finish().unwrap().into_inner())
    }

    fn of_archive(bytes: Vec<u8>) -> Result<Vec<(String, u64)>, String> {
        let length = bytes.len() as u64;
        let members = members(&mut ZipArchive::new(Cursor::new(bytes)).unwrap(), length, "data")?;
        Ok(members.into_iter().map(|it| (it.name, it.bytes)).collect())
    }

    #[test]
    fn files_that_stay_inside_are_taken_and_nothing_else() {
        let file = FileOptions::default();
        let good = told(&[
            ("GeoQA+/images/1 ä.png", b"one", file),
            ("__MACOSX/a", b"", file),
            ("b/.DS_Store", b"", file),
        ]);
        assert_eq!(good.unwrap(), [("GeoQA+/images/1 ä.png".to_owned(), 3)]);
        let inside = told(&[("data/a.png", b"a", file), ("data/b/c.png", b"bc", file)]).unwrap();
        assert_eq!(inside, [("a.png".to_owned(), 1), ("b/c.png".to_owned(), 2)]);
        for name in ["../a", "/a", "a/../../b", "a//b", ".git/config", "a\\b", "a\nb", "a/./b"] {
            let error = told(&[("a.png", b"a", file), (name, b"a", file)]).unwrap_err();
            assert!(error.contains("could leave its folder"), "{name}: {error}");
        }
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        writer.add_symlink("a", "/etc/passwd", file).unwrap();
        let link = of_archive(writer.finish().unwrap().into_inner()).unwrap_err();
        assert_eq!(link, "holds `a`, which is a link or a device");
        assert_eq!(told(&[("a", b"", file), ("a", b"", file)]).unwrap_err(), "holds `a` twice");
        for files in [["a", "a/b/c.png"], ["a/b/c.png", "a/b"]] {
            let error = told(&files.map(|name| (name, &b""[..], file))).unwrap_err();
            assert!(error.ends_with("` as a file and as a folder"), "{error}");
        }
        assert_eq!(told(&[("a.png", b"", file), ("a/b.png", b"", file)]).unwrap().len(), 2);
        assert_eq!(told(&[]).unwrap_err(), "holds no files");
        let bomb = vec![0; 1 << 20];
        let error = told(&[("a.png", &bomb, file)]).unwrap_err();
        assert!(error.starts_with("would become 1.0 MiB or more out of "), "{error}");
    }
}
