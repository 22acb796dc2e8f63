//! Folders that a stage works in.

use super::{
    disk::{self, Sync},
    error::{At as _, Error, READ},
};
use crate::base::Digest;
use std::{
    collections::BTreeSet,
    fs,
    io::{self, Seek, Write},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

/// Bytes that are handed to the system at a time.
pub(super) const PART: usize = 1 << 20;

/// Where one stage works: what it will leave, and what it needs to go on after a kill.
#[derive(Debug)]
pub struct Staging {
    folder: PathBuf,
    results: Folder,
    work: Folder,
}

impl Staging {
    pub(super) fn open(folder: PathBuf) -> Result<Self, Error> {
        let results = Folder::open(folder.join("results"), Sync::Later)?;
        let work = Folder::open(folder.join("work"), Sync::Now)?;
        Ok(Self { folder, results, work })
    }

    /// What the artifact will hold.
    pub fn results(&self) -> &Folder {
        &self.results
    }

    /// Shards and checkpoints: kept until the artifact is committed, never part of it.
    pub fn work(&self) -> &Folder {
        &self.work
    }

    pub(super) fn path(&self) -> &Path {
        &self.folder
    }
}

/// Files by name, each written whole or not at all. Names are relative, of letters, digits, `.`,
/// `_`, `-`, with `/` between folders; no part begins with a dot.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Results are synced when they are committed; a checkpoint replaces an older one, which must
    /// not be gone before the new one is there.
    sync: Sync,
    written: Mutex<BTreeSet<String>>,
}

impl Folder {
    fn open(path: PathBuf, sync: Sync) -> Result<Self, Error> {
        disk::make_folder(&path)?;
        Ok(Self { path, sync, written: Mutex::default() })
    }

    /// Writes or replaces a file at once.
    ///
    /// # Errors
    /// On a bad name, a full disk or any other refusal; the old file is then still there.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        disk::replace(&self.place(name)?, bytes, self.sync)?;
        self.remember(name);
        Ok(())
    }

    /// Writes or replaces a file whose bytes `give` hands over a part at a time.
    ///
    /// # Errors
    /// As [`Folder::write`].
    pub fn write_parts(
        &self,
        name: &str,
        give: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), Error> {
        let mut file = self.create(name)?;
        let mut buffer = io::BufWriter::with_capacity(PART, &mut file);
        let given = give(&mut buffer).and_then(|()| buffer.flush());
        drop(buffer);
        given.at("write", &file.path)?;
        file.finish()
    }

    /// Begins a file that is too large to hold in memory; it appears under its name when
    /// [`StagedFile::finish`] is called, and not at all otherwise.
    ///
    /// # Errors
    /// On a bad name or when it cannot be created.
    pub fn create(&self, name: &str) -> Result<StagedFile<'_>, Error> {
        let path = self.place(name)?;
        let unfinished = disk::beside(&path);
        let file = fs::File::create(&unfinished).at("create", &unfinished)?;
        Ok(StagedFile { folder: self, name: name.to_owned(), path, unfinished, file })
    }

    /// Begins a file without a name, for what need not outlive the process.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn scratch(&self) -> Result<Scratch, Error> {
        let path = disk::beside(&self.path.join("scratch"));
        let file = fs::File::options().read(true).write(true).create_new(true).open(&path);
        let file = Arc::new(file.at("create", &path)?);
        disk::remove_file(&path)?;
        Ok(Scratch { file, path, length: 0 })
    }

    /// Gives a file of another folder of the store, which never changes any more, a place in this one,
    /// too, without writing it again where the disk can; gives its size.
    ///
    /// # Errors
    /// On a bad name, when the file is not there, or when the disk refuses.
    pub fn link(&self, source: &Path, name: &str) -> Result<u64, Error> {
        let target = self.place(name)?;
        disk::remove_file(&target)?;
        let linked = fs::hard_link(source, &target);
        linked.or_else(|_| fs::copy(source, &target).map(drop)).at("link", &target)?;
        self.remember(name);
        Ok(fs::metadata(&target).at("look at", &target)?.len())
    }

    /// Reads a file; `None` when there is none.
    ///
    /// # Errors
    /// On a bad name or when it cannot be read.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        disk::read(&self.path(name)?)
    }

    /// Whether there is such a file.
    pub fn exists(&self, name: &str) -> bool {
        self.path(name).is_ok_and(|path| path.is_file())
    }

    /// Removes a file, if there is one.
    ///
    /// # Errors
    /// On a bad name or when the system refuses.
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        disk::remove_file(&self.path(name)?)
    }

    /// Removes all that is in it.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn clear(&self) -> Result<(), Error> {
        if disk::is_empty(&self.path)? {
            return Ok(());
        }
        disk::remove_folder(&self.path)?;
        disk::make_folder(&self.path)
    }

    /// Names of all files, sorted; without those that are still being written.
    ///
    /// # Errors
    /// When a folder cannot be listed.
    pub fn list(&self) -> Result<Vec<String>, Error> {
        let mut found = Vec::new();
        list_into(&self.path, "", &mut found)?;
        Ok(found)
    }

    /// Where a file lies, for mapping it into memory.
    ///
    /// # Errors
    /// On a bad name.
    pub fn path(&self, name: &str) -> Result<PathBuf, Error> {
        check_name(name)?;
        Ok(self.path.join(name))
    }

    /// Digests of the files that were written through this handle and are still there.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn written(&self) -> Result<Vec<(String, Digest)>, Error> {
        let names = self.written.lock().expect("no holder panics").clone();
        let mut digests = Vec::with_capacity(names.len());
        for name in names {
            if let Some(digest) = self.digest(&name)? {
                digests.push((name, digest));
            }
        }
        Ok(digests)
    }

    /// Digest of a file; `None` when there is none.
    ///
    /// # Errors
    /// On a bad name or when it cannot be read.
    pub fn digest(&self, name: &str) -> Result<Option<Digest>, Error> {
        let path = self.path(name)?;
        match fs::File::open(&path).and_then(Digest::of_reader) {
            Ok(digest) => Ok(Some(digest)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).at(READ, &path),
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.path
    }

    fn place(&self, name: &str) -> Result<PathBuf, Error> {
        let path = self.path(name)?;
        if name.contains('/') {
            disk::make_folder(path.parent().unwrap_or(&self.path))?;
        }
        Ok(path)
    }

    fn remember(&self, name: &str) {
        self.written.lock().expect("no holder panics").insert(name.to_owned());
    }
}

/// A file on its way into a folder.
#[derive(Debug)]
pub struct StagedFile<'a> {
    folder: &'a Folder,
    name: String,
    path: PathBuf,
    unfinished: PathBuf,
    file: fs::File,
}

impl StagedFile<'_> {
    /// Gives it its name.
    ///
    /// # Errors
    /// When the disk is full or refuses; the file is then gone.
    pub fn finish(self) -> Result<(), Error> {
        disk::sync_file(&self.file, &self.path, self.folder.sync)?;
        fs::rename(&self.unfinished, &self.path).at("rename into place", &self.path)?;
        self.folder.remember(&self.name);
        Ok(())
    }
}

impl Write for StagedFile<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for StagedFile<'_> {
    fn seek(&mut self, position: io::SeekFrom) -> io::Result<u64> {
        self.file.seek(position)
    }
}

impl Drop for StagedFile<'_> {
    fn drop(&mut self) {
        // After `finish` there is nothing left under this name; before it, a file that cannot be
        // removed is hidden and goes with its folder.
        fs::remove_file(&self.unfinished).ok();
    }
}

/// A file without a name: it is gone when nobody holds it, however its process ends.
#[derive(Debug)]
pub struct Scratch {
    file: Arc<fs::File>,
    /// The name that it had, for messages.
    path: PathBuf,
    length: u64,
}

impl Scratch {
    /// Appends bytes; gives where they begin.
    ///
    /// # Errors
    /// When the disk is full or refuses.
    pub fn append(&mut self, bytes: &[u8]) -> Result<u64, Error> {
        let at = self.length;
        self.file.write_all_at(bytes, at).at("write", &self.path)?;
        self.length += bytes.len() as u64;
        Ok(at)
    }

    /// The file, to be read at any place while it grows.
    pub fn file(&self) -> &Arc<fs::File> {
        &self.file
    }
}

fn list_into(folder: &Path, prefix: &str, found: &mut Vec<String>) -> Result<(), Error> {
    for name in disk::names(folder)? {
        if name.starts_with('.') {
            continue;
        }
        let path = folder.join(&name);
        let name = format!("{prefix}{name}");
        if path.is_dir() {
            list_into(&path, &format!("{name}/"), found)?;
        } else {
            found.push(name);
        }
    }
    Ok(())
}

/// Refuses what could leave the folder, hide in it, or mean something else on another system.
pub(super) fn check_name(name: &str) -> Result<(), Error> {
    let good = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    if name.split('/').all(good) { Ok(()) } else { Err(Error::BadName { name: name.to_owned() }) }
}
