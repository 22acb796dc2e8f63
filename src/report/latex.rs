//! A sheet as a LaTeX table in the style of booktabs.

use super::sheet::{Sheet, Word};

/// A `table` environment; needs the package `booktabs`.
pub(super) fn latex(sheet: &Sheet, title: &str) -> String {
    let columns =
        format!("{}{}", "l".repeat(sheet.keys), "r".repeat(sheet.head.len() - sheet.keys));
    let mut lines = vec![
        "% Needs \\usepackage{booktabs}.".to_owned(),
        "\\begin{table}".to_owned(),
        "\\centering".to_owned(),
        format!("\\begin{{tabular}}{{{columns}}}"),
        "\\toprule".to_owned(),
    ];
    let row = |cells: Vec<String>| format!("{} \\\\", cells.join(" & "));
    if !sheet.spans.is_empty() {
        let mut at = sheet.keys;
        let (mut names, mut rules) = (vec![String::new(); sheet.keys], Vec::new());
        for (name, columns) in &sheet.spans {
            names.push(format!("\\multicolumn{{{columns}}}{{c}}{{{}}}", escape(name)));
            rules.push(format!("\\cmidrule(lr){{{}-{}}}", at + 1, at + columns));
            at += columns;
        }
        lines.extend([row(names), rules.concat()]);
    }
    lines.push(row(sheet.head.iter().map(|name| escape(name)).collect()));
    lines.push("\\midrule".to_owned());
    for words in &sheet.rows {
        let set = |word: &Word| match word.bold {
            true => format!("\\textbf{{{}}}", escape(&word.text)),
            false => escape(&word.text),
        };
        lines.push(row(words.iter().map(set).collect()));
    }
    let notes = sheet.notes.iter().chain(&sheet.troubles);
    let notes: Vec<String> = notes.map(|note| escape(&note.replace('`', ""))).collect();
    lines.push("\\bottomrule\n\\end{tabular}".to_owned());
    lines.push(format!("\\caption{{{}. {}}}", escape(title), notes.join(" ")));
    lines.push("\\end{table}\n".to_owned());
    lines.join("\n")
}

/// Text that LaTeX sets as it stands.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => {
                out.push('\\');
                out.push(character);
            }
            '\\' => out.push_str("\\textbackslash{}"),
            '~' => out.push_str("\\textasciitilde{}"),
            '^' => out.push_str("\\textasciicircum{}"),
            '<' => out.push_str("\\textless{}"),
            '>' => out.push_str("\\textgreater{}"),
            '"' => out.push_str("\\textquotedbl{}"),
            'Δ' => out.push_str("$\\Delta$"),
            '−' => out.push_str("$-$"),
            '–' => out.push_str("--"),
            '\u{202f}' => out.push_str("\\,"),
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
    fn what_latex_would_read_as_a_command_is_escaped() {
        let text = "50 % of a_b & {c} #1 $x$ ~^\\ <d> \"e\"";
        assert_eq!(
            escape(text),
            "50 \\% of a\\_b \\& \\{c\\} \\#1 \\$x\\$ \\textasciitilde{}\\textasciicircum{}\
             \\textbackslash{} \\textless{}d\\textgreater{} \\textquotedbl{}e\\textquotedbl{}"
        );
        assert_eq!(escape("Δ −5.2 12\u{202f}000 1–2"), "$\\Delta$ $-$5.2 12\\,000 1--2");
    }
}
