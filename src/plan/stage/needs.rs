//! What each kind of stage reads: its input ports, and which kinds may feed them.

use super::{Lesson, Port, Scored, Stage, TrainingSet};
use crate::recipe::PseudoAnswer;
use std::collections::BTreeMap;
use thiserror::Error;

/// An input port as a kind of stage declares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// The port.
    pub port: Port,
    /// Whether the stage can do without.
    pub optional: bool,
}

/// An input that does not fit what a stage declares.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Mismatch {
    /// Nothing feeds a port that has to be fed.
    #[error("stage `{stage}` has nothing at its port `{port}`")]
    Missing {
        /// Name of the stage.
        stage: String,
        /// The port.
        port: Port,
    },
    /// A port is fed that the kind does not have.
    #[error("stage `{stage}` has no port `{port}`")]
    Unexpected {
        /// Name of the stage.
        stage: String,
        /// The port.
        port: Port,
    },
    /// The stage at a port is of a kind that does not make what the port reads.
    #[error("stage `{stage}` cannot read its port `{port}` from a stage of kind `{kind}`")]
    Kind {
        /// Name of the stage.
        stage: String,
        /// The port.
        port: Port,
        /// The kind that feeds it.
        kind: &'static str,
    },
    /// The stage at a port is not in the graph, or stands after the one that reads it.
    #[error("stage `{stage}` reads its port `{port}` from no stage before it")]
    NotBefore {
        /// Name of the stage.
        stage: String,
        /// The port.
        port: Port,
    },
}

impl Port {
    /// The kinds of stage that make what the port reads.
    pub fn producers(self) -> &'static [&'static str] {
        match self {
            Self::Prompts => &["prepare"],
            Self::Policy => &["import", "pretrain", "train"],
            Self::Features => &["features"],
            Self::Rollouts => &["explore"],
            Self::Hidden => &["hide"],
            Self::Hooks => &["hooks"],
            Self::Labels => &["label"],
            Self::RewardModel => &["train-reward"],
            Self::Scores => &["score"],
            Self::Search => &["monitor"],
            Self::Temperature => &["balance"],
            Self::Evaluated => &["evaluate"],
            Self::Monitored => &["monitor"],
            Self::Stop => &["stop"],
            Self::Selected => &["select"],
            Self::Optimizer | Self::StepsOf | Self::After => &["train"],
        }
    }
}

impl Stage {
    /// The input ports, but for three: what calls any of the script has its port too, what looks at
    /// pictures may read their features, and whatever comes after an early stop has that port.
    pub fn needs(&self) -> &'static [Need] {
        const fn required(port: Port) -> Need {
            Need { port, optional: false }
        }
        const fn optional(port: Port) -> Need {
            Need { port, optional: true }
        }
        const POLICY_AND_PROMPTS: &[Need] = &[required(Port::Policy), required(Port::Prompts)];
        match self {
            Self::Import(_) | Self::Hooks(_) | Self::Prepare(_) | Self::Hide(_) => &[],
            Self::Pretrain(options) => match options.lesson {
                Lesson::Perception => &[],
                Lesson::Captions | Lesson::Reasoning { .. } => const { &[required(Port::Policy)] },
            },
            Self::Explore(_) => {
                const {
                    &[
                        required(Port::Policy),
                        required(Port::Prompts),
                        optional(Port::Temperature),
                        optional(Port::Search),
                        optional(Port::Rollouts),
                    ]
                }
            }
            Self::Evaluate(_) | Self::Features(_) => POLICY_AND_PROMPTS,
            Self::Monitor(_) => {
                const { &[required(Port::Policy), required(Port::Prompts), optional(Port::RewardModel)] }
            }
            Self::Label(_) => {
                const { &[required(Port::Policy), required(Port::Prompts), required(Port::Rollouts)] }
            }
            Self::TrainReward(options) => match options.scored {
                Scored::Process => {
                    const {
                        &[
                            required(Port::Policy),
                            required(Port::Prompts),
                            required(Port::Rollouts),
                            required(Port::Labels),
                        ]
                    }
                }
                Scored::Outcome => {
                    const { &[required(Port::Policy), required(Port::Prompts), required(Port::Rollouts)] }
                }
            },
            Self::Score(_) => {
                const {
                    &[
                        required(Port::RewardModel),
                        required(Port::Prompts),
                        required(Port::Rollouts),
                    ]
                }
            }
            Self::Balance(_) => {
                const {
                    &[
                        required(Port::Search),
                        optional(Port::Temperature),
                        optional(Port::Evaluated),
                    ]
                }
            }
            Self::Stop(_) => {
                const {
                    &[
                        required(Port::Evaluated),
                        optional(Port::Monitored),
                        optional(Port::Rollouts),
                        optional(Port::Selected),
                    ]
                }
            }
            Self::Select(options) => match options.pseudo_answer {
                Some(PseudoAnswer::Oracle) => {
                    const {
                        &[
                            required(Port::Rollouts),
                            required(Port::Prompts),
                            required(Port::Hidden),
                            optional(Port::Scores),
                            optional(Port::Temperature),
                        ]
                    }
                }
                _ => {
                    const {
                        &[
                            required(Port::Rollouts),
                            required(Port::Prompts),
                            optional(Port::Scores),
                            optional(Port::Temperature),
                        ]
                    }
                }
            },
            Self::Agreement(_) => const { &[required(Port::Selected), required(Port::Hidden)] },
            Self::Train(options) => match options.set {
                TrainingSet::Selected => {
                    const {
                        &[
                            required(Port::Policy),
                            required(Port::Prompts),
                            required(Port::Selected),
                            optional(Port::Optimizer),
                            optional(Port::StepsOf),
                            optional(Port::After),
                        ]
                    }
                }
                TrainingSet::Demonstrations => {
                    const {
                        &[
                            required(Port::Policy),
                            required(Port::Prompts),
                            required(Port::StepsOf),
                            optional(Port::Optimizer),
                            optional(Port::After),
                        ]
                    }
                }
                TrainingSet::Given(_) => {
                    const {
                        &[
                            required(Port::Policy),
                            required(Port::Prompts),
                            optional(Port::Optimizer),
                            optional(Port::StepsOf),
                            optional(Port::After),
                        ]
                    }
                }
            },
        }
    }

    /// Whether the stage may read a port at all.
    pub fn may_read(&self, port: Port) -> bool {
        self.needs().iter().any(|need| need.port == port)
            || (port == Port::Hooks && self.calls().is_some())
            || (port == Port::Features && self.looks_at().is_some())
            || port == Port::Stop
    }

    /// Compares what feeds the ports, by kind, with what the stage declares.
    pub(in crate::plan) fn check_inputs(
        &self,
        name: &str,
        kinds: &BTreeMap<Port, Option<&'static str>>,
    ) -> Result<(), Mismatch> {
        let hooks = self.calls().map(|_| Need { port: Port::Hooks, optional: false });
        let stop = Need { port: Port::Stop, optional: true };
        let needs: Vec<Need> = self.needs().iter().copied().chain(hooks).chain([stop]).collect();
        let stage = || name.to_owned();
        for need in needs.iter().filter(|need| !need.optional) {
            if !kinds.contains_key(&need.port) {
                return Err(Mismatch::Missing { stage: stage(), port: need.port });
            }
        }
        for (&port, &kind) in kinds {
            if !self.may_read(port) {
                return Err(Mismatch::Unexpected { stage: stage(), port });
            }
            match kind {
                None => return Err(Mismatch::NotBefore { stage: stage(), port }),
                Some(kind) if !port.producers().contains(&kind) => {
                    return Err(Mismatch::Kind { stage: stage(), port, kind });
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}
