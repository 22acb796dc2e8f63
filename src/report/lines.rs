//! Accuracy by iteration of every row of the table: one line a row, a band over its seeds.

use super::chart::{Chart, Point, Series, escape};
use super::figures::Figure;
use super::interval::student;
use super::model::{Branch, Member, Study};
use super::numbers::{percent, plain, range};
use super::pivot::{Group, Pivot};
use super::sections::Table;
use super::sheet::short;

/// Lines that are named where they end and marked point by point; more are told by pointing.
const NAMED: usize = 10;
/// Rows whose bands are drawn; more would lie over one another.
const BANDED: usize = 24;
/// Six colours, each whole, dashed and dotted: no line is told by its colour alone.
pub(super) const CLASSES: [&str; 18] = [
    "c1",
    "c2",
    "c3",
    "c4",
    "c5",
    "c6",
    "c1 dashed",
    "c2 dashed",
    "c3 dashed",
    "c4 dashed",
    "c5 dashed",
    "c6 dashed",
    "c1 dotted",
    "c2 dotted",
    "c3 dotted",
    "c4 dotted",
    "c5 dotted",
    "c6 dotted",
];

/// The figure; `None` for a single member.
pub(super) fn figure(study: &Study, pivot: &Pivot) -> Option<Figure> {
    if study.members.len() < 2 {
        return None;
    }
    let groups: Vec<(String, &Group)> = pivot
        .groups()
        .map(|(line, head, group)| {
            let values: Vec<String> =
                line.keys.iter().chain(&pivot.heads[head]).map(plain).collect();
            (values.join(", "), group)
        })
        .collect();
    let keys = pivot.rows.iter().chain(&pivot.columns).cloned().collect::<Vec<_>>();
    let keys: Vec<String> = keys.iter().map(|key| short(key, &keys)).collect();
    let result = study.members.iter().map(Member::result_split).min()?;
    let mut splits = vec![result];
    splits.extend(Some("validation").filter(|split| *split != result));
    let charts: Vec<String> =
        splits.iter().filter_map(|split| chart(study, &groups, split)).collect();
    if charts.is_empty() {
        return None;
    }
    let few = if groups.len() > NAMED { " class=\"many-lines\"" } else { "" };
    let bands = if groups.len() > BANDED {
        "bands are left out of so many lines"
    } else {
        "bands are 95 % intervals of Student's t where a row has two members or more"
    };
    Some(Figure {
        id: "fig-curves".into(),
        title: "Accuracy by iteration".into(),
        caption: format!(
            "Greedy accuracy on the {} prompts; one line for each {}, the mean over its {}; {bands}. \
             Click a name to hide its line.",
            splits.join(" and "),
            keys.join(" and "),
            pivot.of_members()
        ),
        body: format!("{}<div{few}>{}</div>", legend(study, &groups, result), charts.concat()),
        table: Table::default(),
    })
}

fn chart(study: &Study, groups: &[(String, &Group)], split: &str) -> Option<String> {
    let named = groups.len() <= NAMED;
    let series = groups.iter().enumerate().map(|(index, (label, group))| Series {
        name: if named { label.clone() } else { String::new() },
        class: CLASSES[index % CLASSES.len()],
        points: points(study, label, group, split, groups.len() <= BANDED),
        marked: named,
        line: Some((index, label.clone())),
    });
    Chart {
        label: format!("{split} accuracy of every row of the table by iteration"),
        x_label: "iteration".into(),
        y_label: format!("{split} accuracy, %"),
        height: 360.0,
        percent: true,
        shade: false,
        series: series.filter(|series| !series.points.is_empty()).collect(),
    }
    .svg()
}

/// Means at the iterations that all members of a group reached that came to their end; of a group
/// without such, at those that all its members reached.
fn points(study: &Study, label: &str, group: &Group, split: &str, banded: bool) -> Vec<Point> {
    let all = group.members.iter().map(|index| &study.members[*index]);
    let mut members: Vec<&Member> = all.clone().filter(|it| it.troubles.is_empty()).collect();
    if members.is_empty() {
        members = all.collect();
    }
    let curves: Vec<_> =
        members.iter().map(|member| member.curve(split, Branch::Evolution)).collect();
    let Some((first, others)) = curves.split_first() else { return Vec::new() };
    let point = |(iteration, evaluated): &(u32, &super::metrics::Evaluated)| {
        let mut values = vec![evaluated.accuracy];
        for other in others {
            values.push(other.iter().find(|(at, _)| at == iteration)?.1.accuracy);
        }
        let estimate = student(&values).map(|it| it.within([0.0, 1.0]));
        let mean = estimate.as_ref().map_or(evaluated.accuracy, |it| it.mean);
        let interval = estimate.and_then(|it| it.interval);
        let said = interval.map_or_else(String::new, |it| format!(" [{}]", range(it)));
        let tip = format!("{label}, iteration {iteration}: {} %{said}", percent(mean));
        Some(Point {
            x: f64::from(*iteration),
            y: mean,
            interval: interval.filter(|_| banded),
            tip,
        })
    };
    first.iter().filter_map(point).collect()
}

/// Names of the lines, which the script turns into switches.
fn legend(study: &Study, groups: &[(String, &Group)], split: &str) -> String {
    let entries = groups.iter().enumerate().map(|(index, (label, group))| {
        let last = points(study, label, group, split, false).pop();
        let last = last.map_or_else(|| "–".to_owned(), |point| percent(point.y));
        let missing = group.missing.values().sum::<usize>() == group.members.len();
        let said = if missing { group.counted() } else { last };
        let (class, name) = (CLASSES[index % CLASSES.len()], escape(label));
        format!(
            r#"<li data-line="{index}" class="{class}"><span class="stroke"></span>{name} <span class="soft">{said}</span></li>"#
        )
    });
    format!(r#"<ul class="legend switches">{}</ul>"#, entries.collect::<String>())
}
