//! Trackers from the command line: what was named, and what each member's run is to show there.

use super::exit::{Exit, Trouble};
use super::planning::{self, PlannedGraph};
use super::recorded::{self, if_there, laid_over};
use crate::store::{Run, Store};
use crate::track::{Credentials, Parameters, Target, TargetError, TrackError, Tracker};

/// The trackers that were named, each once.
pub(crate) struct Trackers {
    targets: Vec<Target>,
    credentials: Credentials,
}

impl Trackers {
    /// Reads names, before anything else is done.
    pub(crate) fn read(names: &[String]) -> Result<Self, Trouble> {
        let credentials = Credentials::of(&planning::environment()?);
        let mut targets: Vec<Target> = Vec::new();
        for name in names {
            let target = Target::parse(name, &credentials);
            let target =
                target.map_err(|error: TargetError| Trouble::from_hint(&error, Exit::Wrong))?;
            if !targets.contains(&target) {
                targets.push(target);
            }
        }
        Ok(Self { targets, credentials })
    }

    /// Each as it goes on with a run.
    pub(crate) fn of(
        &self,
        store: &Store,
        run: &Run,
    ) -> impl Iterator<Item = Result<Tracker, TrackError>> {
        let parameters = if self.targets.is_empty() { Parameters::new() } else { parameters(run) };
        self.targets.iter().map(move |target| {
            Tracker::new(store, run, target, &self.credentials, parameters.clone())
        })
    }
}

/// The values of each member, but for those that are not set; none for a record without them.
fn parameters(run: &Run) -> Parameters {
    let Ok(planned) = PlannedGraph::read(run) else { return Parameters::new() };
    let resolved = if_there(run.resolved()).ok().flatten().unwrap_or_default();
    let values = recorded::values(&resolved);
    let of_member = |member: &crate::plan::MemberSummary| {
        let own = laid_over(values.clone(), &member.name, &member.values).into_iter();
        let own = own.filter(|it| !it.value.is_null() && !it.origin.ends_with("without effect"));
        let own = own.map(|it| (it.key.clone(), it.in_words())).collect();
        (member.name.clone(), own)
    };
    planned.members.iter().map(of_member).collect()
}
