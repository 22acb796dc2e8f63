//! `mstar report`: what happened in a run, as a page, tables or JSON.

use crate::base::Hint as _;
use crate::cli::arguments::{Report, ReportFormat, Table};
use crate::cli::exit::{Exit, Trouble};
use crate::cli::outcomes::Outcomes;
use crate::cli::outputs::spare_written;
use crate::cli::planning::{self, PlannedGraph, of_store};
use crate::cli::printer::Printer;
use crate::cli::recorded::{self, RecordedValue};
use crate::cli::samples::samples;
use crate::cli::sharing::Tables;
use crate::recipe::{Finding, TableSpec};
use crate::report::{
    Ending, Extras, Judged, Metric, Pivot, RecipeLine, Study, TableFault, page, summary, to_json,
};
use crate::store::{Run, Store};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Stages beyond which nobody could read a drawing of the graph.
const STAGES_DRAWN: usize = 4000;

/// What was recorded of one run, or of several side by side.
struct Told {
    study: Study,
    /// The graph of a single run.
    planned: Option<PlannedGraph>,
    /// The table that the first of them declares.
    spec: Option<TableSpec>,
    /// What the only one of them was to show.
    findings: Vec<Finding>,
}

pub(crate) fn report(arguments: &Report, store: &Path, printer: Printer) -> Result<Exit, Trouble> {
    arguments.output.as_deref().map_or(Ok(()), spare_written)?;
    let (store, runs) = runs(store, &arguments.runs)?;
    let told = Told::of(&store, &runs, printer)?;
    let said = arguments.table.with_metrics_of(&told.study);
    let table = told.table(&store, &said, printer)?;
    let title = &told.study.name;
    let to_stdout = arguments.output.as_deref() == Some(Path::new("-"));
    let bytes = match arguments.format {
        ReportFormat::Text if said.lays_out() && told.study.members.len() < 2 => {
            table.to_text().into()
        }
        ReportFormat::Text => summary(&told.study, Some(&table), None).into(),
        ReportFormat::Markdown => table.to_markdown(title).into(),
        ReportFormat::Latex => table.to_latex(title).into(),
        ReportFormat::Svg => table.to_svg(title).into(),
        ReportFormat::Csv => table.to_csv().into(),
        ReportFormat::Json => format!("{}\n", to_json(&told.study, Some(&table))).into(),
        ReportFormat::Parquet => parquet(&table, arguments.output.is_none() || to_stdout, printer)?,
        ReportFormat::Html if to_stdout => html(told, table, (&store, &runs), printer)?.into(),
        ReportFormat::Html => {
            let path = page_path(&runs, arguments.output.as_deref())?;
            put_page(told, table, (&store, &runs), &path, printer)?;
            printer.data(&path.display().to_string())?;
            return Ok(Exit::Done);
        }
    };
    match &arguments.output {
        Some(path) if !to_stdout => {
            crate::store::write_beside(path, &bytes).map_err(of_store)?;
        }
        _ => match arguments.format {
            ReportFormat::Parquet => printer.bytes(&bytes)?,
            _ => printer.data(&String::from_utf8_lossy(&bytes))?,
        },
    }
    Ok(Exit::Done)
}

/// The page of a run that may still go on. What cannot be told is left out without a word.
pub(crate) fn report_so_far(store: &Store, run: &Run) -> Result<String, Trouble> {
    let (runs, printer) = (std::slice::from_ref(run), Printer::new(true));
    let told = Told::of(store, runs, printer)?;
    let table = told.table(store, &Table::default(), printer)?;
    html(told, table, (store, runs), printer)
}

/// The terminal's summary of a run.
pub(super) fn summary_of(store: &Store, run: &Run, printer: Printer) -> Result<String, Trouble> {
    let told = Told::of(store, std::slice::from_ref(run), printer)?;
    let table = told.table(store, &Table::default(), printer)?;
    Ok(summary(&told.study, Some(&table), None))
}

/// Writes the page of a run into its folder; returns the terminal's summary, which names the page.
pub(super) fn conclude(store: &Store, run: &Run, printer: Printer) -> Result<String, Trouble> {
    let runs = std::slice::from_ref(run);
    let told = Told::of(store, runs, printer)?;
    let table = told.table(store, &Table::default(), printer)?;
    let path = page_path(runs, None)?;
    let text = summary(&told.study, Some(&table), Some(&path.display().to_string()));
    put_page(told, table, (store, runs), &path, printer)?;
    Ok(text)
}

/// What a run measured, and its report as a bundle holds it.
pub(super) fn tables(
    store: &Store,
    run: &Run,
    printer: Printer,
) -> Result<(Study, Tables), Trouble> {
    let told = Told::of(store, std::slice::from_ref(run), printer)?;
    let table = told.table(store, &Table::default(), printer)?;
    let json = format!("{:#}\n", to_json(&told.study, Some(&table)));
    let markdown = table.to_markdown(&told.study.name);
    Ok((told.study, Tables { json, markdown }))
}

/// The runs that were named, or the latest.
fn runs(store: &Path, names: &[String]) -> Result<(Store, Vec<Run>), Trouble> {
    let Some((first, others)) = names.split_first() else {
        let (store, run) = planning::find_run(store, None)?;
        return Ok((store, vec![run]));
    };
    let (opened, run) = planning::find_run(store, Some(first))?;
    let mut runs = vec![run];
    for name in others {
        if names.iter().filter(|other| *other == name).count() > 1 {
            return Err(Trouble::wrong(format!("`{name}` is named twice"), "name each run once"));
        }
        runs.push(planning::find_run(store, Some(name))?.1);
    }
    Ok((opened, runs))
}

impl Told {
    fn of(store: &Store, runs: &[Run], printer: Printer) -> Result<Self, Trouble> {
        let mut studies = Vec::new();
        let mut graphs = Vec::new();
        for run in runs {
            let planned = match PlannedGraph::read(run) {
                Ok(planned) => Some(planned),
                Err(trouble) => {
                    printer.talk(&format!("values and table are not known: {trouble}"));
                    None
                }
            };
            let members: Vec<_> = planned.iter().flat_map(|planned| &planned.members).collect();
            let values = members.iter().map(|it| (it.name.clone(), it.values.clone()));
            let names = members.iter().map(|it| it.name.as_str());
            let log = planning::log_of(run)?;
            if log.is_empty() && !store.is_living(run).map_err(of_store)? {
                return Err(planning::says_nothing(run));
            }
            studies.push(Study::read(&log).with_values(&values.collect()).in_order(names));
            graphs.push(planned);
        }
        let spec = graphs.iter().flatten().find_map(|planned| planned.table.clone());
        let study = Study::joined(studies);
        let outcomes = Outcomes::new(store, &study);
        let study =
            study.clone().with_paired_gains(&|member, split, at| outcomes.get(member, split, at));
        let planned = graphs.pop().flatten().filter(|_| runs.len() == 1);
        let findings = planned.as_ref().map_or_else(Vec::new, |it| it.findings.clone());
        Ok(Self { study, planned, spec, findings })
    }

    /// The table with what the experiment was to show.
    fn table(&self, store: &Store, said: &Table, printer: Printer) -> Result<Pivot, Trouble> {
        let table = self.laid_out(store, said, printer)?;
        let outcomes = Outcomes::new(store, &self.study);
        let findings =
            Judged::all(&self.study, self.spec.as_ref(), &self.findings, &|member, split, at| {
                outcomes.get(member, split, at)
            });
        Ok(table.with_findings(findings))
    }

    /// The table: as declared, with what the command line says otherwise. What is declared and
    /// cannot be made is told, and the default is shown.
    fn laid_out(&self, store: &Store, said: &Table, printer: Printer) -> Result<Pivot, Trouble> {
        let outcomes = Outcomes::new(store, &self.study);
        let table = self.table_of(&outcomes, said, printer);
        outcomes.tell_unreadable(printer);
        table
    }

    fn table_of(
        &self,
        outcomes: &Outcomes<'_>,
        said: &Table,
        printer: Printer,
    ) -> Result<Pivot, Trouble> {
        let make = |spec: &TableSpec| {
            Pivot::new(&self.study, spec, &|member, split, at| outcomes.get(member, split, at))
        };
        let default = Pivot::default_spec(&self.study);
        let wrong = |fault: &TableFault| Trouble::from_hint(fault, Exit::Wrong);
        if said.lays_out() {
            let mut spec = said.over(self.spec.as_ref().unwrap_or(&default));
            for name in said.values.iter().flatten() {
                let known = Metric::parse_in(name, &self.study);
                known.map_err(|fault| wrong(&TableFault::from(fault)))?;
            }
            let made = make(&spec);
            if let (Err(fault @ TableFault::Baseline { .. }), None) = (&made, &said.baseline) {
                printer.talk(&format!("laid out so, the table has no baseline: {fault}"));
                spec.baseline = None;
                return make(&spec).map_err(|fault| wrong(&fault));
            }
            return made.map_err(|fault| wrong(&fault));
        }
        let mut declared = self.spec.as_ref().map(make);
        if let (Some(Err(fault @ TableFault::Baseline { .. })), Some(spec)) =
            (&declared, &self.spec)
        {
            printer.talk(&format!("the table has no baseline: {fault}"));
            declared = Some(make(&TableSpec { baseline: None, ..spec.clone() }));
        }
        if let Some(Err(fault)) = &declared {
            let hint = fault.hint().map_or_else(String::new, |hint| format!("; {hint}"));
            printer.talk(&format!("the table that was declared cannot be shown: {fault}{hint}"));
        }
        match declared {
            Some(Ok(table)) => Ok(table),
            _ => make(&default).map_err(|fault| wrong(&fault)),
        }
    }
}

impl Table {
    /// With the metrics apart that were typed as a list. A comma may also stand in the name of a
    /// category, so that the longest names that something was measured of are taken.
    fn with_metrics_of(&self, study: &Study) -> Self {
        let Some(typed) = &self.values else { return self.clone() };
        let known: BTreeSet<String> =
            Metric::measured_in(study).iter().map(Metric::to_string).collect();
        let mut names = Vec::new();
        for list in typed {
            let mut parts: Vec<&str> = list.split(',').collect();
            while !parts.is_empty() {
                let is_known = |length: &usize| known.contains(&parts[..*length].join(","));
                let length = (1..=parts.len()).rev().find(is_known).unwrap_or(1);
                names.push(parts.drain(..length).collect::<Vec<_>>().join(","));
            }
        }
        Self { values: Some(names), ..self.clone() }
    }

    /// Whether it says anything.
    fn lays_out(&self) -> bool {
        let lists = [&self.rows, &self.columns, &self.values, &self.over];
        lists.iter().any(|list| list.is_some()) || self.baseline.is_some()
    }

    /// What is said here, and the rest as it was. An axis that was moved is not where it was.
    fn over(&self, spec: &TableSpec) -> TableSpec {
        let named = |list: &Option<Vec<String>>| {
            let names = list.iter().flatten().filter(|name| !name.is_empty());
            names.cloned().collect::<Vec<String>>()
        };
        let moved: Vec<String> =
            [&self.rows, &self.columns, &self.over].into_iter().flat_map(named).collect();
        let side = |said: &Option<Vec<String>>, before: &[String]| match said {
            Some(_) => named(said),
            None => before.iter().filter(|key| !moved.contains(key)).cloned().collect(),
        };
        TableSpec {
            rows: side(&self.rows, &spec.rows),
            columns: side(&self.columns, &spec.columns),
            over: side(&self.over, &spec.over),
            values: if self.values.is_some() { named(&self.values) } else { spec.values.clone() },
            baseline: match &self.baseline {
                Some(name) => Some(name.clone()).filter(|name| !name.is_empty()),
                None => spec.baseline.clone(),
            },
        }
    }
}

fn parquet(table: &Pivot, to_stdout: bool, printer: Printer) -> Result<Vec<u8>, Trouble> {
    if to_stdout && printer.shows_data() {
        let message = "Parquet is not written to a terminal";
        return Err(Trouble::wrong(message, "add `--output table.parquet`"));
    }
    Ok(table.to_parquet())
}

fn page_path(runs: &[Run], output: Option<&Path>) -> Result<PathBuf, Trouble> {
    match (output, runs) {
        (Some(path), _) => Ok(path.to_owned()),
        (None, [run]) => Ok(run.folder().join("report.html")),
        (None, _) => {
            let message = "a page of several runs belongs to none of them";
            Err(Trouble::wrong(message, "say where it goes: `--output report.html`"))
        }
    }
}

fn put_page(
    told: Told,
    table: Pivot,
    (store, runs): (&Store, &[Run]),
    path: &Path,
    printer: Printer,
) -> Result<(), Trouble> {
    let html = html(told, table, (store, runs), printer)?;
    crate::store::write_beside(path, html.as_bytes()).map_err(of_store)
}

fn html(
    told: Told,
    table: Pivot,
    (store, runs): (&Store, &[Run]),
    printer: Printer,
) -> Result<String, Trouble> {
    let drawn = told.planned.as_ref().filter(|planned| planned.graph.len() <= STAGES_DRAWN);
    let is_living = told.study.ending == Ending::Open
        && matches!(runs, [run] if store.is_living(run).unwrap_or(false));
    let names: Vec<&str> = runs.iter().map(Run::id).collect();
    let commands = match runs {
        [_] => Vec::new(),
        _ => vec![format!("mstar report {} --format html --output report.html", names.join(" "))],
    };
    let recipe = match runs {
        [run] => recipe_lines(&run.resolved().map_err(of_store)?),
        _ => Vec::new(),
    };
    let extras = Extras {
        samples: told.planned.as_ref().map_or_else(Vec::new, |planned| {
            samples(store, &planned.graph).unwrap_or_else(|trouble| {
                printer.talk(&format!("the page shows no samples: {trouble}"));
                Vec::new()
            })
        }),
        recipe,
        commands,
        graph_svg: drawn.map(|planned| graph_svg(&told.study, planned, is_living)),
        table: Some(table),
    };
    Ok(page(&told.study, &extras))
}

/// The resolved recipe, but for what has no effect.
fn recipe_lines(resolved: &str) -> Vec<RecipeLine> {
    let has_effect = |it: &RecordedValue| {
        !it.value.is_null() && !INERT.iter().any(|words| it.origin.ends_with(words))
    };
    let values = recorded::values(resolved).into_iter().filter(has_effect);
    let line =
        |it: RecordedValue| RecipeLine { value: it.in_words(), key: it.key, origin: it.origin };
    values.map(line).collect()
}

/// What the origin of a value ends with that is not what ran.
const INERT: [&str; 2] = ["without effect", ", varies"];

/// The graph with the seconds that each stage took. What has no result yet is no trouble while
/// somebody carries the run out.
fn graph_svg(study: &Study, planned: &PlannedGraph, is_living: bool) -> String {
    use crate::base::Duration;
    use crate::plan::view::{Drawing, Label, Tone, svg};
    use crate::report::State;
    let by_key: std::collections::BTreeMap<_, _> =
        study.stages.iter().map(|stage| (stage.summary.key, stage)).collect();
    let drawing = Drawing { graph: &planned.graph, title: "Stages", subtitle: "seconds of work" };
    svg(drawing, |nodes| {
        let rows = nodes.iter().filter_map(|node| by_key.get(&node.key));
        let seconds: f64 = rows.clone().map(|row| row.seconds).sum();
        let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
        let (text, tone) = match rows.map(|row| &row.state).next() {
            Some(State::Done) => (Duration(seconds).to_string(), Tone::Done),
            Some(State::Stored) => ("stored".to_owned(), Tone::Open),
            Some(State::Begun) if is_living => ("running".to_owned(), Tone::Open),
            Some(State::Waiting) if is_living => ("waiting".to_owned(), Tone::Open),
            Some(state) => (state.word().to_owned(), Tone::Bad),
            None => ("–".to_owned(), Tone::Open),
        };
        Label { text, hint: names.join(", "), tone }
    })
}
