//! Benchmarks: questions that others have set, and what responses to them are worth by the rules of
//! their own programs.
//!
//! May import: base, data, rewards.
//! Owns: which benchmarks there are, how their files are read, which questions count, and the scores
//! by category. Never: answers a question, or writes a file.

mod asked;
mod extractor;
mod files;
mod named;
mod questions;
mod responses;
mod score;
mod view;

pub use asked::{Asked, Surveyed, asked, survey};
pub use extractor::{Extractor, ExtractorError};
pub use named::{Benchmark, Family, UnknownBenchmark};
pub use questions::{Question, QuestionsError, Rule, questions};
pub use responses::{Response, Responses, ResponsesError, responses};
pub use score::{Breakdown, Line, Record, Scores, ScoringError, Settings, score};
pub use view::{json, markdown, text};
