//! Pictures to the numbers that a vision tower takes.

use image::RgbImage;

/// The pixels of a picture as `[3, height, width]` in row-major order, each byte x as x / 127.5 - 1,
/// hence -1 to 1.
pub fn channels_first(image: &RgbImage) -> Vec<f32> {
    let bytes = image.as_raw();
    let scaled = |channel: usize| {
        bytes.iter().skip(channel).step_by(3).map(|&byte| f32::from(byte) / 127.5 - 1.0)
    };
    (0..3).flat_map(scaled).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_come_first() {
        let image = RgbImage::from_raw(2, 1, vec![0, 51, 255, 102, 153, 204]).unwrap();
        let expected = [-1.0, -0.2, -0.6, 0.2, 1.0, 0.6];
        let pixels = channels_first(&image);
        assert_eq!(pixels.len(), expected.len());
        assert!(pixels.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{pixels:?}");
    }
}
