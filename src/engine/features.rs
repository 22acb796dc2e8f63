//! What a vision tower made of pictures, in files: a frozen tower need not look at a picture twice.
//!
//! A file is safetensors. Of a picture called `P` it has `P.images`, the heights and widths of the
//! images that the picture consists of, `P.0`, `P.1` and so on, the outputs of the tower, each
//! `[patches, V]` in the model's number format, and `P.about`, what else is to be known of it. Files
//! are mapped: what is not asked for is not read.

use super::{
    pixels::{Pixels, Size},
    weights::{Bytes, Stored, WeightsError, copied, header, map, write_safetensors},
};
use std::{collections::BTreeMap, fmt, io, path::Path, sync::Arc};
use tch::{Device, Tensor};

/// Where the sizes of a picture's images are.
const IMAGES: &str = "images";
/// Where the whole numbers beside them are.
const ABOUT: &str = "about";

/// What a tower made of one picture.
pub struct TowerOutputs {
    /// Whole numbers that whoever keeps it wants to know with it.
    pub about: Vec<i64>,
    pub(in crate::engine) sizes: Vec<Size>,
    pub(in crate::engine) outputs: Vec<Tensor>,
}

impl TowerOutputs {
    /// How many bytes its numbers take.
    pub fn bytes(&self) -> usize {
        self.outputs.iter().map(|it| it.numel() * it.kind().elt_size_in_bytes()).sum()
    }
}

/// Writes the file of some pictures, by name; names have no dot.
///
/// # Errors
/// When the sink refuses.
pub fn write(
    pictures: &BTreeMap<String, TowerOutputs>,
    sink: &mut dyn io::Write,
) -> io::Result<()> {
    let mut tensors = Vec::new();
    for (name, TowerOutputs { sizes, outputs, about }) in pictures {
        let sides = sizes.iter().flat_map(|size| [size.height as i64, size.width as i64]);
        let sides = Tensor::from_slice(&sides.collect::<Vec<i64>>()).view([-1, 2]);
        tensors.push((format!("{name}.{IMAGES}"), sides));
        tensors.push((format!("{name}.{ABOUT}"), Tensor::from_slice(about)));
        let numbered = outputs.iter().enumerate();
        tensors.extend(numbered.map(|(at, it)| (format!("{name}.{at}"), it.shallow_clone())));
    }
    write_safetensors(tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)), sink)
}

/// A file of pictures that a tower has seen.
pub struct FeatureFile {
    bytes: Arc<Bytes>,
    pictures: BTreeMap<String, Picture>,
}

/// Where in a file a picture is.
#[derive(Default)]
struct Picture {
    outputs: BTreeMap<usize, Stored>,
    sizes: Option<Vec<Size>>,
    about: Option<Vec<i64>>,
}

impl Picture {
    /// Takes one of its tensors; whether it is one.
    fn take(&mut self, what: &str, stored: Stored, bytes: &[u8]) -> bool {
        match what {
            IMAGES => self.sizes = images(&copied(bytes, &stored)),
            ABOUT => self.about = Vec::try_from(copied(bytes, &stored)).ok(),
            place => match place.parse() {
                Ok(place) if stored.shape.len() == 2 => drop(self.outputs.insert(place, stored)),
                _ => return false,
            },
        }
        true
    }

    fn is_whole(&self) -> bool {
        self.sizes.is_some()
            && self.about.is_some()
            && !self.outputs.is_empty()
            && self.outputs.keys().copied().eq(0..self.outputs.len())
    }
}

impl FeatureFile {
    /// Maps a file.
    ///
    /// # Errors
    /// When it cannot be read, is torn, or holds something else.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        let shown = path.display().to_string();
        let bytes = map(path)?;
        let foreign = |name: &str| WeightsError::Corrupt {
            path: shown.clone(),
            offset: 0,
            reason: format!("`{name}` is nothing that a vision tower made"),
        };
        let mut pictures = BTreeMap::<String, Picture>::new();
        for (tensor, stored) in header(bytes.as_slice(), &shown)? {
            let (name, what) = tensor.rsplit_once('.').ok_or_else(|| foreign(&tensor))?;
            let picture = pictures.entry(name.to_owned()).or_default();
            if !picture.take(what, stored, bytes.as_slice()) {
                return Err(foreign(&tensor));
            }
        }
        match pictures.iter().find(|(_, picture)| !picture.is_whole()) {
            Some((name, _)) => Err(foreign(name)),
            None => Ok(Self { bytes: Arc::new(bytes), pictures }),
        }
    }

    /// The pictures in it.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.pictures.keys().map(String::as_str)
    }

    /// What is to be known of a picture beside what the tower made of it.
    pub fn about(&self, name: &str) -> Option<&[i64]> {
        self.pictures.get(name)?.about.as_deref()
    }

    /// What the tower made of a picture, out of the file.
    pub fn outputs(&self, name: &str) -> Option<TowerOutputs> {
        let Picture { outputs, sizes, about } = self.pictures.get(name)?;
        let outputs = outputs.values().map(|stored| copied(self.bytes.as_slice(), stored));
        let (sizes, about) = (sizes.clone()?, about.clone()?);
        Some(TowerOutputs { about, sizes, outputs: outputs.collect() })
    }

    /// A picture, as a model reads it in place of its numbers.
    pub fn picture(&self, name: &str) -> Option<Pixels> {
        let Picture { outputs, sizes, .. } = self.pictures.get(name)?;
        let (bytes, outputs) = (Arc::clone(&self.bytes), outputs.values().cloned().collect());
        Some(Pixels::seen(sizes.clone()?, PictureFeatures { bytes, outputs }))
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
