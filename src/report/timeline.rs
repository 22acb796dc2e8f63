//! Where the time went: one lane a worker, one bar for each stretch that it had a stage in hand.

use super::chart::Svg;
use super::figures::Figure;
use super::model::{StageRow, State, Study};
use super::numbers::ticks;
use super::sections::time;
use crate::base::Duration;
use std::collections::BTreeSet;

/// Width of the drawing and of the names of lanes in it.
const WIDTH: f64 = 820.0;
const LEFT: f64 = 84.0;
/// Height of a lane and of a bar in it.
const LANE: f64 = 40.0;
const BAR: f64 = 26.0;
/// The longest bars that are drawn; a grid has thousands that nobody could see.
const BARS_DRAWN: usize = 1500;

/// The figure; `None` when no stage ran.
pub(super) fn figure(study: &Study) -> Option<Figure> {
    let spans =
        || study.stages.iter().flat_map(|row| row.spans.iter().map(move |span| (row, *span)));
    let lanes: BTreeSet<u32> = spans().map(|(_, (worker, _, _))| worker).collect();
    let end = spans().map(|(_, (_, _, to))| to).max()? as f64 / 1e3;
    let scale = ticks(end.max(1.0), 8);
    let right = WIDTH - 4.0;
    let x = |seconds: f64| LEFT + (right - LEFT) * seconds / end.max(1e-3);
    let bottom = 8.0 + LANE * lanes.len() as f64;
    let mut svg = Svg::open(WIDTH, bottom + 30.0, "stages by worker against time");
    for &tick in scale.iter().filter(|tick| **tick <= end) {
        svg.line((x(tick), 4.0), (x(tick), bottom), if tick == 0.0 { "axis" } else { "grid" });
        let anchor = if tick == 0.0 { "tick" } else { "tick middle" };
        svg.text(x(tick), bottom + 18.0, anchor, &tick_name(tick, scale[1]));
    }
    for (lane, worker) in lanes.iter().enumerate() {
        let middle = 8.0 + LANE * (lane as f64 + 0.5);
        svg.text(0.0, middle + 4.5, "tick", &format!("worker {worker}"));
    }
    let mut drawn: Vec<_> = spans().collect();
    drawn.sort_by_key(|(_, (_, from, to))| std::cmp::Reverse(to - from));
    let left_out = drawn.len().saturating_sub(BARS_DRAWN);
    drawn.truncate(BARS_DRAWN);
    // In the order of time, so that the arrow keys walk along it.
    drawn.sort_by_key(|(_, (worker, from, _))| (*worker, *from));
    for (row, (worker, from, to)) in drawn {
        let lane = lanes.range(..worker).count() as f64;
        let (from, to) = (from as f64 / 1e3, to as f64 / 1e3);
        let at = (x(from), 8.0 + LANE * lane + (LANE - BAR) / 2.0);
        let width = (x(to) - x(from)).max(1.0);
        let failed = if matches!(row.state, State::Failed { .. }) { " failed" } else { "" };
        let class = format!("bar {}{failed}", kind_class(&row.summary.kind));
        svg.bar(at, (width, BAR), &class, &tip(row, to - from));
        let name = short_name(row);
        if width > name.chars().count() as f64 * 7.2 + 8.0 {
            svg.text(at.0 + width / 2.0, at.1 + BAR / 2.0 + 4.5, "in-bar middle", &name);
        }
    }
    let saved = super::tower::sentence(study);
    Some(Figure {
        id: "fig-time".into(),
        title: "Where the time went".into(),
        caption: format!(
            "{} of work; each bar is a stage, from when a worker first had a part of it to when \
             none had any more, coloured by kind. Pauses between sittings are left out; stages \
             found in the store took no time.{}{}",
            Duration(study.seconds),
            if left_out > 0 {
                format!(" The {left_out} shortest are not drawn.")
            } else {
                String::new()
            },
            saved.map_or_else(String::new, |saved| format!(" With stored features {saved}."))
        ),
        body: format!("{}{}", legend(study), svg.close()),
        table: time(study),
    })
}

/// What is said of a bar so long. While its parts waited for those of others a stage took no time.
fn tip(row: &StageRow, seconds: f64) -> String {
    let time = Duration(if row.spans.len() == 1 { row.seconds } else { seconds });
    match &row.state {
        State::Failed { reason, .. } => {
            format!("{}: failed after {time}: {reason}", row.summary.name)
        }
        State::Done => format!("{}: {time}", row.summary.name),
        state => format!("{}: {} after {time}", row.summary.name, state.word()),
    }
}

/// A name that fits a bar: the iteration for what repeats, since colour and legend say the kind.
fn short_name(row: &StageRow) -> String {
    match (row.summary.kind.as_str(), row.summary.iteration) {
        ("explore" | "train" | "score" | "label", iteration) if iteration > 0 => {
            iteration.to_string()
        }
        _ => row.summary.name.clone(),
    }
}

/// A time on the axis, whose ticks lie `step` seconds apart.
fn tick_name(seconds: f64, step: f64) -> String {
    match seconds {
        0.0 => "0".into(),
        seconds if seconds < 120.0 => {
            let decimals = (-step.log10().floor()).max(0.0) as usize;
            format!("{seconds:.decimals$} s")
        }
        seconds if seconds < 7200.0 => format!("{:.1} min", seconds / 60.0).replace(".0", ""),
        seconds => format!("{:.1} h", seconds / 3600.0).replace(".0", ""),
    }
}

fn legend(study: &Study) -> String {
    let mut legend = String::from(r#"<ul class="legend">"#);
    for kind in study.time_by_kind().iter().filter(|kind| kind.ran > 0) {
        legend.push_str(r#"<li><span class="swatch "#);
        legend.push_str(kind_class(&kind.kind));
        legend.push_str(r#""></span>"#);
        legend.push_str(&super::chart::escape(&kind.kind));
        legend.push_str("</li>");
    }
    legend.push_str("</ul>");
    legend
}

fn kind_class(kind: &str) -> &'static str {
    match kind {
        "explore" => "k-explore",
        "train" | "train-reward" => "k-train",
        "evaluate" => "k-evaluate",
        "monitor" => "k-monitor",
        "score" | "label" | "select" | "balance" | "agreement" => "k-select",
        _ => "k-other",
    }
}
