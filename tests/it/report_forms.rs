//! `mstar report` on a run of an experiment: its declared table, other tables, every form.

use crate::grid_log::Grid;
use crate::index::four_runs;
use crate::sandbox::{Said, Sandbox, assert_told};
use mstar::store::{RunFiles, Store};
use serde_json::{Value, json};
use std::fs;

/// Writes down a run as an experiment's, with the table it declares and no finding.
fn record(sandbox: &Sandbox, grid: &Grid<'_>, table: &Value) {
    record_with(sandbox, grid, table, &json!([]));
}

/// The same with what it was to show.
fn record_with(sandbox: &Sandbox, grid: &Grid<'_>, table: &Value, findings: &Value) {
    let store = Store::open(&sandbox.store()).unwrap();
    let members: Vec<Value> = grid
        .names()
        .into_iter()
        .map(|name| json!({"name": name, "values": grid.values()[&name]}))
        .collect();
    let graph = json!({
        "graph": mstar::plan::Graph::default(), "stages": [], "members": members, "table": table,
        "findings": findings,
    });
    let files = RunFiles { recipe: "", resolved: "", graph: &graph.to_string(), keys: &[] };
    drop(store.create_run("training-methods", &files).unwrap());
    let run = store.latest_run().unwrap().unwrap();
    let lines = grid.log().into_iter().map(|mut record| {
        if let mstar::event::Event::RunStarted { run: name, .. } = &mut record.event {
            *name = run.id().to_owned();
        }
        record.to_line() + "\n"
    });
    fs::write(run.folder().join("events.jsonl"), lines.collect::<String>()).unwrap();
}

fn grid() -> Grid<'static> {
    Grid {
        methods: &["sft", "rest-em", "continuous"],
        intervals: &[0.25, 1.0],
        seeds: 2,
        iterations: 4,
        failing: &["method=rest-em,interval=1,seed=1", "method=rest-em,interval=1,seed=2"],
    }
}

fn table() -> Value {
    json!({
        "rows": ["training.method"], "columns": ["training.interval"],
        "values": ["test.accuracy"], "over": ["seed"], "baseline": "method=sft",
    })
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    record(&sandbox, &grid(), &table());
    sandbox
}

#[test]
fn what_was_to_be_shown_is_judged_by_its_differences_in_every_form() {
    let sandbox = Sandbox::new();
    let row = |method: &str, interval: &str| format!("method={method},interval={interval}");
    let (sft, failed) = (row("sft", "1"), row("rest-em", "1"));
    let accuracy = "test.accuracy";
    let findings = json!([
        { "says": "going on beats supervision", "metric": accuracy,
          "higher": row("continuous", "0.25"), "than": sft },
        { "says": "supervision beats going on", "metric": accuracy,
          "higher": sft, "than": row("continuous", "0.25") },
        { "says": "going on at once beats restarting", "metric": accuracy,
          "higher": row("continuous", "1"), "than": row("rest-em", "0.25") },
        { "says": "restarting beats supervision", "metric": accuracy,
          "higher": failed, "than": sft },
        { "says": "training helps", "metric": accuracy, "higher": sft, "than": sft,
          "than_metric": "test.start" },
    ]);
    let failing = ["1", "2", "3"].map(|seed| format!("{failed},seed={seed}"));
    let failing = failing.each_ref().map(String::as_str);
    let grid = Grid { seeds: 3, failing: &failing, ..grid() };
    record_with(&sandbox, &grid, &table(), &findings);
    let text = sandbox.mstar(&["report"]).exits(0).stdout;
    let at = text.find("\nfindings\n").expect("they are told below the table");
    assert_told("findings", text[at..].split("\n\n").next().unwrap());

    let json = sandbox.mstar(&["report", "--format", "json"]).exits(0).json();
    let judged = json["table"]["findings"].as_array().unwrap();
    let verdicts: Vec<&str> = judged.iter().map(|it| it["verdict"].as_str().unwrap()).collect();
    assert_eq!(
        verdicts,
        ["shows", "the opposite shows", "does not separate", "not measured", "shows"]
    );
    // The difference is that of the members, paired by seed.
    let last = |name: String| {
        let members = json["members"].as_array().unwrap();
        let member = members.iter().find(|it| it["name"] == name).unwrap();
        let evaluations = member["evaluations"].as_array().unwrap();
        let test = evaluations.iter().rfind(|it| it["split"] == "test").unwrap();
        test["accuracy"].as_f64().unwrap()
    };
    let own = |seed| last(format!("{},seed={seed}", row("continuous", "0.25")));
    let mean =
        (1..=3).map(|seed| own(seed) - last(format!("{sft},seed={seed}"))).sum::<f64>() / 3.0;
    assert!((judged[0]["difference"]["mean"].as_f64().unwrap() - mean).abs() < 1e-12);
    assert_eq!(judged[4]["than_metric"], "test.start");
    assert_eq!(judged[3]["difference"], Value::Null);

    let markdown = sandbox.mstar(&["report", "--format", "markdown"]).exits(0).stdout;
    assert!(markdown.contains("* going on beats supervision: **shows**; `test.accuracy` of"));
    sandbox.mstar(&["report", "--format", "html", "--output", "page.html"]).exits(0);
    let page = fs::read_to_string(sandbox.path("page.html")).unwrap();
    assert!(page.contains("supervision beats going on: <strong>the opposite shows</strong>"));
}

#[test]
fn the_table_is_drawn_as_dots_with_their_intervals() {
    let sandbox = sandbox();
    let svg = sandbox.mstar(&["report", "--format", "svg"]).exits(0).stdout;
    assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" "), "{svg}");
    // Six cells, one of which has no result, and one equal seeds, of which there is no interval.
    assert_eq!(svg.matches("<circle ").count(), 5);
    assert_eq!(svg.matches("class=\"whisker\"").count(), 4);
    assert_eq!(svg.matches("no result").count(), 1);
    let x = |text: &str| -> f64 { text[..text.find('"').unwrap()].parse().unwrap() };
    let whiskers = svg.split("<line x1=\"").skip(1).filter(|it| it.contains("class=\"whisker\""));
    let dots: Vec<f64> = svg.split("<circle cx=\"").skip(1).map(x).collect();
    for line in whiskers {
        let to = x(line.split("x2=\"").nth(1).unwrap());
        assert!(dots.iter().any(|dot| x(line) < *dot && *dot < to && to <= 760.0), "{line}");
    }
    assert!(svg.contains(">sft, 0.25</text>"), "{svg}");
}

#[test]
fn a_dash_is_standard_output() {
    let sandbox = sandbox();
    for format in ["csv", "json", "html"] {
        let said = sandbox.mstar(&["report", "--format", format, "--output", "-"]).exits(0);
        assert!(said.stdout.len() > 100 && said.stderr.is_empty(), "{}", said.told());
        assert!(!sandbox.path("-").exists());
    }
}

#[test]
fn a_category_may_have_commas_in_its_name() {
    let sandbox = four_runs();
    let store = Store::open(&sandbox.store()).unwrap();
    for run in store.runs().unwrap() {
        let log = run.events().unwrap().replace("\"FQA\"", "\"figures, charts\"");
        fs::write(run.folder().join("events.jsonl"), log).unwrap();
    }
    let values = "test.accuracy.figures, charts,test.accuracy,test.accuracy.GPS";
    let said = sandbox.mstar(&["report", "mini-1", "--values", values, "--format", "json"]);
    let json = said.exits(0).json();
    let named = ["test.accuracy.figures, charts", "test.accuracy", "test.accuracy.GPS"];
    assert_eq!(json["table"]["values"], json!(named));
    let cell = &json["table"]["cells"][0]["values"][named[0]];
    assert!(cell["mean"].as_f64().unwrap() > 0.0, "{cell}");
    sandbox.mstar(&["report", "mini-1", "--values", "test.accuracy,charts"]).exits(2);
}

#[test]
fn the_table_that_was_declared_is_what_is_reported() {
    let sandbox = sandbox();
    let text = sandbox.mstar(&["report"]).exits(0);
    assert_told("report_of_an_experiment", &text.told());
    let json = sandbox.mstar(&["report", "--format", "json"]).exits(0).json();
    assert_eq!(json["table"]["baseline"], "method=sft");
    assert_eq!(json["members"].as_array().unwrap().len(), 12);
    for (format, sign) in [("markdown", "| method |"), ("latex", "\\toprule"), ("csv", "members,")]
    {
        let said = sandbox.mstar(&["report", "--format", format]).exits(0);
        assert!(said.stdout.contains(sign) && said.stderr.is_empty(), "{}", said.told());
        let file = format!("table.{format}");
        sandbox.mstar(&["report", "--format", format, "--output", &file]).exits(0);
        assert_eq!(fs::read_to_string(sandbox.path(&file)).unwrap(), said.stdout);
    }
    sandbox.mstar(&["report", "--format", "parquet", "--output", "table.parquet"]).exits(0);
    assert!(fs::read(sandbox.path("table.parquet")).unwrap().starts_with(b"PAR1"));
    let page = sandbox.mstar(&["report", "--format", "html"]).exits(0);
    assert!(page.stdout.ends_with("training-methods-1/report.html\n"), "{}", page.stdout);
    let html = fs::read_to_string(sandbox.path(page.stdout.trim())).unwrap();
    assert!(html.contains("id=\"fig-heat\"") && html.contains("<th scope=\"colgroup\""));
}

#[test]
fn options_lay_the_table_out_otherwise() {
    let sandbox = sandbox();
    let csv = |options: &[&str]| -> Said {
        sandbox.mstar(&[&["report", "--format", "csv"], options].concat())
    };
    let rows = csv(&["--columns", "", "--rows", "training.interval,training.method"]).exits(0);
    let lines: Vec<&str> = rows.stdout.lines().collect();
    assert!(lines[0].starts_with("training.interval,training.method,members"), "{}", lines[0]);
    assert_eq!(lines.len(), 1 + 6);
    assert!(rows.stderr.contains("the table has no baseline"), "{}", rows.stderr);
    let each = csv(&["--over", "", "--values", "validation.pass,steps", "--baseline", ""]);
    let each = each.exits(0);
    assert!(each.stderr.is_empty() && !each.stdout.contains("difference"), "{}", each.told());
    assert_eq!(each.stdout.lines().count(), 1 + 12);
    let methods = csv(&["--over", "seed,training.interval", "--baseline", "method=sft"]).exits(0);
    assert_eq!(methods.stdout.lines().count(), 1 + 3);
    // The members that failed are counted in the row of their method.
    assert!(methods.stdout.contains("\r\nrest-em,4,2 failed,"), "{}", methods.stdout);
}

#[test]
fn what_there_is_not_is_refused_with_what_there_is() {
    let sandbox = sandbox();
    let refused: String = [
        &["--rows", "training.metod"][..],
        &["--values", "test.accurcy"],
        &["--values", "mathvista.accuracy"],
        &["--over", "seed,seed"],
        &["--baseline", "method=star"],
    ]
    .map(|options| {
        let said = sandbox.mstar(&[&["report"], options].concat()).exits(2);
        assert!(said.stdout.is_empty());
        format!("# {}\n{}\n", options.join(" "), said.stderr)
    })
    .concat();
    assert_told("report_refused", &refused);
}

#[test]
fn a_table_that_no_longer_fits_is_told_and_the_default_shown() {
    let sandbox = Sandbox::new();
    let mut misfit = table();
    misfit["columns"] = json!(["reward.model"]);
    record(&sandbox, &grid(), &misfit);
    let said = sandbox.mstar(&["report"]).exits(0);
    assert!(said.stderr.contains("no member has a value for `reward.model`"), "{}", said.stderr);
    assert!(said.stdout.contains("  method      interval "), "{}", said.stdout);
}

#[test]
fn several_runs_are_one_table() {
    let sandbox = sandbox();
    record(&sandbox, &Grid { methods: &["sft"], ..grid() }, &table());
    let both = ["report", "training-methods-1", "training-methods-2"];
    let csv = sandbox.mstar(&[&both[..], &["--format", "csv"]].concat());
    let said = csv.exits(0).stdout;
    assert_eq!(said.lines().count(), 1 + 6 + 2, "{said}");
    assert!(
        said.lines().next().unwrap().starts_with("training.method,run,training.interval,"),
        "{said}"
    );
    let page = sandbox.mstar(&[&both[..], &["--format", "html"]].concat()).exits(2);
    assert!(page.stderr.contains("--output report.html"), "{}", page.stderr);
    let to = ["--format", "html", "--output", "both.html"];
    sandbox.mstar(&[&both[..], &to].concat()).exits(0);
    let html = fs::read_to_string(sandbox.path("both.html")).unwrap();
    assert!(html.contains("training-methods-1/method=sft"));
    let twice = sandbox.mstar(&["report", "training-methods-1", "training-methods-1"]).exits(2);
    assert!(twice.stderr.contains("named twice"), "{}", twice.stderr);
}
