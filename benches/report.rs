//! Seconds from the log of 1,000 members with 20 iterations each to their table and their page.

#![expect(clippy::print_stdout, reason = "a benchmark reports to who runs it")]

#[path = "../tests/it/grid_log.rs"]
mod grid_log;

use grid_log::Grid;
use mstar::event::Record;
use mstar::report::{Extras, Pivot, Study, page, summary, to_json};
use std::time::Instant;

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn main() {
    let intervals: Vec<f64> = (1..=50).map(|step| f64::from(step) / 50.0).collect();
    let methods = ["sft", "iterative-rft", "rest-em", "continuous"];
    let grid =
        Grid { methods: &methods, intervals: &intervals, seeds: 5, iterations: 20, failing: &[] };
    let log: String = grid.log().iter().map(|record| record.to_line() + "\n").collect();
    let values = grid.values();
    println!("{} members, a log of {:.1} MB", values.len(), log.len() as f64 / 1e6);

    let start = Instant::now();
    let mut lap = {
        let mut last = start;
        move |what: &str| {
            let now = Instant::now();
            println!("{what:<24}{:>8.3} s", (now - last).as_secs_f64());
            last = now;
        }
    };
    let records = Record::read_log(&log).expect("it was just written");
    lap("read the log");
    let study = Study::read(&records).with_values(&values);
    lap("fold it");
    // Every prompt of every last evaluation, as if the store had them all.
    let outcomes = |_: &str, _: &str, _| Some((0..1000).map(|it| (it, it % 3 == 0)).collect());
    let spec = Pivot::default_spec(&study);
    let table = Pivot::new(&study, &spec, &outcomes).expect("the default fits");
    lap("table over seeds");
    let text = summary(&study, Some(&table), None);
    let json = to_json(&study, Some(&table)).to_string();
    lap("text and JSON");
    let extras = Extras { table: Some(table), ..Extras::default() };
    let html = page(&study, &extras);
    lap("page");
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{seconds:.2} s in all; text {} lines, JSON {:.1} MB, page {:.2} MB",
        text.lines().count(),
        json.len() as f64 / 1e6,
        html.len() as f64 / 1e6
    );

    let mut alone = spec;
    alone.over.clear();
    alone.baseline = Some("method=sft,interval=0.02,seed=1".to_owned());
    let before = Instant::now();
    Pivot::new(&study, &alone, &outcomes).expect("the axes are there");
    println!("beside it, a bootstrap for each member: {:.2} s", before.elapsed().as_secs_f64());
}
