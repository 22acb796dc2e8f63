//! The figures of the page: what each draws, what its caption claims, and the numbers behind it.

use super::chart::{Chart, Point, Series, Svg, small_multiple};
use super::dynamics;
use super::interval::Estimate;
use super::metrics::Evaluated;
use super::model::{Branch, Member};
use super::numbers::{count, counted, percent, percent_or_dash, range, whole_ticks};
use super::sections::{Table, by_category};
use serde::Serialize;

/// Categories drawn before the figure would fill the page; the table has them all.
const CATEGORIES_DRAWN: usize = 24;

/// A figure: an identifier, a title, what was measured on what, the drawing, the numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Figure {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) caption: String,
    /// Markup of our own making.
    pub(super) body: String,
    pub(super) table: Table,
}

/// The figures of one member; `suffix` keeps identifiers apart when a page shows several.
pub(super) fn of_member(member: &Member, suffix: &str) -> Vec<Figure> {
    let before = [accuracy, categories].into_iter().filter_map(|draw| draw(member));
    let all: [fn(&Member) -> Option<Figure>; 6] = [
        super::verifiers::figure,
        wrong_steps,
        selected,
        super::pseudo::figure,
        super::reward::figure,
        loss,
    ];
    let after = all.into_iter().filter_map(|draw| draw(member));
    let drawn = before.chain(dynamics::figures(member)).chain(after);
    drawn.map(|figure| Figure { id: format!("{}{suffix}", figure.id), ..figure }).collect()
}

/// Such as `45.9 % [42.8–49.0]`.
fn share_of_prompts(estimate: &Estimate) -> String {
    let interval = estimate.interval.map(range);
    let told = interval.map_or_else(String::new, |interval| format!(" [{interval}]"));
    format!("{} %{told}", percent(estimate.mean))
}

fn evaluation_points(
    member: &Member,
    name: &str,
    curve: Vec<(u32, &Evaluated)>,
    with_interval: bool,
) -> Vec<Point> {
    let point = |(iteration, it): (u32, &Evaluated)| Point {
        x: it.step as f64,
        y: it.accuracy,
        interval: it.estimate().interval.filter(|_| with_interval),
        tip: format!(
            "{name}, {}, step {}: {}, {}",
            member.after(iteration),
            count(it.step),
            share_of_prompts(&it.estimate()),
            counted(it.count, "prompt")
        ),
    };
    curve.into_iter().map(point).collect()
}

fn accuracy(member: &Member) -> Option<Figure> {
    let split = member.result_split();
    let result = member.curve(split, Branch::Evolution);
    let prompts = result.last()?.1.count;
    let line = |name: &str, class, curve| Series {
        name: name.to_owned(),
        class,
        points: evaluation_points(member, name, curve, true),
        marked: true,
        line: None,
    };
    let mut series = vec![line(split, "c1", result)];
    if split == "test" {
        let validation = member.curve("validation", Branch::Evolution);
        if !validation.is_empty() {
            series.push(line("validation", "c2 thin", validation));
        }
    }
    let mut control = "";
    if member.has_control() {
        series.push(line("control", "control", member.curve(split, Branch::Control)));
        control = " The control (dashed) starts from the same policy and takes the same optimizer \
                   steps without exploring anything new.";
    }
    let chart = Chart {
        label: format!("{split} accuracy against optimizer steps, with 95 % intervals"),
        x_label: "optimizer steps".into(),
        y_label: "accuracy, %".into(),
        height: 380.0,
        percent: true,
        shade: false,
        series,
    };
    Some(Figure {
        id: "fig-accuracy".into(),
        title: "Accuracy against optimizer steps".into(),
        caption: format!(
            "Greedy decoding on {}; bands are 95 % intervals of a bootstrap \
             over prompts.{control}",
            counted(prompts, &format!("{split} prompt"))
        ),
        body: chart.svg()?,
        // The page shows the table by iteration right below.
        table: Table::default(),
    })
}

fn categories(member: &Member) -> Option<Figure> {
    let split = member.result_split();
    let comparison = member.comparison(split)?;
    let evolution = member.curve(split, Branch::Evolution);
    let control =
        if member.has_control() { member.curve(split, Branch::Control) } else { Vec::new() };
    let steps = evolution.iter().map(|(_, it)| it.step).max()?.max(1) as f64;
    let line = |class, name: &str, curve: &[(u32, &Evaluated)], banded: bool| Series {
        name: String::new(),
        class,
        marked: banded,
        line: None,
        points: curve
            .iter()
            .filter_map(|(iteration, it)| {
                let category = it.categories.get(name)?;
                Some(Point {
                    x: it.step as f64,
                    y: category.accuracy,
                    interval: category.estimate().interval.filter(|_| banded),
                    tip: format!(
                        "{name}, {}: {}, {}",
                        member.after(*iteration),
                        share_of_prompts(&category.estimate()),
                        counted(category.count, "prompt")
                    ),
                })
            })
            .collect(),
    };
    let mut body = String::from(r#"<div class="multiples">"#);
    for (name, last) in comparison.last.categories.iter().take(CATEGORIES_DRAWN) {
        let series = [line("control", name, &control, false), line("c1", name, &evolution, true)];
        body.push_str(&small_multiple(name, &percent(last.accuracy), steps, &series));
    }
    body.push_str("</div>");
    if comparison.last.categories.is_empty() {
        return None;
    }
    let control = if control.is_empty() { "" } else { "; the dashed line is the control" };
    Some(Figure {
        id: "fig-categories".into(),
        title: "Accuracy by category".into(),
        caption: format!(
            "The same {split} prompts by category, accuracy in % against optimizer steps, bands are \
             95 % intervals{control}. The number is the last accuracy."
        ),
        body,
        table: by_category(member),
    })
}

fn wrong_steps(member: &Member) -> Option<Figure> {
    let split = member.result_split();
    let evaluated = member.curve(split, Branch::Evolution);
    let step_of =
        |iteration| member.evaluation(split, Branch::Evolution, iteration).map(|it| it.step);
    let point = |name: &str, iteration, step: u64, share: Option<f64>| {
        let share = share?;
        Some(Point {
            x: step as f64,
            y: share,
            interval: None,
            tip: format!("{name}, {}: {} %", member.after(iteration), percent(share)),
        })
    };
    let answers = "right answers";
    let kept = "kept to train on";
    let answered: Vec<_> = evaluated
        .iter()
        .filter_map(|(iteration, it)| point(answers, *iteration, it.step, it.wrong_steps_share))
        .collect();
    let selected: Vec<_> = member
        .selections
        .iter()
        .filter_map(|it| {
            let step = step_of(it.at.iteration)?;
            point(kept, it.at.iteration, step, it.value.wrong_steps_share)
        })
        .collect();
    let series: Vec<Series> = [(answers, "c1", answered), (kept, "c6", selected)]
        .into_iter()
        .filter(|(_, _, points)| !points.is_empty())
        .map(|(name, class, points)| Series {
            name: name.into(),
            class,
            points,
            marked: true,
            line: None,
        })
        .collect();
    let mut table = Table::new(&[
        "iteration",
        "of right answers",
        "of kept responses",
        "right with right steps",
    ]);
    for (iteration, it) in &evaluated {
        let selected = Member::at(&member.selections, *iteration);
        table.rows.push(vec![
            member.after(*iteration),
            percent_or_dash(it.wrong_steps_share),
            percent_or_dash(selected.and_then(|it| it.wrong_steps_share)),
            percent_or_dash(it.steps_right),
        ]);
    }
    let chart = Chart {
        label: "share of right answers with wrong steps against optimizer steps".into(),
        x_label: "optimizer steps".into(),
        y_label: "with wrong steps, %".into(),
        height: 270.0,
        percent: true,
        shade: false,
        series,
    };
    Some(Figure {
        id: "fig-wrong-steps".into(),
        title: "Right answers with wrong steps".into(),
        caption: format!(
            "Share of right answers whose reasoning the step checker refuses, among greedy answers \
             to the {split} prompts and among the responses kept to train on. Reported only: the \
             checker takes part in no decision."
        ),
        body: chart.svg()?,
        table: table.without_empty_columns(),
    })
}

fn selected(member: &Member) -> Option<Figure> {
    let rows: Vec<_> =
        member.selections.iter().filter(|it| it.at.branch == Branch::Evolution).collect();
    let most = rows.iter().map(|it| it.value.rollouts).max()? as f64;
    let (width, height, left, top, bottom) = (720.0, 280.0, 76.0, 30.0, 236.0);
    let scale = whole_ticks(most, 4);
    let last = scale.last().copied().unwrap_or(1.0);
    let y = |value: f64| bottom - (bottom - top) * value / last;
    let mut svg = Svg::open(width, height, "responses sampled, right and kept by iteration");
    svg.text(0.0, 14.0, "axis-name", "responses");
    for &tick in &scale {
        let class = if tick == 0.0 { "axis" } else { "grid" };
        svg.line((left, y(tick)), (width, y(tick)), class);
        svg.text(left - 8.0, y(tick) + 4.5, "tick end", &count(tick as u64));
    }
    let place = (width - left) / rows.len() as f64;
    let bar = (place * 0.62).min(64.0);
    let mut table = Table::new(&[
        "iteration",
        "sampled",
        "right",
        "duplicates",
        "kept",
        "prompts with a kept one",
        "prompts solved",
    ]);
    for (index, it) in rows.iter().enumerate() {
        let value = &it.value;
        let middle = left + place * (index as f64 + 0.5);
        let name = member.after(it.at.iteration);
        for (amount, class, what) in [
            (value.rollouts, "bar-sampled", "sampled"),
            (value.correct, "bar-right", "right"),
            (value.kept, "bar-kept", "kept"),
        ] {
            let at = y(amount as f64);
            let tip = format!("{name}: {} {what} of {}", count(amount), count(value.rollouts));
            svg.bar((middle - bar / 2.0, at), (bar, bottom - at), class, &tip);
        }
        // Where bars stand close, every other name would run into the next.
        let every = (rows.len() / 12 + 1) as u32;
        if it.at.iteration == 0 || it.at.iteration.is_multiple_of(every) {
            let name = member.row_name(it.at.iteration);
            svg.text(middle, bottom + 18.0, "tick middle", &name);
        }
        let explored = Member::at(&member.explorations, it.at.iteration);
        table.rows.push(vec![
            name,
            count(value.rollouts),
            count(value.correct),
            count(value.duplicates),
            count(value.kept),
            count(value.prompts_with_kept),
            explored
                .and_then(|it| it.solved)
                .map_or_else(|| "–".into(), |share| format!("{} %", percent(share))),
        ]);
    }
    svg.text(width, bottom + 36.0, "axis-name end", "iteration");
    Some(Figure {
        id: "fig-selected".into(),
        title: "Sampled, right, kept".into(),
        caption: "Responses sampled in each iteration (outline), those with the right answer \
                  (light) and those kept to train on (dark)."
            .into(),
        body: svg.close(),
        table: table.without_empty_columns(),
    })
}

fn loss(member: &Member) -> Option<Figure> {
    let mut evolution = Vec::new();
    let mut control = Vec::new();
    let mut table = Table::new(&[
        "iteration",
        "branch",
        "steps",
        "sequences",
        "first loss",
        "last loss",
        "last learning rate",
        "too long",
    ]);
    let dash = |value: Option<f64>| value.map_or_else(|| "–".into(), |it| format!("{it:.3}"));
    for it in &member.trainings {
        let value = &it.value;
        let branch = it.at.branch.name();
        let line = if it.at.branch == Branch::Control { &mut control } else { &mut evolution };
        line.extend(value.losses.iter().map(|&(x, y)| Point {
            x,
            y,
            interval: None,
            tip: String::new(),
        }));
        table.rows.push(vec![
            member.after(it.at.iteration),
            branch.into(),
            count(value.steps),
            count(value.samples),
            dash(value.loss_first),
            dash(value.loss_last),
            value.learning_rate_last.map_or_else(|| "–".into(), |rate| format!("{rate:.2e}")),
            count(value.dropped_long),
        ]);
    }
    let series: Vec<Series> =
        [("control", "control faint", control), ("evolution", "c1", evolution)]
            .into_iter()
            .filter(|(_, _, points)| !points.is_empty())
            .map(|(name, class, points)| Series {
                name: name.into(),
                class,
                points,
                marked: false,
                line: None,
            })
            .collect();
    let chart = Chart {
        label: "training loss against optimizer steps".into(),
        x_label: "optimizer steps".into(),
        y_label: "loss, nats a token".into(),
        height: 270.0,
        percent: false,
        shade: false,
        series,
    };
    Some(Figure {
        id: "fig-loss".into(),
        title: "Training loss".into(),
        caption: "Cross-entropy of the batches trained on, against optimizer steps. Every iteration \
                  trains on data of its own making, so levels between iterations are not comparable."
            .into(),
        body: chart.svg()?,
        table,
    })
}
