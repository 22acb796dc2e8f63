//! Arithmetic that architectures share, with Hugging Face's numerics; wiring stays in the models.
//!
//! Shapes: `B` rows, `T` packed tokens, `L` tokens of a row, `D` width, `H` heads, `G` key heads,
//! `W` width of a head.

pub mod adapter;
pub mod attention;
pub mod cache;
pub mod linear;
pub mod mlp;
pub mod norm;
pub mod patch;
pub mod pixel_shuffle;
pub mod positions;
pub mod projector;
pub mod resampler;
pub mod rotary;

pub use attention::{Attend, Heads, Layout, Places};
pub use cache::{Cache, CacheShape};
pub use linear::Linear;
pub use mlp::{GatedMlp, Mlp};
pub use norm::{LayerNorm, RmsNorm};
pub use patch::{PatchConvolution, PatchEmbedding};
pub use pixel_shuffle::pixel_shuffle;
pub use positions::LearnedPositions;
pub use projector::Projector;
pub use resampler::Resampler;
pub use rotary::Rotary;
