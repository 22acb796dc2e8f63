//! Tables in memory: rows to Parquet bytes and back, for pandas, polars, `DuckDB` and the next stage.
//!
//! The same rows give the same bytes: there are no times in a file, and its writer is always called
//! `mstar`. Each table's columns are documented in one list, from which its schema is made.

mod choices;
mod codec;
mod hidden;
mod labels;
mod prompts;
mod pseudo_answers;
mod references;
mod rollouts;
mod schema;
mod scores;
mod stored;
mod tallies;
mod training;

pub use choices::Choice;
pub use codec::{TableError, Writer, decode, encode};
pub use labels::StepLabel;
pub use prompts::PromptWriter;
pub use pseudo_answers::PseudoAnswer;
pub use rollouts::{Finish, Rollout};
pub use schema::{Column, Kind, Row};
pub use scores::ResponseScores;
pub use stored::{Stored, stored_prompts};
pub use tallies::TallyRow;
pub use training::TrainingExample;
