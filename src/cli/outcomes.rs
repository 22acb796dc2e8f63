//! What each prompt came to in an evaluation of a member, read from the store when it is asked for.

use super::exit::Trouble;
use super::printer::Printer;
use super::rollouts::read;
use crate::base::Key;
use crate::data::table::Rollout;
use crate::report::{At, Branch, Study};
use crate::store::Store;
use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// Prompts, each with whether it was answered right.
type Prompts = Rc<Vec<(u64, bool)>>;

/// The evaluations of a study by member, split and place.
pub(crate) struct Outcomes<'a> {
    store: &'a Store,
    study: &'a Study,
    keys: OnceCell<BTreeMap<(&'a str, &'a str, At), Key>>,
    /// What was read; members share evaluations.
    read: RefCell<BTreeMap<Key, Option<Prompts>>>,
    /// What is stored and cannot be read, with the way out.
    unreadable: RefCell<BTreeSet<(String, Option<String>)>>,
}

impl<'a> Outcomes<'a> {
    pub(crate) fn new(store: &'a Store, study: &'a Study) -> Self {
        Self {
            store,
            study,
            keys: OnceCell::new(),
            read: RefCell::default(),
            unreadable: RefCell::default(),
        }
    }

    /// Says what is stored and could not be read, so that intervals are others than they could be.
    pub(crate) fn tell_unreadable(&self, printer: Printer) {
        for (message, hint) in self.unreadable.borrow().iter() {
            let hint = hint.as_ref().map_or_else(String::new, |hint| format!("\nhint: {hint}"));
            printer.complain(&format!("warning: {message}: the table does without{hint}"));
        }
    }

    /// The outcomes; `None` where the evaluation is no longer stored or cannot be read.
    pub(crate) fn get(&self, member: &str, split: &str, at: At) -> Option<Vec<(u64, bool)>> {
        let keys = self.keys.get_or_init(|| evaluations(self.study));
        let key = *keys.get(&(member, split, at))?;
        let read = || {
            let is_gone = matches!(self.store.artifact(key), Ok(None));
            let rollouts: Vec<Rollout> = match read(self.store, key, "rollouts.parquet") {
                Ok(rollouts) => rollouts,
                Err(Trouble::Said { message, hint, .. }) if !is_gone => {
                    self.unreadable.borrow_mut().insert((message, hint));
                    return None;
                }
                Err(_) => return None,
            };
            let rollouts = Some(rollouts).filter(|rollouts| !rollouts.is_empty())?;
            Some(Rc::new(rollouts.iter().map(|it| (it.prompt, it.correct)).collect::<Vec<_>>()))
        };
        let prompts = self.read.borrow_mut().entry(key).or_insert_with(read).clone()?;
        Some(prompts.to_vec())
    }
}

fn evaluations(study: &Study) -> BTreeMap<(&str, &str, At), Key> {
    let mut keys = BTreeMap::new();
    for stage in study.stages.iter().filter(|stage| stage.summary.kind == "evaluate") {
        let Some(split) = stage.metrics.get("split").and_then(|split| split.as_str()) else {
            continue;
        };
        let branch = Branch::of(&stage.summary.branch);
        let at = At { iteration: stage.summary.iteration, branch };
        for member in &stage.summary.members {
            keys.insert((member.as_str(), split, at), stage.summary.key);
        }
    }
    keys
}
