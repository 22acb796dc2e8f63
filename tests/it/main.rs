//! Everything that is tested through the public interface, in one binary.

mod bad_recipes;
mod book;
#[cfg(feature = "torch")]
mod parity;
mod recipe_properties;
mod report_page;
mod report_study;
mod study_log;
