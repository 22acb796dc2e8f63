//! How responses are cut into steps: by a rule of the recipe, or by its script.

use super::failure::failed;
use super::hooks::Hooks;
use super::policy::Policy;
use super::prompts::Sample;
use crate::data::table::Rollout;
use crate::recipe::Steps;
use crate::rewards::{StepRule, step_ends, step_ends_at};
use crate::run::{Context, Stop};

/// What cuts responses.
pub(super) enum Cutter {
    /// What separates steps.
    Rule(StepRule),
    /// A function of the script.
    Script(Box<Hooks>),
}

impl Cutter {
    /// The one that a stage's options name.
    pub(super) fn of(steps: &Steps, context: &Context<'_>) -> Result<Self, Stop> {
        Ok(match steps {
            Steps::BlankLine => Self::Rule(StepRule::BlankLine),
            Steps::Line => Self::Rule(StepRule::Line),
            Steps::Separator(word) => Self::Rule(StepRule::Separator(word.clone())),
            Steps::Hook => Self::Script(Box::new(Hooks::of(context)?)),
        })
    }

    /// How many tokens of a response there are up to the end of each step.
    pub(super) fn ends(
        &self,
        policy: &Policy,
        rollout: &Rollout,
        sample: &Sample,
    ) -> Result<Vec<usize>, Stop> {
        let pieces = policy.dialect.tokenizer().pieces(&rollout.tokens).map_err(failed)?;
        match self {
            Self::Rule(rule) => Ok(step_ends(&pieces, rule)),
            Self::Script(hooks) => {
                let cuts = hooks.steps(rollout, sample)?;
                let ends = step_ends_at(&pieces, &cuts);
                Ok(ends.map_err(|error| hooks.bad_steps(rollout, &error))?)
            }
        }
    }
}
