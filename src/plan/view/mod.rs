//! A plan as text, JSON and drawings. Strings only; who prints them is not decided here.

mod drawing;
mod groups;
mod json;
mod markup;
mod place;
mod table;
mod text;

pub use drawing::{Drawing, Label, Tone, plan_svg, svg};
pub use json::json;
pub use markup::{dot, mermaid};
pub use text::text;
