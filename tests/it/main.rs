//! Everything that is tested through the public interface, in one binary.
#![expect(clippy::disallowed_methods, reason = "tests make the files that the program meets")]
#![expect(clippy::unwrap_used, reason = "a test fails by a panic, helpers of tests included")]
#![expect(clippy::format_push_string, reason = "what is told in a snapshot is no hot path")]

#[cfg(feature = "torch")]
mod adapters;
mod bad_input;
mod bad_recipes;
#[cfg(feature = "torch")]
mod benchmark_runs;
mod benchmarks;
mod book;
mod browser;
mod bundles;
#[cfg(feature = "torch")]
mod carry_over;
#[cfg(feature = "torch")]
mod checkpoints;
mod command_line;
mod data;
#[cfg(feature = "torch")]
mod determinism;
mod diff;
#[cfg(feature = "torch")]
mod disk;
#[cfg(feature = "torch")]
mod dynamics;
#[cfg(feature = "torch")]
mod empty_rounds;
mod experiments;
#[cfg(feature = "torch")]
mod exports;
mod getting_started;
mod grid_log;
mod hooks;
mod hub;
mod index;
mod inputs;
#[cfg(feature = "torch")]
mod interruption;
#[cfg(feature = "torch")]
mod limits;
mod live;
mod locks;
#[cfg(feature = "torch")]
mod main_path;
#[cfg(feature = "torch")]
mod model_parity;
#[cfg(feature = "torch")]
mod newcomer;
mod paper;
#[cfg(feature = "torch")]
mod parity;
#[cfg(feature = "torch")]
mod prompts;
#[cfg(feature = "torch")]
mod real_models;
mod recipe_properties;
mod recipes;
mod refusals;
mod report_dynamics;
mod report_forms;
mod report_page;
mod report_study;
mod report_table;
#[cfg(feature = "torch")]
mod reward;
#[cfg(feature = "torch")]
mod rollouts;
#[cfg_attr(not(feature = "torch"), expect(dead_code, reason = "for tests that run stages"))]
mod sandbox;
#[cfg(feature = "torch")]
mod sharing;
#[cfg(feature = "torch")]
mod stored_features;
mod study_log;
#[cfg(feature = "torch")]
mod tower_features;
mod trackers;
#[cfg(feature = "torch")]
mod training;
mod trials;
mod unwritable;
