//! The bytes of a file to the RGB picture that Pillow's `exif_transpose` and `convert("RGB")` give.
//!
//! Alpha is dropped, not blended; 16 bits of colour lose their lower byte, while 16-bit grey is
//! clipped at 255, as Pillow does. Pictures that move are refused: which frame was meant is unknown.

use crate::base::Hint;
use image::{
    AnimationDecoder, DynamicImage, GrayImage, ImageDecoder, ImageError, ImageFormat, Limits,
    RgbImage,
    codecs::{bmp::BmpDecoder, gif::GifDecoder, png::PngDecoder, webp::WebPDecoder},
    error::ImageFormatHint,
    metadata::Orientation,
};
use libjpeg_turbo_rs::{DecodeLimits, DecodeWarning, Decoder, JpegError, PixelFormat};
use std::io::Cursor;

/// What a picture may cost before a byte of it is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureLimits {
    /// Pixels at most, whatever the file says of itself.
    pub pixels: u64,
}

impl Default for PictureLimits {
    /// As many as Pillow takes before it speaks of a decompression bomb.
    fn default() -> Self {
        Self { pixels: 178_956_970 }
    }
}

/// Why a file gives no picture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    /// The first bytes belong to no format that is read.
    #[error("the file is no picture in a format that is read here")]
    UnknownFormat,
    /// More pixels than are allowed, or than so few bytes can hold.
    #[error("the picture says that it is {width} x {height} pixels, which is more than {reason}")]
    TooLarge {
        /// Its width.
        width: u64,
        /// Its height.
        height: u64,
        /// What it is too large for.
        reason: String,
    },
    /// It moves.
    #[error("the picture has several frames")]
    Animated,
    /// It is cut off, damaged, or uses what the reader does not know.
    #[error("cannot decode the {format} picture: {reason}")]
    Damaged {
        /// Its format.
        format: &'static str,
        /// What the reader said.
        reason: String,
    },
}

impl Hint for PictureError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::UnknownFormat => "give a PNG, JPEG, WebP, GIF or BMP file".into(),
            Self::TooLarge { .. } => "scale it down, or raise the limit of pixels".into(),
            Self::Animated => "save the frame that is meant as a picture of its own".into(),
            Self::Damaged { .. } => "open it in an image program and save it again".into(),
        })
    }
}

/// Pixels that a byte of a well-formed file can stand for at most: deflate makes 1032 bytes of one,
/// each with 8 pixels of one bit. WebP has no such bound.
const PIXELS_PER_BYTE: u64 = 8256;

/// The picture in a file.
///
/// # Errors
/// [`PictureError`], for any bytes; the memory that is taken is in proportion to the file and below
/// the limits.
pub fn decode(bytes: &[u8], limits: &PictureLimits) -> Result<RgbImage, PictureError> {
    match image::guess_format(bytes) {
        Ok(ImageFormat::Jpeg) => jpeg(bytes, limits),
        Ok(ImageFormat::Png) => png(bytes, limits),
        Ok(ImageFormat::WebP) => webp(bytes, limits),
        Ok(ImageFormat::Gif) => gif(bytes, limits),
        Ok(ImageFormat::Bmp) => {
            let decoder = BmpDecoder::new(Cursor::new(bytes)).map_err(damaged("BMP"))?;
            dense("BMP", decoder, bytes, limits)
        }
        _ => Err(PictureError::UnknownFormat),
    }
}

fn damaged(format: &'static str) -> impl Fn(ImageError) -> PictureError {
    move |error| {
        let reason = match error {
            ImageError::Decoding(error) if error.format_hint() == ImageFormatHint::Unknown => {
                "its data is damaged".into()
            }
            error => error.to_string(),
        };
        PictureError::Damaged { format, reason }
    }
}

fn check_size(width: u64, height: u64, limits: &PictureLimits) -> Result<u64, PictureError> {
    let pixels = width.saturating_mul(height);
    if pixels > limits.pixels {
        let reason = format!("the limit of {} pixels", limits.pixels);
        return Err(PictureError::TooLarge { width, height, reason });
    }
    Ok(pixels)
}

fn check_density(
    width: u64,
    height: u64,
    bytes: &[u8],
    limits: &PictureLimits,
) -> Result<(), PictureError> {
    let pixels = check_size(width, height, limits)?;
    if pixels / PIXELS_PER_BYTE > bytes.len() as u64 {
        let reason = format!("its {} bytes can hold", bytes.len());
        return Err(PictureError::TooLarge { width, height, reason });
    }
    Ok(())
}

/// A decoder whose pixels cannot be many more than its bytes.
fn dense(
    format: &'static str,
    decoder: impl ImageDecoder,
    bytes: &[u8],
    limits: &PictureLimits,
) -> Result<RgbImage, PictureError> {
    let (width, height) = decoder.dimensions();
    check_density(u64::from(width), u64::from(height), bytes, limits)?;
    finish(format, decoder)
}

fn finish(format: &'static str, mut decoder: impl ImageDecoder) -> Result<RgbImage, PictureError> {
    let damaged = damaged(format);
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let image = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    let image = match image {
        DynamicImage::ImageLuma16(grey) => clip(&grey),
        other => DynamicImage::ImageRgb8(rgb(other)),
    };
    Ok(turn(image, orientation))
}

fn turn(mut image: DynamicImage, orientation: Orientation) -> RgbImage {
    image.apply_orientation(orientation);
    image.into_rgb8()
}

/// 16-bit grey as Pillow converts its mode `I;16`.
fn clip(grey: &image::ImageBuffer<image::Luma<u16>, Vec<u16>>) -> DynamicImage {
    let bytes = grey.as_raw().iter().map(|&value| value.min(255) as u8).collect();
    let grey = GrayImage::from_raw(grey.width(), grey.height(), bytes);
    DynamicImage::ImageLuma8(grey.expect("as many bytes as there were values"))
}

/// Drops alpha and, of 16 bits, the lower 8.
fn rgb(image: DynamicImage) -> RgbImage {
    let (width, height) = (image.width(), image.height());
    let high = |value: &u16| (value >> 8) as u8;
    let bytes: Vec<u8> = match &image {
        DynamicImage::ImageLumaA16(grey) => {
            grey.as_raw().chunks_exact(2).flat_map(|pixel| [high(&pixel[0]); 3]).collect()
        }
        DynamicImage::ImageRgb16(colour) => colour.as_raw().iter().map(high).collect(),
        DynamicImage::ImageRgba16(colour) => {
            colour.as_raw().chunks_exact(4).flat_map(|pixel| pixel[..3].iter().map(high)).collect()
        }
        _ => return image.into_rgb8(),
    };
    RgbImage::from_raw(width, height, bytes).expect("three bytes for each pixel")
}

fn png(bytes: &[u8], limits: &PictureLimits) -> Result<RgbImage, PictureError> {
    let decoder =
        PngDecoder::with_limits(Cursor::new(bytes), Limits::default()).map_err(damaged("PNG"))?;
    if decoder.is_apng().map_err(damaged("PNG"))? {
        return Err(PictureError::Animated);
    }
    dense("PNG", decoder, bytes, limits)
}

fn webp(bytes: &[u8], limits: &PictureLimits) -> Result<RgbImage, PictureError> {
    let decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(damaged("WebP"))?;
    if decoder.has_animation() {
        return Err(PictureError::Animated);
    }
    let (width, height) = decoder.dimensions();
    check_size(u64::from(width), u64::from(height), limits)?;
    finish("WebP", decoder)
}

fn gif(bytes: &[u8], limits: &PictureLimits) -> Result<RgbImage, PictureError> {
    let open = || GifDecoder::new(Cursor::new(bytes)).map_err(damaged("GIF"));
    let (width, height) = open()?.dimensions();
    check_density(u64::from(width), u64::from(height), bytes, limits)?;
    let mut frames = open()?.into_frames();
    frames.next().transpose().map_err(damaged("GIF"))?;
    if frames.next().is_some() {
        return Err(PictureError::Animated);
    }
    finish("GIF", open()?)
}

fn jpeg(bytes: &[u8], limits: &PictureLimits) -> Result<RgbImage, PictureError> {
    let damaged =
        |error: JpegError| PictureError::Damaged { format: "JPEG", reason: error.to_string() };
    let most = DecodeLimits { max_scans: 1000, ..DecodeLimits::default() };
    let header = Decoder::new_header_only(bytes, most).map_err(damaged)?;
    let (width, height) = (header.header().width, header.header().height);
    check_density(u64::from(width), u64::from(height), bytes, limits)?;
    let orientation = header.exif_orientation();
    let cmyk = header.header().components.len() == 4;

    let mut decoder = Decoder::new_with_limits(bytes, most).map_err(damaged)?;
    decoder.set_lenient(true);
    decoder.set_output_format(if cmyk { PixelFormat::Cmyk } else { PixelFormat::Rgb });
    let image = decoder.decode_image().map_err(damaged)?;
    let harm = |warning: &&DecodeWarning| !matches!(warning, DecodeWarning::ExtraneousData { .. });
    if let Some(warning) = image.warnings.iter().find(harm) {
        return Err(PictureError::Damaged { format: "JPEG", reason: warning.to_string() });
    }
    let data = if cmyk { inks(&image.data) } else { image.data };
    let image = RgbImage::from_raw(u32::from(width), u32::from(height), data).ok_or_else(|| {
        PictureError::Damaged { format: "JPEG", reason: "its data has another size".into() }
    })?;
    let orientation = orientation.and_then(Orientation::from_exif);
    Ok(turn(image.into(), orientation.unwrap_or(Orientation::NoTransforms)))
}

/// Four inks, stored inverted as Adobe's programs do and Pillow expects, to RGB.
fn inks(data: &[u8]) -> Vec<u8> {
    let ink = |inverted: u8, black: u8| {
        let product = (255 - u32::from(inverted)) * u32::from(black) + 128;
        let share = ((product >> 8) + product) >> 8;
        black.saturating_sub(share as u8)
    };
    data.chunks_exact(4)
        .flat_map(|inks| [0, 1, 2].map(|channel| ink(inks[channel], inks[3])))
        .collect()
}
