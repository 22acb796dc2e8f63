//! A run that is watched: in words, and as a page that answers nobody but its reader.

use crate::browser::Browser;
use crate::sandbox::{Said, Sandbox};
use crate::study_log::{End, key, log};
use mstar::event::{Event, Outcome, Record, Unit};
use mstar::store::{RunFiles, RunLog, Store};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::Duration;

/// A run of the store with such a log, which this process carries out until the log is dropped.
fn begin(sandbox: &Sandbox, records: &[Record]) -> RunLog {
    let store = Store::open(&sandbox.store()).unwrap();
    let files = RunFiles { recipe: "", resolved: "", graph: "{}", keys: &[] };
    let mut run = store.create_run("watched", &files).unwrap();
    records.iter().for_each(|record| run.append(&record.to_line()).unwrap());
    run
}

/// What is said of `explore 2` while it is in hand.
fn progress(done: u64) -> Record {
    let watched = json!({"solved": 0.5 + done as f64 / 1e4}).as_object().unwrap().clone();
    let (key, unit) = (key("explore 2"), Unit::Samples);
    let event = Event::StageProgress { key, done, total: 24_000, unit, watched };
    let begun = log(End::Killed).last().unwrap().time_ms;
    Record { time_ms: begun + done, event }
}

fn end() -> Record {
    let time_ms = progress(20_000).time_ms;
    Record { time_ms, event: Event::RunFinished { outcome: Outcome::Failed, seconds: 9.0 } }
}

/// A page that is served, until it is dropped.
struct Page {
    child: Child,
    url: String,
}

impl Page {
    fn of(sandbox: &Sandbox) -> Self {
        let mut command = sandbox.command(&["watch", "--ui"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        Self { child, url: url.trim().to_owned() }
    }

    fn host(&self) -> &str {
        self.url.trim_start_matches("http://").split('/').next().unwrap()
    }

    fn token(&self) -> &str {
        self.url.split("token=").nth(1).unwrap()
    }

    fn send(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.host()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // A server that has read enough may close before it has read all.
        stream.write_all(request.as_bytes()).ok();
        stream
    }

    /// The status and the whole answer.
    fn ask(&self, request: &str) -> (u16, String) {
        let mut answer = String::new();
        self.send(request).read_to_string(&mut answer).ok();
        let status = answer.split(' ').nth(1).and_then(|it| it.parse().ok()).unwrap_or(0);
        (status, answer)
    }

    fn get(&self, path: &str, headers: &str) -> (u16, String) {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n", self.host()))
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The next event of a stream, by its name.
fn next(stream: &mut impl BufRead, name: &str) -> Value {
    let mut lines = stream.lines().map(|line| line.expect("the stream goes on"));
    while let Some(line) = lines.next() {
        if line == format!("event: {name}") {
            let data = lines.next().unwrap();
            return serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        }
    }
    panic!("the stream ended before `{name}`");
}

#[test]
fn a_finished_run_is_shown_in_words() {
    let sandbox = Sandbox::new();
    drop(begin(&sandbox, &log(End::Done)));
    let said = sandbox.mstar(&["watch", "--once"]).exits(0);
    let text = &said.stdout;
    assert!(text.lines().next().unwrap().contains("· done after"), "{text}");
    assert!(text.contains("test") && text.contains("32.3 → 72.1 %"), "{text}");
    assert!(text.contains("control") && text.contains("▃"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    assert_eq!(sandbox.mstar(&["watch"]).exits(0).stdout, *text);
}

#[test]
fn a_killed_run_is_not_waited_for() {
    let sandbox = Sandbox::new();
    drop(begin(&sandbox, &log(End::Killed)));
    let said = sandbox.mstar(&["watch"]).exits(1);
    assert!(said.stdout.contains("stopped without an end"), "{}", said.stdout);
    assert!(said.stdout.contains("not ended\n  explore 2"), "{}", said.stdout);
}

#[test]
fn watching_nothing_says_how_to_begin() {
    let sandbox = Sandbox::new();
    let said = sandbox.mstar(&["watch"]).exits(2);
    assert!(said.stderr.contains("there is no run") && said.stderr.contains("mstar run"));
    drop(begin(&sandbox, &log(End::Done)));
    let said = sandbox.mstar(&["watch", "other"]).exits(2);
    assert!(said.stderr.contains("no run is called `other`"), "{}", said.stderr);
}

#[test]
fn a_run_is_followed_to_its_end_also_through_a_torn_line() {
    let sandbox = Sandbox::new();
    let mut run = begin(&sandbox, &log(End::Killed));
    run.append(&progress(1000).to_line()).unwrap();
    run.append(&progress(3000).to_line()).unwrap();
    let mut watch = sandbox.command(&["watch"]);
    let watch = watch.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // What follows is told after what was there, whenever the other process looks.
    let events = sandbox.store().join("run-v1").join(run.id()).join("events.jsonl");
    let line = Event::Note { key: None, message: "a line in two halves".to_owned() };
    let line = Record { time_ms: progress(4000).time_ms, event: line }.to_line();
    let mut file = std::fs::File::options().append(true).open(events).unwrap();
    file.write_all(&line.as_bytes()[..30]).unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    file.write_all(format!("{}\n", &line[30..]).as_bytes()).unwrap();
    run.append(&end().to_line()).unwrap();
    run.close().unwrap();
    let said = Said::of(watch.wait_with_output().unwrap()).exits(1);
    assert!(said.stdout.contains("1000/s"), "{}", said.stdout);
    assert!(said.stdout.contains("3000/24000 samples"), "{}", said.stdout);
    assert!(said.stdout.contains("note     a line in two halves"), "{}", said.stdout);
    assert!(said.stdout.contains("· failed after"), "{}", said.stdout);
    assert_eq!(said.stderr, "");
}

#[test]
fn the_page_answers_only_who_has_its_address() {
    let sandbox = Sandbox::new();
    let _run = begin(&sandbox, &log(End::Killed));
    let page = Page::of(&sandbox);
    assert!(page.host().starts_with("127.0.0.1:") && page.token().len() == 32, "{}", page.url);
    let main = format!("/?token={}", page.token());
    let (status, answer) = page.get(&main, "");
    assert_eq!(status, 200);
    for header in ["no-store", "no-referrer", "nosniff", "same-origin", "X-Frame-Options: DENY"] {
        assert!(answer.contains(header), "{header}");
    }
    for needle in ["src=\"http", "href=\"http", "url(", "@import"] {
        assert!(!answer.contains(needle), "{needle}");
    }
    assert!(!answer.contains("{{"), "a place was not filled");
    let other = page.get(&main, "");
    let nonce = |answer: &str| answer.split("'nonce-").nth(1).unwrap()[..32].to_owned();
    assert_ne!(nonce(&answer), nonce(&other.1));

    let status = |path: &str, headers: &str| page.get(path, headers).0;
    assert_eq!(status("/", ""), 403);
    assert_eq!(status("/events", ""), 403);
    assert_eq!(status("/?token=0123456789abcdef0123456789abcdef", ""), 403);
    assert_eq!(status(&main, "Origin: https://evil.example\r\n"), 403);
    assert_eq!(status(&main, "Origin: null\r\n"), 403);
    assert_eq!(status(&main, &format!("Origin: http://{}\r\n", page.host())), 200);
    assert_eq!(status(&format!("/other?token={}", page.token()), ""), 404);
    let at_evil = format!("GET {main} HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    assert_eq!(page.ask(&at_evil).0, 403);
    assert_eq!(page.ask(&format!("GET {main} HTTP/1.1\r\n\r\n")).0, 403);
    let post =
        format!("POST {main} HTTP/1.1\r\nHost: {}\r\nContent-Length: 3\r\n\r\na=b", page.host());
    let (code, answer) = page.ask(&post);
    assert!(code == 405 && answer.contains("Allow: GET, HEAD"), "{answer}");
    for (path, content) in [("/", "text/html"), ("/events", "text/event-stream")] {
        let query = format!("{path}?token={}", page.token());
        let head = format!("HEAD {query} HTTP/1.1\r\nHost: {}\r\n\r\n", page.host());
        let (code, answer) = page.ask(&head);
        assert!(code == 200 && answer.contains(&format!("Content-Type: {content}")), "{answer}");
        assert!(answer.ends_with("\r\n\r\n"), "a head has no body: {answer}");
    }
    assert_eq!(status(&main, &format!("A: {}\r\n", "b".repeat(9000))), 431);
    assert_eq!(page.ask("nonsense\r\n\r\n").0, 400);
    assert_eq!(page.ask("\u{0}\u{1}\r\n\r\n").0, 400);
    // No refusal tells the token.
    assert!(!page.get("/", "").1.contains(page.token()));
}

#[test]
fn a_browser_that_stalls_or_asks_for_too_much_keeps_nobody_else_out() {
    let sandbox = Sandbox::new();
    let _run = begin(&sandbox, &log(End::Killed));
    let page = Page::of(&sandbox);
    let main = format!("/?token={}", page.token());
    let is_answered = || {
        let mut tries = (0..200).map(|_| {
            std::thread::sleep(Duration::from_millis(100));
            page.get(&main, "").0
        });
        tries.any(|status| status == 200)
    };
    let stalled: Vec<TcpStream> = (0..8).map(|_| page.send("GET / HT")).collect();
    assert!(is_answered());
    // Beyond the most that are served at a time, the others wait or are closed; none is for ever.
    let more: Vec<TcpStream> = (0..30).map(|_| page.send("GET / HT")).collect();
    assert!(is_answered());
    drop((stalled, more));
}

#[test]
fn a_taken_port_is_told_before_anything_is_run() {
    let sandbox = Sandbox::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let _run = begin(&sandbox, &log(End::Done));
    let said = sandbox.mstar(&["watch", "--ui", "--port", &port]).exits(2);
    let expected = format!(
        "error: port {port} is taken\nhint: leave `--port` out, and a free one is chosen\n"
    );
    assert_eq!(said.stderr, expected);
    assert_eq!(said.stdout, "");
    sandbox.mstar(&["watch", "--port", "4000"]).exits(2);
    sandbox.mstar(&["watch", "--ui", "--once"]).exits(2);
}

#[test]
fn the_stream_tells_everything_once_and_then_what_changes() {
    let sandbox = Sandbox::new();
    let mut run = begin(&sandbox, &log(End::Killed));
    let page = Page::of(&sandbox);
    let request = format!("/events?token={}", page.token());
    let request = format!("GET {request} HTTP/1.1\r\nHost: {}\r\n\r\n", page.host());
    let mut stream = BufReader::new(page.send(&request));
    let whole = next(&mut stream, "state");
    assert_eq!((&whole["word"], &whole["is_whole"]), (&json!("running"), &json!(true)));
    let stages = whole["stages"].as_array().unwrap();
    let planned = log(End::Killed).into_iter().find_map(|record| match record.event {
        Event::Planned { stages, .. } => Some(stages.len()),
        _ => None,
    });
    assert_eq!(Some(stages.len()), planned);
    let running: Vec<&Value> = stages.iter().filter(|it| it["state"] == "running").collect();
    assert!(running.len() == 1 && running[0]["title"] == "explore 2", "{running:?}");
    let report = next(&mut stream, "report");
    assert!(report.as_str().unwrap().contains("<section id=\"result\">"));

    run.append(&progress(1000).to_line()).unwrap();
    run.append(&progress(3000).to_line()).unwrap();
    // The two may be seen one after the other.
    let told = loop {
        let told = next(&mut stream, "state");
        if told["stages"][0]["done"] == 3000 {
            break told;
        }
    };
    assert_eq!((&told["is_whole"], told["stages"].as_array().unwrap().len()), (&json!(false), 1));
    assert_eq!(told["stages"][0]["watched"]["solved"], 0.8);
    assert_eq!(told["stages"][0]["rate"], 1000.0);
    run.append(&end().to_line()).unwrap();
    assert_eq!(next(&mut stream, "state")["word"], "failed");
}

#[test]
fn a_browser_follows_a_run_to_its_end() {
    let sandbox = Sandbox::new();
    let mut run = begin(&sandbox, &log(End::Killed));
    let page = Page::of(&sandbox);
    let Some(mut browser) = Browser::open(&page.url) else { return };
    browser.wait_for("document.body.dataset.word === 'running'");
    browser.wait_for("document.body.dataset.figures > 3");
    let squares = browser.ask("document.querySelectorAll('.stage').length");
    assert_eq!(squares, browser.ask("Number(document.body.dataset.squares)"));
    assert_eq!(browser.ask("document.querySelectorAll('.stage.running').length"), 1);
    // A reader keeps what is open while the report is made anew.
    browser.ask("document.querySelector('#result details').open = true");
    for done in [1000, 2000, 3000] {
        run.append(&progress(done).to_line()).unwrap();
        // What is said between two looks is one point of a curve.
        let shown = format!("{done}/24000");
        browser.wait_for(&format!(
            "document.querySelector('.hand p').textContent.includes('{shown}')"
        ));
    }
    assert_eq!(browser.ask("document.querySelector('.hand h3').textContent"), "explore 2");
    browser.wait_for("document.querySelector('.hand .curve span').textContent === 'solved 0.800'");
    let drawn = "(() => { const canvas = document.querySelector('.hand canvas');
        const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
        return data.some((it) => it > 0); })()";
    assert_eq!(browser.ask(drawn), true);
    run.append(&end().to_line()).unwrap();
    run.close().unwrap();
    browser.wait_for("document.body.dataset.word === 'failed'");
    assert_eq!(browser.ask("document.querySelector('#result details').open"), true);
    assert_eq!(browser.errors, Vec::<String>::new());
    drop(page);
    browser.wait_for("!document.getElementById('lost').hidden");
}
