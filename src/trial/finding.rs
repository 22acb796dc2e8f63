//! What came of a test.

use crate::base::Place;
use serde_json::Value;

/// One thing that a test expects, and what was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What is compared: a key of `expect`.
    pub what: &'static str,
    /// What the test expects.
    pub expected: Value,
    /// What the recipe gives.
    pub found: Value,
    /// Whether the two agree.
    pub agrees: bool,
    /// More about it where they do not.
    pub why: Option<String>,
    /// Where the expectation is written.
    pub place: Place,
}

/// A test that was tried.
#[derive(Clone, Debug, PartialEq)]
pub struct Tried {
    /// The test's name.
    pub name: String,
    /// Where it is written.
    pub place: Place,
    /// What was compared, up to where judging failed.
    pub findings: Vec<Finding>,
    /// Why nothing more could be judged, with the way out.
    pub failure: Option<(String, Option<String>)>,
}

impl Tried {
    /// Whether all is as expected.
    pub fn passed(&self) -> bool {
        self.failure.is_none() && self.findings.iter().all(|finding| finding.agrees)
    }
}
