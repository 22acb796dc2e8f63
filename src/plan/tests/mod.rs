//! What planning promises, tested from outside the files of the room.

mod balance;
mod docs;
mod features;
mod keys;
mod methods;
mod mixed;
mod origins;
mod standing;
mod stop;
mod views;

use super::*;
use crate::recipe::{Control, Data, Evaluation, Method, Moment, Recipe, Training, Warmup};

/// A small recipe on the embedded task.
fn quickstart() -> Recipe {
    Recipe {
        name: "quickstart".into(),
        data: Data { prompts: 1200, validation: 400, test: 1000, ..Data::default() },
        warmup: Warmup { prompts: 1000, samples: 4, keep_per_prompt: 2, ..Warmup::default() },
        training: Training { iterations: 2, interval: 0.5, batch_size: 32, ..Training::default() },
        evaluation: Evaluation { pass_samples: 8, ..Evaluation::default() },
        ..Recipe::default()
    }
}

fn with_method(method: Method) -> Recipe {
    let recipe = quickstart();
    Recipe { training: Training { method, ..recipe.training }, ..recipe }
}

fn with_control(recipe: Recipe) -> Recipe {
    Recipe { control: Control { equal_steps: true, ..recipe.control }, ..recipe }
}

fn facts() -> Facts {
    let mini_vista = || "builtin:mini-vista".to_owned();
    Facts {
        prompts: [(mini_vista(), 20_000)].into(),
        demonstrations: [(mini_vista(), 600)].into(),
        files: [("jsonl:rows.jsonl".to_owned(), rows(7))].into(),
        scripts: [("keep.rhai".to_owned(), script(Moment::ALL))].into(),
        ..Facts::default()
    }
}

/// A file of rows with this content.
fn rows(content: u8) -> FilesFacts {
    FilesFacts {
        format: "jsonl".into(),
        path: "rows.jsonl".into(),
        digest: crate::base::Digest::of(&[content]),
        samples: 5000,
    }
}

fn script(moments: impl IntoIterator<Item = Moment>) -> ScriptFacts {
    let (name, text) = ("keep.rhai".to_owned(), "fn keep(candidate) { true }".to_owned());
    ScriptFacts { name, text, moments: moments.into_iter().collect() }
}

fn member(name: &str, recipe: Recipe) -> Member {
    Member { name: name.into(), recipe }
}

fn graph_of(recipe: &Recipe) -> Graph {
    lower(&[member("only", recipe.clone())], &facts())
}

fn node<'a>(graph: &'a Graph, name: &str) -> &'a Node {
    graph.nodes().find(|node| node.name == name).unwrap()
}

fn keys(graph: &Graph) -> std::collections::BTreeSet<crate::base::Key> {
    graph.nodes().map(|node| node.key).collect()
}
