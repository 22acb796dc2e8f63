//! A sheet as a table of Markdown.

use super::sheet::{Sheet, Word};

/// A table as GitHub and mdBook read it, with its notes below.
pub(super) fn markdown(sheet: &Sheet, title: &str) -> String {
    let mut lines = vec![format!("**{}**\n", escape(title))];
    let mut head = sheet.head.clone();
    // There is one row for names only, so that those of the columns go in front.
    let mut at = sheet.keys;
    for (name, columns) in &sheet.spans {
        for column in &mut head[at..at + columns] {
            *column = format!("{name}: {column}");
        }
        at += columns;
    }
    let line = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
    lines.push(line(head.iter().map(|name| escape(name)).collect()));
    let rule = |column| if column < sheet.keys { "---" } else { "---:" };
    lines.push(line((0..head.len()).map(|column| rule(column).to_owned()).collect()));
    for row in &sheet.rows {
        let set = |word: &Word| match word.bold {
            true => format!("**{}**", escape(&word.text)),
            false => escape(&word.text),
        };
        lines.push(line(row.iter().map(set).collect()));
    }
    lines.push(String::new());
    let notes = sheet.notes.iter().chain(&sheet.troubles);
    lines.extend(notes.map(|note| format!("* {}", escape(note))));
    if !sheet.findings.is_empty() {
        lines.push(String::new());
    }
    let findings = sheet.findings.iter();
    lines.extend(findings.map(|it| {
        let (says, numbers) = (escape(&it.says), escape(&it.numbers));
        format!("* {says}: **{}**; {numbers}.", it.verdict)
    }));
    lines.join("\n") + "\n"
}

/// Text that ends no cell and begins no markup.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '|' | '*' | '\\' => {
                out.push('\\');
                out.push(character);
            }
            '<' => out.push_str("&lt;"),
            '\n' | '\r' => out.push(' '),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_a_cell() {
        assert_eq!(escape("a|b\nc *d* <e>"), "a\\|b c \\*d\\* &lt;e>");
    }
}
