//! Greedy responses of a model to many questions about pictures, outside any run.

use super::failure::{as_failure, failed, failure};
use super::named::NamedModel;
use super::policy::Policy;
use super::rollout::{Draw, next_prompts};
use crate::base::{Failure, Hint as _};
use crate::data::loaders::Unread;
use crate::engine::{self, DeviceChoice, Prompt, generate};
use crate::run::Stop;
use std::cell::Cell;
use std::ops::ControlFlow;

/// Who answers, and how.
pub struct Respondent {
    /// The model.
    pub model: NamedModel,
    /// Longest response in tokens.
    pub max_new_tokens: u32,
    /// Where to compute.
    pub device: String,
}

/// A question, and the row that has its picture.
pub struct Posed<'a> {
    /// What responses call it.
    pub id: &'a str,
    /// What is asked.
    pub text: &'a str,
    /// The row.
    pub row: &'a Unread,
}

/// What is heard of a respondent.
pub enum Heard<'a> {
    /// How many questions are answered.
    Progress {
        /// So many.
        done: u64,
        /// Of these.
        of: u64,
    },
    /// A response.
    Response {
        /// The question.
        id: &'a str,
        /// The whole text.
        text: String,
    },
}

/// Asks every question; `hear` is told of each response, until it breaks off.
///
/// # Errors
/// When the model, a picture, a question or the device cannot be used.
pub fn answers(
    respondent: &Respondent,
    questions: &[Posed<'_>],
    hear: &mut dyn FnMut(Heard<'_>) -> ControlFlow<()>,
) -> Result<(), Failure> {
    respond(respondent, questions, hear).map_err(as_failure)
}

fn respond(
    respondent: &Respondent,
    questions: &[Posed<'_>],
    hear: &mut dyn FnMut(Heard<'_>) -> ControlFlow<()>,
) -> Result<(), Stop> {
    let device: DeviceChoice = respondent.device.parse().map_err(failed)?;
    let policy = respondent.model.load(device.open().map_err(failed)?)?;
    let draw = Draw::greedy(respondent.max_new_tokens);
    let of = questions.len() as u64;
    let mut waiting = (0..).zip(questions).map(|it| prompt(&policy, it)).peekable();
    let mut from = 0;
    while waiting.peek().is_some() {
        let prompts = next_prompts(&mut waiting)?;
        let settings = draw.settings(&policy, &prompts);
        let has_ended = Cell::new(false);
        let mut progress = |now: engine::Progress| {
            let done = (from + now.responses) as u64;
            has_ended.set(hear(Heard::Progress { done, of }).is_break());
        };
        let stop = || has_ended.get();
        let generated =
            generate(&policy.model, &prompts, &settings, &mut progress, &stop).map_err(failed)?;
        for response in generated.responses {
            let tokens: Vec<u32> = response.tokens.iter().map(|&token| token as u32).collect();
            let (id, text) = (questions[response.prompt as usize].id, policy.text(&tokens)?);
            if hear(Heard::Response { id, text }).is_break() {
                return Ok(());
            }
        }
        if generated.stopped {
            break;
        }
        from += prompts.len();
    }
    Ok(())
}

/// A question as the engine answers it.
fn prompt(policy: &Policy, (id, posed): (u64, &Posed<'_>)) -> Result<Prompt, Stop> {
    let images = posed.row.decode().map_err(failed)?;
    let asked = policy.asked(posed.text, &images.iter().collect::<Vec<_>>()).map_err(|error| {
        let reason = format!("question `{}` cannot be asked: {error}", posed.id);
        failure(reason, error.hint().unwrap_or_default())
    });
    Ok(asked?.named(id))
}
