//! Contact sheets: a look at some samples, for people.

use crate::{base::Hint, data::Sample};
use image::{
    ExtendedColorType, ImageEncoder as _, Rgb, RgbImage, codecs::png::PngEncoder, imageops,
};
use std::borrow::Cow;

/// Side of the square that a picture is fitted into, in pixels.
const SIDE: u32 = 192;
/// Space around a picture and its text, in pixels.
const MARGIN: u32 = 12;
/// Space between the pictures of one sample, in pixels.
const GAP: u32 = 4;
/// A letter and the line it stands in, in pixels.
const LETTER: u32 = 8;
const LINE: u32 = 11;
/// Lines of text under a picture.
const LINES: u32 = 4;

const PAPER: Rgb<u8> = Rgb([250, 250, 248]);
const INK: Rgb<u8> = Rgb([30, 30, 34]);

/// A picture could not be written as PNG.
#[derive(Debug, thiserror::Error)]
#[error("cannot write a picture of {width} x {height} pixels as png: {reason}")]
pub struct PictureError {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// What the encoder said.
    pub reason: String,
}

impl Hint for PictureError {
    fn hint(&self) -> Option<String> {
        Some("leave out pictures without pixels, or show fewer at a time".into())
    }
}

/// A picture as PNG; the same pixels give the same bytes.
///
/// # Errors
/// [`PictureError`], for a picture without pixels or one too large for the format.
pub fn png(image: &RgbImage) -> Result<Vec<u8>, PictureError> {
    let (width, height) = image.dimensions();
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes)
        .write_image(image.as_raw(), width, height, ExtendedColorType::Rgb8)
        .map_err(|error| PictureError { width, height, reason: error.to_string() })?;
    Ok(bytes)
}

/// The pictures of a sample as one, from left to right; nothing of none.
pub fn side_by_side(images: &[RgbImage]) -> Option<Cow<'_, RgbImage>> {
    let [first, others @ ..] = images else { return None };
    if others.is_empty() {
        return Some(Cow::Borrowed(first));
    }
    let width: u32 = images.iter().map(|image| image.width() + GAP).sum();
    let height = images.iter().map(RgbImage::height).max().unwrap_or(1);
    let mut strip = RgbImage::from_pixel(width - GAP, height, PAPER);
    let mut left = 0;
    for image in images {
        imageops::replace(&mut strip, image, i64::from(left), 0);
        left += image.width() + GAP;
    }
    Some(Cow::Owned(strip))
}

/// A PNG with one tile a sample, so many a row: its pictures, category, question and answer.
///
/// # Errors
/// [`PictureError`], when there are no samples or too many.
pub fn contact_sheet(samples: &[Sample], columns: u32) -> Result<Vec<u8>, PictureError> {
    let tile = (SIDE + 2 * MARGIN, SIDE + LINES * LINE + 3 * MARGIN);
    let columns = columns.clamp(1, samples.len().max(1) as u32);
    let rows = (samples.len() as u32).div_ceil(columns);
    let mut sheet = RgbImage::from_pixel(columns * tile.0, rows * tile.1, PAPER);
    for (index, sample) in (0..).zip(samples) {
        let left = index % columns * tile.0 + MARGIN;
        let top = index / columns * tile.1 + MARGIN;
        if let Some(picture) = side_by_side(&sample.images) {
            imageops::replace(&mut sheet, &fit(&picture), i64::from(left), i64::from(top));
        }
        let answer = sample.answer.as_deref().unwrap_or("hidden");
        let text = format!("{}: {} -> {answer}", sample.category, sample.question);
        for (row, line) in (0..LINES).zip(wrap(&text, (SIDE / LETTER) as usize)) {
            write(&mut sheet, left, top + SIDE + MARGIN / 2 + row * LINE, &line);
        }
    }
    png(&sheet)
}

/// Scales a picture to the square, in whole pixels as far as that goes.
fn fit(image: &RgbImage) -> RgbImage {
    let (width, height) = image.dimensions();
    let longest = width.max(height).max(1);
    let scaled = |side: u32| {
        let side = u64::from(side) * u64::from(SIDE) / u64::from(longest);
        u32::try_from(side.max(1)).unwrap_or(SIDE)
    };
    imageops::resize(image, scaled(width), scaled(height), imageops::FilterType::Nearest)
}

/// Breaks a text into lines of at most `width` letters, at spaces where there are any.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let mut word: Vec<char> = word.chars().collect();
        loop {
            let line = lines.last_mut().expect("there is always a line");
            let used = line.chars().count();
            let gap = usize::from(used > 0);
            if used + gap + word.len() <= width {
                line.extend(std::iter::repeat_n(' ', gap));
                line.extend(word);
                break;
            }
            if used == 0 {
                let rest = word.split_off(width);
                line.extend(word);
                word = rest;
            }
            lines.push(String::new());
        }
    }
    lines
}

/// Writes one line in the public domain 8 x 8 font; what it lacks becomes `?`.
fn write(sheet: &mut RgbImage, left: u32, top: u32, line: &str) {
    for (position, letter) in (0..).zip(line.chars()) {
        let code = if letter.is_ascii() { letter as usize } else { usize::from(b'?') };
        for (y, bits) in (0..).zip(font8x8::legacy::BASIC_LEGACY[code]) {
            for x in (0..LETTER).filter(|x| bits >> x & 1 == 1) {
                let (x, y) = (left + position * LETTER + x, top + y);
                if let Some(pixel) = sheet.get_pixel_mut_checked(x, y) {
                    *pixel = INK;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::Seed,
        data::mini_vista::{MiniVista, POOL_ONE_OPERATION, Stream},
    };

    #[test]
    fn a_sheet_has_a_tile_for_each_sample() {
        let task = MiniVista::new(Seed(1), POOL_ONE_OPERATION);
        let samples: Vec<Sample> = (0..20).map(|i| task.sample(Stream::Validation, i)).collect();
        let bytes = contact_sheet(&samples, 5).unwrap();
        assert_eq!(bytes, contact_sheet(&samples, 5).unwrap());
        let sheet = image::load_from_memory(&bytes).unwrap().into_rgb8();
        assert_eq!(sheet.dimensions(), (5 * 216, 4 * 272));
        assert_eq!(*sheet.get_pixel(MARGIN + 3, MARGIN + 3), *samples[0].images[0].get_pixel(0, 0));
        let ink = sheet.pixels().filter(|&&pixel| pixel == INK).count();
        assert!(ink > 20 * 100, "{ink}");
        if let Some(path) = std::env::var_os("MSTAR_CONTACT_SHEET") {
            #[expect(clippy::disallowed_methods, reason = "a test that was asked for the file")]
            std::fs::write(path, bytes).unwrap();
        }
    }

    #[test]
    fn pictures_of_one_sample_stand_side_by_side() {
        let drawn = |width, height, value| RgbImage::from_pixel(width, height, Rgb([value; 3]));
        let images = [drawn(3, 2, 7), drawn(2, 5, 9)];
        assert!(side_by_side(&images[..0]).is_none());
        assert!(matches!(side_by_side(&images[..1]), Some(Cow::Borrowed(_))));
        let strip = side_by_side(&images).unwrap();
        assert_eq!(strip.dimensions(), (3 + GAP + 2, 5));
        let pixels =
            [(0, 0), (2, 4), (3, 0), (3 + GAP, 4)].map(|(x, y)| strip.get_pixel(x, y).0[0]);
        assert_eq!(pixels, [7, PAPER.0[0], PAPER.0[0], 9]);
        let task = MiniVista::new(Seed(1), POOL_ONE_OPERATION);
        let none = Sample { images: Vec::new(), ..task.sample(Stream::Test, 0) };
        assert!(contact_sheet(&[none], 1).is_ok());
    }

    #[test]
    fn nothing_to_show_is_an_error_and_long_words_wrap() {
        assert!(contact_sheet(&[], 4).is_err());
        assert_eq!(wrap("ab cde fghijkl m", 5), ["ab", "cde", "fghij", "kl m"]);
        assert_eq!(wrap("", 5), [""]);
    }
}
