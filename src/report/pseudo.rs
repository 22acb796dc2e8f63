//! How far the answers that were found for unlabelled prompts can be trusted.

use super::chart::{Chart, Point, Series};
use super::figures::Figure;
use super::interval::Estimate;
use super::metrics::Agreed;
use super::model::{Measured, Member};
use super::numbers::{count, percent, percent_or_dash, range};
use super::sections::Table;

/// Agreement and coverage of every iteration; without rows where no prompt was unlabelled.
pub(super) fn table(member: &Member) -> Table {
    let mut table =
        Table::new(&["iteration", "prompts", "answered", "%", "agreeing", "%", "95 % interval"]);
    for Measured { at, value } in &member.agreements {
        table.rows.push(vec![
            at.iteration.to_string(),
            count(value.prompts),
            count(value.answered),
            percent_or_dash(value.coverage().map(|it| it.mean)),
            count(value.agreeing),
            percent_or_dash(value.agreement().map(|it| it.mean)),
            value.agreement().and_then(|it| it.interval).map_or_else(|| "–".to_owned(), range),
        ]);
    }
    table
}

/// Agreement and coverage by iteration.
pub(super) fn figure(member: &Member) -> Option<Figure> {
    let first = member.agreements.first()?;
    let line = |name: &str, class, of: &dyn Fn(&Agreed) -> Option<Estimate>| Series {
        name: name.to_owned(),
        class,
        marked: true,
        line: None,
        points: member
            .agreements
            .iter()
            .filter_map(|Measured { at, value }| {
                let Estimate { mean: y, interval, .. } = of(value)?;
                let iteration = at.iteration;
                let interval_told =
                    interval.map_or_else(String::new, |it| format!(" [{}]", range(it)));
                let tip = format!("{name}, iteration {iteration}: {} %{interval_told}", percent(y));
                Some(Point { x: f64::from(iteration), y, interval, tip })
            })
            .collect(),
    };
    let chart = Chart {
        label: "agreement and coverage of pseudo answers by iteration".into(),
        x_label: "iteration".into(),
        y_label: "pseudo answers, %".into(),
        height: 270.0,
        percent: true,
        shade: false,
        series: vec![
            line("agree", "c1", &Agreed::agreement),
            line("prompts answered", "c2 thin", &|it| {
                Some(Estimate { interval: None, ..it.coverage()? })
            }),
        ],
    };
    Some(Figure {
        id: "fig-pseudo".into(),
        title: "Pseudo answers".into(),
        caption: format!(
            "From iteration {} on unlabelled prompts take part. Of those that an answer was found \
             for, the share in which it is the hidden one, with a 95 % interval; and the share that \
             an answer was found for. Hidden answers are read for this figure only, unless the \
             recipe asks the oracle.",
            first.at.iteration
        ),
        body: chart.svg()?,
        table: table(member),
    })
}
