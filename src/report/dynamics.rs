//! The figures of the dynamics: what sampling still finds, at every temperature that was measured, and
//! the temperature that explorations drew at.

use super::chart::{Chart, Point, Series};
use super::figures::Figure;
use super::interval::of_some_width;
use super::lines::CLASSES;
use super::metrics::{AtTemperature, Balanced, Monitored, Share};
use super::model::{At, Branch, Measured, Member};
use super::numbers::{counted, percent, percent_or_dash, points, range};
use super::sections::Table;

/// The figures that there is something to draw for.
pub(super) fn figures(member: &Member) -> impl Iterator<Item = Figure> {
    let metrics = [PASS, REWARD_PASS, GAP].into_iter().filter_map(|it| by_temperature(member, &it));
    overview(member).into_iter().chain(metrics).chain(chosen(member))
}

/// Greedy accuracy on the validation prompts at a place.
pub(super) fn greedy(member: &Member, at: At) -> Option<f64> {
    let is_it =
        |it: &&Measured<super::metrics::Evaluated>| it.at == at && it.value.split == "validation";
    member.evaluations.iter().find(is_it).map(|it| it.value.accuracy)
}

/// The temperatures that iterations drew at, when they are not all the same or could have been others.
pub(super) fn drawn_at(member: &Member) -> Vec<(u32, f64)> {
    let evolution = member
        .explorations
        .iter()
        .filter(|it| it.at.branch == Branch::Evolution && it.at.iteration > 0);
    let drawn: Vec<(u32, f64)> =
        evolution.filter_map(|it| Some((it.at.iteration, it.value.temperature?))).collect();
    let varies = drawn.windows(2).any(|pair| pair[0].1 != pair[1].1);
    if varies || !member.balances.is_empty() { drawn } else { Vec::new() }
}

fn of_evolution(member: &Member) -> Vec<&Measured<Monitored>> {
    member.monitors.iter().filter(|it| it.at.branch == Branch::Evolution).collect()
}

/// A metric that is drawn with one line a temperature.
struct Metric {
    id: &'static str,
    name: fn(&Monitored) -> String,
    about: &'static str,
    /// Of what was measured at a temperature, with K and the greedy accuracy.
    of: fn(&AtTemperature, u32, Option<f64>) -> Option<Share>,
    /// Whether it is a difference, of which the sign is said.
    signed: bool,
}

const PASS: Metric = Metric {
    id: "fig-pass",
    name: |it| format!("pass@{}", it.k),
    about: "the share of prompts that some of the samples answers right",
    of: |it, k, _| it.pass_at(k),
    signed: false,
};

const REWARD_PASS: Metric = Metric {
    id: "fig-reward-pass",
    name: |it| format!("reward-pass@{}", it.reward_pass().map_or(0, |(k, _)| k)),
    about: "the share of prompts with a right response among those that the reward model scores best",
    of: |it, _, _| it.reward_pass().map(|(_, share)| share),
    signed: false,
};

const GAP: Metric = Metric {
    id: "fig-gap",
    name: |it| format!("pass@{} less greedy", it.k),
    about: "what sampling finds and the likeliest response does not",
    of: |it, k, greedy| Some((it.pass_at(k)?.0 - greedy?, None)),
    signed: true,
};

/// One line a temperature; `None` where only one was measured, which the overview shows.
fn by_temperature(member: &Member, metric: &Metric) -> Option<Figure> {
    let monitors = of_evolution(member);
    let first = &monitors.first()?.value;
    let temperatures: Vec<f64> = first.each().iter().map(|it| it.temperature).collect();
    if temperatures.len() < 2 {
        return None;
    }
    let name = (metric.name)(first);
    let share = |it: &Measured<Monitored>, temperature: f64| {
        let each = it.value.each();
        let here = each.iter().find(|it| it.temperature == temperature)?;
        (metric.of)(here, it.value.k, greedy(member, it.at))
    };
    let written = |(share, interval): Share| {
        let share = if metric.signed { points(share) } else { percent(share) };
        interval.map_or_else(|| share.clone(), |it| format!("{share} [{}]", range(it)))
    };
    let point = |it: &Measured<Monitored>, temperature: f64| {
        let (y, interval) = share(it, temperature)?;
        let (after, said) = (member.after(it.at.iteration), written((y, interval)));
        let unit = if metric.signed { "points" } else { "%" };
        let tip = format!("{name} at T={temperature}, {after}: {said} {unit}");
        Some(Point { x: it.value.step as f64, y, interval, tip })
    };
    let series: Vec<Series> = temperatures
        .iter()
        .zip(CLASSES.into_iter().cycle())
        .map(|(&temperature, class)| Series {
            name: format!("T={temperature}"),
            class,
            points: monitors.iter().filter_map(|it| point(it, temperature)).collect(),
            marked: true,
            line: None,
        })
        .collect();
    let mut table = Table::new(&["iteration"]);
    table.head.extend(temperatures.iter().map(|temperature| format!("T={temperature}")));
    for it in &monitors {
        let cells = temperatures.iter().map(|&temperature| share(it, temperature));
        let cells = cells.map(|cell| cell.map_or_else(|| "–".to_owned(), written));
        table.rows.push(std::iter::once(member.after(it.at.iteration)).chain(cells).collect());
    }
    let chart = Chart {
        label: format!("{name} against optimizer steps, one line a temperature"),
        x_label: "optimizer steps".into(),
        y_label: "validation, %".into(),
        height: 340.0,
        percent: true,
        shade: false,
        series,
    };
    let bands = if metric.signed { "" } else { " Bands are 95 % intervals." };
    Some(Figure {
        id: metric.id.into(),
        title: format!("{} by temperature", capitalised(&name)),
        caption: format!(
            "On {}, {} each at every temperature: {}.{bands}",
            counted(first.count, "validation prompt"),
            counted(u64::from(first.k), "sample"),
            metric.about,
        ),
        body: chart.svg()?,
        table,
    })
}

fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The temperature that each iteration drew at, and what every search said.
fn chosen(member: &Member) -> Option<Figure> {
    let drawn = drawn_at(member);
    let point = |&(iteration, temperature): &(u32, f64)| Point {
        x: f64::from(iteration),
        y: temperature,
        interval: None,
        tip: format!("iteration {iteration} drew at T={temperature}"),
    };
    let chart = Chart {
        label: "temperature of exploration by iteration".into(),
        x_label: "iteration".into(),
        y_label: "temperature".into(),
        height: 270.0,
        percent: false,
        shade: false,
        series: vec![Series {
            name: "explored at".into(),
            class: "c1",
            points: drawn.iter().map(point).collect(),
            marked: true,
            line: None,
        }],
    };
    let caption = match member.balances.first() {
        Some(first) if first.value.objective == "hook" => {
            "The script chooses among the candidates that a search measured on validation prompts."
                .to_owned()
        }
        Some(first) => format!(
            "Searches maximise {} on validation prompts. The temperature moves to the best candidate \
             when the 95 % interval of its gain, paired by prompt, excludes 0.",
            first.value.objective
        ),
        None => "The temperature that each iteration explored at.".to_owned(),
    };
    Some(Figure {
        id: "fig-temperature".into(),
        title: "Temperature of exploration".into(),
        caption,
        body: chart.svg()?,
        table: searches(member),
    })
}

/// Every search: the objective at each candidate, and what became of it.
fn searches(member: &Member) -> Table {
    let Some(first) = member.balances.first() else { return Table::default() };
    let mut table = Table::new(&["iteration", "in use", "chosen", "gain of the best", "why"]);
    let candidates = first.value.candidates.iter().map(|it| format!("T={}", it.temperature));
    table.head.extend(candidates);
    for Measured { at, value } in &member.balances {
        let mut row = vec![
            at.iteration.to_string(),
            value.before.to_string(),
            match &value.setting {
                Some(setting) => format!("{}, {}", value.temperature, setting.beside()),
                None => value.temperature.to_string(),
            },
            gain_of_best(value),
            value.reason.clone(),
        ];
        row.extend(value.candidates.iter().map(|it| percent(it.value)));
        row.resize(table.head.len(), "–".to_owned());
        table.rows.push(row);
    }
    table
}

fn gain_of_best(balanced: &Balanced) -> String {
    let best = balanced.candidates.iter().find(|it| it.temperature == balanced.best);
    best.map_or_else(
        || "–".to_owned(),
        |it| {
            let interval = of_some_width(it.difference_interval);
            let interval = interval.map(|it| it.map(points).join(" to "));
            let told = interval.map_or_else(String::new, |interval| format!(" [{interval}]"));
            format!("{}{told}", points(it.difference))
        },
    )
}

/// Greedy accuracy, Pass@K and the mean at the first temperature, in one drawing.
fn overview(member: &Member) -> Option<Figure> {
    let evolution = of_evolution(member);
    let first = &evolution.first()?.value;
    let (k, temperature, prompts) = (first.k, first.temperature, first.count);
    let line = |name: String, class, values: Vec<(u32, u64, Option<f64>)>| Series {
        class,
        marked: true,
        line: None,
        points: values
            .into_iter()
            .filter_map(|(iteration, step, share)| {
                let share = share?;
                Some(Point {
                    x: step as f64,
                    y: share,
                    interval: None,
                    tip: format!("{name}, {}: {} %", member.after(iteration), percent(share)),
                })
            })
            .collect(),
        name,
    };
    let greedy = |iteration| greedy(member, At { iteration, branch: Branch::Evolution });
    let of = |share: &dyn Fn(u32, &Monitored) -> Option<f64>| {
        let value = |it: &&Measured<Monitored>| {
            (it.at.iteration, it.value.step, share(it.at.iteration, &it.value))
        };
        evolution.iter().map(value).collect::<Vec<_>>()
    };
    let mut series = vec![
        line(format!("pass@{k}"), "c3", of(&|_, it| it.pass_at(k))),
        line("greedy".into(), "c2", of(&|iteration, _| greedy(iteration))),
        line(format!("mean at T={temperature}"), "c4 thin", of(&|_, it| Some(it.mean))),
    ];
    let mut table = Table::new(&["iteration", "greedy", "mean", "pass@k", "gap", "reward-pass"]);
    if let Some((reward_k, _)) = evolution.iter().find_map(|it| it.value.reward_pass()) {
        let name = format!("reward-pass@{reward_k}");
        table.head[5].clone_from(&name);
        series.push(line(name, "c5", of(&|_, it| it.reward_pass().map(|(_, share)| share))));
    }
    table.head[3] = format!("pass@{k}");
    for it in &evolution {
        let (greedy, pass) = (greedy(it.at.iteration), it.value.pass_at(k));
        let gap = greedy.zip(pass).map(|(greedy, pass)| pass - greedy);
        table.rows.push(vec![
            member.after(it.at.iteration),
            percent_or_dash(greedy),
            percent(it.value.mean),
            percent_or_dash(pass),
            gap.map_or_else(|| "–".into(), points),
            percent_or_dash(it.value.reward_pass().map(|(_, share)| share)),
        ]);
    }
    series.retain(|series| !series.points.is_empty());
    let shade = series.len() >= 2 && series[1].name == "greedy";
    let chart = Chart {
        label: format!("greedy accuracy and pass@{k} against optimizer steps"),
        x_label: "optimizer steps".into(),
        y_label: "validation, %".into(),
        height: 340.0,
        percent: true,
        shade,
        series,
    };
    Some(Figure {
        id: "fig-dynamics".into(),
        title: format!("Greedy accuracy and pass@{k}"),
        caption: format!(
            "{}, {samples} each at temperature {temperature}. Pass@{k} is the \
             share of prompts that some of {samples} answers right; the shaded gap to greedy is \
             what exploration still has to offer.",
            counted(prompts, "validation prompt"),
            samples = counted(u64::from(k), "sample"),
        ),
        body: chart.svg()?,
        table: table.without_empty_columns(),
    })
}
