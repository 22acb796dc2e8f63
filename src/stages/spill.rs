//! Pictures of rows that wait for their turn: in one file of a stage's own, each content once, so that
//! memory need not hold them. The file has no name, so that nothing of it is ever left behind.

use crate::base::Digest;
use crate::data::loaders::{Part, Picture};
use crate::run::Stop;
use crate::store::{Folder, Scratch};
use std::collections::BTreeMap;

/// Pictures on their way into the file.
pub(super) struct Spill {
    file: Scratch,
    known: BTreeMap<Digest, Part>,
}

impl Spill {
    /// Begins the file.
    pub(super) fn begin(folder: &Folder) -> Result<Self, Stop> {
        Ok(Self { file: folder.scratch()?, known: BTreeMap::new() })
    }

    /// Puts what is in memory of a picture into the file, which is there as long as the picture is.
    pub(super) fn put(&mut self, picture: &mut Picture) -> Result<(), Stop> {
        let Picture::Bytes(bytes) = picture else { return Ok(()) };
        let digest = Digest::of(bytes);
        let part = match self.known.get(&digest) {
            Some(part) => part.clone(),
            None => {
                let at = self.file.append(bytes)?;
                let part = Part::new(self.file.file(), at, bytes.len());
                self.known.insert(digest, part.clone());
                part
            }
        };
        *picture = Picture::Part(part);
        Ok(())
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
    use std::path::Path;

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
            assert!(matches!(picture, Picture::Part(_)));
            picture
        });
        let left = std::fs::read_dir(staging.work().path("any").unwrap().parent().unwrap());
        assert_eq!(left.unwrap().count(), 0);
        let length = spill.file.file().metadata().unwrap().len();
        drop(spill);
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
    }
}
