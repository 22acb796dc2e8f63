//! Line charts as SVG, drawn by hand: colours are classes of the page's style sheet, so that one
//! drawing serves light, dark and paper, which a plotting library's fixed colours cannot.

use super::numbers::{ticks, whole_ticks};
use std::fmt::{Arguments, Write as _};

/// Width of every chart in its own units; the page scales it.
const WIDTH: f64 = 720.0;
/// Least distance between two labels at the ends of lines.
const LABEL_GAP: f64 = 16.0;

/// SVG text that grows.
#[derive(Default)]
pub(super) struct Svg(String);

impl Svg {
    /// Opens a drawing of the given size; `label` is what it is called where it is not seen.
    pub(super) fn open(width: f64, height: f64, label: &str) -> Self {
        let mut svg = Self::default();
        let label = escape(label);
        svg.add(format_args!(
            r#"<svg viewBox="0 0 {width:.0} {height:.0}" role="img" aria-label="{label}">"#
        ));
        svg
    }

    /// Opens a drawing that stands alone, with a style sheet of its own.
    pub(super) fn alone(width: f64, height: f64, label: &str, style: &str) -> Self {
        let mut svg = Self::default();
        let label = escape(label);
        svg.add(format_args!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0} {height:.0}" width="{width:.0}" height="{height:.0}" role="img" aria-label="{label}"><style>{style}</style>"#
        ));
        svg
    }

    pub(super) fn add(&mut self, markup: Arguments<'_>) {
        self.0.write_fmt(markup).expect("a string takes everything");
    }

    /// Text; `class` also says where it is anchored.
    pub(super) fn text(&mut self, x: f64, y: f64, class: &str, text: &str) {
        let text = escape(text);
        self.add(format_args!(r#"<text x="{x:.1}" y="{y:.1}" class="{class}">{text}</text>"#));
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.add(format_args!(
            r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" class="{class}"/>"#
        ));
    }

    /// A rectangle that says something when pointed at.
    pub(super) fn bar(&mut self, (x, y): (f64, f64), (w, h): (f64, f64), class: &str, tip: &str) {
        let (w, h) = (w.max(0.0), h.max(0.0));
        let tip = escape(tip);
        self.add(format_args!(
            r#"<rect x="{x:.1}" y="{y:.1}" width="{w:.1}" height="{h:.1}" class="{class}" data-tip="{tip}"><title>{tip}</title></rect>"#
        ));
    }

    /// A tile of a heat map, shaded by a share in per cent; without one it says that nothing is
    /// known.
    pub(super) fn tile(
        &mut self,
        (x, y): (f64, f64),
        (w, h): (f64, f64),
        share: Option<f64>,
        tip: &str,
    ) {
        let tip = escape(tip);
        let (class, style) = match share {
            Some(share) => ("tile", format!(r#" style="--p:{share:.0}""#)),
            None => ("tile unknown", String::new()),
        };
        self.add(format_args!(
            r#"<rect x="{x:.1}" y="{y:.1}" width="{w:.1}" height="{h:.1}" class="{class}"{style} data-tip="{tip}"><title>{tip}</title></rect>"#
        ));
    }

    /// A line of parallel coordinates: its number, its shade, its places on the axes and what it is.
    pub(super) fn thread(
        &mut self,
        number: usize,
        points: &[(f64, f64)],
        share: f64,
        places: &[usize],
        text: &str,
    ) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.0} {y:.1}")).collect();
        let places: Vec<String> = places.iter().map(usize::to_string).collect();
        let (points, places, text) = (points.join("L"), places.join(","), escape(text));
        self.add(format_args!(
            r#"<path d="M{points}" class="thread" style="--p:{share:.0}" data-line="{number}" data-at="{places}" data-label="{text}"/>"#
        ));
    }

    /// A value on an axis of parallel coordinates.
    pub(super) fn value(&mut self, (x, y): (f64, f64), (axis, place): (usize, usize), text: &str) {
        let text = escape(text);
        self.add(format_args!(
            r#"<g class="value" data-value="{axis},{place}"><circle cx="{x:.0}" cy="{y:.1}" r="3.5"/><text x="{:.0}" y="{:.1}">{text}</text></g>"#,
            x + 8.0,
            y + 4.5
        ));
    }

    pub(super) fn close(mut self) -> String {
        self.0.push_str("</svg>");
        self.0
    }
}

/// Text as it may stand in markup, in and out of attributes.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// A measured point.
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
    /// 95 % interval of `y`.
    pub(super) interval: Option<[f64; 2]>,
    /// What is said when it is pointed at.
    pub(super) tip: String,
}

/// A line of a chart.
pub(super) struct Series {
    /// Written at its end.
    pub(super) name: String,
    /// Class of the style sheet that colours and dashes it.
    pub(super) class: &'static str,
    pub(super) points: Vec<Point>,
    /// Whether points are marked and answer to the pointer.
    pub(super) marked: bool,
    /// Its number and name where lines can be hidden one by one.
    pub(super) line: Option<(usize, String)>,
}

impl Series {
    /// Attributes by which the script finds everything of the line.
    fn attributes(&self) -> String {
        match &self.line {
            Some((number, _)) => format!(r#" data-line="{number}""#),
            None => String::new(),
        }
    }
}

/// A line chart.
pub(super) struct Chart {
    pub(super) label: String,
    pub(super) x_label: String,
    pub(super) y_label: String,
    /// Height in units of which the width is 720.
    pub(super) height: f64,
    /// Whether y is a share, written in per cent.
    pub(super) percent: bool,
    /// Shades what lies between the first two lines.
    pub(super) shade: bool,
    pub(super) series: Vec<Series>,
}

/// Where the data lies in the drawing.
struct Frame {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    x: Vec<f64>,
    y: Vec<f64>,
}

impl Frame {
    fn x_at(&self, x: f64) -> f64 {
        let last = self.x.last().copied().unwrap_or(1.0);
        self.left + (self.right - self.left) * x / last
    }

    fn y_at(&self, y: f64) -> f64 {
        let first = self.y.first().copied().unwrap_or(0.0);
        let last = self.y.last().copied().unwrap_or(1.0);
        self.bottom - (self.bottom - self.top) * (y - first) / (last - first)
    }
}

impl Chart {
    /// The drawing; `None` when there is no point to draw.
    pub(super) fn svg(&self) -> Option<String> {
        let frame = self.frame()?;
        let mut svg = Svg::open(WIDTH, self.height, &self.label);
        self.axes(&mut svg, &frame);
        for series in &self.series {
            band(&mut svg, &frame, series);
        }
        if let (true, [upper, lower, ..]) = (self.shade, self.series.as_slice()) {
            let there = upper.points.iter().map(|point| (point.x, point.y));
            let back = lower.points.iter().rev().map(|point| (point.x, point.y));
            let path = path(&frame, there.chain(back));
            svg.add(format_args!(r#"<path d="{path}Z" class="shade"/>"#));
        }
        for series in &self.series {
            line(&mut svg, &frame, series);
        }
        self.names(&mut svg, &frame);
        Some(svg.close())
    }

    fn frame(&self) -> Option<Frame> {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let finite = |value: &f64| value.is_finite();
        let x = points().map(|point| point.x).filter(finite).reduce(f64::max)?;
        let y = points()
            .flat_map(|point| [point.y, point.interval.map_or(point.y, |interval| interval[1])])
            .filter(finite)
            .reduce(f64::max)?;
        let longest = self.series.iter().map(|series| series.name.chars().count()).max()?;
        let (mut x, mut y) = (x.max(1.0), y);
        let mut y_ticks = if self.percent {
            y = y.clamp(0.05, 1.0);
            ticks(y, 5)
        } else {
            y = y.max(1e-9);
            ticks(y, 4)
        };
        let least = points()
            .flat_map(|point| [point.y, point.interval.map_or(point.y, |interval| interval[0])])
            .filter(finite)
            .fold(0.0, f64::min);
        go_on_below_zero(&mut y_ticks, least);
        let mut x_ticks = whole_ticks(x, 7);
        // The axis ends with the data, not with the next round number.
        if x_ticks.last().is_some_and(|last| *last > x * 1.02) {
            x_ticks.pop();
            x_ticks.push(x);
        } else {
            x = x_ticks.last().copied().unwrap_or(x);
        }
        debug_assert!(x > 0.0);
        Some(Frame {
            left: 46.0,
            right: match longest {
                0 => WIDTH - 16.0,
                longest => WIDTH - (longest as f64 * 9.0 + 14.0).clamp(132.0, 260.0),
            },
            top: 30.0,
            bottom: self.height - 44.0,
            x: x_ticks,
            y: y_ticks,
        })
    }

    fn axes(&self, svg: &mut Svg, frame: &Frame) {
        svg.text(0.0, 14.0, "axis-name", &self.y_label);
        let step = frame.y.get(..2).map(|ticks| ticks[1] - ticks[0]);
        let decimals = step.map_or(0, |step| (-step.log10().floor()).max(0.0) as usize);
        for &y in &frame.y {
            let at = frame.y_at(y);
            let class = if y == 0.0 { "axis" } else { "grid" };
            svg.line((frame.left, at), (frame.right, at), class);
            let label =
                if self.percent { format!("{:.0}", y * 100.0) } else { format!("{y:.decimals$}") };
            svg.text(frame.left - 8.0, at + 4.5, "tick end", &label);
        }
        let round = frame.x.len().saturating_sub(1);
        let last_is_round = frame.x.len() > 2 && {
            let step = frame.x[1];
            (frame.x[round] / step - (frame.x[round] / step).round()).abs() < 1e-6
        };
        for (index, &x) in frame.x.iter().enumerate() {
            if index == round && !last_is_round && round > 1 {
                break;
            }
            svg.line((frame.x_at(x), frame.bottom), (frame.x_at(x), frame.bottom + 5.0), "axis");
            svg.text(frame.x_at(x), frame.bottom + 20.0, "tick middle", &format!("{x:.0}"));
        }
        svg.text(frame.right, frame.bottom + 38.0, "axis-name end", &self.x_label);
    }

    /// Names at the ends of lines, pushed apart where they would overlap.
    fn names(&self, svg: &mut Svg, frame: &Frame) {
        let mut names: Vec<(f64, f64, &Series)> = Vec::new();
        for series in self.series.iter().filter(|series| !series.name.is_empty()) {
            if let Some(last) = series.points.last() {
                names.push((frame.x_at(last.x), frame.y_at(last.y), series));
            }
        }
        names.sort_by(|a, b| a.1.total_cmp(&b.1));
        let mut places: Vec<f64> = names.iter().map(|name| name.1).collect();
        for index in 1..places.len() {
            places[index] = places[index].max(places[index - 1] + LABEL_GAP);
        }
        let overflow = places.last().map_or(0.0, |last| (last - frame.bottom + 4.0).max(0.0));
        for ((x, _, series), place) in names.iter().zip(places) {
            let (x, y) = (x.min(frame.right) + 10.0, place - overflow + 4.5);
            let (class, name, own) = (series.class, escape(&series.name), series.attributes());
            svg.add(format_args!(
                r#"<text x="{x:.1}" y="{y:.1}" class="name {class}"{own}>{name}</text>"#
            ));
        }
    }
}

/// Adds ticks at the same distance below 0, down to what lies there.
fn go_on_below_zero(ticks: &mut Vec<f64>, least: f64) {
    let Some(&[zero, step, ..]) = ticks.get(..2) else { return };
    let below = ((zero - least) / (step - zero)).ceil().clamp(0.0, 100.0) as u32;
    ticks.splice(0..0, (1..=below).rev().map(|count| -f64::from(count) * (step - zero)));
}

fn path(frame: &Frame, points: impl Iterator<Item = (f64, f64)>) -> String {
    let mut path = String::new();
    for (x, y) in points.filter(|(x, y)| x.is_finite() && y.is_finite()) {
        let command = if path.is_empty() { 'M' } else { 'L' };
        write!(path, "{command}{:.1} {:.1}", frame.x_at(x), frame.y_at(y))
            .expect("a string takes everything");
    }
    path
}

fn band(svg: &mut Svg, frame: &Frame, series: &Series) {
    let with_interval =
        || series.points.iter().filter_map(|point| Some((point.x, point.interval?)));
    if with_interval().count() < 2 {
        return;
    }
    let there = with_interval().map(|(x, interval)| (x, interval[1]));
    let back: Vec<_> = with_interval().map(|(x, interval)| (x, interval[0])).collect();
    let path = path(frame, there.chain(back.into_iter().rev()));
    let (class, own) = (series.class, series.attributes());
    svg.add(format_args!(r#"<path d="{path}Z" class="band {class}"{own}/>"#));
}

fn line(svg: &mut Svg, frame: &Frame, series: &Series) {
    let class = series.class;
    let path = path(frame, series.points.iter().map(|point| (point.x, point.y)));
    let own = series.attributes();
    let label = match &series.line {
        Some((_, name)) if !series.marked => format!(r#" data-label="{}""#, escape(name)),
        _ => String::new(),
    };
    svg.add(format_args!(r#"<path d="{path}" class="line {class}"{own}{label}/>"#));
    if !series.marked {
        return;
    }
    for point in series.points.iter().filter(|point| point.y.is_finite()) {
        let (x, y, tip) = (frame.x_at(point.x), frame.y_at(point.y), escape(&point.tip));
        svg.add(format_args!(
            r#"<circle cx="{x:.1}" cy="{y:.1}" r="3.5" class="point {class}"{own} data-tip="{tip}"><title>{tip}</title></circle>"#
        ));
    }
}

/// A small chart of one category, on a scale of 0 to 100 % that all of a figure share.
pub(super) fn small_multiple(title: &str, end: &str, most_steps: f64, series: &[Series]) -> String {
    let (width, height) = (170.0, 130.0);
    let frame = Frame {
        left: 30.0,
        right: width - 8.0,
        top: 34.0,
        bottom: height - 20.0,
        x: vec![0.0, most_steps.max(1.0)],
        y: vec![0.0, 0.5, 1.0],
    };
    let mut svg = Svg::open(width, height, &format!("{title}: {end} %"));
    svg.text(0.0, 14.0, "small-title", title);
    svg.text(frame.right, 14.0, "small-value end", end);
    for &y in &frame.y {
        let class = if y == 0.0 { "axis" } else { "grid" };
        svg.line((frame.left, frame.y_at(y)), (frame.right, frame.y_at(y)), class);
        let label = format!("{:.0}", y * 100.0);
        svg.text(frame.left - 6.0, frame.y_at(y) + 4.0, "tick end", &label);
    }
    svg.text(frame.left, height - 5.0, "tick", "0");
    svg.text(frame.right, height - 5.0, "tick end", &format!("{most_steps:.0}"));
    for one in series {
        band(&mut svg, &frame, one);
    }
    for one in series {
        line(&mut svg, &frame, one);
    }
    svg.close()
}
