//! The summary for a terminal: at most 100 columns, no colour.

use super::model::{Member, State, Study};
use super::pivot::Pivot;
use super::sections::{
    OVER_PROMPTS, Table, by_category, by_iteration, devices, ending, headline, time,
};
use super::sheet::{Sheet, Word};
use crate::base::counted;
use std::ops::Range;

/// Columns of a terminal; a wider table goes on below.
const WIDTH: usize = 100;
/// Rows of the table before it is cut.
const ROWS_SHOWN: usize = 60;
/// Stages without a result before the list is cut.
const STAGES_SHOWN: usize = 12;
/// Notes before the list is cut.
const NOTES_SHOWN: usize = 12;

/// A study in words and tables, ending with a newline. `table` lays out its members, and `page` is
/// where the HTML report is.
pub fn summary(study: &Study, table: Option<&Pivot>, page: Option<&str>) -> String {
    let mut text = Text::default();
    let device = devices(study);
    let device = if device.is_empty() { String::new() } else { format!(" on {device}") };
    text.line(&format!("{} · run {} · {}{device}", study.name, study.run, ending(study)));
    if let [member] = study.members.as_slice() {
        one(&mut text, member);
    } else if study.members.len() > 1 {
        let plain;
        let table = match table {
            Some(table) => table,
            None => {
                plain = Pivot::plain(study);
                &plain
            }
        };
        text.section(&format!("{} members", study.members.len()));
        sheet(&mut text, &Sheet::of(table));
    }
    unfinished(&mut text, study);
    if study.seconds > 0.0 && !study.stages.is_empty() {
        text.section("time by kind of stage");
        text.table(&time(study));
        if let Some(saved) = super::tower::sentence(study) {
            text.line(&format!("  {saved}"));
        }
    }
    if !study.notes.is_empty() {
        text.section("notes");
        for note in study.notes.iter().take(NOTES_SHOWN) {
            let about = note.stage.as_ref().map_or_else(String::new, |name| format!("{name}: "));
            text.line(&format!("  {about}{}", note.message));
        }
        if study.notes.len() > NOTES_SHOWN {
            text.line(&format!("  and {} more", study.notes.len() - NOTES_SHOWN));
        }
    }
    if let Some(page) = page {
        text.line("");
        text.line(&format!("report: {page}"));
    }
    text.0
}

fn one(text: &mut Text, member: &Member) {
    let figures = headline(member);
    if figures.is_empty() {
        text.line("");
        text.line("  nothing has been evaluated");
    } else {
        text.line("");
    }
    let width = figures.iter().map(|it| it.label.chars().count()).max().unwrap_or(0);
    let values = figures.iter().map(|it| it.value.chars().count()).max().unwrap_or(0);
    for it in figures {
        let (label, value, detail) = (it.label, it.value, it.detail);
        text.line(&format!("  {label:<width$}  {value:>values$}"));
        text.line(&format!("    {detail}"));
    }
    text.section(&format!("by iteration (accuracies in %; {OVER_PROMPTS})"));
    text.table(&by_iteration(member));
    let categories = by_category(member);
    if !categories.rows.is_empty() {
        text.section(&format!("by category ({}, %)", member.result_split()));
        text.table(&categories);
    }
    let verifiers = super::verifiers::table(member);
    if !verifiers.rows.is_empty() {
        text.section(&super::verifiers::title(member));
        text.table(&verifiers);
    }
    let pseudo = super::pseudo::table(member);
    if !pseudo.rows.is_empty() {
        text.section("pseudo answers of unlabelled prompts, beside the hidden ones");
        text.table(&pseudo);
    }
    let rewards = super::reward::table(member);
    if !rewards.rows.is_empty() {
        text.section("reward model, on prompts that were held out");
        text.table(&rewards);
    }
}

/// The table that a study was laid out as, with what is to be known about its numbers.
pub(super) fn pivot(table: &Pivot) -> String {
    let mut text = Text::default();
    sheet(&mut text, &Sheet::of(table));
    text.0
}

/// Columns below a name that spans them.
type Span<'a> = (Option<&'a String>, Range<usize>);

/// A sheet, in parts below each other where the terminal ends, each with the names of the rows.
fn sheet(text: &mut Text, sheet: &Sheet) {
    let parts = parts(sheet);
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            text.line("");
        }
        text.part(sheet, part);
    }
    if sheet.rows.len() > ROWS_SHOWN {
        let more = sheet.rows.len() - ROWS_SHOWN;
        text.line(&format!("  and {more} more: `mstar report --format csv` has them all"));
    }
    text.line("");
    for note in sheet.notes.iter().chain(&sheet.troubles) {
        text.wrapped(note);
    }
    if !sheet.findings.is_empty() {
        text.section("findings");
    }
    for it in &sheet.findings {
        text.wrapped(&format!("{}: {}; {}.", it.says, it.verdict, it.numbers));
    }
}

/// The columns by parts no wider than the terminal. Columns that are read together stay so, and
/// those below one name too, if they fit.
fn parts(sheet: &Sheet) -> Vec<Vec<Span<'_>>> {
    let rows = || sheet.rows.iter().take(ROWS_SHOWN);
    let width = |column: usize| {
        let cells = rows().map(|row| &row[column].text).chain([&sheet.head[column]]);
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0) + 2
    };
    let wide = |columns: &Range<usize>| columns.clone().map(width).sum::<usize>();
    let whole = (None, sheet.head.len() - sheet.keys);
    let spans = sheet.spans.iter().map(|(name, columns)| (Some(name), *columns));
    let spans: Vec<_> = if sheet.spans.is_empty() { vec![whole] } else { spans.collect() };
    let keys = wide(&(0..sheet.keys));
    let mut sizes = sheet.blocks.iter();
    let (mut at, mut used) = (sheet.keys, keys);
    let mut parts: Vec<Vec<Span<'_>>> = vec![Vec::new()];
    for (name, columns) in spans {
        let end = at + columns;
        let all = wide(&(at..end));
        if used > keys && used + all > WIDTH {
            parts.push(Vec::new());
            used = keys;
        }
        while at < end {
            let block = at..at + sizes.next().map_or(end - at, |size| *size);
            at = block.end;
            if used > keys && used + wide(&block) > WIDTH {
                parts.push(Vec::new());
                used = keys;
            }
            used += wide(&block);
            let part = parts.last_mut().expect("there is a first part");
            match part.last_mut() {
                Some((before, columns)) if *before == name && columns.end == block.start => {
                    columns.end = block.end;
                }
                _ => part.push((name, block)),
            }
        }
    }
    parts
}

fn unfinished(text: &mut Text, study: &Study) {
    let rows: Vec<_> = study.unfinished().collect();
    if rows.is_empty() {
        return;
    }
    let all = counted(study.stages.len(), "stage");
    text.section(&format!("{} of {all} without a result", rows.len()));
    // Failures first: the rest follows from them.
    let failed = |state: &State| matches!(state, State::Failed { .. });
    let ordered = rows.iter().filter(|row| failed(&row.state));
    let ordered = ordered.chain(rows.iter().filter(|row| !failed(&row.state)));
    let titled = ordered.map(|row| (row, row.summary.title(study.members.len())));
    let shown: Vec<_> = titled.take(STAGES_SHOWN).collect();
    let width = shown.iter().map(|(_, title)| title.chars().count()).max().unwrap_or(0);
    for (row, name) in &shown {
        let word = row.state.word();
        let why = match &row.state {
            State::Failed { reason, .. } => reason.as_str(),
            State::Skipped { because } => because.as_str(),
            _ => "",
        };
        text.line(format!("  {name:<width$}  {word:<10}  {why}").trim_end());
        if let State::Failed { hint: Some(hint), .. } = &row.state {
            text.line(&format!("  {:width$}  {:<10}  hint: {hint}", "", ""));
        }
    }
    if rows.len() > STAGES_SHOWN {
        text.line(&format!("  and {} more", rows.len() - STAGES_SHOWN));
    }
}

/// A text that grows by lines.
#[derive(Default)]
struct Text(String);

impl Text {
    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    fn section(&mut self, title: &str) {
        self.line("");
        self.line(title);
    }

    /// Some columns of a sheet behind those that name the row, below the names that span them.
    fn part(&mut self, sheet: &Sheet, part: &[Span<'_>]) {
        let columns = (0..sheet.keys).chain(part.iter().flat_map(|(_, columns)| columns.clone()));
        let columns: Vec<usize> = columns.collect();
        let rows = sheet.rows.iter().take(ROWS_SHOWN);
        let row = |row: &Vec<Word>| {
            columns.iter().map(|column| row[*column].text.clone()).collect::<Vec<_>>()
        };
        let table = Table {
            head: columns.iter().map(|column| sheet.head[*column].clone()).collect(),
            rows: rows.map(row).collect(),
        };
        let spans: Vec<(&str, usize)> = part
            .iter()
            .filter_map(|(name, columns)| Some((name.as_ref()?.as_str(), columns.len())))
            .collect();
        self.aligned(&table, sheet.keys, &spans);
    }

    /// A sentence, broken between words and indented.
    fn wrapped(&mut self, sentence: &str) {
        let mut line = String::from("  ");
        for word in sentence.split(' ') {
            if line.chars().count() + 1 + word.chars().count() > WIDTH && line.trim() != "" {
                self.line(&line);
                line = String::from("   ");
            }
            if line.trim() != "" {
                line.push(' ');
            }
            line.push_str(word);
        }
        self.line(&line);
    }

    /// A table whose rows are named by their first column.
    fn table(&mut self, table: &Table) {
        self.aligned(table, 1, &[]);
    }

    /// The first columns to the left, the others to the right, below names that span several.
    fn aligned(&mut self, table: &Table, left: usize, spans: &[(&str, usize)]) {
        let mut widths = vec![0; table.head.len()];
        for row in std::iter::once(&table.head).chain(&table.rows) {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        if !spans.is_empty() {
            let mut at = left;
            let mut line = " ".repeat(1 + widths[..left].iter().map(|it| it + 2).sum::<usize>());
            for &(name, columns) in spans {
                let below = &mut widths[at..at + columns];
                let wide = below.iter().sum::<usize>() + 2 * (columns - 1);
                let lacking = name.chars().count().saturating_sub(wide);
                below[0] += lacking;
                let indent = (wide + lacking - name.chars().count()) / 2;
                let rest = wide + lacking - indent - name.chars().count();
                line.extend([&" ".repeat(2 + indent), name, &" ".repeat(rest)]);
                at += columns;
            }
            self.line(line.replacen(' ', "", 1).trim_end());
        }
        for row in std::iter::once(&table.head).chain(&table.rows) {
            let mut line = String::from(" ");
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                line.push(' ');
                let space = " ".repeat(width - cell.chars().count());
                if column > 0 {
                    line.push(' ');
                }
                if column < left {
                    line.push_str(cell);
                    line.push_str(&space);
                } else {
                    line.push_str(&space);
                    line.push_str(cell);
                }
            }
            self.line(line.trim_end());
        }
    }
}
