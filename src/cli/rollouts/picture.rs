//! Pictures in a terminal: two pixels a letter, the upper one as its colour, the lower behind it.

use image::RgbImage;

/// Letters across that a picture may take.
const WIDEST: u32 = 64;

/// Lines of half blocks in 24-bit colours. A larger picture is thinned out to whole pixels of it.
pub(crate) fn half_blocks(picture: &RgbImage) -> Vec<String> {
    let (width, height) = picture.dimensions();
    let step = width.div_ceil(WIDEST).max(1);
    let pixel = |x: u32, y: u32| (y < height).then(|| picture.get_pixel(x, y).0);
    let line = |top: u32| {
        let cells = (0..width).step_by(step as usize).map(|x| {
            let [r, g, b] = pixel(x, top).unwrap_or_default();
            let below = pixel(x, top + step)
                .map_or(String::new(), |[r, g, b]| format!("\x1b[48;2;{r};{g};{b}m"));
            format!("\x1b[38;2;{r};{g};{b}m{below}▀")
        });
        cells.collect::<String>() + "\x1b[0m"
    };
    (0..height).step_by(2 * step as usize).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    #[test]
    fn two_rows_of_pixels_are_a_line() {
        let picture = RgbImage::from_fn(2, 3, |x, y| Rgb([x as u8, y as u8, 7]));
        let lines = half_blocks(&picture);
        assert_eq!(lines.len(), 2);
        let first = "\x1b[38;2;0;0;7m\x1b[48;2;0;1;7m▀\x1b[38;2;1;0;7m\x1b[48;2;1;1;7m▀\x1b[0m";
        assert_eq!(lines[0], first);
        assert_eq!(lines[1], "\x1b[38;2;0;2;7m▀\x1b[38;2;1;2;7m▀\x1b[0m");
        let large = half_blocks(&RgbImage::new(640, 320));
        assert_eq!((large.len(), large[0].matches('▀').count()), (16, 64));
        assert!(half_blocks(&RgbImage::new(0, 0)).is_empty());
    }
}
