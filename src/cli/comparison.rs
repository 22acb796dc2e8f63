//! Two recipes, runs, bundles or members side by side: values, stages, metrics.

use super::arguments::Over;
use super::asked::Asked;
use super::exit::Trouble;
use super::files;
use super::planning::{RecipesByName, find_named, find_run, log_of, of_store};
use super::printer::Printer;
use super::recorded::{self, MeasuredMetric, RecordedValue};
use super::rollouts::{planned, read};
use super::sharing::Opened;
use crate::base::Key;
use crate::data::table::Rollout;
use crate::plan::{
    self, EarlierStage, Evaluate, Graph, Known, MemberSummary, Node, Port, Recipes, Split, Stage,
    standings,
};
use crate::report::{At, Branch, Estimate, Member, Method, Metric, Study, unpaired};
use crate::store::Store;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Numbers that a sum in another order makes of one.
const SAME: f64 = 1e-12;

/// One of the two.
pub(crate) struct Side {
    /// As people would name it.
    pub(crate) name: String,
    /// Its members; one for a recipe.
    pub(crate) members: Vec<SideMember>,
    /// Why its stages are not known.
    pub(crate) problem: Option<String>,
    values: Vec<RecordedValue>,
    graph: Graph,
    stages: Vec<EarlierStage>,
    recipes: RecipesByName,
    store: Option<Store>,
}

/// What a policy answered in one evaluation.
struct Outcomes {
    /// The evaluation.
    stage: Key,
    /// The stage that made the prompts.
    prompts: Key,
    /// Whether each was answered right.
    right: BTreeMap<u64, bool>,
}

/// What each prompt adds to a metric.
struct Shares {
    /// The evaluations that it is read from.
    stages: Vec<Key>,
    /// The stage that made the prompts.
    prompts: Key,
    of_prompt: BTreeMap<u64, i32>,
}

/// A member of one of the two.
pub(crate) struct SideMember {
    /// Its name.
    pub(crate) name: String,
    /// Its values on the axes.
    axes: serde_json::Map<String, serde_json::Value>,
    /// What was measured of it.
    metrics: Vec<MeasuredMetric>,
    measured: Option<Member>,
}

impl Side {
    /// Reads a recipe or experiment file, a bundle, a run, or a member of one.
    pub(crate) fn read(store: &Path, what: &str, printer: Printer) -> Result<Self, Trouble> {
        let path = Path::new(what);
        let extension = path.extension().and_then(|it| it.to_str()).unwrap_or_default();
        if extension == "toml" {
            return Self::of_file(path, printer);
        }
        let is_archive = ["mstar", "tar", "zst", "gz", "zip"].contains(&extension);
        if is_archive && path.is_file() || files::is_compressed(path) {
            return Self::of_bundle(path);
        }
        if path.is_file() {
            return Self::of_file(path, printer);
        }
        let (run, member) =
            what.split_once('/').map_or((what, None), |(run, member)| (run, Some(member)));
        let read = Self::of_run(store, run);
        match read.and_then(|side| match member {
            Some(member) => side.narrowed(member),
            None => Ok(side),
        }) {
            Err(_) if path.is_dir() => Err(Trouble::wrong(
                format!("`{what}` is a folder"),
                "name a recipe file, a bundle, a run (`mstar list`), or `RUN/MEMBER`",
            )),
            side => side,
        }
    }

    /// With one of its members alone.
    pub(crate) fn narrowed(mut self, member: &str) -> Result<Self, Trouble> {
        let what = format!("member of `{}`", self.name);
        let found = find_named(&what, member, &self.members, |it| &it.name)?.name.clone();
        self.members.retain(|it| it.name == found);
        self.name = format!("{}/{found}", self.name);
        Ok(self)
    }

    fn of_file(file: &Path, printer: Printer) -> Result<Self, Trouble> {
        let asked = Asked::read(file, &Over::default())?;
        let graph = asked.graph(printer)?;
        Ok(Self {
            name: file.display().to_string(),
            values: recorded::values(&asked.to_toml()),
            stages: graph.nodes().map(EarlierStage::from).collect(),
            graph,
            members: asked.summaries.iter().map(SideMember::planned).collect(),
            recipes: asked.recipes(),
            problem: None,
            store: None,
        })
    }

    fn of_run(store: &Path, name: &str) -> Result<Self, Trouble> {
        let (store, run) = find_run(store, Some(name))?;
        let resolved = recorded::if_there(run.resolved()).map_err(of_store)?.unwrap_or_default();
        let study = Study::read(&log_of(&run)?);
        let text = recorded::if_there(run.graph()).map_err(of_store)?.unwrap_or_default();
        let summaries = recorded::members_of_graph(&text).unwrap_or_default();
        let mut recipes = RecipesByName::new();
        let (graph, stages, problem) = match planned(&run) {
            Ok(it) => {
                recipes = it.recipes_of_members();
                (it.graph, it.stages, None)
            }
            Err(Trouble::Said { message, .. }) => (Graph::default(), Vec::new(), Some(message)),
            Err(faults) => return Err(faults),
        };
        let members = SideMember::measured(&summaries, &study);
        let name = run.id().to_owned();
        let values = recorded::values(&resolved);
        Ok(Self { name, members, problem, values, graph, stages, recipes, store: Some(store) })
    }

    /// A bundle holds no answers, so that its metrics are compared by their intervals.
    fn of_bundle(path: &Path) -> Result<Self, Trouble> {
        let Opened { planned, study, resolved, .. } = Opened::read(path)?;
        Ok(Self {
            name: path.display().to_string(),
            members: SideMember::measured(&planned.members, &study),
            problem: None,
            values: recorded::values(&resolved),
            recipes: planned.recipes_of_members(),
            graph: planned.graph,
            stages: planned.stages,
            store: None,
        })
    }

    fn values_of(&self, member: &SideMember) -> BTreeMap<String, RecordedValue> {
        let values = recorded::laid_over(self.values.clone(), &member.name, &member.axes);
        values.into_iter().map(|value| (value.key.clone(), value)).collect()
    }

    /// Its stages that a member uses.
    fn stages_of(&self, member: &SideMember) -> Vec<EarlierStage> {
        let is_of = |stage: &&EarlierStage| {
            self.graph.get(stage.key).is_some_and(|node| node.members.contains(&member.name))
        };
        self.stages.iter().filter(is_of).cloned().collect()
    }

    /// What a policy answered; `None` where its responses are not stored.
    fn outcomes(
        &self,
        member: &SideMember,
        split: &str,
        at: At,
    ) -> Result<Option<Outcomes>, Trouble> {
        let is_it = |node: &&Node| {
            let of_split = match &node.stage {
                Stage::Evaluate(Evaluate { benchmark: Some(_), .. }) => false,
                Stage::Evaluate(Evaluate { split: Split::Test, .. }) => split == "test",
                Stage::Evaluate(Evaluate { split: Split::Validation, .. }) => split == "validation",
                _ => false,
            };
            let is_control = node.role.branch == plan::Branch::Control;
            of_split
                && node.role.iteration == at.iteration
                && is_control == (at.branch == Branch::Control)
                && node.members.contains(&member.name)
        };
        let Some(node) = self.graph.nodes().find(is_it) else { return Ok(None) };
        let (Some(store), Some(prompts)) = (&self.store, node.inputs.get(&Port::Prompts)) else {
            return Ok(None);
        };
        let rollouts: Vec<Rollout> = read(store, node.key, "rollouts.parquet")?;
        let right = rollouts.into_iter().map(|it| (it.prompt, it.correct)).collect();
        Ok(Some(Outcomes { stage: node.key, prompts: *prompts, right }))
    }
}

impl Side {
    /// What each prompt adds to a metric; `None` where its responses are not stored, or no prompt has
    /// a share in it.
    fn shares(&self, member: &SideMember, metric: &Metric) -> Result<Option<Shares>, Trouble> {
        let Some((split, terms)) = member.measured.as_ref().and_then(|it| metric.terms(it)) else {
            return Ok(None);
        };
        let mut shares: Option<Shares> = None;
        for (at, sign) in terms {
            let Some(outcomes) = self.outcomes(member, split, at)? else { return Ok(None) };
            let prompts = outcomes.prompts;
            let none = || Shares { stages: Vec::new(), prompts, of_prompt: BTreeMap::new() };
            let all = shares.get_or_insert_with(none);
            all.stages.push(outcomes.stage);
            for (prompt, right) in outcomes.right {
                *all.of_prompt.entry(prompt).or_default() += sign * i32::from(right);
            }
        }
        Ok(shares)
    }
}

impl SideMember {
    fn planned(summary: &MemberSummary) -> Self {
        let MemberSummary { name, values } = summary.clone();
        Self { name, axes: values, metrics: Vec::new(), measured: None }
    }

    /// Those that were planned, and those that only the log knows, with what was measured of each.
    fn measured(planned: &[MemberSummary], study: &Study) -> Vec<Self> {
        let mut members: Vec<Self> = planned.iter().map(Self::planned).collect();
        for measured in &study.members {
            let at = members.iter().position(|it| it.name == measured.name);
            let at = at.unwrap_or_else(|| {
                let (name, values) = (measured.name.clone(), serde_json::Map::new());
                members.push(Self::planned(&MemberSummary { name, values }));
                members.len() - 1
            });
            members[at].metrics = recorded::measured(measured);
            members[at].measured = Some(measured.clone());
        }
        members
    }
}

/// What two members have and have not in common.
pub(crate) struct Comparison {
    /// The names of the two.
    pub(crate) members: [String; 2],
    /// Values that differ; `None` for a key that one does not have.
    pub(crate) values: Vec<[Option<RecordedValue>; 2]>,
    /// How their stages compare; `None` where those of one are not known.
    pub(crate) stages: Option<Stages>,
    /// What was measured of either.
    pub(crate) metrics: Vec<MetricPair>,
}

/// How the stages of two members compare.
#[derive(Default)]
pub(crate) struct Stages {
    /// Stages with equal keys.
    pub(crate) equal: usize,
    /// Stages of one place with other keys: kind, name and the first reason.
    pub(crate) changed: Vec<[String; 3]>,
    /// Kind and name of stages that only one has.
    pub(crate) only: [Vec<[String; 2]>; 2],
}

impl Stages {
    fn is_same(&self) -> bool {
        self.changed.is_empty() && self.only.iter().all(Vec::is_empty)
    }
}

/// A metric of both.
pub(crate) struct MetricPair {
    /// Its name.
    pub(crate) name: String,
    /// Its values, where it was measured.
    pub(crate) values: [Option<MeasuredMetric>; 2],
    /// The second less the first.
    pub(crate) difference: Option<Difference>,
}

/// A difference and how sure it is.
pub(crate) struct Difference {
    /// The second less the first.
    pub(crate) estimate: Estimate,
    /// Prompts that both answered, where it is paired by them.
    pub(crate) prompts: Option<usize>,
    /// Whether both are read from the same stages, so that there is none for certain.
    pub(crate) is_of_same_stages: bool,
}

impl Difference {
    /// `paired` by prompt or `unpaired`; none without an interval.
    pub(crate) fn pairing(&self) -> Option<&'static str> {
        match (self.prompts, self.estimate.method) {
            (Some(_), _) => Some("paired"),
            (None, Method::None) => None,
            (None, _) => Some("unpaired"),
        }
    }
}

impl Comparison {
    /// Whether nothing differs but the time it took.
    pub(crate) fn is_same(&self) -> bool {
        let differs = |it: &MetricPair| {
            let difference = it.difference.as_ref();
            it.name != "seconds" && difference.is_some_and(|it| it.estimate.mean != 0.0)
        };
        let same_stages = self.stages.as_ref().is_none_or(Stages::is_same);
        self.values.is_empty() && same_stages && !self.metrics.iter().any(differs)
    }
}

/// Members to compare, and the names of those that only one side has.
pub(crate) type Pairs<'a> = (Vec<[&'a SideMember; 2]>, [Vec<String>; 2]);

/// The only members of either side, else those of one name.
pub(crate) fn pairs<'a>(a: &'a Side, b: &'a Side) -> Result<Pairs<'a>, Trouble> {
    if let ([one], [other]) = (a.members.as_slice(), b.members.as_slice()) {
        return Ok((vec![[one, other]], Default::default()));
    }
    for (side, other) in [(a, b), (b, a)] {
        if side.members.len() > 1 && other.members.len() == 1 {
            let message = format!("`{}` has {} members", side.name, side.members.len());
            let hint = format!(
                "name one: `--member NAME` or `{}/NAME`, such as `{}/{}`",
                side.name, side.name, side.members[0].name
            );
            return Err(Trouble::wrong(message, hint));
        }
    }
    let find = |side: &'a Side, name: &str| side.members.iter().find(|it| it.name == name);
    let common = a.members.iter().filter_map(|one| Some([one, find(b, &one.name)?])).collect();
    let alone = |side: &'a Side, other: &'a Side| {
        let names = side.members.iter().map(|it| it.name.clone());
        names.filter(|name| find(other, name).is_none()).collect()
    };
    Ok((common, [alone(a, b), alone(b, a)]))
}

/// Compares two members.
pub(crate) fn compare(
    [a, b]: [&Side; 2],
    [one, other]: [&SideMember; 2],
) -> Result<Comparison, Trouble> {
    let known = a.problem.is_none() && b.problem.is_none();
    let stages = known.then(|| compare_stages([a, b], [one, other]));
    let is_same = stages.as_ref().is_some_and(|it| it.equal > 0 && it.is_same());
    Ok(Comparison {
        members: [one.name.clone(), other.name.clone()],
        values: different_values(a.values_of(one), b.values_of(other)),
        metrics: metric_pairs([a, b], [one, other], is_same)?,
        stages,
    })
}

/// The second as if it were planned where the first is stored.
fn compare_stages([a, b]: [&Side; 2], [one, other]: [&SideMember; 2]) -> Stages {
    let mut stages = Stages::default();
    let before = a.stages_of(one);
    let names: BTreeSet<String> = b.stages_of(other).into_iter().map(|it| it.name).collect();
    let gone = before.iter().filter(|stage| !names.contains(&stage.name));
    stages.only[0] = gone.map(|stage| [stage.kind.clone(), stage.name.clone()]).collect();
    let stored = before.iter().map(|stage| stage.key).collect();
    let recipe = |side: &Side, member: &SideMember| side.recipes.get(&member.name).cloned();
    let recipes = Recipes {
        before: recipe(a, one)
            .map(|recipe| before.iter().map(|stage| (stage.key, recipe.clone())).collect())
            .unwrap_or_default(),
        now: recipe(b, other).into_iter().map(|recipe| (other.name.clone(), recipe)).collect(),
    };
    let known = Known { stored, earlier: before, recipes };
    let written = b.values_of(other);
    for (node, standing) in b.graph.nodes().zip(standings(&b.graph, &known)) {
        let kind = node.stage.kind().to_owned();
        match standing.state {
            _ if !node.members.contains(&other.name) => {}
            plan::State::Stored => stages.equal += 1,
            plan::State::Stale => {
                let why =
                    standing.why.sentence(&|key| written.get(key)?.place().map(str::to_owned));
                stages.changed.push([kind, node.name.clone(), why]);
            }
            plan::State::New => stages.only[1].push([kind, node.name.clone()]),
        }
    }
    stages
}

fn different_values(
    mut a: BTreeMap<String, RecordedValue>,
    mut b: BTreeMap<String, RecordedValue>,
) -> Vec<[Option<RecordedValue>; 2]> {
    let keys: BTreeSet<String> = a.keys().chain(b.keys()).cloned().collect();
    let pairs = keys.into_iter().map(|key| [a.remove(&key), b.remove(&key)]);
    let value = |it: &Option<RecordedValue>| it.as_ref().map(|it| it.value.clone());
    pairs.filter(|[one, other]| value(one) != value(other)).collect()
}

fn metric_pairs(
    sides: [&Side; 2],
    members: [&SideMember; 2],
    of_same_stages: bool,
) -> Result<Vec<MetricPair>, Trouble> {
    let names = members.iter().flat_map(|member| member.metrics.iter().map(|it| &it.name));
    let names: indexmap::IndexSet<&String> = names.collect();
    names.into_iter().map(|name| metric_pair(name, sides, members, of_same_stages)).collect()
}

/// Paired by prompt where both answered the same prompts and their answers are there; else as if the
/// two had nothing in common.
fn metric_pair(
    name: &str,
    [a, b]: [&Side; 2],
    [one, other]: [&SideMember; 2],
    of_same_stages: bool,
) -> Result<MetricPair, Trouble> {
    let mut values = [one, other]
        .map(|member| member.metrics.iter().find(|metric| metric.name == *name).cloned());
    let metric = Metric::parse(name).ok();
    let shares = match &metric {
        Some(metric) => [a.shares(one, metric)?, b.shares(other, metric)?],
        None => [None, None],
    };
    if let Some(metric) = metric.as_ref().filter(|metric| metric.is_difference()) {
        for (value, shares) in values.iter_mut().zip(&shares) {
            let paired = shares.as_ref().and_then(|it| metric.over_prompts(&it.list()));
            if let Some((value, paired)) = value.as_mut().zip(paired) {
                value.estimate = paired;
            }
        }
    }
    let difference = values[0].as_ref().zip(values[1].as_ref()).map(|(before, after)| {
        let none = || Difference {
            estimate: Estimate::bare(0.0, 1),
            prompts: None,
            is_of_same_stages: true,
        };
        // Elsewhere the same stages may give something else.
        let is_equal = (before.estimate.mean - after.estimate.mean).abs() < SAME;
        if of_same_stages && is_equal {
            return none();
        }
        let by_prompt = |metric: Metric| {
            let [Some(first), Some(second)] = &shares else { return None };
            if first.stages == second.stages {
                return Some(none());
            }
            let differences = second.less(first)?;
            let estimate = metric.difference_over_prompts(&differences)?;
            let prompts = Some(differences.len());
            Some(Difference { estimate, prompts, is_of_same_stages: false })
        };
        let apart = || {
            let estimate = unpaired(&after.estimate, &before.estimate);
            Difference { estimate, prompts: None, is_of_same_stages: false }
        };
        metric.and_then(by_prompt).unwrap_or_else(apart)
    });
    Ok(MetricPair { name: name.to_owned(), values, difference })
}

impl Shares {
    fn list(&self) -> Vec<i32> {
        self.of_prompt.values().copied().collect()
    }

    /// Prompt by prompt; `None` where the prompts are not the same.
    fn less(&self, other: &Self) -> Option<Vec<i32>> {
        let is_same =
            self.prompts == other.prompts && self.of_prompt.keys().eq(other.of_prompt.keys());
        let pairs = self.of_prompt.values().zip(other.of_prompt.values());
        is_same.then(|| pairs.map(|(own, other)| own - other).collect())
    }
}
