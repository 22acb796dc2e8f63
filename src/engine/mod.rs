//! libtorch: models, weights, generation, losses and optimizers.
//!
//! May import: base.
//! Owns: every tensor of the program and the memory they lie in. Plain vectors come in and go out.
//! Never: knows a stage, a recipe or a reward; writes a file (it makes bytes that others write);
//! reads a clock; keeps anything global but the number of threads.
//!
//! A wrong shape inside a model is a bug and panics, as plain `tch` operations do; the worker's
//! boundary catches it. Everything that meets the world (files, devices, prompts) returns `Result`.

pub mod device;
pub mod features;
pub mod generate;
pub mod loss;
pub mod models;
pub mod nn;
pub mod optimizer;
pub mod pack;
pub mod perception;
pub mod pixels;
pub mod reward;
pub mod sampling;
pub mod schedule;
pub mod weights;

pub use device::{
    DeviceChoice, DeviceError, LIBTORCH_WANTED, describe, libtorch_version, set_threads,
};
pub use features::{FeatureFile, TowerOutputs};
pub use generate::{Finish, Generated, Progress, Prompt, Response, Settings, generate, stream};
pub use loss::{backward, backward_recomputing, logits};
pub use models::{Model, ModelError, Part, kind_of, load, spelling};
pub use optimizer::{Optimizer, OptimizerSettings, OptimizerState};
pub use pack::{Pack, PackError, Sequence, pack};
pub use perception::{PatchTarget, Perception};
pub use pixels::{Pixels, Size};
pub use reward::{Continued, Reading, ReadingPack, RewardHead, Target};
pub use sampling::Sampling;
pub use schedule::{Curve, Schedule};
/// Where tensors lie.
pub use tch::Device;
pub use weights::{Adapters, Lora, Parameters, Precision, Weights, WeightsError};
