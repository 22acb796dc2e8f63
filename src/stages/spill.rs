//! Pictures of rows that wait for their turn: in one file of a stage's own, each content once, so that
//! memory need not hold them.

use super::failure::failure;
use crate::base::Digest;
use crate::data::loaders::Picture;
use crate::run::Stop;
use crate::store::{Folder, StagedFile};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

/// The file.
const NAME: &str = "pictures";

/// Pictures on their way into the file.
pub(super) struct Spill<'a> {
    file: StagedFile<'a>,
    path: Arc<Path>,
    length: u64,
    known: BTreeMap<Digest, u64>,
}

impl<'a> Spill<'a> {
    /// Begins the file.
    pub(super) fn begin(folder: &'a Folder) -> Result<Self, Stop> {
        let path = folder.path(NAME)?.into();
        Ok(Self { file: folder.create(NAME)?, path, length: 0, known: BTreeMap::new() })
    }

    /// Puts what is in memory of a picture into the file. It is there to be read after
    /// [`Spill::finish`].
    pub(super) fn put(&mut self, picture: &mut Picture) -> Result<(), Stop> {
        let Picture::Bytes(bytes) = picture else { return Ok(()) };
        let digest = Digest::of(bytes);
        let at = match self.known.get(&digest) {
            Some(&at) => at,
            None => {
                self.file.write_all(bytes).map_err(|error| {
                    let reason = format!("cannot write `{}`: {error}", self.path.display());
                    failure(reason, "make room on the disk of the store")
                })?;
                let at = self.length;
                self.length += bytes.len() as u64;
                self.known.insert(digest, at);
                at
            }
        };
        *picture = Picture::Part { file: Arc::clone(&self.path), at, length: bytes.len() };
        Ok(())
    }

    /// Ends the file.
    pub(super) fn finish(self) -> Result<(), Stop> {
        Ok(self.file.finish()?)
    }

    /// Removes the file, when all that was wanted of it was read.
    pub(super) fn remove(folder: &Folder) -> Result<(), Stop> {
        Ok(folder.remove(NAME)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Key;
    use crate::data::loaders::Unread;
    use crate::data::preview::png;
    use crate::store::Store;
    use image::{Rgb, RgbImage};

    #[test]
    fn pictures_are_read_out_of_the_file_and_each_content_lies_there_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let staging = store.staging(Key(Digest::of(b"a"))).unwrap();
        let picture = |shade: u8| RgbImage::from_pixel(9, 9, Rgb([shade; 3]));
        let shades = [3, 7, 3, 9, 7, 3];
        let mut spill = Spill::begin(staging.work()).map_err(|_| "begin").unwrap();
        let images = shades.map(|shade| {
            let mut picture = Picture::Bytes(png(&picture(shade)).unwrap());
            spill.put(&mut picture).map_err(|_| "put").unwrap();
            assert!(matches!(picture, Picture::Part { .. }));
            picture
        });
        let length = spill.length;
        spill.finish().map_err(|_| "finish").unwrap();
        let once: usize = [3, 7, 9].map(|shade| png(&picture(shade)).unwrap().len()).iter().sum();
        assert_eq!(length, once as u64);
        let row = Unread {
            question: String::new(),
            answer: String::new(),
            category: String::new(),
            images: images.to_vec(),
            is_no_choice: false,
            file: Path::new("rows.jsonl").into(),
            row: 1,
        };
        assert_eq!(row.decode().unwrap(), shades.map(picture));
        Spill::remove(staging.work()).map_err(|_| "remove").unwrap();
        assert!(row.decode().is_err());
    }
}
