//! Members that differ in nothing but one axis, usually the seed, as one row: mean and interval.

use super::model::{Comparison, Member};
use super::numbers::{percent, points};
use super::sections::Table;
use serde_json::Value;

/// 97.5 % quantiles of Student's t for 1 to 30 degrees of freedom; beyond, the normal's will do.
const STUDENT: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
    2.052, 2.048, 2.045, 2.042,
];

/// Values of the other axes, and the members that have them.
type Group<'a> = (Vec<(&'a str, &'a Value)>, Vec<&'a Member>);

/// Means over an axis with 95 % intervals of the mean (Student's t over its values); `None` when no
/// two members differ in that axis alone. At most `most` rows.
pub(super) fn over(members: &[Member], axis: &str, most: usize) -> Option<Table> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for member in members.iter().filter(|member| member.values.contains_key(axis)) {
        let others = member.values.iter().filter(|(name, _)| *name != axis);
        let others: Vec<_> = others.map(|(name, value)| (name.as_str(), value)).collect();
        match groups.iter_mut().find(|(values, _)| *values == others) {
            Some((_, group)) => group.push(member),
            None => groups.push((others, vec![member])),
        }
    }
    if !groups.iter().any(|(_, group)| group.len() > 1) {
        return None;
    }
    let mut table = Table::default();
    table.head.extend(groups.first()?.0.iter().map(|(name, _)| (*name).to_owned()));
    let measured = [format!("{axis}s"), "test".into(), "gain".into(), "over control".into()];
    table.head.extend(measured);
    for (values, group) in groups.into_iter().take(most) {
        let results: Vec<Comparison<'_>> =
            group.iter().filter_map(|it| it.comparison(it.result_split())).collect();
        let test: Vec<f64> = results.iter().map(|it| it.last.accuracy).collect();
        let gains: Vec<f64> = results.iter().filter_map(|it| Some(it.gain()?.0)).collect();
        let over_control: Vec<f64> =
            results.iter().filter_map(|it| Some(it.gain_over_control()?.0)).collect();
        let mut row: Vec<String> = values.iter().map(|(_, value)| plain(value)).collect();
        row.push(test.len().to_string());
        row.push(mean(&test).map_or_else(|| "–".into(), |it| with_half(percent(it.0), it.1)));
        for gains in [gains, over_control] {
            row.push(mean(&gains).map_or_else(|| "–".into(), |it| with_half(points(it.0), it.1)));
        }
        table.rows.push(row);
    }
    Some(table.without_empty_columns())
}

fn with_half(mean: String, half: Option<f64>) -> String {
    half.map_or_else(|| mean.clone(), |half| format!("{mean} ± {}", percent(half)))
}

/// A value as people write it.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Mean, and half of its 95 % interval when there are two values or more.
fn mean(values: &[f64]) -> Option<(f64, Option<f64>)> {
    let count = values.len() as f64;
    let mean = (!values.is_empty()).then(|| values.iter().sum::<f64>() / count)?;
    if values.len() < 2 {
        return Some((mean, None));
    }
    let variance = values.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let student = STUDENT.get(values.len() - 2).copied().unwrap_or(1.96);
    Some((mean, Some(student * (variance / count).sqrt())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_has_the_interval_of_student() {
        assert_eq!(mean(&[]), None);
        assert_eq!(mean(&[0.5]), Some((0.5, None)));
        let (mean, half) = mean(&[0.721, 0.743, 0.728]).unwrap();
        assert!((mean - 0.730_666_7).abs() < 1e-6);
        // s = .011240, t = 4.303, n = 3.
        assert!((half.unwrap() - 0.027_92).abs() < 1e-4, "{half:?}");
    }
}
