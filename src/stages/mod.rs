//! What happens between inputs and outputs: one file a kind.
//!
//! May import: base, event, plan, recipe, hooks, data, engine, rewards, benchmarks, judging, store, run.
//! Owns: the files inside artifacts and the metrics that stages report. Never: decides what runs
//! when, commits an artifact, draws progress, or keeps anything that is not in a file, except models,
//! prompts and responses that the next stage would only load again.
//!
//! | kind | writes |
//! |---|---|
//! | `hooks` | `script.rhai` |
//! | `import`, `pretrain`, `train` | `model.safetensors`, `config.json`, `tokenizer.json`; `train` also `optimizer.safetensors` and `trainer.json`, and where it trains adapters `adapter_config.json` and `adapter_model.safetensors` |
//! | `prepare` | `train.parquet`, `validation.parquet`, `test.parquet`, a `…-references.parquet` for each, `demonstrations.parquet` |
//! | `hide` | `hidden.parquet` |
//! | `features` | `features-00000.safetensors` and so on, `features.json` |
//! | `explore`, `evaluate` | `rollouts.parquet` |
//! | `monitor` | `rollouts.parquet`, `tallies.parquet` |
//! | `balance` | `temperature.json` |
//! | `stop` | `stop.json` |
//! | `label` | `labels.parquet` |
//! | `train-reward` | as `train`, with `reward_head.safetensors` and `reward.json`, without the state of its optimizer |
//! | `score` | `scores.parquet` |
//! | `select` | `selected.parquet`, `choices.parquet`, `pseudo-answers.parquet` |
//! | `agreement` | nothing else |
//!
//! All write `metrics.json`. A `prepare` of a benchmark writes `questions.json` beside `test.parquet`. A `monitor` that keeps scores writes `scores.parquet` too.

mod adapters;
mod agreement;
mod ahead;
mod answers;
mod ask;
mod balance;
mod benchmark;
mod checkpoint;
mod evaluate;
mod examples;
mod explore;
mod export;
mod failure;
mod features;
mod hide;
mod hooks;
mod import;
mod label;
mod load;
mod measure;
mod monitor;
mod named;
mod overlap;
mod passes;
mod performer;
mod policy;
mod prepare;
mod pretrain;
mod prompts;
mod pseudo_answers;
mod rollout;
mod score;
mod select;
mod spill;
mod steps;
mod stop;
mod train;
mod train_reward;
mod verifier;

pub use crate::engine::LIBTORCH_WANTED;
pub use answers::{Heard, Posed, Respondent, answers};
pub use ask::{Answered, Question, ask};
pub use export::{Export, Exported, export};
pub use named::NamedModel;
pub use performer::{TorchPerformer, cuda_devices};
