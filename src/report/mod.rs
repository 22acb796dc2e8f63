//! From the event log of a run to JSON, a terminal summary and one self-contained page.
//!
//! May import: base, event.
//! Owns: what a study measured, as tables, figures and words. Never: runs a stage, reads a clock or
//! touches disk; what is not in the log is handed in by the caller.

mod chart;
mod diff;
mod figures;
mod html;
mod json;
mod metrics;
mod model;
mod numbers;
mod sections;
mod seeds;
mod text;
mod timeline;

pub use diff::paired_difference;
pub use html::{Answer, Extras, RecipeLine, SampleView, page};
pub use json::to_json;
pub use metrics::{
    Category, Evaluated, Explored, Imported, Monitored, Prepared, Prompts, Selected, Trained,
};
pub use model::{
    At, Branch, Comparison, Ending, Measured, Member, Note, StageRow, State, Study, TimeOfKind,
    Worker, difference,
};
pub use numbers::instant;
pub use text::summary;
