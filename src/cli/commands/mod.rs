//! The commands, one file each.

mod bundle;
mod check;
mod data;
mod diff;
mod doctor;
mod eval;
#[cfg(feature = "torch")]
mod eval_model;
mod explain;
#[cfg(feature = "torch")]
mod export;
mod fetch;
mod gc;
mod hook;
mod index;
mod init;
mod list;
mod lock;
#[cfg(feature = "torch")]
mod model_card;
mod plan;
mod report;
mod reproduce;
mod rollouts;
mod run;
mod shell;
mod show;
mod test;
mod torch;
mod track;
mod verify;
mod watch;
#[cfg(feature = "torch")]
mod worker;

pub(crate) use bundle::bundle;
pub(crate) use check::check;
pub(crate) use data::data;
pub(crate) use diff::diff;
pub(crate) use doctor::doctor;
pub(crate) use eval::eval;
#[cfg(feature = "torch")]
pub(crate) use eval_model::eval_model;
pub(crate) use explain::{explain, schema};
#[cfg(feature = "torch")]
pub(crate) use export::export;
pub(crate) use fetch::fetch;
pub(crate) use gc::gc;
pub(crate) use hook::hook;
pub(crate) use index::index;
pub(crate) use init::init;
pub(crate) use list::list;
pub(crate) use lock::lock;
pub(crate) use plan::plan;
pub(crate) use report::{report, report_so_far};
pub(crate) use reproduce::reproduce;
pub(crate) use rollouts::rollouts;
pub(crate) use run::run;
pub(crate) use shell::{completions, man};
pub(crate) use show::show;
pub(crate) use test::test;
pub(crate) use torch::hand_over;
pub(crate) use track::track;
pub(crate) use verify::verify;
pub(crate) use watch::watch;
#[cfg(feature = "torch")]
pub(crate) use worker::{count_cuda_devices, sample, worker};
