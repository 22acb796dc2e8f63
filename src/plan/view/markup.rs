//! The graph for other programs to draw: Graphviz and Mermaid.

use crate::base::Key;
use crate::plan::{Branch, Node, Outlook, Port, State};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The graph in Graphviz's language. Every edge is there, named after its port.
pub fn dot(outlook: &Outlook<'_>) -> String {
    let mut out = String::from(
        "digraph plan {\n  rankdir = LR;\n  node [shape = box, style = rounded, \
         fontname = \"sans-serif\"];\n  edge [fontname = \"sans-serif\", fontsize = 9];\n",
    );
    let ids = ids(outlook);
    for stage in outlook.stages() {
        let (id, name, state) = (ids[&stage.node.key], &stage.node.name, stage.standing.state);
        let style = match state {
            State::Stored => "rounded, bold",
            State::New => "rounded",
            State::Stale => "rounded, dashed",
        };
        line(
            &mut out,
            format_args!("  s{id} [label = \"{name}\\n{state}\", style = \"{style}\"];"),
        );
    }
    for node in outlook.graph.nodes() {
        for (port, from) in &node.inputs {
            let (from, to) = (ids[from], ids[&node.key]);
            line(&mut out, format_args!("  s{from} -> s{to} [label = \"{port}\"];"));
        }
    }
    out.push_str("}\n");
    out
}

/// The graph in Mermaid's language, which code hosts draw. The prompts, which nearly every stage
/// reads, are left out: with their lines nothing else could be seen.
pub fn mermaid(outlook: &Outlook<'_>) -> String {
    let mut out = String::from("flowchart LR\n");
    let ids = ids(outlook);
    let mut branches: BTreeMap<Branch, Vec<(&Node, State)>> = BTreeMap::new();
    for stage in outlook.stages() {
        let list = branches.entry(stage.node.role.branch).or_default();
        list.push((stage.node, stage.standing.state));
    }
    for (branch, nodes) in branches {
        let (id, title) = (branch.name(), branch.title());
        line(&mut out, format_args!("  subgraph {id}[\"{title}\"]"));
        for (node, state) in nodes {
            let (id, name) = (ids[&node.key], &node.name);
            line(&mut out, format_args!("    s{id}[\"{name}<br>{state}\"]:::{state}"));
        }
        out.push_str("  end\n");
    }
    for node in outlook.graph.nodes() {
        for (port, from) in &node.inputs {
            let (from, to) = (ids[from], ids[&node.key]);
            match port {
                Port::Prompts | Port::Hooks | Port::Features | Port::Stop => {}
                Port::StepsOf | Port::After => {
                    line(&mut out, format_args!("  s{from} -. {port} .-> s{to}"));
                }
                Port::Hidden
                | Port::Policy
                | Port::Optimizer
                | Port::Rollouts
                | Port::Labels
                | Port::RewardModel
                | Port::Scores
                | Port::Search
                | Port::Temperature
                | Port::Evaluated
                | Port::Monitored
                | Port::Selected => {
                    line(&mut out, format_args!("  s{from} -- {port} --> s{to}"));
                }
            }
        }
    }
    out.push_str("  classDef stored stroke-width:2px\n");
    out.push_str("  classDef new stroke-width:1px\n");
    out.push_str("  classDef stale stroke-dasharray:4 3\n");
    out
}

/// Numbers in the order of the graph: shorter than keys, and the same for the same graph.
fn ids(outlook: &Outlook<'_>) -> BTreeMap<Key, usize> {
    outlook.graph.nodes().enumerate().map(|(index, node)| (node.key, index)).collect()
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(out, "{text}").expect("a string takes any text");
}
