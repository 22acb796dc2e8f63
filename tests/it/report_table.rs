//! The table of an experiment in each of its forms.

use crate::grid_log::Grid;
use mstar::recipe::TableSpec;
use mstar::report::{At, Branch, Extras, Pivot, Study, TableFault, page, summary, to_json};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

const METHODS: [&str; 3] = ["sft", "rest-em", "continuous"];

/// Three methods by two intervals by three seeds, of which one member fails and one row does.
fn study() -> Study {
    let grid = Grid {
        methods: &METHODS,
        intervals: &[0.25, 1.0],
        seeds: 3,
        iterations: 6,
        failing: &[
            "method=sft,interval=1,seed=2",
            "method=rest-em,interval=1,seed=1",
            "method=rest-em,interval=1,seed=2",
            "method=rest-em,interval=1,seed=3",
        ],
    };
    Study::read(&grid.log()).with_values(&grid.values())
}

fn spec(rows: &[&str], columns: &[&str], values: &[&str], over: &[&str]) -> TableSpec {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    TableSpec {
        rows: owned(rows),
        columns: owned(columns),
        values: owned(values),
        over: owned(over),
        baseline: None,
    }
}

fn nothing(_: &str, _: &str, _: At) -> Option<Vec<(u64, bool)>> {
    None
}

/// Prompts as the members' accuracies have them, the same ones easy for all.
fn outcomes(study: &Study) -> impl Fn(&str, &str, At) -> Option<Vec<(u64, bool)>> {
    move |member, split, at| {
        let member = study.members.iter().find(|it| it.name == member)?;
        let evaluated = member.evaluation(split, at.branch, at.iteration)?;
        let right = |prompt| (prompt, prompt * 7919 % evaluated.count < evaluated.correct);
        Some((0..evaluated.count).map(right).collect())
    }
}

fn with_baseline(study: &Study) -> Pivot {
    let mut spec = spec(
        &["training.method"],
        &["training.interval"],
        &["test.accuracy", "test.gain"],
        &["seed"],
    );
    spec.baseline = Some("method=sft".to_owned());
    Pivot::new(study, &spec, &nothing).unwrap()
}

#[test]
fn every_form_says_the_same() {
    let study = study();
    let table = with_baseline(&study);
    insta::assert_snapshot!("table_text", table.to_text());
    insta::assert_snapshot!("table_markdown", table.to_markdown("training-methods"));
    insta::assert_snapshot!("table_latex", table.to_latex("training-methods & more"));
    insta::assert_snapshot!("table_csv", table.to_csv().replace("\r\n", "\n"));
    let text = table.to_text();
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
}

#[test]
fn means_are_those_of_the_members_and_a_failed_one_is_told_not_averaged() {
    let study = study();
    let json = to_json(&study, Some(&with_baseline(&study)));
    let table = &json["table"];
    assert_eq!(table["interval"], "student t over seeds");
    let cells = table["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 6);
    let of = |method: &str, interval: f64| {
        let meant =
            |cell: &&Value| cell["row"] == json!([method]) && cell["column"] == json!([interval]);
        cells.iter().find(meant).unwrap()
    };
    let accuracy = |method: &str, interval: f64, seed: u64| {
        let name = format!("method={method},interval={interval},seed={seed}");
        let member = study.members.iter().find(|member| member.name == name).unwrap();
        member.evaluation("test", Branch::Evolution, 6).map(|it| it.accuracy)
    };
    let seeds = |method, interval| {
        (1..=3).filter_map(|seed| accuracy(method, interval, seed)).collect::<Vec<f64>>()
    };
    let values = seeds("continuous", 0.25);
    let cell = &of("continuous", 0.25)["values"]["test.accuracy"];
    let mean = values.iter().sum::<f64>() / 3.0;
    assert!((cell["mean"].as_f64().unwrap() - mean).abs() < 1e-12);
    assert_eq!((&cell["count"], &cell["method"]), (&json!(3), &json!("student t over seeds")));
    // 4.302653 · s / √3, s the deviation of the sample.
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let high = mean + 4.302_653 * (squares / 2.0 / 3.0).sqrt();
    assert!((cell["interval"][1].as_f64().unwrap() - high).abs() < 1e-6);

    let differences: Vec<f64> =
        values.iter().zip(seeds("sft", 0.25)).map(|(own, base)| own - base).collect();
    let difference = &cell["difference"];
    let mean = differences.iter().sum::<f64>() / 3.0;
    assert!((difference["mean"].as_f64().unwrap() - mean).abs() < 1e-12);
    let half = |it: &Value| it["interval"][1].as_f64().unwrap() - it["mean"].as_f64().unwrap();
    assert!(half(difference) > 0.0);

    let partly = of("sft", 1.0);
    assert_eq!(partly["missing"], json!({"failed": 1}));
    assert_eq!(partly["values"]["test.accuracy"]["count"], 2);
    let mean = f64::midpoint(accuracy("sft", 1.0, 1).unwrap(), accuracy("sft", 1.0, 3).unwrap());
    assert!((partly["values"]["test.accuracy"]["mean"].as_f64().unwrap() - mean).abs() < 1e-12);
    // The seed that failed takes part in no pair either.
    assert_eq!(of("continuous", 1.0)["values"]["test.accuracy"]["difference"]["count"], 2);

    let failed = of("rest-em", 1.0);
    assert_eq!(failed["missing"], json!({"failed": 3}));
    assert_eq!(failed["values"]["test.accuracy"], Value::Null);
    assert!(failed["reason"].as_str().unwrap().contains("not finite at step 301"));
    let member = &json["members"].as_array().unwrap()[9];
    assert_eq!((&member["state"], &member["name"]), (&json!("failed"), &failed["members"][0]));
}

#[test]
fn a_single_seed_has_the_interval_of_its_prompts_and_the_table_says_so() {
    let grid =
        Grid { methods: &METHODS, intervals: &[0.25], seeds: 1, iterations: 3, failing: &[] };
    let study = Study::read(&grid.log()).with_values(&grid.values());
    let outcomes = outcomes(&study);
    let mut spec = spec(&["training.method"], &[], &["test.accuracy", "test.gain"], &["seed"]);
    spec.baseline = Some("method=sft,interval=0.25,seed=1".to_owned());
    let table = Pivot::new(&study, &spec, &outcomes).unwrap();
    insta::assert_snapshot!("table_of_one_seed", table.to_text());
    assert_eq!(table.to_text(), Pivot::new(&study, &spec, &outcomes).unwrap().to_text());

    let json = &to_json(&study, Some(&table))["table"];
    let last = &json["cells"][2]["values"]["test.accuracy"];
    let width =
        |it: &Value| it["interval"][1].as_f64().unwrap() - it["interval"][0].as_f64().unwrap();
    assert_eq!(last["method"], "bootstrap over prompts");
    // Prompts that both answer alike say nothing about the difference: pairing narrows it.
    assert!(width(&last["difference"]) < width(last), "{last}");
    // Without the prompts a share keeps its interval, and a difference has another one: it is told.
    let table = Pivot::new(&study, &spec, &nothing).unwrap();
    let json = &to_json(&study, Some(&table))["table"];
    let alone = &json["cells"][2]["values"]["test.accuracy"];
    assert_eq!((&alone["interval"], &alone["method"]), (&last["interval"], &last["method"]));
    assert_eq!(alone["difference"]["method"], "unpaired");
    assert!(table.to_text().contains("prompts not paired"), "{}", table.to_text());
}

#[test]
fn a_number_has_one_interval_wherever_it_is_shown() {
    let grid =
        Grid { methods: &METHODS[..1], intervals: &[0.25], seeds: 1, iterations: 3, failing: &[] };
    let study = Study::read(&grid.log()).with_values(&grid.values());
    let outcomes = outcomes(&study);
    let spec = spec(&["training.method"], &[], &["test.accuracy", "test.gain"], &["seed"]);
    let table = Pivot::new(&study, &spec, &outcomes).unwrap();
    let study = study.clone().with_paired_gains(&outcomes);
    let json = to_json(&study, Some(&table));
    let cell = |metric: &str| {
        let it = &json["table"]["cells"][0]["values"][metric];
        let points = |end: usize| 100.0 * it["interval"][end].as_f64().unwrap();
        assert_eq!(it["method"], "bootstrap over prompts");
        (points(0), points(1), it["interval"].clone())
    };
    let (low, high, interval) = cell("test.accuracy");
    let evaluations = json["members"][0]["evaluations"].as_array().unwrap();
    let last = evaluations.iter().rfind(|it| it["split"] == "test").unwrap();
    assert_eq!((&last["interval"], &last["method"]), (&interval, &json["table"]["interval"]));
    let text = summary(&study, Some(&table), None);
    let told = format!("95 % interval {low:.1}–{high:.1} (bootstrap over prompts)");
    assert!(text.contains(&told), "no `{told}` in {text}");
    assert!(text.contains(&format!("[{low:.1}–{high:.1}]")), "{text}");
    let (low, high, _) = cell("test.gain");
    let told =
        format!("95 % interval +{low:.1} to +{high:.1} (paired by prompt, bootstrap over prompts)");
    assert!(text.contains(&told), "no `{told}` in {text}");
}

#[test]
fn without_a_table_every_axis_but_the_seed_is_a_row() {
    let study = study();
    let text = summary(&study, None, None);
    insta::assert_snapshot!("summary_experiment", text);
    let default = Pivot::default_spec(&study);
    assert_eq!(default.over, ["seed"]);
    assert_eq!(default.values, ["test.accuracy", "test.gain"]);
}

#[test]
fn a_table_of_what_there_is_not_is_refused_with_what_there_is() {
    let study = study();
    let refused = |spec: &TableSpec| {
        let fault = Pivot::new(&study, spec, &nothing).unwrap_err();
        let hint = mstar::base::Hint::hint(&fault).unwrap();
        (fault, hint)
    };
    let (fault, hint) = refused(&spec(&["training.methd"], &[], &[], &[]));
    assert_eq!(fault.to_string(), "no member has a value for `training.methd`");
    assert_eq!(hint, "did you mean `training.method`?");
    let (_, hint) = refused(&spec(&[], &["colour"], &[], &[]));
    assert_eq!(hint, "axes: `training.method`, `training.interval`, `seed`");
    let (fault, _) = refused(&spec(&["seed"], &["seed"], &[], &[]));
    assert_eq!(fault, TableFault::Twice { key: "seed".into() });
    let (_, hint) = refused(&spec(&[], &[], &["test.acuracy"], &[]));
    assert_eq!(hint, "did you mean `test.accuracy`?");
    let mut misnamed = spec(&[], &["training.interval"], &[], &["seed"]);
    misnamed.baseline = Some("nobody".to_owned());
    let (_, hint) = refused(&misnamed);
    assert_eq!(hint, "rows: `method=sft`, `method=rest-em`, `method=continuous`");
}

#[test]
fn several_runs_lie_side_by_side() {
    let grid =
        Grid { methods: &METHODS[..1], intervals: &[0.25], seeds: 2, iterations: 3, failing: &[] };
    let one = Study::read(&grid.log()).with_values(&grid.values());
    let mut other = one.clone();
    other.run = "training-methods-2".to_owned();
    let both = Study::joined(vec![one, other]);
    let names: Vec<&str> = both.members.iter().map(|member| member.name.as_str()).collect();
    assert_eq!(names[0], "training-methods-1/method=sft,interval=0.25,seed=1");
    assert_eq!(names[2], "training-methods-2/method=sft,interval=0.25,seed=1");
    let table = Pivot::new(&both, &Pivot::default_spec(&both), &nothing).unwrap();
    let text = table.to_text();
    assert!(text.contains("  training-methods-2 "), "{text}");
}

#[test]
fn pandas_opens_both_files() {
    let python = std::env::var_os("MSTAR_TEST_PYTHON").unwrap_or_else(|| {
        panic!("MSTAR_TEST_PYTHON is unset: it names a Python with pandas (`make test` sets it)")
    });
    let study = study();
    let table = with_baseline(&study);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    std::fs::write(folder.join("table.csv"), table.to_csv()).unwrap();
    std::fs::write(folder.join("table.parquet"), table.to_parquet()).unwrap();
    let script = "import sys, pandas\n\
        a = pandas.read_csv(sys.argv[1] + '/table.csv')\n\
        b = pandas.read_parquet(sys.argv[1] + '/table.parquet')\n\
        assert list(a.columns) == list(b.columns), (a.columns, b.columns)\n\
        assert a.shape == b.shape, (a.shape, b.shape)\n\
        number = 'test.accuracy'\n\
        assert b[number].dtype == 'float64' and b['training.interval'].dtype == 'float64'\n\
        assert abs(a[number] - b[number]).max() < 1e-12\n\
        best = b.loc[b[number].idxmax()]\n\
        print(len(b), int(b[number].isna().sum()), best['training.method'], best['state'])\n";
    let output = Command::new(python).args(["-c", script]).arg(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "6 1 continuous done\n");
}

#[test]
fn the_page_of_an_experiment_holds_table_and_figures() {
    let study = study();
    let table = with_baseline(&study);
    let html = page(&study, &Extras { table: Some(table), ..Extras::default() });
    std::fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join("experiment.html"), &html).unwrap();
    for id in ["fig-curves", "fig-heat", "fig-parallel"] {
        assert_eq!(html.matches(&format!("<figure id=\"{id}\">")).count(), 1, "{id}");
    }
    assert!(html.contains("<td class=\"trouble\">failed</td>"));
}
