//! What a reward model is worth: how well its scores rank, and whether they mean what they say.

use super::chart::{Svg, escape};
use super::figures::Figure;
use super::interval::of_some_width;
use super::metrics::{Area, Bin};
use super::model::Member;
use super::numbers::{count, percent};
use super::sections::Table;
use std::fmt::Write as _;

/// Side of a square in units of which the width of the figure is 720.
const SIDE: f64 = 270.0;
const TOP: f64 = 30.0;

/// How well each reward model of a member ranks, on prompts that it was not trained on; without
/// rows where there is none.
pub(super) fn table(member: &Member) -> Table {
    let mut table = Table::new(&[
        "reward model",
        "tells apart",
        "AUC",
        "95 % interval",
        "of",
        "AUC within a prompt",
        "95 % interval",
        "prompts",
    ]);
    for it in &member.rewards {
        let name = match it.at.iteration {
            0 => "first".to_owned(),
            iteration => format!("before iteration {iteration}"),
        };
        let what = match it.value.is_outcome() {
            true => "right and wrong answers",
            false => "good and bad steps",
        };
        table.rows.push(row(&name, what, &it.value.places));
        for (areas, what) in [
            (&it.value.answers, "right and wrong answers"),
            (&it.value.reasoning, "reasoning of right answers"),
        ] {
            // An outcome model has one score, of which every aggregation is the same.
            let areas = areas.iter().filter(|_| !it.value.is_outcome() || what.starts_with("rea"));
            let shown = areas.take(if it.value.is_outcome() { 1 } else { usize::MAX });
            for (way, area) in shown.filter(|(_, area)| area.auc.is_some()) {
                let by = if it.value.is_outcome() { String::new() } else { format!(", by {way}") };
                table.rows.push(row(&name, &format!("{what}{by}"), area));
            }
        }
    }
    if member.rewards.len() == 1 {
        // One needs no name.
        table.head.remove(0);
        table.rows.iter_mut().for_each(|row| drop(row.remove(0)));
    }
    table
}

fn row(name: &str, what: &str, area: &Area) -> Vec<String> {
    let number = |share: f64| format!("{share:.3}");
    let none = || "–".to_owned();
    let between = |interval: Option<[f64; 2]>| {
        let interval = interval.and_then(of_some_width);
        interval.map_or_else(none, |[low, high]| format!("{}–{}", number(low), number(high)))
    };
    let within = area.within;
    vec![
        name.to_owned(),
        what.to_owned(),
        area.auc.map_or_else(none, number),
        between(area.interval),
        count(area.count),
        within.map_or_else(none, |it| number(it.auc)),
        between(within.and_then(|it| it.interval)),
        within.map_or_else(none, |it| count(it.prompts)),
    ]
}

/// The receiver operating characteristic and the reliability curve of the last reward model.
pub(super) fn figure(member: &Member) -> Option<Figure> {
    let last = &member.rewards.last()?.value;
    let mut svg = Svg::open(720.0, TOP + SIDE + 48.0, "ROC and reliability of the reward model");
    let left = Square { left: 46.0 };
    left.frame(&mut svg, "good ones above the threshold, %", "bad ones above the threshold, %");
    left.curve(&mut svg, &last.roc, "c1");
    let right = Square { left: 720.0 - SIDE - 16.0 };
    right.frame(&mut svg, "found good, %", "score, %");
    let points: Vec<[f64; 2]> = last.reliability.iter().map(|bin| [bin.score, bin.truth]).collect();
    right.curve(&mut svg, &points, "c2");
    last.reliability.iter().for_each(|bin| right.mark(&mut svg, bin));
    let unit = if last.is_outcome() { "responses" } else { "steps" };
    let auc = match (last.places.auc, last.places.interval.and_then(of_some_width)) {
        (Some(auc), Some([low, high])) => format!("{auc:.3} [{low:.3}–{high:.3}]"),
        (Some(auc), None) => format!("{auc:.3}"),
        (None, _) => "unknown: all are alike".to_owned(),
    };
    let within = last.places.within.map_or_else(String::new, |it| {
        format!(
            "; among {unit} of the same prompt alone, all that a choice of so many a prompt depends \
             on, it is {:.3} in the mean over {} prompts",
            it.auc,
            count(it.prompts)
        )
    });
    let caption = format!(
        "{} {unit} of {} prompts that were held out. Left: of good and of bad {unit}, the share \
         above each threshold; the area under the curve is {auc}, with a 95 % interval of a \
         bootstrap over prompts{within}. Right: {unit} by score, and how many of them turned out good; on \
         the diagonal scores are probabilities. The step checker behind the rows on reasoning is \
         read for this report only, never in training or selection.",
        count(last.held_out_labels),
        count(last.held_out_prompts),
    );
    Some(Figure {
        id: "fig-reward".into(),
        title: "Reward model".into(),
        caption,
        body: svg.close(),
        table: table(member),
    })
}

/// A square from 0 to 100 % in both directions.
struct Square {
    left: f64,
}

impl Square {
    fn at(&self, [x, y]: [f64; 2]) -> (f64, f64) {
        (self.left + SIDE * x, TOP + SIDE * (1.0 - y))
    }

    fn frame(&self, svg: &mut Svg, y_name: &str, x_name: &str) {
        svg.text(self.left - 46.0, 14.0, "axis-name", y_name);
        for share in [0.0, 0.25, 0.5, 0.75, 1.0] {
            let class = if share == 0.0 { "axis" } else { "grid" };
            svg.line(self.at([0.0, share]), self.at([1.0, share]), class);
            svg.line(self.at([share, 0.0]), self.at([share, 1.0]), class);
            let ((x, middle), (bottom, y)) = (self.at([0.0, share]), self.at([share, 0.0]));
            svg.text(x - 8.0, middle + 4.5, "tick end", &format!("{:.0}", share * 100.0));
            svg.text(bottom, y + 20.0, "tick middle", &format!("{:.0}", share * 100.0));
        }
        svg.line(self.at([0.0, 0.0]), self.at([1.0, 1.0]), "axis");
        let (right, bottom) = self.at([1.0, 0.0]);
        svg.text(right, bottom + 40.0, "axis-name end", x_name);
    }

    fn curve(&self, svg: &mut Svg, points: &[[f64; 2]], class: &str) {
        let mut path = String::new();
        for point in points.iter().filter(|point| point.iter().all(|it| it.is_finite())) {
            let (x, y) = self.at(*point);
            let command = if path.is_empty() { 'M' } else { 'L' };
            write!(path, "{command}{x:.1} {y:.1}").expect("a string takes everything");
        }
        svg.add(format_args!(r#"<path d="{path}" class="line {class}"/>"#));
    }

    fn mark(&self, svg: &mut Svg, bin: &Bin) {
        let (x, y) = self.at([bin.score, bin.truth]);
        let tip = escape(&format!(
            "score {} %: {} % of {} found good",
            percent(bin.score),
            percent(bin.truth),
            count(bin.count)
        ));
        svg.add(format_args!(
            r#"<circle cx="{x:.1}" cy="{y:.1}" r="3.5" class="point c2" data-tip="{tip}"><title>{tip}</title></circle>"#
        ));
    }
}
