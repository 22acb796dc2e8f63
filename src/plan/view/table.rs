//! Tables for people: columns as wide as what is in them, and one that gives way.

use std::fmt::Write as _;

/// Characters that the column that gives way keeps at least.
const NARROWEST: usize = 24;

/// A column.
#[derive(Clone, Copy)]
pub(super) struct Column {
    pub(super) heading: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Words,
    /// Aligned on the right.
    Numbers,
    /// Cut where a line would not fit.
    GivesWay,
}

pub(super) const fn words(heading: &'static str) -> Column {
    Column { heading, kind: Kind::Words }
}

pub(super) const fn numbers(heading: &'static str) -> Column {
    Column { heading, kind: Kind::Numbers }
}

pub(super) const fn gives_way(heading: &'static str) -> Column {
    Column { heading, kind: Kind::GivesWay }
}

/// The table, without the columns in which there is nothing. With a width, what does not fit is cut.
pub(super) fn table<const N: usize>(
    columns: &[Column; N],
    rows: &[[String; N]],
    width: Option<usize>,
) -> String {
    let headings = columns.map(|column| column.heading.to_owned());
    let used = |index: &usize| rows.iter().any(|row| !row[*index].is_empty());
    let shown: Vec<usize> = (0..N).filter(used).collect();
    let lines = || std::iter::once(&headings).chain(rows);
    let mut widths = columns.map(|_| 0);
    for &index in &shown {
        widths[index] = lines().map(|row| row[index].chars().count()).max().unwrap_or(0);
    }
    if let (Some(width), Some(soft)) =
        (width, shown.iter().find(|index| columns[**index].kind == Kind::GivesWay))
    {
        let others: usize =
            shown.iter().filter(|index| *index != soft).map(|index| widths[*index]).sum();
        let room = width.saturating_sub(others + 2 * (shown.len() - 1)).max(NARROWEST);
        widths[*soft] = widths[*soft].min(room);
    }
    let mut out = String::new();
    for row in lines() {
        let mut line = String::new();
        for &index in &shown {
            let (cell, width) = (cut(&row[index], widths[index]), widths[index]);
            let written = match columns[index].kind {
                Kind::Numbers => write!(line, "{cell:>width$}  "),
                Kind::Words | Kind::GivesWay => write!(line, "{cell:<width$}  "),
            };
            written.expect("a string takes any text");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// `12345` as `12,345`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
