//! The page, as a browser sees it.

use crate::study_log::{End, extras, grid, grid_values, log};
use mstar::event::{Event, Record};
use mstar::report::{Extras, Study, page};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Figures of a whole run, in their order on the page.
const FIGURES: [&str; 8] = [
    "fig-accuracy",
    "fig-categories",
    "fig-dynamics",
    "fig-wrong-steps",
    "fig-selected",
    "fig-loss",
    "fig-time",
    "fig-graph",
];

fn written(name: &str, html: &str) -> PathBuf {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&file, html).expect("cargo makes the folder");
    file
}

/// The document after its script ran, and what the browser logged.
fn browse(file: &Path) -> Option<(String, String)> {
    let profile = tempfile::tempdir().expect("there is a folder for temporary files");
    let output = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--dump-dom", "--enable-logging=stderr"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("file://{}", file.display()))
        .output()
        .ok()?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Some((text(output.stdout), text(output.stderr)))
}

#[test]
fn a_browser_finds_every_figure_and_no_error() {
    let html = page(&Study::read(&log(End::Done)), &extras());
    assert!(html.len() < 2 << 20, "{} bytes", html.len());
    let file = written("report.html", &html);
    let Some((document, talk)) = browse(&file) else {
        assert!(std::env::var_os("CI").is_none(), "chromium is not installed");
        return;
    };
    let at: Vec<_> = FIGURES.map(|id| document.find(&format!("<figure id=\"{id}\">"))).to_vec();
    assert!(at.iter().all(Option::is_some) && at.is_sorted(), "{at:?}");
    assert!(document.contains(&format!("data-ready=\"{} figures\"", FIGURES.len())), "no script");
    let errors: Vec<&str> = talk.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert_eq!(errors, Vec::<&str>::new());
}

#[test]
fn samples_are_filtered_by_verdict_and_choice() {
    let html = page(&Study::read(&log(End::Done)), &extras());
    // Inside the script of the page, because no other may run.
    let count = r##";document.body.dataset.shown = [...document.querySelectorAll(".filters input")]
        .map((input) => {
            input.click();
            const seen = [...document.querySelectorAll("#samples .card")]
                .filter((card) => card.offsetParent !== null);
            return `${input.value} ${seen.length}`;
        })
        .join(", ");</script>"##;
    let file = written("report-filters.html", &html.replace("</script>", count));
    let Some((document, _)) = browse(&file) else {
        assert!(std::env::var_os("CI").is_none(), "chromium is not installed");
        return;
    };
    let shown = "data-shown=\"all 6, right 5, wrong 1, kept 1, dropped 1\"";
    let at = document.find("data-shown").unwrap_or(0);
    assert!(document.contains(shown), "{}", &document[at..(at + 120).min(document.len())]);
}

#[test]
fn the_page_asks_nothing_of_the_network_and_runs_nothing_but_its_own_script() {
    let html = page(&Study::read(&log(End::Failed)), &extras());
    written("report-failed.html", &html);
    for needle in ["src=\"http", "href=\"http", "url(", "@import", "<iframe"] {
        assert!(!html.contains(needle), "{needle}");
    }
    assert!(html.contains("default-src 'none'"));
    assert_eq!(html.matches("<script").count(), 1, "a sample's text must stay text");
    assert!(html.contains("the loss is not finite at step 301 &lt;&amp;&gt;"));
    assert!(html.contains("hint: lower `training.learning_rate`"));
}

#[test]
fn figures_of_a_grid_have_names_of_their_own() {
    let html = page(&Study::read(&grid()).with_values(&grid_values()), &extras());
    written("report-grid.html", &html);
    let ids: Vec<&str> =
        html.split("<figure id=\"").skip(1).filter_map(|it| it.split('"').next()).collect();
    let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "{ids:?}");
    // Six of each member, the members side by side, the time and the graph.
    assert_eq!(ids.len(), 2 * 6 + 3);
}

#[test]
fn the_page_of_a_large_grid_stays_light() {
    let one = log(End::Done);
    let (first, last) = (&one[0], &one[one.len() - 1]);
    let (mut planned, mut rest) = (Vec::new(), Vec::new());
    for member in 0..120 {
        for record in &one[1..one.len() - 1] {
            let mut line = record.to_line();
            // Another member has other keys; the first digits tell them apart.
            for stage in planned_keys(&one) {
                let other = format!("{member:04x}{}", &stage[4..]);
                line = line.replace(&stage, &other);
            }
            let line = line.replace("mini-mstar", &format!("member-{member}"));
            let record: Record = serde_json::from_str(&line).unwrap();
            match record.event {
                Event::Planned { stages } => planned.extend(stages),
                _ => rest.push(record),
            }
        }
    }
    let planned = Record { time_ms: first.time_ms, event: Event::Planned { stages: planned } };
    let mut records = vec![first.clone(), planned];
    records.extend(rest);
    records.push(last.clone());
    let study = Study::read(&records);
    assert_eq!((study.members.len(), study.stages.len()), (120, 120 * 62));
    let html = page(&study, &extras());
    assert!(html.len() < 2 << 20, "{} bytes", html.len());
    assert!(html.contains("shortest are not drawn"));
}

/// Keys of all stages of a log, as text.
fn planned_keys(records: &[Record]) -> Vec<String> {
    let stages = records.iter().find_map(|record| match &record.event {
        Event::Planned { stages } => Some(stages),
        _ => None,
    });
    let stages = stages.expect("every log has a plan");
    stages.iter().map(|stage| stage.key.to_string()).collect()
}

#[test]
fn the_page_of_a_run_that_did_nothing_says_so() {
    let records = log(End::Done);
    let html = page(&Study::read(&records[..2]), &Extras::default());
    assert!(html.contains("Nothing has been evaluated."));
    assert!(!html.contains("<figure"));
    let html = page(&Study::read(&[]), &Extras::default());
    assert!(html.contains("No stage ran"));
}
