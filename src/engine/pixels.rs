//! The images of a sequence: plain numbers, or what a vision tower made of them before.

use super::features::PictureFeatures;

/// Height and width of an image in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Size {
    /// Numbers of an image.
    pub fn values(self) -> usize {
        self.height * self.width * 3
    }
}

/// Images one after the other, in the order of their placeholders: RGB by rows, columns, channels,
/// normalised as the model wants it. What an image processor cuts into tiles is an image each; those
/// of one picture stay together where a model sees them together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pixels {
    values: Vec<f32>,
    sizes: Vec<Size>,
    /// How many of the images each picture consists of.
    tiles: Vec<usize>,
    /// What a tower made of each picture, in place of numbers.
    features: Vec<PictureFeatures>,
}

impl Pixels {
    /// No image.
    pub fn none() -> Self {
        Self::default()
    }

    /// One image.
    pub fn one(height: usize, width: usize, values: Vec<f32>) -> Self {
        let size = Size { height, width };
        assert_eq!(values.len(), size.values(), "an image has three numbers a pixel");
        Self { values, sizes: vec![size], tiles: vec![1], features: Vec::new() }
    }

    /// Images that are the tiles of one picture: for MiniCPM-V the small copy, then the slices; for
    /// Phi-3-vision the small copy, then the whole of which the crops are cut.
    pub fn picture(tiles: impl IntoIterator<Item = (Size, Vec<f32>)>) -> Self {
        let mut picture = Self::none();
        for (size, values) in tiles {
            picture.extend(&Self::one(size.height, size.width, values));
        }
        picture.tiles = vec![picture.sizes.len()];
        picture
    }

    /// Square images of one size, as many as there are numbers for.
    pub fn squares(side: usize, values: Vec<f32>) -> Self {
        let size = Size { height: side, width: side };
        assert!(values.len().is_multiple_of(size.values()), "an image has three numbers a pixel");
        let sizes = vec![size; values.len() / size.values()];
        Self { values, tiles: vec![1; sizes.len()], sizes, features: Vec::new() }
    }

    /// A picture of images of these sizes, as a tower has seen it.
    pub(in crate::engine) fn seen(sizes: Vec<Size>, features: PictureFeatures) -> Self {
        Self { values: Vec::new(), tiles: vec![sizes.len()], sizes, features: vec![features] }
    }

    /// Appends the images of another sequence. All are numbers, or all are what a tower made.
    pub fn extend(&mut self, other: &Self) {
        let is_alike = self.features.is_empty() == other.features.is_empty();
        assert!(is_alike || self.sizes.is_empty() || other.sizes.is_empty(), "images are alike");
        self.features.extend_from_slice(&other.features);
        self.values.extend_from_slice(&other.values);
        self.sizes.extend_from_slice(&other.sizes);
        self.tiles.extend_from_slice(&other.tiles);
    }

    /// What a tower made of each picture; empty where numbers are given.
    pub(in crate::engine) fn features(&self) -> &[PictureFeatures] {
        &self.features
    }

    /// Their numbers.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Their sizes.
    pub fn sizes(&self) -> &[Size] {
        &self.sizes
    }

    /// How many of the images each picture consists of.
    pub fn tiles(&self) -> &[usize] {
        &self.tiles
    }

    /// The sizes of the images of each picture.
    pub fn pictures(&self) -> impl Iterator<Item = &[Size]> {
        let mut rest = &self.sizes[..];
        self.tiles.iter().map(move |&tiles| {
            let (picture, others) = rest.split_at(tiles);
            rest = others;
            picture
        })
    }
}
