//! Pictures as Pillow sees them: decoding to RGB and resizing, equal to the last bit.
//!
//! Checkpoints were trained on what Pillow made of a file, so its arithmetic is repeated here: libjpeg's
//! integer transforms, the clipping of 16-bit grey, resampling in fixed point with 8 bits in between.

mod decode;
mod resize;

pub use decode::{PictureError, PictureLimits, decode};
pub use resize::{Resample, bicubic_plane, resize};
