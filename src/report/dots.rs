//! The table as a drawing of its own: of each metric a panel, of each row a dot with its interval.
//! It carries its colours, light and dark, so that it may stand in any page.

use super::chart::Svg;
use super::interval::Estimate;
use super::metric::Metric;
use super::numbers::{plain, ticks};
use super::pivot::{Group, Pivot};
use super::sheet::estimated;

/// Colours and type.
const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#222}.end{text-anchor:end}\
.middle{text-anchor:middle}.title{font-weight:600}.soft{fill:#666}.grid{stroke:#e2e2e2}\
.axis{stroke:#888}.whisker{stroke:#2563a8;stroke-width:2}.dot{fill:#2563a8}\
@media(prefers-color-scheme:dark){text{fill:#ddd}.soft{fill:#999}.grid{stroke:#333}\
.axis{stroke:#777}.whisker{stroke:#7ab3ea}.dot{fill:#7ab3ea}}";
const WIDTH: f64 = 760.0;
/// Height of a row.
const ROW: f64 = 24.0;
/// Height of a panel's title, and of its scale.
const HEAD: f64 = 34.0;
const FOOT: f64 = 30.0;
/// Rows that are drawn; a longer table is not read as a drawing.
const ROWS: usize = 60;

/// A row of a panel.
struct Row<'a> {
    label: String,
    estimate: Option<&'a Estimate>,
}

/// The drawing.
pub(super) fn svg(pivot: &Pivot, title: &str) -> String {
    let groups: Vec<(String, &Group)> =
        pivot.groups().take(ROWS).map(|it| named(pivot, it)).collect();
    let longest = groups.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
    let left = (longest as f64 * 7.5 + 16.0).clamp(90.0, 330.0);
    let panel = HEAD + groups.len() as f64 * ROW + FOOT;
    let height = panel * pivot.values.len() as f64 + 4.0;
    let mut svg = Svg::alone(WIDTH, height, title, STYLE);
    for (index, metric) in pivot.values.iter().enumerate() {
        let rows: Vec<Row<'_>> = groups
            .iter()
            .map(|(label, group)| Row {
                label: label.clone(),
                estimate: group.cells.get(index).and_then(|cell| cell.value.as_ref()),
            })
            .collect();
        draw(&mut svg, metric, &rows, (left, panel * index as f64));
    }
    svg.close()
}

/// A group with the values that name it.
fn named<'a>(
    pivot: &'a Pivot,
    (line, head, group): (&'a super::pivot::Line, usize, &'a Group),
) -> (String, &'a Group) {
    let values: Vec<String> = line.keys.iter().chain(&pivot.heads[head]).map(plain).collect();
    (values.join(", "), group)
}

fn draw(svg: &mut Svg, metric: &Metric, rows: &[Row<'_>], (left, top): (f64, f64)) {
    let right = WIDTH - 170.0;
    let ticks = scale(rows);
    let (first, last) = (ticks[0], ticks[ticks.len() - 1]);
    let x = |value: f64| left + (right - left) * (value - first) / (last - first);
    svg.text(0.0, top + 16.0, "title", &metric.to_string());
    let bottom = top + HEAD + rows.len() as f64 * ROW;
    for tick in ticks {
        let class = if tick == 0.0 { "axis" } else { "grid" };
        svg.line((x(tick), top + HEAD - 8.0), (x(tick), bottom), class);
        let text = metric.written(tick, metric.is_difference());
        svg.text(x(tick), bottom + 17.0, "soft middle", &text);
    }
    for (index, row) in rows.iter().enumerate() {
        let y = top + HEAD + (index as f64 + 0.5) * ROW;
        svg.text(left - 12.0, y + 4.5, "end", &row.label);
        let Some(estimate) = row.estimate else {
            svg.text(right + 12.0, y + 4.5, "soft", "no result");
            continue;
        };
        if let Some([low, high]) = estimate.interval {
            svg.line((x(low), y), (x(high), y), "whisker");
        }
        svg.add(format_args!(
            r#"<circle cx="{:.1}" cy="{y:.1}" r="4.5" class="dot"/>"#,
            x(estimate.mean)
        ));
        let text = estimated(metric, estimate, metric.is_difference()).text;
        svg.text(right + 12.0, y + 4.5, "soft", &text);
    }
}

/// Round ticks whose ends hold every interval.
fn scale(rows: &[Row<'_>]) -> Vec<f64> {
    let estimates = || rows.iter().filter_map(|row| row.estimate);
    let ends = |it: &Estimate| it.interval.unwrap_or([it.mean; 2]);
    let low = estimates().map(|it| ends(it)[0].min(it.mean)).fold(f64::INFINITY, f64::min);
    let high = estimates().map(|it| ends(it)[1].max(it.mean)).fold(f64::NEG_INFINITY, f64::max);
    if !(low.is_finite() && high.is_finite()) {
        return vec![0.0, 1.0];
    }
    let span = (high - low).max(high.abs() * 1e-3).max(1e-9);
    let step = ticks(span, 5)[1];
    let (first, last) = ((low / step).floor() as i64, (high / step).ceil() as i64);
    (first..=last.max(first + 1)).map(|tick| tick as f64 * step).collect()
}
