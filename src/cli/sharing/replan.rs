//! Planning a run again from what its record froze, to see that one follows from the other.

use crate::base::Digest;
use crate::cli::planning::{self, PlannedGraph};
use crate::hooks::Script;
use crate::plan::{self, Facts, Graph, Known, Member, ScriptFacts, standings};
use crate::recipe::Method;
use std::collections::BTreeMap;

/// Stages that are named when many differ.
const NAMED: usize = 4;

impl PlannedGraph {
    /// The graph that its recipes and scripts lead to now, if it is the one that was frozen.
    ///
    /// # Errors
    /// Why it cannot be planned, or what is different.
    pub(super) fn replan(&self) -> Result<Graph, String> {
        let graph = self.lowered(self.models())?;
        self.compare(&graph)?;
        Ok(graph)
    }

    /// The graph that its recipes and scripts lead to now, with checkpoints of these digests.
    pub(super) fn lowered(&self, models: BTreeMap<String, Digest>) -> Result<Graph, String> {
        self.graph.check().map_err(|mismatch| format!("the graph is none: {mismatch}"))?;
        if self.recipes.len() != self.members.len() || self.members.is_empty() {
            return Err("an older mstar recorded it, without the recipes of its members".to_owned());
        }
        let recipes = self.recipes.recipes();
        let recipes = recipes.map_err(|error| format!("a recipe cannot be read: {error}"))?;
        let names = self.members.iter().map(|member| member.name.clone());
        let members: Vec<Member> =
            names.zip(recipes).map(|(name, recipe)| Member { name, recipe }).collect();
        self.refuse_growth(&members)?;
        let mut scripts = BTreeMap::new();
        for (path, text) in &self.scripts {
            let script = Script::compile(path, text)
                .map_err(|error| format!("script `{path}` does not compile: {}", error.message))?;
            let (name, text) = (script.name().to_owned(), script.text().to_owned());
            let facts = ScriptFacts { name, text, moments: script.moments() };
            scripts.insert(path.clone(), facts);
        }
        let mut facts = Facts { scripts, files: self.files.clone(), ..planning::facts() };
        facts.models.extend(models);
        Ok(plan::lower(&members, &facts))
    }

    /// A recipe of a few bytes may ask for any number of iterations, and each is a stage at least;
    /// planning is to cost no more than what was read.
    fn refuse_growth(&self, members: &[Member]) -> Result<(), String> {
        let mut stages: BTreeMap<&str, u64> = BTreeMap::new();
        for member in self.graph.nodes().flat_map(|node| &node.members) {
            *stages.entry(member).or_default() += 1;
        }
        let asks = |member: &&Member| {
            let training = &member.recipe.training;
            let iterations = if training.method == Method::Sft { 1 } else { training.iterations };
            u64::from(iterations) > stages.get(member.name.as_str()).copied().unwrap_or(0)
        };
        match members.iter().find(asks) {
            Some(member) => {
                Err(format!("the recipe of `{}` asks for more than its stages do", member.name))
            }
            None => Ok(()),
        }
    }

    fn compare(&self, now: &Graph) -> Result<(), String> {
        if self.graph == *now {
            return Ok(());
        }
        let stored = self.stages.iter().map(|stage| stage.key).collect();
        let known = Known { stored, earlier: self.stages.clone(), ..Known::default() };
        let standings = standings(now, &known);
        let different: Vec<String> = now
            .nodes()
            .zip(standings)
            .filter(|(node, _)| self.graph.get(node.key).is_none_or(|before| before != *node))
            .map(|(node, standing)| match self.graph.get(node.key) {
                Some(before) if before.stage != node.stage || before.inputs != node.inputs => {
                    format!("`{}` is not what its key says", node.name)
                }
                Some(_) => format!("`{}` has another name, place or members", node.name),
                None => format!("`{}`: {}", node.name, standing.why.sentence(&|_| None)),
            })
            .collect();
        let gone = self.graph.nodes().filter(|node| now.get(node.key).is_none()).count();
        let named = different.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
        let more = match different.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        Err(match different.is_empty() {
            true => format!("{gone} stages do not follow from the recipe"),
            false => format!("stages do not follow from the recipe: {named}{more}"),
        })
    }
}
