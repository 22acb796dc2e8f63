//! A plan as text, JSON and drawings. Strings only; who prints them is not decided here.

mod drawing;
mod json;
mod markup;
mod place;
mod text;

pub use drawing::{Drawing, Label, Tone, svg};
pub use json::json;
pub use markup::{dot, mermaid};
pub use text::text;

use super::Outlook;

/// The drawing of a plan: every box says the state of its stages.
pub fn plan_svg(title: &str, outlook: &Outlook<'_>) -> String {
    drawing::of_states(title, outlook)
}
