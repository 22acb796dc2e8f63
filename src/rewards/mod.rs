//! Rewards: what a response is worth, and which responses are kept.
//!
//! May import: base.
//! Owns: answer extraction and matching, the rules of benchmarks, steps and their scores, votes,
//! selection, Pass@K, how well scores rank and choose, the choice of a temperature, early stopping,
//! intervals; plain numbers and text, all pure. Never: runs a reward model (`engine` does), reads a
//! reference, or touches a file.

mod aggregate;
mod balance;
pub mod benchmarks;
mod bootstrap;
mod extract;
mod interval;
mod matching;
mod pass;
mod patience;
mod ranking;
mod select;
mod steps;
mod verifiers;
mod votes;

pub use aggregate::Aggregation;
pub use balance::{Chosen, Objective, Reason, SELECTED_ABOVE, Tally, Trial, Weighed, choose};
pub use bootstrap::Bootstrap;
pub use extract::Extraction;
pub use interval::{Interval, wilson};
pub use matching::{matches, matches_within, normalise};
pub use pass::{mean, pass_at_k, rank_of_right};
pub use patience::{Standing, standing};
pub use ranking::{Bin, Judged, Within, auc, auc_interval, auc_within, reliability, roc};
pub use select::{Candidate, Rule, SelectError, Selection, Verdict, select};
pub use steps::{Cuts, CutsError, StepRule, step_ends, step_ends_at};
pub use verifiers::{Sampled, Subsets, Verified, verify};
pub use votes::{Ballot, vote};
