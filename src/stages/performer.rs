//! The one performer: hands each stage to its file, and keeps models, prompts and responses between
//! stages.

use super::failure::{as_failure, failed};
use super::policy::Resident;
use super::prompts::Prompts;
use super::{
    agreement, balance, evaluate, explore, features, hide, hooks, import, label, monitor, overlap,
    prepare, pretrain, score, select, stop, train, train_reward,
};
use crate::base::Failure;
use crate::engine::{self, Device, DeviceChoice};
use crate::plan::Stage;
use crate::run::{Context, Part, Performer, Stop, Task};

/// Carries out stages on libtorch.
pub struct TorchPerformer {
    device: Device,
    name: String,
    resident: Resident,
    prompts: Prompts,
    others: explore::Others,
}

impl TorchPerformer {
    /// Opens the device and sets how many threads an operation may use.
    ///
    /// # Errors
    /// When the device is not there, or another libtorch was found than mstar was built with.
    pub fn new(device: &str, threads: u32) -> Result<Self, Failure> {
        let (found, wanted) = (engine::libtorch_version(), engine::LIBTORCH_WANTED);
        if found != wanted {
            return Err(Failure {
                reason: format!("libtorch {found} was found, and mstar needs {wanted}"),
                hint: Some(
                    "take another libtorch out of LD_LIBRARY_PATH, or build mstar again".into(),
                ),
            });
        }
        engine::set_threads(threads as usize);
        let open = || {
            let choice: DeviceChoice = device.parse().map_err(failed)?;
            choice.open().map_err(failed)
        };
        let device = open().map_err(as_failure)?;
        let name = engine::describe(device, threads as usize);
        let (resident, prompts) = (Resident::default(), Prompts::default());
        Ok(Self { device, name, resident, prompts, others: explore::Others::default() })
    }
}

/// CUDA devices that this libtorch can use.
pub fn cuda_devices() -> u32 {
    engine::device::cuda_devices().map_or(0, |count| u32::try_from(count).unwrap_or(u32::MAX))
}

impl Performer for TorchPerformer {
    fn perform(&mut self, task: &Task, context: &Context<'_>) -> Result<(), Stop> {
        if let Some(after) = stop::reached(context)? {
            return stop::skip(task, after, context);
        }
        let device = self.device;
        let (prompts, others) = (&mut self.prompts, &mut self.others);
        match (&task.node.stage, task.part) {
            (Stage::Import(options), _) => import::run(options, device, context),
            (Stage::Hooks(options), _) => hooks::run(options, context),
            (Stage::Pretrain(options), _) => pretrain::run(options, device, context),
            (Stage::Prepare(options), _) => prepare::run(options, context),
            (Stage::Hide(options), _) => hide::run(options, context),
            (Stage::Overlap(options), _) => overlap::run(options, context),
            (Stage::Features(options), _) => {
                features::run(options, (&mut self.resident, prompts, device), context)
            }
            (Stage::Explore(options), Part::Shard(shard)) => {
                let parts = (&mut self.resident, prompts, device);
                explore::shard(options, shard, others, parts, context)
            }
            (Stage::Explore(options), Part::Whole) => {
                let parts = (&mut self.resident, prompts, device);
                explore::shard(options, 0, others, parts, context)?;
                explore::gather(options, others, context)
            }
            (Stage::Explore(options), Part::Gather) => explore::gather(options, others, context),
            (Stage::Label(options), _) => {
                label::run(options, (&mut self.resident, prompts, device), context)
            }
            (Stage::TrainReward(options), _) => {
                train_reward::run(options, (&mut self.resident, prompts, device), context)
            }
            (Stage::Score(options), _) => {
                score::run(options, (&mut self.resident, prompts, device), context)
            }
            (Stage::Balance(options), _) => balance::run(options, context),
            (Stage::Stop(options), _) => stop::run(options, context),
            (Stage::Select(options), _) => select::run(options, prompts, context),
            (Stage::Agreement(_), _) => agreement::run(context),
            (Stage::Train(options), _) => {
                train::run(options, (&mut self.resident, prompts, device), context)
            }
            (Stage::Evaluate(options), _) => {
                evaluate::run(options, (&mut self.resident, prompts, device), context)
            }
            (Stage::Monitor(options), _) => {
                monitor::run(options, (&mut self.resident, prompts, device), context)
            }
        }
    }

    fn computed_on(&self) -> String {
        self.name.clone()
    }
}
