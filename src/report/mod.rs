//! From the event log of a run to JSON, a terminal summary and one self-contained page.
//!
//! May import: base, event, recipe, rewards.
//! Owns: what a study measured, as tables, figures and words. Never: runs a stage, reads a clock or
//! touches disk; what is not in the log is handed in by the caller.

mod axes;
mod chart;
mod dots;
mod dynamics;
mod figures;
mod findings;
mod flat;
mod fold;
mod html;
mod interval;
mod json;
mod latex;
mod lines;
mod markdown;
mod metric;
mod metrics;
mod model;
mod numbers;
mod pivot;
mod pseudo;
mod reward;
mod sections;
mod sheet;
mod text;
mod timeline;
mod tower;
mod verifiers;

pub use findings::{Judged, Verdict};
pub use html::{Answer, Extras, RecipeLine, STYLE, SampleView, page};
pub use interval::{Estimate, Method, unpaired};
pub use json::to_json;
pub use metric::{Metric, UnknownMetric};
pub use metrics::{
    Area, AreaWithin, AtTemperature, BalanceCandidate, Balanced, Bin, Category, Drawn, Estimated,
    Evaluated, Explored, Imported, Monitored, Prepared, Prompts, Rewarded, Selected, Setting,
    Share, Stopped, Trained, Verifiers,
};
pub use model::{
    At, Branch, Comparison, Ending, Measured, Member, Note, StageRow, State, Study, TimeOfKind,
    Trouble, Worker,
};
pub use numbers::instant;
pub use pivot::{Outcomes, Pivot, TableFault};
pub use text::summary;
