//! What a vision tower made of pictures, in files: a frozen tower need not look at a picture twice.
//!
//! A file is safetensors. Of a picture called `P` it has `P.images`, the heights and widths of the
//! images that the picture consists of, and `P.0`, `P.1` and so on, the outputs of the tower, each
//! `[patches, V]` in the model's number format. Files are mapped: what is not asked for is not read.

use super::{
    pixels::{Pixels, Size},
    weights::{Bytes, Stored, WeightsError, copied, header, map, to_safetensors},
};
use std::{collections::BTreeMap, fmt, path::Path, sync::Arc};
use tch::{Device, Tensor};

/// Where the sizes of a picture's images are.
const IMAGES: &str = "images";

/// What a tower made of one picture.
pub struct TowerOutputs {
    pub(in crate::engine) sizes: Vec<Size>,
    pub(in crate::engine) outputs: Vec<Tensor>,
}

impl TowerOutputs {
    /// How many bytes its numbers take.
    pub fn bytes(&self) -> usize {
        self.outputs.iter().map(|it| it.numel() * it.kind().elt_size_in_bytes()).sum()
    }
}

/// The file of some pictures, by name; names have no dot.
pub fn to_file(pictures: &BTreeMap<String, TowerOutputs>) -> Vec<u8> {
    let mut tensors = Vec::new();
    for (name, TowerOutputs { sizes, outputs }) in pictures {
        let sides = sizes.iter().flat_map(|size| [size.height as i64, size.width as i64]);
        let sides = Tensor::from_slice(&sides.collect::<Vec<i64>>()).view([-1, 2]);
        tensors.push((format!("{name}.{IMAGES}"), sides));
        let numbered = outputs.iter().enumerate();
        tensors.extend(numbered.map(|(at, it)| (format!("{name}.{at}"), it.shallow_clone())));
    }
    to_safetensors(tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)))
}

/// A file of pictures that a tower has seen.
pub struct FeatureFile {
    bytes: Arc<Bytes>,
    pictures: BTreeMap<String, Vec<Stored>>,
    sizes: BTreeMap<String, Vec<Size>>,
}

impl FeatureFile {
    /// Maps a file.
    ///
    /// # Errors
    /// When it cannot be read, is torn, or holds something else.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        let shown = path.display().to_string();
        let bytes = map(path)?;
        let (mut found, mut sizes) = (BTreeMap::<String, BTreeMap<usize, Stored>>::new(), {
            BTreeMap::new()
        });
        let foreign = |name: &str| WeightsError::Corrupt {
            path: shown.clone(),
            offset: 0,
            reason: format!("`{name}` is nothing that a vision tower made"),
        };
        for (tensor, stored) in header(bytes.as_slice(), &shown)? {
            let (name, what) = tensor.rsplit_once('.').ok_or_else(|| foreign(&tensor))?;
            if what == IMAGES {
                let images = images(&copied(bytes.as_slice(), &stored));
                sizes.insert(name.to_owned(), images.ok_or_else(|| foreign(&tensor))?);
                continue;
            }
            let place = what.parse().ok().filter(|_| stored.shape.len() == 2);
            let place = place.ok_or_else(|| foreign(&tensor))?;
            found.entry(name.to_owned()).or_default().insert(place, stored);
        }
        let mut pictures = BTreeMap::new();
        for (name, outputs) in found {
            if !outputs.keys().copied().eq(0..outputs.len()) || !sizes.contains_key(&name) {
                return Err(foreign(&name));
            }
            pictures.insert(name, outputs.into_values().collect());
        }
        match sizes.keys().find(|name| !pictures.contains_key(*name)) {
            Some(name) => Err(foreign(name)),
            None => Ok(Self { bytes: Arc::new(bytes), pictures, sizes }),
        }
    }

    /// The pictures in it.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.pictures.keys().map(String::as_str)
    }

    /// What the tower made of a picture, out of the file.
    pub fn outputs(&self, name: &str) -> Option<TowerOutputs> {
        let each = self.pictures.get(name)?.iter();
        let outputs = each.map(|stored| copied(self.bytes.as_slice(), stored)).collect();
        Some(TowerOutputs { sizes: self.sizes.get(name)?.clone(), outputs })
    }

    /// A picture, as a model reads it in place of its numbers.
    pub fn picture(&self, name: &str) -> Option<Pixels> {
        let (bytes, outputs) = (Arc::clone(&self.bytes), self.pictures.get(name)?.clone());
        Some(Pixels::seen(self.sizes.get(name)?.clone(), PictureFeatures { bytes, outputs }))
    }
}

/// Heights and widths of images.
fn images(sides: &Tensor) -> Option<Vec<Size>> {
    let side = |side: &i64| usize::try_from(*side).ok();
    let sides = Vec::<Vec<i64>>::try_from(sides).ok()?;
    let size = |sides: &Vec<i64>| match &sides[..] {
        [height, width] => Some(Size { height: side(height)?, width: side(width)? }),
        _ => None,
    };
    sides.iter().map(size).collect()
}

/// What a tower made of one picture, on disk.
#[derive(Clone)]
pub(in crate::engine) struct PictureFeatures {
    bytes: Arc<Bytes>,
    outputs: Vec<Stored>,
}

impl PartialEq for PictureFeatures {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.bytes, &other.bytes) && self.outputs == other.outputs
    }
}

impl fmt::Debug for PictureFeatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.outputs).finish()
    }
}

/// Each output of the tower for some pictures, one picture after the other.
pub(in crate::engine) fn outputs(pictures: &[PictureFeatures], device: Device) -> Vec<Tensor> {
    let count = pictures.first().map_or(0, |first| first.outputs.len());
    let of = |output: usize| {
        let each = pictures.iter().map(|it| copied(it.bytes.as_slice(), &it.outputs[output]));
        Tensor::cat(&each.collect::<Vec<_>>(), 0).to_device(device)
    };
    (0..count).map(of).collect()
}
