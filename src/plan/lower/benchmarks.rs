//! Benchmarks: each prepared once, looked for among the recipe's prompts, and evaluated on whenever the
//! splits of the recipe's data are.

use super::{Lowering, Policy};
use crate::base::Key;
use crate::plan::{Branch, Evaluate, Loading, Overlap, Port, Prepare, Split, Stage};
use crate::recipe::{DataColumns, Moment, OnBadSample, benchmark_name};

impl Lowering<'_> {
    /// Prepares every benchmark. They are what they are: no seed enters their keys.
    pub(super) fn prepare_benchmarks(&mut self) -> Vec<(String, Key)> {
        let names = &self.member.recipe.data.benchmarks;
        let prepared = names.iter().map(|name| {
            let files = self.facts.files.get(name);
            let loading = files.map(|files| Loading {
                path: files.path.clone(),
                digest: files.digest,
                columns: DataColumns::default(),
                on_bad_sample: OnBadSample::Fail,
            });
            let known = || self.facts.benchmarks.get(name).copied().unwrap_or(0);
            let source = files.map_or(name, |files| &files.format).clone();
            let stage = Stage::Prepare(Prepare {
                source: source.clone(),
                loading,
                seed: 0,
                prompts: 0,
                validation: 0,
                test: files.map_or_else(known, |files| files.samples),
                demonstrations: 0,
                labelled: None,
            });
            let label = format!("prepare {source}");
            (source, self.add(stage, label, (Branch::Ground, 0), &[]))
        });
        prepared.collect()
    }

    /// Looks for the questions of each among the prompts, which nothing waits for.
    pub(super) fn look_for_benchmarks(&mut self, prompts: Key) {
        for (name, questions) in self.benchmarks.clone() {
            let inputs = [(Port::Prompts, prompts), (Port::Benchmark, questions)];
            let label = format!("overlap {name}");
            let stage = Stage::Overlap(Overlap { benchmark: name });
            self.add(stage, label, (Branch::Ground, 0), &inputs);
        }
    }

    /// Measures a policy on each of them.
    pub(super) fn evaluate_on_benchmarks(
        &mut self,
        policy: Policy,
        label: &str,
        at: (Branch, u32),
    ) {
        let recipe = &self.member.recipe;
        for (name, prompts) in self.benchmarks.clone() {
            let stage = Stage::Evaluate(Evaluate {
                split: Split::Test,
                benchmark: Some(name.clone()),
                max_new_tokens: recipe.exploration.max_new_tokens,
                dtype: recipe.policy.dtype,
                // What answers and what is right are the benchmark's to say.
                hooks: self.calls(&[Moment::Prompt, Moment::Metric]),
            });
            let inputs = [(Port::Policy, policy.key), (Port::Prompts, prompts)];
            let short = benchmark_name(&name);
            self.add(stage, format!("evaluate {label} {short}"), at, &inputs);
        }
    }
}
