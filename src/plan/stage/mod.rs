//! The closed list of stage kinds. Each is pure data: options, ports and a behaviour version.
//!
//! A new kind is a file here, a file in `stages` and a variant of [`Stage`]; the compiler lists the
//! rest.

mod agreement;
mod balance;
mod docs;
mod evaluate;
mod explore;
mod features;
mod hide;
mod hooks;
mod import;
mod label;
mod loading;
mod monitor;
mod needs;
mod origin;
mod prepare;
mod pretrain;
mod score;
mod select;
mod stop;
mod train;
mod train_reward;

pub use agreement::Agreement;
pub use balance::{Balance, Knobs, Setting};
pub use docs::{StageDoc, stage_docs};
pub use evaluate::{Evaluate, Split};
pub use explore::{Explore, Unlabelled};
pub use features::{Features, Shown};
pub use hide::Hide;
pub use hooks::{Calls, Hooks};
pub use import::Import;
pub use label::Label;
pub use loading::Loading;
pub use monitor::{Drawn, Monitor, Slice};
pub use needs::{Mismatch, Need};
pub(in crate::plan) use origin::{Beside, Origin};
pub use prepare::Prepare;
pub use pretrain::{Lesson, Pretrain};
pub use score::Score;
pub use select::Select;
pub use stop::StopRule;
pub use train::{Train, TrainingSet};
pub use train_reward::{Scored, TrainReward};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// What a stage reads from another.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Port {
    /// Prompts, answers and splits, of `prepare`.
    Prompts,
    /// Answers of unlabelled prompts, of `hide`: for the oracle and for reports.
    Hidden,
    /// The script, of `hooks`.
    Hooks,
    /// Weights, configuration and tokenizer, of `import`, `pretrain` or `train`.
    Policy,
    /// What the vision tower makes of pictures, of `features`; whatever looks at them may read it.
    Features,
    /// Optimizer state to go on from, of `train`.
    Optimizer,
    /// Responses with their answers, of `explore`.
    Rollouts,
    /// Steps with the share of completions that reach the answer, of `label`.
    Labels,
    /// The reward model, of `train-reward`.
    RewardModel,
    /// Scores of the rollouts, of `score`.
    Scores,
    /// What a search over temperatures drew and measured, of `monitor`.
    Search,
    /// The temperature that a search chose, of `balance`.
    Temperature,
    /// Greedy accuracy on the validation prompts, of `evaluate`.
    Evaluated,
    /// What sampling finds on them, of `monitor`.
    Monitored,
    /// Whether the evolution has ended, of `stop`; any stage may read it, and is skipped if so.
    Stop,
    /// The responses to train on, of `select`.
    Selected,
    /// The training stage whose optimizer steps are repeated by an equal-steps control.
    StepsOf,
    /// The training stage of the iteration before, for the count of steps under a cap; the warm-up
    /// does not count.
    After,
}

impl Port {
    /// Such as `steps-of`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prompts => "prompts",
            Self::Hidden => "hidden",
            Self::Hooks => "hooks",
            Self::Policy => "policy",
            Self::Features => "features",
            Self::Optimizer => "optimizer",
            Self::Rollouts => "rollouts",
            Self::Labels => "labels",
            Self::RewardModel => "reward-model",
            Self::Scores => "scores",
            Self::Search => "search",
            Self::Temperature => "temperature",
            Self::Evaluated => "evaluated",
            Self::Monitored => "monitored",
            Self::Stop => "stop",
            Self::Selected => "selected",
            Self::StepsOf => "steps-of",
            Self::After => "after",
        }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a stage does, with every option resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Puts a checkpoint into the store.
    Import(Import),
    /// Puts a script into the store.
    Hooks(Hooks),
    /// Trains a base model from random weights.
    Pretrain(Pretrain),
    /// Makes prompts and splits.
    Prepare(Prepare),
    /// Puts the answers of unlabelled prompts apart.
    Hide(Hide),
    /// Keeps what the frozen vision tower makes of pictures.
    Features(Features),
    /// Draws rollouts.
    Explore(Explore),
    /// Labels steps by completing them.
    Label(Label),
    /// Trains a reward model.
    TrainReward(TrainReward),
    /// Scores rollouts with the reward model.
    Score(Score),
    /// Chooses what to train on.
    Select(Select),
    /// Compares pseudo answers with hidden ones.
    Agreement(Agreement),
    /// Trains the policy.
    Train(Train),
    /// Measures greedy accuracy.
    Evaluate(Evaluate),
    /// Measures Pass@K and Reward-Pass@K.
    Monitor(Monitor),
    /// Chooses the temperature.
    Balance(Balance),
    /// Decides whether to go on.
    Stop(StopRule),
}

impl Stage {
    /// Such as `explore`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Import(_) => "import",
            Self::Hooks(_) => "hooks",
            Self::Pretrain(_) => "pretrain",
            Self::Prepare(_) => "prepare",
            Self::Hide(_) => "hide",
            Self::Features(_) => "features",
            Self::Explore(_) => "explore",
            Self::Label(_) => "label",
            Self::TrainReward(_) => "train-reward",
            Self::Score(_) => "score",
            Self::Select(_) => "select",
            Self::Agreement(_) => "agreement",
            Self::Train(_) => "train",
            Self::Evaluate(_) => "evaluate",
            Self::Monitor(_) => "monitor",
            Self::Balance(_) => "balance",
            Self::Stop(_) => "stop",
        }
    }

    /// Raised whenever the same options and inputs would give another result than before.
    pub fn behaviour(&self) -> u32 {
        match self {
            Self::Import(_) => import::BEHAVIOUR,
            Self::Hooks(_) => hooks::BEHAVIOUR,
            Self::Pretrain(_) => pretrain::BEHAVIOUR,
            Self::Prepare(_) => prepare::BEHAVIOUR,
            Self::Hide(_) => hide::BEHAVIOUR,
            Self::Features(_) => features::BEHAVIOUR,
            Self::Explore(_) => explore::BEHAVIOUR,
            Self::Label(_) => label::BEHAVIOUR,
            Self::TrainReward(_) => train_reward::BEHAVIOUR,
            Self::Score(_) => score::BEHAVIOUR,
            Self::Select(_) => select::BEHAVIOUR,
            Self::Agreement(_) => agreement::BEHAVIOUR,
            Self::Train(_) => train::BEHAVIOUR,
            Self::Evaluate(_) => evaluate::BEHAVIOUR,
            Self::Monitor(_) => monitor::BEHAVIOUR,
            Self::Balance(_) => balance::BEHAVIOUR,
            Self::Stop(_) => stop::BEHAVIOUR,
        }
    }

    /// The options as JSON, as far as they decide the result; for the key and for reasons. Where
    /// an imported model lies does not: its digest does. Nor does the name of a script, or where data lie.
    pub fn identity(&self) -> Value {
        match self {
            Self::Import(_) => {
                let mut options = self.options();
                if let Some(options) = options.as_object_mut() {
                    options.remove("model");
                }
                options
            }
            Self::Hooks(options) => serde_json::json!({ "digest": options.digest }),
            _ => {
                let mut options = self.options();
                if let Some(Value::Object(hooks)) = options.get_mut("hooks") {
                    hooks.remove("script");
                }
                if let Some(Value::Object(loading)) = options.get_mut("loading") {
                    loading.remove("path");
                }
                options
            }
        }
    }

    /// What it calls of the recipe's script.
    pub fn calls(&self) -> Option<&Calls> {
        match self {
            Self::Explore(options) => options.hooks.as_ref(),
            Self::Label(options) => options.hooks.as_ref(),
            Self::TrainReward(options) => options.hooks.as_ref(),
            Self::Score(options) => options.hooks.as_ref(),
            Self::Select(options) => options.hooks.as_ref(),
            Self::Agreement(options) => options.hooks.as_ref(),
            Self::Train(options) => options.hooks.as_ref(),
            Self::Evaluate(options) => options.hooks.as_ref(),
            Self::Monitor(options) => options.hooks.as_ref(),
            Self::Balance(options) => options.hooks.as_ref(),
            Self::Stop(options) => options.hooks.as_ref(),
            Self::Import(_)
            | Self::Hooks(_)
            | Self::Pretrain(_)
            | Self::Prepare(_)
            | Self::Features(_)
            | Self::Hide(_) => None,
        }
    }

    /// The options as JSON.
    pub fn options(&self) -> Value {
        let value = match self {
            Self::Import(options) => serde_json::to_value(options),
            Self::Hooks(options) => serde_json::to_value(options),
            Self::Pretrain(options) => serde_json::to_value(options),
            Self::Prepare(options) => serde_json::to_value(options),
            Self::Hide(options) => serde_json::to_value(options),
            Self::Features(options) => serde_json::to_value(options),
            Self::Explore(options) => serde_json::to_value(options),
            Self::Label(options) => serde_json::to_value(options),
            Self::TrainReward(options) => serde_json::to_value(options),
            Self::Score(options) => serde_json::to_value(options),
            Self::Select(options) => serde_json::to_value(options),
            Self::Agreement(options) => serde_json::to_value(options),
            Self::Train(options) => serde_json::to_value(options),
            Self::Evaluate(options) => serde_json::to_value(options),
            Self::Monitor(options) => serde_json::to_value(options),
            Self::Balance(options) => serde_json::to_value(options),
            Self::Stop(options) => serde_json::to_value(options),
        };
        value.expect("options hold only numbers, text, lists and maps with string keys")
    }

    /// Into how many parts the work may be split; parts are computed apart, on any worker, and
    /// their number depends on nothing but the options.
    pub fn shards(&self) -> u64 {
        match self {
            Self::Explore(options) => options.shards(),
            _ => 1,
        }
    }
}
