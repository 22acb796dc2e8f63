//! The page, as a browser sees it.

use crate::grid_log::Grid;
use crate::study_log::{End, extras, grid, grid_values, log};
use mstar::report::{Extras, Pivot, Study, page};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

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

/// Calls the browser on a page; `None` when it is not installed.
fn chromium(file: &Path, arguments: &[&str]) -> Option<Output> {
    let profile = tempfile::tempdir().expect("there is a folder for temporary files");
    let output = Command::new(std::env::var_os("MSTAR_TEST_BROWSER").unwrap_or("chromium".into()))
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--hide-scrollbars", "--window-size=1000,1600"])
        .args(arguments)
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("file://{}", file.display()))
        .output();
    let output = output.ok();
    assert!(output.is_some() || std::env::var_os("CI").is_none(), "chromium is not installed");
    output
}

/// The document after its script ran, and what the browser logged.
fn browse(file: &Path) -> Option<(String, String)> {
    let output = chromium(file, &["--dump-dom", "--enable-logging=stderr"])?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Some((text(output.stdout), text(output.stderr)))
}

#[test]
fn a_browser_finds_every_figure_and_no_error() {
    let html = page(&Study::read(&log(End::Done)), &extras());
    assert!(html.len() < 2 << 20, "{} bytes", html.len());
    let file = written("report.html", &html);
    let Some((document, talk)) = browse(&file) else { return };
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
    let intervals: Vec<f64> = (1..=50).map(|step| f64::from(step) / 50.0).collect();
    let grid = Grid {
        methods: &["sft", "iterative-rft", "rest-em", "continuous"],
        intervals: &intervals,
        seeds: 2,
        iterations: 8,
        failing: &["method=sft,interval=1,seed=1"],
    };
    let study = Study::read(&grid.log()).with_values(&grid.values());
    assert_eq!(study.members.len(), 400);
    let mut table = Pivot::default_spec(&study);
    table.over.clear();
    let table = Pivot::new(&study, &table, &|_, _, _| None).unwrap();
    let html = page(&study, &Extras { table: Some(table), ..Extras::default() });
    assert!(html.len() < 1 << 20, "{} bytes", html.len());
    assert!(html.contains("shortest are not drawn") && html.contains("many-lines"));
    let Some((document, talk)) = browse(&written("report-large.html", &html)) else { return };
    assert!(document.contains("data-ready") && !talk.contains("CONSOLE"), "{talk}");
    let lines = document.matches("class=\"line ").count();
    // On test and on validation, and those of the member that leads.
    assert!(lines > 2 * 400, "{lines}");
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

/// Opens a page of an experiment, calls this function in it and gives back what it returns.
fn ask(name: &str, html: &str, script: &str) -> Option<String> {
    let nonce = html.split("nonce-").nth(1)?.split('\'').next()?.to_owned();
    let added = format!(
        "<script nonce=\"{nonce}\">document.body.dataset.told = JSON.stringify((() => {{ {script} }})());\
         </script></body>"
    );
    let (document, talk) = browse(&written(name, &html.replace("</body>", &added)))?;
    let errors: Vec<&str> = talk.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert_eq!(errors, Vec::<&str>::new());
    let told = document.split("data-told=\"").nth(1).expect("the function returned");
    Some(told.split('"').next()?.replace("&quot;", "\""))
}

#[test]
fn in_a_browser_the_table_sorts_and_lines_hide() {
    let grid = Grid {
        methods: &["sft", "rest-em", "continuous"],
        intervals: &[0.25, 0.5, 1.0],
        seeds: 2,
        iterations: 4,
        failing: &["method=sft,interval=1,seed=1", "method=sft,interval=1,seed=2"],
    };
    let study = Study::read(&grid.log()).with_values(&grid.values());
    let html = page(&study, &Extras::default());
    let told = ask(
        "experiment-asked.html",
        &html,
        "const figures = [...document.querySelectorAll('figure')].map((it) => it.id);
         const rows = () => [...document.querySelectorAll('#pivot tbody tr')];
         const first = () => rows()[0].cells[0].textContent + ' ' + rows()[0].cells[1].textContent;
         const last = () => rows().at(-1).cells[0].textContent + ' ' + rows().at(-1).cells[1].textContent;
         const heads = [...document.querySelectorAll('#pivot thead th')];
         const column = heads.findIndex((it) => it.textContent === 'test.accuracy');
         const said = [];
         heads[column].firstChild.click();
         said.push(heads[column].getAttribute('aria-sort'), first(), last());
         heads[column].firstChild.click();
         said.push(heads[column].getAttribute('aria-sort'), first(), last());
         const filter = document.getElementById('filter');
         filter.value = 'continuous';
         filter.dispatchEvent(new Event('input'));
         said.push(rows().filter((it) => !it.hidden).length, document.getElementById('shown').textContent);
         const threads = () => [...document.querySelectorAll('.thread')].filter((it) => getComputedStyle(it).display !== 'none');
         said.push(threads().length);
         filter.value = '';
         filter.dispatchEvent(new Event('input'));
         const line = document.querySelector('#fig-curves svg path.line[data-line=\"2\"]');
         const seen = () => getComputedStyle(line).display;
         said.push(seen());
         document.querySelector('.switches [data-line=\"2\"] button').click();
         said.push(seen());
         const select = document.querySelector('select[data-axis=row]');
         select.value = '1';
         select.dispatchEvent(new Event('change'));
         const maps = [...document.querySelectorAll('.map')].filter((it) => !it.hidden);
         said.push(maps.map((it) => it.dataset.map).join(' '));
         document.querySelector('[data-value=\"0,2\"]').dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter' }));
         said.push(document.querySelectorAll('.thread.dim').length, document.querySelectorAll('.thread').length);
         return [figures, said];",
    );
    let Some(told) = told else { return };
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    let figures = told[0].as_array().unwrap();
    for id in ["fig-curves", "fig-heat", "fig-parallel", "fig-accuracy", "fig-time"] {
        assert!(figures.iter().any(|it| it == id), "{id} of {figures:?}");
    }
    // What has no value comes last both ways.
    assert_eq!(
        told[1],
        serde_json::json!([
            "descending",
            "continuous 0.25",
            "sft 1.0",
            "ascending",
            "sft 0.5",
            "sft 1.0",
            3,
            "3 of 9",
            3,
            "inline",
            "none",
            "1,0",
            5,
            8
        ])
    );
}

#[test]
fn in_the_dark_and_on_paper_the_page_is_not_blank() {
    let grid = Grid {
        methods: &["sft", "continuous"],
        intervals: &[0.25, 1.0],
        seeds: 2,
        iterations: 3,
        failing: &[],
    };
    let study = Study::read(&grid.log()).with_values(&grid.values());
    let file = written("experiment-seen.html", &page(&study, &Extras::default()));
    let light = written("light.png", "");
    let dark = written("dark.png", "");
    let paper = written("paper.pdf", "");
    let shot = |path: &Path| format!("--screenshot={}", path.display());
    let in_the_dark = ["--blink-settings=preferredColorScheme=0", &shot(&dark)];
    let on_paper = format!("--print-to-pdf={}", paper.display());
    for arguments in [&[shot(&light).as_str()][..], &in_the_dark, &[&on_paper]] {
        if chromium(&file, arguments).is_none() {
            return;
        }
    }
    let seen = |path: &Path| {
        let picture = image::open(path).expect("chromium writes PNG").to_luma8();
        let corner = picture.get_pixel(2, 2).0[0];
        let other = picture.pixels().filter(|it| it.0[0].abs_diff(corner) > 60).count();
        (corner, other as f64 / picture.pixels().len() as f64)
    };
    let ((paper_white, light_ink), (night, dark_ink)) = (seen(&light), seen(&dark));
    assert!(paper_white > 200 && night < 60, "{paper_white} {night}");
    assert!(light_ink > 0.01 && dark_ink > 0.01, "{light_ink} {dark_ink}");
    let printed = std::fs::read(&paper).unwrap();
    let pages = printed.windows(11).filter(|it| it == b"/Type /Page").count();
    assert!(printed.len() > 20_000 && pages > 1, "{} bytes, {pages} pages", printed.len());
}
