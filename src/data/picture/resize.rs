//! Resizing with Pillow's arithmetic: one pass along each axis, coefficients in fixed point with 22
//! bits, rounded to 8 bits after each pass; shrinking widens the filter. Equal to Pillow to the last
//! bit (`tests/it/inputs.rs`).

use image::RgbImage;
use std::f64::consts::PI;

/// A filter that Pillow resizes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resample {
    /// A triangle; `2` in a `preprocessor_config.json`.
    Bilinear,
    /// Cubic with a = -1/2; `3`.
    Bicubic,
    /// A windowed sinc over three pixels; `1`.
    Lanczos,
}

impl Resample {
    /// The filter of a number that Pillow gives it; nearest, box and Hamming are not read.
    pub fn from_number(number: u64) -> Option<Self> {
        match number {
            1 => Some(Self::Lanczos),
            2 => Some(Self::Bilinear),
            3 => Some(Self::Bicubic),
            _ => None,
        }
    }

    fn support(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos => 3.0,
        }
    }

    fn weight(self, x: f64) -> f64 {
        match self {
            Self::Bilinear => (1.0 - x.abs()).max(0.0),
            Self::Bicubic => cubic(x.abs(), -0.5),
            Self::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            Self::Lanczos => 0.0,
        }
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (x * PI).sin() / (x * PI) }
}

fn cubic(x: f64, a: f64) -> f64 {
    if x < 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * a
    } else {
        0.0
    }
}

const PRECISION: u32 = 22;

/// Which pixels of the source make one pixel of the target, and with what weights.
struct Tap {
    start: usize,
    weights: Vec<i32>,
}

fn taps(from: usize, to: usize, filter: Resample) -> Vec<Tap> {
    let scale = from as f64 / to as f64;
    let widening = scale.max(1.0);
    let support = filter.support() * widening;
    let inverse = 1.0 / widening;
    let tap = |index: usize| {
        let center = (index as f64 + 0.5) * scale;
        // Truncation toward zero, as C does; what lies outside the picture has no weight.
        let start = ((center - support + 0.5) as i64).max(0) as usize;
        let end = ((center + support + 0.5) as i64).clamp(0, from as i64) as usize;
        let weight = |x: usize| filter.weight((x as f64 - center + 0.5) * inverse);
        let weights: Vec<f64> = (start..end).map(weight).collect();
        let sum: f64 = weights.iter().sum();
        let fixed = |weight: f64| {
            let weight = if sum == 0.0 { weight } else { weight / sum };
            let scaled = weight * f64::from(1 << PRECISION);
            (if scaled < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i32
        };
        Tap { start, weights: weights.into_iter().map(fixed).collect() }
    };
    (0..to).map(tap).collect()
}

fn to_byte(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

/// The picture at another size, which must not be empty.
pub fn resize(image: &RgbImage, width: u32, height: u32, filter: Resample) -> RgbImage {
    if vertical_first(image.dimensions(), (width, height)) {
        across(&down(image, height, filter), width, filter)
    } else {
        down(&across(image, width, filter), height, filter)
    }
}

/// Since version 13 Pillow begins with the rows where their number shrinks by more than twice what
/// the columns shrink by; older versions always began with the columns, which differs by rounding.
fn vertical_first((width, height): (u32, u32), (new_width, new_height): (u32, u32)) -> bool {
    let fewer_rows = i64::from(height) - i64::from(new_height);
    let fewer_columns = i64::from(width) - i64::from(new_width);
    fewer_rows > 0 && fewer_rows > 2 * fewer_columns
}

fn across(image: &RgbImage, width: u32, filter: Resample) -> RgbImage {
    if width == image.width() {
        return image.clone();
    }
    let taps = taps(image.width() as usize, width as usize, filter);
    let mut bytes = Vec::with_capacity(width as usize * image.height() as usize * 3);
    for row in image.as_raw().chunks_exact(image.width().max(1) as usize * 3) {
        for tap in &taps {
            let mut sums = [1 << (PRECISION - 1); 3];
            for (pixel, weight) in row[tap.start * 3..].chunks_exact(3).zip(&tap.weights) {
                for (sum, &byte) in sums.iter_mut().zip(pixel) {
                    *sum += i32::from(byte) * weight;
                }
            }
            bytes.extend(sums.map(to_byte));
        }
    }
    RgbImage::from_raw(width, image.height(), bytes).expect("each row has the new width")
}

fn down(image: &RgbImage, height: u32, filter: Resample) -> RgbImage {
    if height == image.height() {
        return image.clone();
    }
    let stride = image.width() as usize * 3;
    let taps = taps(image.height() as usize, height as usize, filter);
    let mut bytes = Vec::with_capacity(stride * height as usize);
    let mut sums = vec![0_i32; stride];
    for tap in &taps {
        sums.fill(1 << (PRECISION - 1));
        let rows = image.as_raw()[tap.start * stride..].chunks_exact(stride.max(1));
        for (row, weight) in rows.zip(&tap.weights) {
            for (sum, &byte) in sums.iter_mut().zip(row) {
                *sum += i32::from(byte) * weight;
            }
        }
        bytes.extend(sums.iter().copied().map(to_byte));
    }
    RgbImage::from_raw(image.width(), height, bytes).expect("as many rows as taps")
}

/// A plane of numbers at another size as PyTorch's `interpolate(mode="bicubic")` without
/// antialiasing does it: cubic with a = -3/4 over four neighbours, edges repeated, in 32 bits.
pub fn bicubic_plane(
    plane: &[f32],
    (width, height): (usize, usize),
    (new_width, new_height): (usize, usize),
) -> Vec<f32> {
    let across = neighbours(width, new_width);
    let down = neighbours(height, new_height);
    let mut out = Vec::with_capacity(new_width * new_height);
    for (rows, row_weights) in &down {
        for (columns, column_weights) in &across {
            let line = |row: usize| -> f32 {
                let at = |column: usize| plane[row * width + column];
                dot(columns.map(at), column_weights)
            };
            out.push(dot(rows.map(line), row_weights));
        }
    }
    out
}

fn dot(values: [f32; 4], weights: &[f32; 4]) -> f32 {
    values[0] * weights[0]
        + values[1] * weights[1]
        + values[2] * weights[2]
        + values[3] * weights[3]
}

fn neighbours(from: usize, to: usize) -> Vec<([usize; 4], [f32; 4])> {
    const A: f32 = -0.75;
    let near = |x: f32| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let far = |x: f32| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
    let scale = from as f32 / to as f32;
    let last = from.saturating_sub(1) as i64;
    let one = |index: usize| {
        let place = scale * (index as f32 + 0.5) - 0.5;
        let floor = place.floor();
        let t = (place - floor).clamp(0.0, 1.0);
        let places = [-1, 0, 1, 2].map(|step| (floor as i64 + step).clamp(0, last) as usize);
        (places, [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)])
    };
    (0..to).map(one).collect()
}
