//! `mstar`: declare, run, compare and share self-evolving training of vision-language models.
//!
//! One way through the rooms: a recipe is text (`recipe`), compiled to a graph of stages (`plan`),
//! which workers carry out (`run`, `stages`, `engine`), and what was said about it (`event`) becomes
//! tables and pages (`report`). `tests/architecture.rs` holds each room to its `May import:` line.

pub mod base;
pub mod benchmarks;
pub mod bundle;
pub mod cli;
pub mod data;
#[cfg(feature = "torch")]
pub mod engine;
pub mod event;
pub mod hooks;
pub mod hub;
pub mod judging;
pub mod live;
pub mod plan;
pub mod recipe;
pub mod report;
pub mod rewards;
pub mod run;
#[cfg(feature = "torch")]
pub mod stages;
pub mod store;
pub mod track;
pub mod trial;
