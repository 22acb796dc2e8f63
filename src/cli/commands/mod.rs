//! The commands, one file each.

mod check;
mod data;
mod diff;
mod doctor;
mod explain;
mod gc;
mod hook;
mod index;
mod list;
mod plan;
mod report;
mod rollouts;
mod run;
mod show;
mod torch;
#[cfg(feature = "torch")]
mod worker;

pub(crate) use check::check;
pub(crate) use data::data;
pub(crate) use diff::diff;
pub(crate) use doctor::doctor;
pub(crate) use explain::{explain, schema};
pub(crate) use gc::gc;
pub(crate) use hook::hook;
pub(crate) use index::index;
pub(crate) use list::list;
pub(crate) use plan::plan;
pub(crate) use report::report;
pub(crate) use rollouts::rollouts;
pub(crate) use run::run;
pub(crate) use show::show;
pub(crate) use torch::hand_over;
#[cfg(feature = "torch")]
pub(crate) use worker::{count_cuda_devices, sample, worker};
