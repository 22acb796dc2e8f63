//! What verifiers make of N responses: the best by score, the majority, and the vote weighted by scores,
//! beside what the policy answers by itself and what is there to be found.

use super::chart::{Chart, Point, Series};
use super::dynamics::greedy;
use super::figures::Figure;
use super::metrics::{AtTemperature, Estimated, Monitored, Verifiers};
use super::model::{At, Branch, Member};
use super::numbers::{counted, percent, percent_or_dash, range};
use super::sections::Table;
use std::collections::BTreeMap;

/// What was measured of the policy that is quoted, else of the last one.
struct Studied<'a> {
    at: At,
    monitored: &'a Monitored,
    here: AtTemperature,
    verifiers: Verifiers,
    greedy: Option<f64>,
}

impl<'a> Studied<'a> {
    fn of(member: &'a Member) -> Option<Self> {
        let best = member.best();
        let of_evolution = member.monitors.iter().filter(|it| it.at.branch == Branch::Evolution);
        let mut verified = of_evolution.filter_map(|it| {
            let here = it.value.each().into_iter().next()?;
            let verifiers = here.verifiers.clone()?;
            let greedy = greedy(member, it.at);
            Some(Self { at: it.at, monitored: &it.value, here, verifiers, greedy })
        });
        verified.rfind(|it| best.is_none_or(|best| best == it.at.iteration))
    }
}

/// Accuracies against N; without rows where verifiers were not measured.
pub(super) fn table(member: &Member) -> Table {
    let Some(it) = Studied::of(member) else { return Table::default() };
    let mut table = Table::new(&["N", "best of N", "majority", "weighted", "greedy", "pass@N"]);
    let cell = |of: &BTreeMap<u32, Estimated>, n: u32| match of.get(&n) {
        Some(Estimated { value, interval: Some(interval) }) => {
            format!("{} [{}]", percent(*value), range(*interval))
        }
        other => percent_or_dash(other.map(|it| it.value)),
    };
    for &n in it.verifiers.best_of_n.keys() {
        table.rows.push(vec![
            n.to_string(),
            cell(&it.verifiers.best_of_n, n),
            cell(&it.verifiers.majority, n),
            cell(&it.verifiers.weighted, n),
            percent_or_dash(it.greedy),
            percent_or_dash(it.here.pass_at(n).map(|(share, _)| share)),
        ]);
    }
    table
}

/// Of which policy the table is.
pub(super) fn title(member: &Member) -> String {
    let after = Studied::of(member).map(|it| member.after(it.at.iteration));
    format!("verifiers against N, after {} (validation, %)", after.unwrap_or_default())
}

/// The same as a drawing.
pub(super) fn figure(member: &Member) -> Option<Figure> {
    let it = Studied::of(member)?;
    let numbers: Vec<u32> = it.verifiers.best_of_n.keys().copied().collect();
    let line = |name: &str, class, of: &dyn Fn(u32) -> Option<Estimated>| {
        let point = |&n: &u32| {
            let Estimated { value, interval } = of(n)?;
            let tip = format!("{name} of {n}: {} %", percent(value));
            Some(Point { x: f64::from(n), y: value, interval, tip })
        };
        let points = numbers.iter().filter_map(point).collect();
        Series { name: name.to_owned(), class, points, marked: true, line: None }
    };
    let bare = |value: f64| Estimated { value, interval: None };
    let series = vec![
        line("best of N", "c1", &|n| it.verifiers.best_of_n.get(&n).copied()),
        line("majority", "c2", &|n| it.verifiers.majority.get(&n).copied()),
        line("weighted", "c5", &|n| it.verifiers.weighted.get(&n).copied()),
        line("pass@N", "c3 thin", &|n| it.here.pass_at(n).map(|(share, _)| bare(share))),
        line("greedy", "c4 thin", &|_| it.greedy.map(bare)),
    ];
    let chart = Chart {
        label: "accuracy of verifiers against the number of responses".into(),
        x_label: "responses, N".into(),
        y_label: "validation, %".into(),
        height: 340.0,
        percent: true,
        shade: false,
        series: series.into_iter().filter(|series| !series.points.is_empty()).collect(),
    };
    Some(Figure {
        id: "fig-verifiers".into(),
        title: "Verifiers against N".into(),
        caption: format!(
            "After {}, on {} at temperature {}: N of {} are looked at, and \
             the number is the mean over choices of N. Bands are 95 % intervals. Best of N takes the \
             response with the highest score, majority the answer that most give, weighted the one \
             with the highest sum of scores; pass@N is what a perfect verifier would reach.",
            member.after(it.at.iteration),
            counted(it.monitored.count, "validation prompt"),
            it.here.temperature,
            counted(u64::from(it.monitored.k), "sample"),
        ),
        body: chart.svg()?,
        table: table(member),
    })
}
