//! Where stages stand in a drawing: a column for each iteration, a row for each kind, the control
//! in rows of its own below the evolution.
//!
//! Stages of a grid that stand in the same place share a cell, so that a drawing stays as large as
//! one recipe whatever the number of members.

use crate::base::Key;
use crate::plan::{Branch, Graph, Node, Port, Split, Stage};
use std::collections::{BTreeMap, BTreeSet};

/// Parts of a drawing from top to bottom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    /// What there is once: models and prompts.
    Source,
    /// What trains the reward model.
    Reward,
    /// The searches for a temperature.
    Search,
    /// The warm-up and, beside it, the iterations.
    Evolution,
    /// The equal-steps control.
    Control,
}

/// A row: its lane, its place there, and what is written before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    pub(super) lane: Lane,
    order: u8,
    pub(super) title: &'static str,
}

impl Row {
    fn of(node: &Node) -> Self {
        let (order, title) = match &node.stage {
            Stage::Import(_) => (0, "import"),
            Stage::Hooks(_) => (0, "hooks"),
            Stage::Pretrain(_) => (1, "pretrain"),
            Stage::Prepare(options) if options.demonstrations > 0 => (3, "demonstrations"),
            Stage::Prepare(_) => (2, "prepare"),
            Stage::Hide(_) => (3, "hide"),
            Stage::Features(_) => (3, "features"),
            Stage::Explore(_) => (4, "explore"),
            Stage::Label(_) => (5, "label"),
            Stage::TrainReward(_) => (6, "train reward"),
            Stage::Score(_) => (7, "score"),
            Stage::Select(_) => (8, "select"),
            Stage::Train(_) => (9, "train"),
            Stage::Evaluate(options) => match options.split {
                Split::Validation => (10, "evaluate"),
                Split::Test => (11, "evaluate test"),
            },
            Stage::Monitor(_) => (12, "monitor"),
            Stage::Agreement(_) => (14, "agreement"),
            Stage::Balance(_) => (13, "balance"),
            Stage::Stop(_) => (14, "stop"),
        };
        let lane = match (order, node.role.branch) {
            (..4, _) => Lane::Source,
            (_, Branch::Ground | Branch::Evolution) => Lane::Evolution,
            (_, Branch::Control) => Lane::Control,
            (_, Branch::Reward) => Lane::Reward,
            (_, Branch::Search) => Lane::Search,
        };
        Self { lane, order, title }
    }
}

/// A place by the indices of its row and column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cell {
    pub(super) row: usize,
    pub(super) column: usize,
}

/// A line from the first cell to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Line {
    pub(super) from: Cell,
    pub(super) to: Cell,
    /// Whether nothing but a number of steps passes along it.
    pub(super) is_count: bool,
}

/// All stages in their places.
pub(super) struct Places<'a> {
    pub(super) rows: Vec<Row>,
    /// Columns are iterations, from 0.
    pub(super) columns: usize,
    pub(super) cells: BTreeMap<Cell, Vec<&'a Node>>,
    pub(super) lines: Vec<Line>,
}

impl<'a> Places<'a> {
    pub(super) fn of(graph: &'a Graph) -> Self {
        let rows: Vec<Row> =
            graph.nodes().map(Row::of).collect::<BTreeSet<_>>().into_iter().collect();
        let cell_of = |node: &Node| Cell {
            row: rows.binary_search(&Row::of(node)).expect("made of the same nodes"),
            column: node.role.iteration as usize,
        };
        let mut cells: BTreeMap<Cell, Vec<&Node>> = BTreeMap::new();
        let mut at: BTreeMap<Key, Cell> = BTreeMap::new();
        for node in graph.nodes() {
            let cell = cell_of(node);
            cells.entry(cell).or_default().push(node);
            at.insert(node.key, cell);
        }
        let mut lines: BTreeMap<(Cell, Cell), bool> = BTreeMap::new();
        for node in graph.nodes() {
            let is_drawn =
                |port: &Port| !matches!(port, Port::Prompts | Port::Features | Port::Stop);
            for (port, from) in node.inputs.iter().filter(|(port, _)| is_drawn(port)) {
                let is_count = matches!(port, Port::StepsOf | Port::After);
                let only_counts = lines.entry((at[from], at[&node.key])).or_insert(true);
                *only_counts &= is_count;
            }
        }
        let columns = cells.keys().map(|cell| cell.column + 1).max().unwrap_or(0);
        let lines = lines
            .into_iter()
            .filter(|((from, to), _)| from != to)
            .map(|((from, to), is_count)| Line { from, to, is_count })
            .collect();
        Self { rows, columns, cells, lines }
    }

    /// Whether a box stands between two cells of one column.
    pub(super) fn is_blocked(&self, line: Line) -> bool {
        let (top, bottom) = (line.from.row.min(line.to.row), line.from.row.max(line.to.row));
        (top + 1..bottom).any(|row| self.cells.contains_key(&Cell { row, column: line.to.column }))
    }
}
