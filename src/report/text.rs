//! The summary for a terminal: at most 100 columns, no colour.

use super::model::{Member, State, Study};
use super::sections::{
    Table, by_category, by_iteration, by_member, devices, ending, headline, time,
};
use super::seeds;

/// Rows of a table of members before it is cut.
const MEMBERS_SHOWN: usize = 40;
/// Stages without a result before the list is cut.
const STAGES_SHOWN: usize = 12;
/// Notes before the list is cut.
const NOTES_SHOWN: usize = 12;

/// A study in words and tables, ending with a newline. `page` is where the HTML report is.
pub fn summary(study: &Study, page: Option<&str>) -> String {
    let mut text = Text::default();
    let device = devices(study);
    let device = if device.is_empty() { String::new() } else { format!(" on {device}") };
    text.line(&format!("{} · run {} · {}{device}", study.name, study.run, ending(study)));
    if let [member] = study.members.as_slice() {
        one(&mut text, member);
    } else if study.members.len() > 1 {
        grid(&mut text, study);
    }
    unfinished(&mut text, study);
    if study.seconds > 0.0 && !study.stages.is_empty() {
        text.section("time by kind of stage");
        text.table(&time(study));
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
    text.section("by iteration (accuracies in %, 95 % intervals)");
    text.table(&by_iteration(member));
    let categories = by_category(member);
    if !categories.rows.is_empty() {
        text.section(&format!("by category ({}, %)", member.result_split()));
        text.table(&categories);
    }
}

fn grid(text: &mut Text, study: &Study) {
    if let Some(table) = seeds::over(&study.members, "seed", MEMBERS_SHOWN) {
        text.section("over seeds (means in %, 95 % intervals by Student's t)");
        text.table(&table);
    }
    text.section(&format!("{} members (accuracies in %, 95 % intervals)", study.members.len()));
    text.table(&by_member(study.members.iter().take(MEMBERS_SHOWN)));
    if study.members.len() > MEMBERS_SHOWN {
        let more = study.members.len() - MEMBERS_SHOWN;
        text.line(&format!("  and {more} more: `mstar report --format json` has them all"));
    }
}

fn unfinished(text: &mut Text, study: &Study) {
    let rows: Vec<_> = study.unfinished().collect();
    if rows.is_empty() {
        return;
    }
    text.section(&format!("{} of {} stages without a result", rows.len(), study.stages.len()));
    let width = rows.iter().take(STAGES_SHOWN).map(|row| row.summary.name.chars().count());
    let width = width.max().unwrap_or(0);
    // Failures first: the rest follows from them.
    let failed = |state: &State| matches!(state, State::Failed { .. });
    let ordered = rows.iter().filter(|row| failed(&row.state));
    let ordered = ordered.chain(rows.iter().filter(|row| !failed(&row.state)));
    for row in ordered.take(STAGES_SHOWN) {
        let (name, word) = (&row.summary.name, row.state.word());
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

    /// The first column to the left, the others to the right.
    fn table(&mut self, table: &Table) {
        let columns = table.head.len();
        let mut widths = vec![0; columns];
        for row in std::iter::once(&table.head).chain(&table.rows) {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for row in std::iter::once(&table.head).chain(&table.rows) {
            let mut line = String::from(" ");
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                line.push(' ');
                let space = " ".repeat(width - cell.chars().count());
                if column == 0 {
                    line.push_str(cell);
                    line.push_str(&space);
                } else {
                    line.push(' ');
                    line.push_str(&space);
                    line.push_str(cell);
                }
            }
            self.line(line.trim_end());
        }
    }
}
