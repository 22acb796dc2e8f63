//! `mstar eval MODEL`, as `mstar-worker` carries it out: asks the model every question of a
//! benchmark, and scores what it responds.

use super::eval::{named, show};
use super::worker::model;
use crate::base::{Duration, Hint};
use crate::benchmarks::{self, Asked, Question, Response, Responses};
use crate::cli::arguments::Eval;
use crate::cli::exit::{Exit, Trouble};
use crate::cli::outputs::{spare_input, spare_row, spare_written};
use crate::cli::planning::of_store;
use crate::cli::printer::Printer;
use crate::cli::progress::{REDRAWS, style_of};
use crate::run::Clock;
use crate::stages::{Heard, Posed, Respondent, answers};
use crate::store::Growing;
use indicatif::{ProgressBar, ProgressDrawTarget};
use serde_json::json;
use std::ops::ControlFlow;
use std::path::Path;

/// Plain lines are at least this far apart.
const PLAIN_EVERY_SECS: f64 = 10.0;

pub(crate) fn eval_model(
    arguments: &Eval,
    store: &Path,
    printer: Printer,
) -> Result<Exit, Trouble> {
    let wrong = |error: &dyn Hint| Trouble::from_hint(error, Exit::Wrong);
    let (benchmark, data) = named(arguments, printer)?;
    if let Some(path) = &arguments.save {
        spare_written(path)?;
        spare_input(path, &data)?;
    }
    let asked = benchmarks::asked(&benchmark, &data).map_err(|error| wrong(&error))?;
    if let Some(path) = arguments.save.as_ref().filter(|path| path.exists()) {
        asked.iter().try_for_each(|asked| spare_row(path, &asked.row))?;
    }
    let name = arguments.model.as_deref().unwrap_or_default();
    let respondent = Respondent {
        model: model(name, (arguments.image_pixels, arguments.dtype), store, printer)?,
        max_new_tokens: arguments.max_new_tokens,
        device: arguments.device.clone(),
    };
    let responses = responses(&respondent, &asked, arguments.save.as_deref(), printer)?;
    let questions: Vec<Question> = asked.into_iter().map(|asked| asked.question).collect();
    show(arguments, &benchmark, &questions, &responses, printer)
}

/// Asks all questions. What is responded is written at once, so that it is there when the rest is not.
fn responses(
    respondent: &Respondent,
    asked: &[Asked],
    save: Option<&Path>,
    printer: Printer,
) -> Result<Responses, Trouble> {
    let file = save.map(|path| Growing::open(path, 0)).transpose().map_err(of_store)?;
    let mut file = file.flatten();
    let posed =
        asked.iter().map(|Asked { question, text, row }| Posed { id: &question.id, text, row });
    let posed: Vec<Posed<'_>> = posed.collect();
    let mut shown = Shown::new(printer, asked.len() as u64);
    let mut responses = Responses::default();
    let mut unwritten = None;
    let answered = answers(respondent, &posed, &mut |heard| {
        match heard {
            Heard::Progress { done, of } => shown.see(done, of),
            Heard::Response { id, text } => {
                let line = json!({ "id": id, "response": text });
                let written = file.as_mut().map(|file| file.append(format!("{line}\n").as_bytes()));
                if let Some(Err(error)) = written {
                    unwritten = Some(error);
                    return ControlFlow::Break(());
                }
                responses.by_id.insert(id.to_owned(), Response { text, extraction: None });
            }
        }
        ControlFlow::Continue(())
    });
    shown.bar.finish_and_clear();
    answered.map_err(|failure| Trouble::Said {
        message: failure.reason,
        hint: failure.hint,
        exit: Exit::Wrong,
    })?;
    match unwritten {
        Some(error) => Err(of_store(error)),
        None => Ok(responses),
    }
}

/// How many questions are answered: a bar on a terminal, plain lines elsewhere.
struct Shown {
    printer: Printer,
    bar: ProgressBar,
    clock: Clock,
    told_secs: f64,
}

impl Shown {
    fn new(printer: Printer, of: u64) -> Self {
        let bar = match printer.redraws() {
            false => ProgressBar::hidden(),
            true => {
                let style = "  {wide_bar:.cyan/dim} {pos}/{len} answered, {per_sec}, {eta} to go";
                let target = ProgressDrawTarget::stderr_with_hz(REDRAWS);
                ProgressBar::with_draw_target(Some(of), target).with_style(style_of(style))
            }
        };
        Self { printer, bar, clock: Clock::start(), told_secs: 0.0 }
    }

    fn see(&mut self, done: u64, of: u64) {
        self.bar.set_position(done);
        let now = self.clock.seconds();
        if self.printer.redraws() || now - self.told_secs < PLAIN_EVERY_SECS {
            return;
        }
        self.told_secs = now;
        let left = match done {
            0 => String::new(),
            done => format!(", {} to go", Duration(now / done as f64 * (of - done) as f64)),
        };
        self.printer.talk(&format!("  {done} of {of} answered{left}"));
    }
}
