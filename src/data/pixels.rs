//! Pictures to the numbers that a vision tower takes.

use image::RgbImage;

/// A picture as a model sees it: RGB by rows, columns, channels.
#[derive(Clone, Debug, PartialEq)]
pub struct Numbers {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Normalised as the model wants it, `[height, width, 3]`.
    pub values: Vec<f32>,
}

/// The pixels of a picture as `[height, width, 3]` in row-major order, each byte x as x / 127.5 - 1,
/// hence -1 to 1.
pub fn channels_last(image: &RgbImage) -> Vec<f32> {
    image.as_raw().iter().map(|&byte| f32::from(byte) / 127.5 - 1.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_numbers_in_their_order() {
        let image = RgbImage::from_raw(2, 1, vec![0, 51, 255, 102, 153, 204]).unwrap();
        let expected = [-1.0, -0.6, 1.0, -0.2, 0.2, 0.6];
        let pixels = channels_last(&image);
        assert_eq!(pixels.len(), expected.len());
        assert!(pixels.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{pixels:?}");
    }
}
