//! What the axes of a grid do to its first metric: heat maps of two, and all of them in parallel.

use super::chart::{Svg, escape};
use super::figures::Figure;
use super::metric::Metric;
use super::model::Study;
use super::numbers::{plain, ticks};
use super::pivot::Pivot;
use super::sections::Table;
use super::sheet::short;
use serde_json::Value;

/// Axes that heat maps are drawn of; every two of them in both orders.
const MAPPED: usize = 6;
/// Values of an axis that a heat map has room for.
const MOST_VALUES: usize = 64;
/// Width of a drawing in its own units.
const WIDTH: f64 = 720.0;

/// An axis with its distinct values.
struct Axis {
    key: String,
    name: String,
    values: Vec<Value>,
}

impl Axis {
    /// The axes along which members differ, numbers in their order and words as they come.
    fn of(study: &Study, pivot: &Pivot) -> Vec<Self> {
        let keys: Vec<String> = pivot.rows.iter().chain(&pivot.columns).cloned().collect();
        let axis = |key: &String| {
            let mut values: Vec<Value> = Vec::new();
            let mut seen = std::collections::BTreeSet::new();
            for member in &study.members {
                let value = member.values.get(key).cloned().unwrap_or_default();
                if seen.insert(value.to_string()) {
                    values.push(value);
                }
            }
            if values.iter().all(Value::is_number) {
                let number = |value: &Value| value.as_f64().unwrap_or_default();
                values.sort_by(|a, b| number(a).total_cmp(&number(b)));
            }
            Self { key: key.clone(), name: short(key, &keys), values }
        };
        keys.iter().map(axis).filter(|axis| axis.values.len() > 1).collect()
    }

    fn place(&self, value: Option<&Value>) -> usize {
        let value = value.unwrap_or(&Value::Null);
        self.values.iter().position(|it| it == value).unwrap_or_default()
    }
}

/// A number's place between the least and the most, in per cent.
struct Scale {
    least: f64,
    most: f64,
}

impl Scale {
    fn of(values: impl Iterator<Item = f64> + Clone) -> Option<Self> {
        let least = values.clone().reduce(f64::min)?;
        Some(Self { least, most: values.reduce(f64::max)? })
    }

    fn share(&self, value: f64) -> f64 {
        let width = self.most - self.least;
        if width > 0.0 { 100.0 * (value - self.least) / width } else { 50.0 }
    }

    fn bar(&self, metric: &Metric) -> String {
        let end = |value| escape(&metric.written(value, metric.is_difference()));
        format!(
            r#"<p class="scale"><span>{}</span><span class="ramp"></span><span>{}</span> {}</p>"#,
            end(self.least),
            end(self.most),
            escape(&metric.to_string())
        )
    }
}

/// A member's place on each axis with its value.
type Placed = (Vec<usize>, Option<f64>);

/// Heat maps of every two axes, of which the first is shown and the script shows the others; `None`
/// when there are no two axes.
pub(super) fn heat(study: &Study, pivot: &Pivot) -> Option<Figure> {
    let mut axes = Axis::of(study, pivot);
    axes.retain(|axis| axis.values.len() <= MOST_VALUES);
    axes.truncate(MAPPED);
    let metric = pivot.values.first()?;
    if axes.len() < 2 {
        return None;
    }
    let placed: Vec<Placed> = study
        .members
        .iter()
        .map(|member| {
            let places = axes.iter().map(|axis| axis.place(member.values.get(&axis.key)));
            (places.collect(), metric.of(member).map(|it| it.mean))
        })
        .collect();
    let mut maps = Vec::new();
    for (row, down) in axes.iter().enumerate() {
        for (column, across) in axes.iter().enumerate().filter(|(column, _)| *column != row) {
            let cells = cells(&placed, (row, down.values.len()), (column, across.values.len()));
            let hidden = if (row, column) == (0, 1) { "" } else { " hidden" };
            let map = map(metric, down, across, &cells)?;
            maps.push(format!(r#"<div class="map" data-map="{row},{column}"{hidden}>{map}</div>"#));
        }
    }
    let options = |chosen: usize| {
        let option = |(index, axis): (usize, &Axis)| {
            let selected = if index == chosen { " selected" } else { "" };
            format!(r#"<option value="{index}"{selected}>{}</option>"#, escape(&axis.name))
        };
        axes.iter().enumerate().map(option).collect::<String>()
    };
    let choice = format!(
        r#"<p class="choice" hidden><label>rows <select data-axis="row">{}</select></label> <label>columns <select data-axis="column">{}</select></label></p>"#,
        options(0),
        options(1)
    );
    Some(Figure {
        id: "fig-heat".into(),
        title: format!("{metric} by two axes"),
        caption: "The mean over everything else that varies; a dash where no member has a result, \
                  empty where no member lies."
            .into(),
        body: choice + maps.concat().as_str(),
        table: Table::default(),
    })
}

/// Members and the sum and number of their values, by row and column.
type Cells = Vec<Vec<(usize, f64, usize)>>;

fn cells(
    placed: &[Placed],
    (row, rows): (usize, usize),
    (column, columns): (usize, usize),
) -> Cells {
    let mut cells = vec![vec![(0, 0.0, 0); columns]; rows];
    for (places, value) in placed {
        let cell = &mut cells[places[row]][places[column]];
        cell.0 += 1;
        if let Some(value) = value {
            *cell = (cell.0, cell.1 + value, cell.2 + 1);
        }
    }
    cells
}

fn map(metric: &Metric, down: &Axis, across: &Axis, cells: &Cells) -> Option<String> {
    let mean = |cell: &(usize, f64, usize)| (cell.2 > 0).then(|| cell.1 / cell.2 as f64);
    let means = cells.iter().flatten().filter_map(mean);
    let scale = Scale::of(means.collect::<Vec<_>>().into_iter())?;
    let longest = |axis: &Axis| axis.values.iter().map(|it| plain(it).chars().count()).max();
    let left = (longest(down)? as f64 * 7.6 + 16.0).clamp(56.0, 220.0);
    let width = ((WIDTH - left) / across.values.len() as f64).min(112.0);
    let (height, top) = (34.0, 46.0);
    let bottom = top + height * down.values.len() as f64;
    let label = format!("{metric} by {} and {}", down.name, across.name);
    let mut svg = Svg::open(WIDTH, bottom + 6.0, &label);
    svg.text(left - 10.0, top - 8.0, "axis-name end", &format!("{} ↓", down.name));
    svg.text(left, 12.0, "axis-name", &format!("{} →", across.name));
    // Names that would run into each other are left out; pointing still tells them.
    let every = (longest(across)? as f64 * 7.6 / width).ceil().max(1.0) as usize;
    for (column, value) in across.values.iter().enumerate().step_by(every) {
        let middle = left + width * (column as f64 + 0.5);
        svg.text(middle, top - 8.0, "tick middle", &plain(value));
    }
    for (row, line) in cells.iter().enumerate() {
        let y = top + height * row as f64;
        svg.text(left - 10.0, y + height / 2.0 + 4.5, "tick end", &plain(&down.values[row]));
        for (column, cell) in line.iter().enumerate().filter(|(_, cell)| cell.0 > 0) {
            let x = left + width * column as f64;
            let value = mean(cell);
            let text = value.map_or_else(
                || "–".to_owned(),
                |value| metric.written(value, metric.is_difference()),
            );
            let tip = format!(
                "{}={}, {}={}: {text}, {} of {} members",
                down.name,
                plain(&down.values[row]),
                across.name,
                plain(&across.values[column]),
                cell.2,
                cell.0
            );
            let share = value.map(|value| scale.share(value));
            svg.tile((x, y), (width - 2.0, height - 2.0), share, &tip);
            if width >= 8.0 * text.chars().count() as f64 {
                let class = match share {
                    Some(share) if share > 50.0 => "tile-text high middle",
                    _ => "tile-text middle",
                };
                svg.text(x + width / 2.0 - 1.0, y + height / 2.0 + 3.5, class, &text);
            }
        }
    }
    Some(format!("{}{}", scale.bar(metric), svg.close()))
}

/// Every row of the table as a line through its values on all axes to its first metric; `None` when
/// there are no two axes.
pub(super) fn parallel(study: &Study, pivot: &Pivot) -> Option<Figure> {
    let axes = Axis::of(study, pivot);
    let metric = pivot.values.first()?;
    if axes.len() < 2 {
        return None;
    }
    let means = pivot.groups().enumerate().filter_map(|(index, (_, _, group))| {
        let mean = group.cells.first()?.value.as_ref()?.mean;
        Some((index, group, mean))
    });
    let means: Vec<_> = means.collect();
    let scale = Scale::of(means.iter().map(|(.., mean)| *mean))?;
    let (height, top, left, right) = (360.0, 48.0, 60.0, WIDTH - 84.0);
    let bottom = height - 16.0;
    let x = |axis: usize| left + (right - left) * axis as f64 / axes.len() as f64;
    let at = |place: usize, count: usize| {
        top + (bottom - top) * (count - 1 - place) as f64 / (count - 1) as f64
    };
    let label = format!("{metric} of every row of the table by all axes");
    let mut svg = Svg::open(WIDTH, height, &label);
    let y = |mean: f64| bottom - (bottom - top) * scale.share(mean) / 100.0;
    for (index, group, mean) in &means {
        let member = group.members.first().map(|index| &study.members[*index])?;
        let places = axes.iter().map(|axis| axis.place(member.values.get(&axis.key)));
        let places: Vec<usize> = places.collect();
        let lines = places.iter().zip(&axes).enumerate();
        let points = lines.map(|(index, (place, axis))| (x(index), at(*place, axis.values.len())));
        let points: Vec<_> = points.chain([(x(axes.len()), y(*mean))]).collect();
        let value = metric.written(*mean, metric.is_difference());
        let text = format!("{}: {value}", group.label);
        svg.thread(*index, &points, scale.share(*mean), &places, &text);
    }
    for (index, axis) in axes.iter().enumerate() {
        svg.line((x(index), top), (x(index), bottom), "axis");
        svg.text(x(index), 16.0, "axis-name middle", &axis.name);
        let every = axis.values.len().div_ceil(16);
        for (place, value) in axis.values.iter().enumerate().step_by(every) {
            svg.value((x(index), at(place, axis.values.len())), (index, place), &plain(value));
        }
    }
    svg.line((right, top), (right, bottom), "axis");
    svg.text(right, 16.0, "axis-name middle", &metric.to_string());
    for tick in within(&scale) {
        svg.line((right, y(tick)), (right + 5.0, y(tick)), "axis");
        let text = metric.written(tick, metric.is_difference());
        svg.text(right + 10.0, y(tick) + 4.5, "tick", &text);
    }
    Some(Figure {
        id: "fig-parallel".into(),
        title: "All axes at once".into(),
        caption: format!(
            "One line a row of the table, from its values on the axes to its {metric}, darker for \
             more. Point at a line to read it; click a value to keep only the lines through it."
        ),
        body: svg.close(),
        table: Table::default(),
    })
}

/// Round numbers from the least to the most.
fn within(scale: &Scale) -> Vec<f64> {
    let width = (scale.most - scale.least).max(1e-9);
    let step = ticks(width, 5)[1];
    let first = (scale.least / step).ceil();
    let ticks = (0..8).map(|index| (first + f64::from(index)) * step);
    ticks.filter(|tick| *tick <= scale.most + 1e-9).collect()
}
