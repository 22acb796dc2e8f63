//! The graph as SVG, for light and dark pages. What is written into a box is the caller's: states
//! for a plan, times for a report.

use super::place::{Cell, Lane, Line, Places};
use crate::base::{Key, counted};
use crate::plan::{Graph, Node, Outlook, Planned, State};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Width that a drawing tries to fill, in pixels, as all lengths here.
const WIDTH: f64 = 1280.0;
const MARGIN: f64 = 24.0;
/// For the titles of the rows.
const GUTTER: f64 = 118.0;
const BOX_HEIGHT: f64 = 28.0;
const ROW_GAP: f64 = 14.0;
/// Between lanes, and for the numbers of the iterations.
const LANE_GAP: f64 = 46.0;
/// Between the warm-up and the first iteration.
const GROUND_GAP: f64 = 44.0;
/// Around the boxes of a lane.
const PADDING: f64 = 14.0;
/// Height of a line of them.
const FOOTNOTE: f64 = 16.0;
const NARROWEST_BOX: f64 = 46.0;
/// Of a character in a box, about.
const CHARACTER: f64 = 6.4;
const WIDEST_BOX: f64 = 96.0;

const STYLE: &str = "\
.mstar-graph{--paper:#ffffff;--ink:#1d2330;--faint:#667085;--line:#98a2b3;--band:#f5f6f9;\
--done:#e1f4e7;--done-edge:#2e8b4f;--open:#ffffff;--open-edge:#3f6fd1;--worn:#fdf1d8;\
--worn-edge:#b0741a;--bad:#fde5e4;--bad-edge:#c4372f;\
font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;font-size:11px}\
@media(prefers-color-scheme:dark){.mstar-graph{--paper:#13161c;--ink:#e7eaf0;--faint:#98a2b3;\
--line:#5d6778;--band:#1b1f27;--done:#16321f;--done-edge:#58c383;--open:#13161c;\
--open-edge:#7ea6ff;--worn:#392b10;--worn-edge:#e0aa4c;--bad:#3b1a1b;--bad-edge:#f0817a}}\
.mstar-graph .paper{fill:var(--paper)}.mstar-graph .band{fill:var(--band)}\
.mstar-graph text{fill:var(--ink)}.mstar-graph .faint{fill:var(--faint)}\
.mstar-graph .title{font-size:17px;font-weight:600}.mstar-graph .subtitle{font-size:12.5px}\
.mstar-graph .lane{font-size:11px;font-weight:600;letter-spacing:.04em}\
.mstar-graph .line{fill:none;stroke:var(--line);stroke-width:1.3;stroke-linejoin:round}\
.mstar-graph .count{stroke-dasharray:2 3}.mstar-graph .head{fill:var(--line)}\
.mstar-graph .box{stroke-width:1.3}\
.mstar-graph .done .box{fill:var(--done);stroke:var(--done-edge)}\
.mstar-graph .open .box{fill:var(--open);stroke:var(--open-edge)}\
.mstar-graph .worn .box{fill:var(--worn);stroke:var(--worn-edge);stroke-dasharray:5 2.5}\
.mstar-graph .bad .box{fill:var(--bad);stroke:var(--bad-edge);stroke-width:2.2}";

/// How a box looks. Its text says the same in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Its artifact is there.
    Done,
    /// It has not run.
    Open,
    /// An earlier form of it has run.
    Worn,
    /// It failed.
    Bad,
}

impl Tone {
    fn class(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Open => "open",
            Self::Worn => "worn",
            Self::Bad => "bad",
        }
    }
}

/// What is written into a box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// A word or a time: about seven characters fit when there are many iterations, and more are
    /// squeezed.
    pub text: String,
    /// Shown where the pointer rests; empty for none.
    pub hint: String,
    /// How the box looks.
    pub tone: Tone,
}

/// A graph with its heading.
#[derive(Clone, Copy, Debug)]
pub struct Drawing<'a> {
    /// What is drawn.
    pub graph: &'a Graph,
    /// The heading.
    pub title: &'a str,
    /// One sentence below it.
    pub subtitle: &'a str,
}

/// The drawing. `label` is asked once for each box, with the stages that stand in it: one, or in a
/// grid one for each form that the stage takes among the members.
pub fn svg(drawing: Drawing<'_>, label: impl Fn(&[&Node]) -> Label) -> String {
    let places = Places::of(drawing.graph);
    let canvas = Canvas::new(&places);
    let mut out = String::new();
    let (width, height) = (canvas.width(), canvas.height());
    write(
        &mut out,
        format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"mstar-graph\" viewBox=\"0 0 {width} \
         {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" aria-label=\"{}\">\n\
         <style>{STYLE}</style>\n\
         <defs><marker id=\"mstar-head\" viewBox=\"0 0 6 6\" refX=\"5.4\" refY=\"3\" \
         markerWidth=\"5.5\" markerHeight=\"5.5\" orient=\"auto\"><path class=\"head\" \
         d=\"M0 0L6 3L0 6z\"/></marker></defs>\n\
         <rect class=\"paper\" width=\"{width}\" height=\"{height}\"/>",
            escaped(drawing.title)
        ),
    );
    canvas.heading(&mut out, drawing);
    canvas.lanes(&mut out);
    for line in &places.lines {
        let class = if line.is_count { "line count" } else { "line" };
        write(
            &mut out,
            format_args!(
                "<path class=\"{class}\" marker-end=\"url(#mstar-head)\" d=\"{}\"/>",
                canvas.route(*line)
            ),
        );
    }
    for (cell, nodes) in &places.cells {
        canvas.draw_box(&mut out, *cell, nodes, &label(nodes));
    }
    canvas.footnotes(&mut out);
    out.push_str("</svg>\n");
    out
}

/// The drawing of a plan, with states in the boxes.
pub fn plan_svg(title: &str, outlook: &Outlook<'_>) -> String {
    let stages: BTreeMap<Key, Planned<'_>> =
        outlook.stages().map(|stage| (stage.node.key, stage)).collect();
    let totals = outlook.totals();
    let count = |state| stages.values().filter(|stage| stage.standing.state == state).count();
    let mut parts = vec![match outlook.members.len() {
        0 | 1 => counted(totals.unique, "stage"),
        members => {
            format!("{members} members, {} after sharing", counted(totals.unique, "stage"))
        }
    }];
    for state in [State::Stored, State::New, State::Stale] {
        if count(state) > 0 {
            parts.push(format!("{} {state}", count(state)));
        }
    }
    let subtitle = parts.join(" · ");
    svg(Drawing { graph: outlook.graph, title, subtitle: &subtitle }, |nodes| {
        state_label(nodes, &stages)
    })
}

fn state_label(nodes: &[&Node], stages: &BTreeMap<Key, Planned<'_>>) -> Label {
    let states: Vec<State> = nodes.iter().map(|node| stages[&node.key].standing.state).collect();
    let worst = states.iter().copied().max().unwrap_or(State::New);
    let tone = match worst {
        State::Stored => Tone::Done,
        State::New => Tone::Open,
        State::Stale => Tone::Worn,
    };
    let left = states.iter().filter(|state| **state != State::Stored).count();
    let text = match nodes {
        [_] => worst.to_string(),
        _ if states.iter().all(|state| *state == worst) => format!("{} {worst}", nodes.len()),
        _ => format!("{left} to run"),
    };
    let hint = match nodes {
        [node] => stages[&node.key].why(),
        _ => format!("{} stages, {left} to run", nodes.len()),
    };
    Label { text, hint, tone }
}

/// Places in pixels.
struct Canvas<'a> {
    places: &'a Places<'a>,
    /// Upper edge of each row.
    tops: Vec<f64>,
    box_width: f64,
    gap: f64,
    footnotes: Vec<&'static str>,
}

impl<'a> Canvas<'a> {
    fn new(places: &'a Places<'a>) -> Self {
        let mut tops = Vec::new();
        let mut top = MARGIN + PADDING;
        let mut lane = None;
        for row in &places.rows {
            if lane.is_some_and(|lane| lane != row.lane) {
                top += LANE_GAP - ROW_GAP;
            } else if lane.is_none() && row.lane != Lane::Source {
                top += LANE_GAP;
            }
            lane = Some(row.lane);
            tops.push(top);
            top += BOX_HEIGHT + ROW_GAP;
        }
        let columns = places.columns.max(1) as f64;
        let free = WIDTH - 2.0 * MARGIN - GUTTER - 2.0 * PADDING - GROUND_GAP;
        let pitch = (free / columns).clamp(NARROWEST_BOX + 15.0, WIDEST_BOX + 28.0).floor();
        let gap = (pitch - NARROWEST_BOX).clamp(15.0, 28.0);
        Self { places, tops, box_width: pitch - gap, gap, footnotes: footnotes(places) }
    }

    fn left(&self, column: usize) -> f64 {
        let first = MARGIN + GUTTER + PADDING;
        match column {
            0 => first,
            _ => first + column as f64 * (self.box_width + self.gap) + GROUND_GAP - self.gap,
        }
    }

    fn right(&self, column: usize) -> f64 {
        self.left(column) + self.box_width
    }

    fn top(&self, row: usize) -> f64 {
        self.tops[row]
    }

    fn middle(&self, row: usize) -> f64 {
        self.tops[row] + BOX_HEIGHT / 2.0
    }

    fn bottom(&self, row: usize) -> f64 {
        self.tops[row] + BOX_HEIGHT
    }

    fn width(&self) -> f64 {
        // Room for the heading beside a graph of few columns.
        let columns = self.places.columns.max(1);
        (self.right(columns - 1) + PADDING + MARGIN).max(760.0)
    }

    fn height(&self) -> f64 {
        self.tops.last().map_or(0.0, |top| top + BOX_HEIGHT)
            + PADDING
            + 8.0
            + FOOTNOTE * self.footnotes.len() as f64
            + MARGIN
    }

    /// First and last row of a lane.
    fn rows(&self, lane: Lane) -> Option<(usize, usize)> {
        let is_in = |row: &super::place::Row| row.lane == lane;
        let rows = &self.places.rows;
        Some((rows.iter().position(is_in)?, rows.iter().rposition(is_in)?))
    }

    fn heading(&self, out: &mut String, drawing: Drawing<'_>) {
        let left = self.left(1) - PADDING;
        let lines = [("title", drawing.title, 22.0), ("subtitle faint", drawing.subtitle, 44.0)];
        for (class, text, down) in lines {
            let y = MARGIN + down;
            let text = escaped(text);
            write(
                out,
                format_args!("<text class=\"{class}\" x=\"{left}\" y=\"{y}\">{text}</text>"),
            );
        }
    }

    /// Bands behind the boxes, names of lanes, rows and iterations.
    fn lanes(&self, out: &mut String) {
        let last_column = self.places.columns.saturating_sub(1);
        let source = self.rows(Lane::Source);
        if let Some((first, last)) = source.or(self.rows(Lane::Evolution)) {
            let last = self.rows(Lane::Evolution).map_or(last, |(_, last)| last);
            self.band(out, (0, 0), (first, last));
        }
        for (lane, name) in [
            (Lane::Reward, "reward model"),
            (Lane::Search, "search for a temperature"),
            (Lane::Evolution, "evolution"),
            (Lane::Control, "equal-steps control"),
        ] {
            let Some((first, last)) = self.rows(lane) else { continue };
            let y = self.top(first) - PADDING - 8.0;
            write(
                out,
                format_args!("<text class=\"lane faint\" x=\"{MARGIN}\" y=\"{y}\">{name}</text>"),
            );
            if last_column > 0 {
                self.band(out, (1, last_column), (first, last));
            }
            let first_column = usize::from(matches!(lane, Lane::Control | Lane::Search));
            for column in first_column..=last_column {
                let x = self.left(column) + self.box_width / 2.0;
                let name = self.column_name(column);
                write(
                    out,
                    format_args!(
                        "<text class=\"lane faint\" x=\"{x}\" y=\"{y}\" \
                         text-anchor=\"middle\">{name}</text>"
                    ),
                );
            }
        }
        for (index, row) in self.places.rows.iter().enumerate() {
            let (x, y) = (MARGIN, self.middle(index) + 4.0);
            write(
                out,
                format_args!("<text class=\"faint\" x=\"{x}\" y=\"{y}\">{}</text>", row.title),
            );
        }
    }

    fn column_name(&self, column: usize) -> String {
        match column {
            0 => "start".into(),
            1 if self.box_width > 80.0 => "iteration 1".into(),
            _ => column.to_string(),
        }
    }

    fn band(&self, out: &mut String, columns: (usize, usize), rows: (usize, usize)) {
        let (x, y) = (self.left(columns.0) - PADDING, self.top(rows.0) - PADDING);
        let width = self.right(columns.1) + PADDING - x;
        let height = self.bottom(rows.1) + PADDING - y;
        write(
            out,
            format_args!(
                "<rect class=\"band\" x=\"{x}\" y=\"{y}\" width=\"{width}\" \
                 height=\"{height}\" rx=\"10\"/>"
            ),
        );
    }

    fn draw_box(&self, out: &mut String, cell: Cell, nodes: &[&Node], label: &Label) {
        let (x, y, width) = (self.left(cell.column), self.top(cell.row), self.box_width);
        let name = nodes.first().map_or("", |node| node.name.as_str());
        let hint = if label.hint.is_empty() { "" } else { ": " };
        let needed = label.text.chars().count() as f64 * CHARACTER;
        let squeeze = match width - 6.0 {
            free if needed > free => {
                format!(" textLength=\"{free}\" lengthAdjust=\"spacingAndGlyphs\"")
            }
            _ => String::new(),
        };
        write(
            out,
            format_args!(
                "<g class=\"{}\"><title>{}{hint}{}</title><rect class=\"box\" x=\"{x}\" y=\"{y}\" \
             width=\"{width}\" height=\"{BOX_HEIGHT}\" rx=\"6\"/><text x=\"{}\" y=\"{}\" \
             text-anchor=\"middle\"{squeeze}>{}</text></g>",
                label.tone.class(),
                escaped(name),
                escaped(&label.hint),
                x + width / 2.0,
                self.middle(cell.row) + 4.0,
                escaped(&label.text)
            ),
        );
    }

    /// The way of a line: down to the next box, along a rail beside the column, across one gap, or
    /// through the channel above the target's row.
    fn route(&self, line: Line) -> String {
        let Line { from, to, is_count } = line;
        let (from_y, to_y) = (self.middle(from.row), self.middle(to.row));
        let (from_right, to_left) = (self.right(from.column), self.left(to.column));
        let is_same_lane = self.places.rows[from.row].lane == self.places.rows[to.row].lane;
        if from.column == to.column && is_count && !is_same_lane {
            let (rail, top) = (from_right + self.gap * 0.3, self.top(to.row));
            let (channel, x) = (top - PADDING * 0.8, to_left + self.box_width / 2.0);
            return format!("M{from_right} {from_y}H{rail}V{channel}H{x}V{top}");
        }
        if from.column == to.column && !self.places.is_blocked(line) {
            let x = self.left(from.column) + self.box_width / 2.0;
            let (begin, end) = (self.bottom(from.row), self.top(to.row));
            return format!("M{x} {begin}V{end}");
        }
        if from.column == to.column {
            // What comes from the models runs apart from what comes from a training stage.
            let is_source = self.places.rows[from.row].lane == Lane::Source;
            let rail = to_left - if is_source { 11.0 } else { self.gap * 0.35 };
            let (x, begin) = (to_left + 10.0, self.bottom(from.row));
            let turn = begin + ROW_GAP * 0.4;
            return format!("M{x} {begin}V{turn}H{rail}V{to_y}H{to_left}");
        }
        let is_next = to.column == from.column + 1;
        let space = if from.column == 0 { GROUND_GAP } else { self.gap };
        if is_next && is_same_lane {
            let turn = from_right + space / 2.0;
            return format!("M{from_right} {from_y}H{turn}V{to_y}H{to_left}");
        }
        let rail = from_right + space * 0.3;
        let channel = match (is_same_lane, self.rows(self.places.rows[to.row].lane)) {
            (false, Some((first, _))) => self.top(first) - PADDING * 0.4,
            _ => self.top(to.row) - ROW_GAP / 2.0,
        };
        let entry = to_left - self.gap * 0.5;
        format!("M{from_right} {from_y}H{rail}V{channel}H{entry}V{to_y}H{to_left}")
    }

    fn footnotes(&self, out: &mut String) {
        let first = self.height() - MARGIN - FOOTNOTE * (self.footnotes.len() as f64 - 1.0);
        for (index, text) in self.footnotes.iter().enumerate() {
            let y = first + FOOTNOTE * index as f64;
            write(
                out,
                format_args!("<text class=\"faint\" x=\"{MARGIN}\" y=\"{y}\">{text}</text>"),
            );
        }
    }
}

/// What has to be known to read the drawing.
fn footnotes(places: &Places<'_>) -> Vec<&'static str> {
    let mut notes = Vec::new();
    if places.rows.iter().any(|row| row.title == "prepare") {
        notes.push("Lines from prepare, which nearly every stage reads, are left out.");
    }
    if places.lines.iter().any(|line| line.is_count) {
        notes.push("Along dotted lines only a number of steps is read.");
    }
    if places.cells.values().any(|nodes| nodes.len() > 1) {
        notes.push("A box stands for all forms that a stage takes among the members.");
    }
    notes
}

fn write(out: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(out, "{text}").expect("a string takes any text");
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // XML forbids these even when escaped.
            control if control.is_control() => out.push(' '),
            other => out.push(other),
        }
    }
    out
}
