//! Files outside the store that arrive piece by piece, such as downloads: what came is kept when
//! the rest does not, and a file has its name only when it is whole.

use super::{
    disk,
    error::{At as _, Error, READ},
    lock::Held,
};
use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
};

/// Bytes that are read at a time.
const PIECE: usize = 1 << 16;

/// A file that is not whole yet. No other process adds to it meanwhile.
#[derive(Debug)]
pub struct Arriving {
    path: PathBuf,
    file: File,
    length: u64,
    _alone: Held,
}

impl Arriving {
    /// Goes on with what is at `path`, or begins it, as soon as no other process holds `lock`. The
    /// folders of both are made.
    ///
    /// # Errors
    /// When one of them cannot be made or opened.
    pub fn open(path: &Path, lock: &Path) -> Result<Self, Error> {
        for folder in [path, lock].into_iter().filter_map(Path::parent) {
            disk::make_folder(folder)?;
        }
        let alone = Held::wait(lock.to_owned())?;
        let file = File::options().create(true).append(true).read(true).open(path);
        let file = file.at("open", path)?;
        let length = file.metadata().at("look at", path)?.len();
        Ok(Self { path: path.to_owned(), file, length, _alone: alone })
    }

    /// Bytes that are there.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Hands over what is there, piece by piece.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&mut self, see: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
        self.file.rewind().at(READ, &self.path)?;
        let mut piece = vec![0; PIECE];
        loop {
            match self.file.read(&mut piece) {
                Ok(0) => return Ok(()),
                Ok(count) => see(&piece[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error).at(READ, &self.path),
            }
        }
    }

    /// Adds bytes at the end.
    ///
    /// # Errors
    /// When the disk is full or refuses.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).at("write", &self.path)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Forgets all that is there.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn clear(&mut self) -> Result<(), Error> {
        self.length = 0;
        self.file.set_len(0).at("cut", &self.path)
    }

    /// Gives the whole file its name, in the same folder or another of the same disk.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn finish(self, path: &Path) -> Result<(), Error> {
        disk::sync_file(&self.file, &self.path, disk::Sync::Now)?;
        fs::rename(&self.path, path).at("rename into place", path)
    }

    /// Removes it, where its name is taken by the same bytes.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn drop_file(self) -> Result<(), Error> {
        disk::remove_file(&self.path)
    }
}

/// Makes a symbolic link, in place of whatever has its name; the folder is made too. `target` is
/// taken from that folder.
///
/// # Errors
/// When the disk refuses.
pub fn link(target: &Path, path: &Path) -> Result<(), Error> {
    if let Some(folder) = path.parent() {
        disk::make_folder(folder)?;
    }
    let unfinished = disk::beside(path);
    std::os::unix::fs::symlink(target, &unfinished).at("link", path)?;
    fs::rename(&unfinished, path).at("rename into place", path)
}
