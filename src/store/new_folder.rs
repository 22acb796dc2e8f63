//! A folder that is filled by what somebody else made: it appears whole or not at all.

use super::{
    disk,
    error::{At as _, Error},
    lock::Held,
    staging::{PART, check_name},
};
use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// A folder on its way. Its files lie in a hidden folder beside its name, which nobody else has, so
/// that no link and no other file can stand where one is written.
#[derive(Debug)]
pub struct NewFolder {
    draft: PathBuf,
    path: PathBuf,
    open: Option<(String, File)>,
    check: fn(&str) -> Result<(), Error>,
    _alone: Option<Held>,
}

impl NewFolder {
    /// Begins a folder under a name that nothing has, or an empty folder.
    ///
    /// # Errors
    /// [`Error::NotEmpty`], and when it cannot be made.
    pub fn begin(path: &Path) -> Result<Self, Error> {
        let there = fs::symlink_metadata(path).is_ok();
        if there && !(path.is_dir() && !path.is_symlink() && disk::is_empty(path)?) {
            return Err(Error::NotEmpty { path: path.to_owned() });
        }
        Self::at(path, check_name, None)
    }

    /// Begins a folder as soon as no other process that makes it holds `lock`; `None` where it is
    /// there by then. What a killed process left of it is removed. Its files may have any name that
    /// stays inside and hides nothing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn begin_once(path: &Path, lock: &Path) -> Result<Option<Self>, Error> {
        let parent = path.parent().unwrap_or(Path::new(""));
        for folder in std::iter::once(parent).chain(lock.parent()) {
            disk::make_folder(folder)?;
        }
        let alone = Held::wait(lock.to_owned())?;
        if path.is_dir() {
            return Ok(None);
        }
        for name in disk::names(parent)?.iter().filter(|name| disk::is_beside(name, path)) {
            disk::remove_folder(&parent.join(name))?;
        }
        Self::at(path, check_inside, Some(alone)).map(Some)
    }

    fn at(
        path: &Path,
        check: fn(&str) -> Result<(), Error>,
        alone: Option<Held>,
    ) -> Result<Self, Error> {
        let draft = disk::beside(path);
        disk::make_folder(&draft)?;
        Ok(Self { draft, path: path.to_owned(), open: None, check, _alone: alone })
    }

    /// Adds bytes to a file, which is made when another name than before is given.
    ///
    /// # Errors
    /// [`Error::BadName`], when the name was given before, and when the disk is full or refuses.
    pub fn append(&mut self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.draft.join(name);
        let mut file = match self.open.take() {
            Some((open, file)) if open == name => file,
            _ => {
                (self.check)(name)?;
                disk::make_folder(path.parent().unwrap_or(&self.draft))?;
                File::create_new(&path).at("create", &path)?
            }
        };
        file.write_all(bytes).at("write", &path)?;
        self.open = Some((name.to_owned(), file));
        Ok(())
    }

    /// Adds a file whose bytes `give` hands over a part at a time.
    ///
    /// # Errors
    /// As [`NewFolder::append`].
    pub fn write_parts(
        &mut self,
        name: &str,
        give: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), Error> {
        self.append(name, &[])?;
        let (_, file) = self.open.as_mut().expect("`append` leaves the file open");
        let mut buffer = io::BufWriter::with_capacity(PART, file);
        give(&mut buffer).and_then(|()| buffer.flush()).at("write", &self.draft.join(name))
    }

    /// Gives it its name, once all that is in it lasts: who finds the folder believes its files, also
    /// after a loss of power.
    ///
    /// # Errors
    /// When something has that name by now, or the disk refuses.
    pub fn finish(mut self) -> Result<(), Error> {
        self.open = None;
        disk::sync_disk(&self.draft)?;
        fs::rename(&self.draft, &self.path).at("rename into place", &self.path)
    }
}

/// Bytes of the longest part of a name on the usual disks.
const LONGEST_PART: usize = 255;

/// Refuses a name unless it stays inside its folder, hides nothing in it and is one file on every
/// system of ours.
///
/// # Errors
/// [`Error::BadName`].
pub fn check_inside(name: &str) -> Result<(), Error> {
    let good = |part: &str| {
        (1..=LONGEST_PART).contains(&part.len())
            && !part.starts_with('.')
            && !part.chars().any(|c| c.is_control() || c == '\\')
    };
    let is_good = name.split('/').all(good);
    if is_good { Ok(()) } else { Err(Error::BadName { name: name.escape_default().to_string() }) }
}

impl Drop for NewFolder {
    fn drop(&mut self) {
        // After `finish` there is nothing left under this name; what cannot be removed is hidden.
        fs::remove_dir_all(&self.draft).ok();
    }
}
