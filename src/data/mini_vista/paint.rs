//! From a scene to 8-bit pixels, and to what each patch of the picture shows.

use super::{
    draw::add_noise,
    scene::{CELL, CELLS, Form, Mark, SIDE, Scene},
    stream::Stream,
};
use crate::base::Seed;
use image::RgbImage;

/// Standard deviation of the noise, where 1 is white.
const NOISE: f32 = 0.04;

/// The word for each value of [`PatchLabel::kind`].
pub const PATCH_KINDS: [&str; 17] = [
    "<pad>",
    "square",
    "circle",
    "triangle",
    "0",
    "1",
    "2",
    "3",
    "4",
    "5",
    "6",
    "7",
    "8",
    "9",
    "box",
    "bar",
    "rectangle",
];

/// The word for each value of [`PatchLabel::colour`].
pub const PATCH_COLOURS: [&str; 5] = ["<pad>", "red", "green", "blue", "yellow"];

/// What an 8 x 8 patch of a picture shows, to train a vision stem on; all 0 where it is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PatchLabel {
    /// Index into [`PATCH_KINDS`].
    pub kind: u8,
    /// Index into [`PATCH_COLOURS`].
    pub colour: u8,
    /// How many pixel rows of the patch the object reaches over, 0 to 8.
    pub rows: u8,
    /// How many pixel columns of the patch it reaches over, 0 to 8.
    pub columns: u8,
}

/// Paints a scene, with noise from the seed and the mark of the stream.
pub(super) fn paint(scene: &Scene, noise: Seed, stream: Stream) -> RgbImage {
    let mut canvas = vec![scene.background; (SIDE * SIDE * 3) as usize];
    for mark in &scene.marks {
        for y in 0..mark.height {
            for x in (0..mark.width).filter(|&x| covers(mark, y, x)) {
                let at = (((mark.top + y) * SIDE + mark.left + x) * 3) as usize;
                canvas[at..at + 3].copy_from_slice(&mark.rgb);
            }
        }
    }
    add_noise(noise, NOISE, &mut canvas);
    let mut bytes: Vec<u8> =
        canvas.iter().map(|value| (value.clamp(0.0, 1.0) * 255.0) as u8).collect();
    sign(&mut bytes, stream);
    RgbImage::from_raw(SIDE, SIDE, bytes).expect("the canvas has three bytes a pixel")
}

/// Makes the sum of the bytes tell the stream, as `stream` explains.
fn sign(bytes: &mut [u8], stream: Stream) {
    let sum: u32 = bytes.iter().map(|&byte| u32::from(byte)).sum();
    let missing = (stream.code() + Stream::CODES - sum % Stream::CODES) % Stream::CODES;
    for byte in bytes.iter_mut().filter(|byte| **byte < u8::MAX).take(missing as usize) {
        *byte += 1;
    }
}

/// The digits 0 to 9, 3 columns by 5 rows, row by row from the highest of 15 bits.
const GLYPHS: [u16; 10] = [
    0b111_101_101_101_111,
    0b010_110_010_010_111,
    0b111_001_111_100_111,
    0b111_001_111_001_111,
    0b101_101_111_001_001,
    0b111_100_111_001_111,
    0b111_100_111_101_111,
    0b111_001_010_010_010,
    0b111_101_111_101_111,
    0b111_101_111_001_111,
];

/// Whether a mark has paint at a place within its box.
fn covers(mark: &Mark, y: u32, x: u32) -> bool {
    let side = mark.height as f32;
    let from_middle = |at: u32| at as f32 - (side - 1.0) / 2.0;
    match mark.form {
        Form::Bar | Form::Rectangle | Form::Shape(0) => true,
        Form::Shape(1) => {
            from_middle(y) * from_middle(y) + from_middle(x) * from_middle(x)
                <= side * side / 4.0 * 0.98
        }
        Form::Shape(_) => from_middle(x).abs() <= (y as f32 + 0.6) / 2.0,
        Form::Digit(digit) => GLYPHS[digit as usize] >> (14 - (3 * y + x)) & 1 == 1,
    }
}

/// What each of the 16 patches shows, row by row.
pub(super) fn labels(scene: &Scene) -> [PatchLabel; 16] {
    let mut labels = [PatchLabel::default(); 16];
    for mark in &scene.marks {
        let kind = match mark.form {
            Form::Shape(shape) => 1 + shape as u8,
            Form::Digit(digit) => 4 + digit as u8,
            Form::Bar => 15,
            Form::Rectangle => 16,
        };
        for (patch, label) in (0..).zip(&mut labels) {
            let rows = overlap(mark.top, mark.height, CELL * (patch / CELLS));
            let columns = overlap(mark.left, mark.width, CELL * (patch % CELLS));
            if rows > 0 && columns > 0 {
                *label = PatchLabel { kind, colour: mark.colour as u8 + 1, rows, columns };
            }
        }
    }
    labels
}

/// How much of a cell that begins at `cell` is covered by what begins at `start`.
fn overlap(start: u32, length: u32, cell: u32) -> u8 {
    (start + length).min(cell + CELL).saturating_sub(start.max(cell)) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_say_what_the_patches_show() {
        let mark = Mark {
            form: Form::Bar,
            colour: 2,
            rgb: [0.0, 0.0, 1.0],
            top: 12,
            left: 9,
            height: 20,
            width: 5,
        };
        let scene = Scene { background: 0.1, marks: vec![mark], entities: Vec::new() };
        let labels = labels(&scene);
        assert_eq!(labels[1], PatchLabel::default());
        assert_eq!(labels[5], PatchLabel { kind: 15, colour: 3, rows: 4, columns: 5 });
        assert_eq!(labels[9], PatchLabel { kind: 15, colour: 3, rows: 8, columns: 5 });
        assert_eq!(labels.iter().filter(|label| label.kind > 0).count(), 3);
        let image = paint(&scene, Seed(1), Stream::Train);
        assert!(image.get_pixel(9, 12).0[2] > 200);
        assert!(image.get_pixel(9, 11).0[2] < 100);
        assert!(image.get_pixel(14, 12).0[2] < 100);
    }

    #[test]
    fn a_picture_tells_its_stream() {
        let scene = Scene { background: 0.1, marks: Vec::new(), entities: Vec::new() };
        for stream in Stream::ALL {
            for seed in 0..8 {
                let image = paint(&scene, Seed(seed), stream);
                let sum: u32 = image.as_raw().iter().map(|&byte| u32::from(byte)).sum();
                assert_eq!(sum % Stream::CODES, stream.code());
            }
        }
    }
}
