//! Whether parts of data share questions about the same pictures: what was trained on is no test.
//!
//! Pictures are the same when their pixels are, and nearly the same when a hash of their shape
//! is: of 64 differences between neighbours in a thumbnail at most [`NEAR`] are others. Scaling and
//! compression leave it as it is.

use super::{PLACE, Sample};
use image::{RgbImage, imageops};
use std::collections::BTreeMap;
use std::fmt;

use crate::base::{Digest, DigestWriter};

/// Bits in which the hashes of nearly the same pictures may differ.
pub const NEAR: u32 = 4;
/// Samples of one question that are compared with each other; of more, the first ones.
const MOST_OF_ONE_QUESTION: usize = 4096;

/// What tells a question about a picture from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// The sample.
    pub id: u64,
    question: u64,
    pixels: u64,
    /// One for each picture.
    shapes: Vec<u64>,
}

impl Fingerprint {
    /// That of a sample. Case, white space and punctuation of the question do not count.
    pub fn of(sample: &Sample) -> Self {
        Self::of_parts(sample.id, &sample.question, &sample.images)
    }

    /// That of a question about pictures. Where they stand in it does not count.
    pub fn of_parts(id: u64, question: &str, images: &[RgbImage]) -> Self {
        let mut pixels = DigestWriter::default();
        for image in images {
            pixels.update(format!("{:?}", image.dimensions()).as_bytes());
            pixels.update(image.as_raw());
        }
        Self {
            id,
            question: question_of(question),
            pixels: pixels.finish().leading_u64(),
            shapes: images.iter().map(shape).collect(),
        }
    }

    /// What tells the question from others, whatever its pictures.
    pub fn question(&self) -> u64 {
        self.question
    }
}

/// What tells a question from others, whatever its pictures.
pub fn question_of(text: &str) -> u64 {
    let text = text.replace(PLACE, " ");
    let plain: String = text.chars().filter(|c| c.is_alphanumeric()).collect();
    Digest::of(plain.to_lowercase().as_bytes()).leading_u64()
}

/// Whether each pixel of a small grey version is lighter than its neighbour to the right.
fn shape(image: &RgbImage) -> u64 {
    if image.width() == 0 || image.height() == 0 {
        return 0;
    }
    let small = imageops::resize(image, 9, 8, imageops::FilterType::Triangle);
    let grey = imageops::grayscale(&small);
    let lighter = |at: u32| grey.get_pixel(at % 8, at / 8).0 > grey.get_pixel(at % 8 + 1, at / 8).0;
    (0..64).fold(0, |bits, at| bits << 1 | u64::from(lighter(at)))
}

/// Whether each picture of one question is nearly the one of the other.
fn is_near(one: &[u64], other: &[u64]) -> bool {
    let near = |(one, other): (&u64, &u64)| (one ^ other).count_ones() <= NEAR;
    one.len() == other.len() && one.iter().zip(other).all(near)
}

/// What two parts share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// The parts.
    pub parts: (String, String),
    /// Pairs of a sample of each: the same question about the same pixels.
    pub exact: Vec<(u64, u64)>,
    /// Pairs with the same question about nearly the same picture.
    pub near: Vec<(u64, u64)>,
}

impl Overlap {
    /// Pairs in all.
    pub fn count(&self) -> usize {
        self.exact.len() + self.near.len()
    }

    /// The parts in one word.
    pub fn name(&self) -> String {
        format!("{}/{}", self.parts.0, self.parts.1)
    }
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (one, other) = &self.parts;
        let (exact, near) = (self.exact.len(), self.near.len());
        write!(f, "`{one}` and `{other}` share {exact} questions about the same picture")?;
        write!(f, ", and {near} about nearly the same one")?;
        let example = self.exact.first().or(self.near.first());
        example.map_or(Ok(()), |(a, b)| write!(f, ": such as samples {a} and {b}"))
    }
}

/// What any two of the parts share.
pub fn overlaps(parts: &[(&str, Vec<Fingerprint>)]) -> Vec<Overlap> {
    let mut overlaps = Vec::new();
    for (at, (one, left)) in parts.iter().enumerate() {
        let mut by_question: BTreeMap<u64, Vec<&Fingerprint>> = BTreeMap::new();
        for print in left {
            by_question.entry(print.question).or_default().push(print);
        }
        for (other, right) in &parts[at + 1..] {
            let parts = ((*one).to_owned(), (*other).to_owned());
            let mut overlap = Overlap { parts, exact: Vec::new(), near: Vec::new() };
            for print in right {
                let same = by_question.get(&print.question).map_or(&[][..], Vec::as_slice);
                let same = &same[..same.len().min(MOST_OF_ONE_QUESTION)];
                let near = |it: &&&Fingerprint| is_near(&it.shapes, &print.shapes);
                if let Some(it) = same.iter().find(|it| it.pixels == print.pixels) {
                    overlap.exact.push((it.id, print.id));
                } else if let Some(it) = same.iter().find(near) {
                    overlap.near.push((it.id, print.id));
                }
            }
            overlaps.push(overlap);
        }
    }
    overlaps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Seed;
    use crate::data::mini_vista::{MiniVista, POOL_ONE_OPERATION, Stream};

    #[test]
    fn the_same_question_about_the_same_picture_is_found() {
        let task = MiniVista::new(Seed(3), POOL_ONE_OPERATION);
        let train: Vec<Sample> = (0..40).map(|at| task.sample(Stream::Train, at)).collect();
        let mut test: Vec<Sample> = (0..4).map(|at| task.sample(Stream::Test, at)).collect();
        let prints = |samples: &[Sample]| samples.iter().map(Fingerprint::of).collect::<Vec<_>>();
        assert_eq!(overlaps(&[("train", prints(&train)), ("test", prints(&test))])[0].count(), 0);
        // A copy with other marks, one that was scaled, and one with another question.
        test[0] = Sample { question: train[7].question.to_uppercase() + " ?", ..train[7].clone() };
        let large = imageops::resize(&train[8].images[0], 96, 96, imageops::FilterType::CatmullRom);
        test[1] = Sample { images: vec![large], ..train[8].clone() };
        test[2] = Sample { question: "what else".to_owned(), ..train[9].clone() };
        let found = overlaps(&[("train", prints(&train)), ("test", prints(&test))]);
        assert_eq!(found[0].exact, [(train[7].id, train[7].id)]);
        assert_eq!(found[0].near, [(train[8].id, train[8].id)]);
        assert!(found[0].to_string().contains("share 1 questions about the same picture"));
        // Of several pictures each counts, and so does their number; none are the same as none.
        let pair = [train[1].images[0].clone(), train[2].images[0].clone()];
        let of =
            |question: &str, images: &[RgbImage]| vec![Fingerprint::of_parts(0, question, images)];
        let count = |one, other| overlaps(&[("a", one), ("b", other)])[0].count();
        assert_eq!(count(of("q <image> <image>", &pair), of("q", &pair)), 1);
        assert_eq!(count(of("q", &pair), of("q", &pair[..1])), 0);
        assert_eq!(count(of("q", &pair), of("q", &[pair[0].clone(), pair[0].clone()])), 0);
        assert_eq!(count(of("q", &[]), of("Q?", &[])), 1);
        assert_eq!(count(of("q", &[]), of("q", &pair)), 0);
    }
}
