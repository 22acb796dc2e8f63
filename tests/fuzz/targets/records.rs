//! What runs leave behind and what others hand over: logs, tables, locks, bundles, the hub's answers.

use super::said;
use mstar::bundle::{Limits, Lock, contents, is_compressed};
use mstar::data::table::{self, PseudoAnswer, Rollout, StepLabel, TrainingExample};
use mstar::event::{Record, Tail};
use mstar::hub::{self, Repo, Settings};
use mstar::live::Status;
use mstar::report::{Extras, Pivot, Study, page, summary, to_json};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

/// Kept uncompressed, so that what is inside can be changed.
pub(crate) fn bundle(bytes: &[u8], _: &Path) -> String {
    let packed = match is_compressed(bytes) {
        true => bytes.to_vec(),
        false => zstd::encode_all(bytes, 1).unwrap(),
    };
    let limits = Limits { kept_bytes: 64 << 20, total_bytes: 64 << 20, ..Limits::default() };
    let read = contents(&*packed, &limits);
    if let Ok(contents) = &read {
        assert!(contents.files().map(|(_, bytes)| bytes.len() as u64).sum::<u64>() <= 64 << 20);
    }
    said(&read)
}

pub(crate) fn lock(bytes: &[u8], _: &Path) -> String {
    let text = String::from_utf8_lossy(bytes);
    let read = Lock::parse(&text);
    if let Ok(lock) = &read {
        let again = Lock::parse(&lock.to_toml()).unwrap();
        assert_eq!(lock.disagreements(&again), Vec::<String>::new());
    }
    said(&read)
}

pub(crate) fn events(bytes: &[u8], _: &Path) -> String {
    let mut tail = Tail::default();
    let followed = tail.take(bytes);
    let mut status = Status::default();
    followed.iter().for_each(|(_, record)| status.take(record));
    let _followed = (status.to_go(), status.stages().count());
    let text = String::from_utf8_lossy(bytes);
    // What is whole is reported although a line of it is not.
    let records = Record::read_log(&text)
        .unwrap_or_else(|_| followed.into_iter().map(|(_, record)| record).collect());
    let study = Study::read(&records);
    let pivot = Pivot::new(&study, &Pivot::default_spec(&study), &|_, _, _| None);
    let pivot = pivot.ok();
    let live = mstar::live::text(&status, &study, &[], true);
    let told = summary(&study, pivot.as_ref(), None);
    let _views = (
        to_json(&study, pivot.as_ref()),
        pivot.as_ref().map(|pivot| (pivot.to_svg("x"), pivot.to_latex("x"), pivot.to_csv())),
        page(&study, &Extras { table: pivot, ..Extras::default() }),
    );
    [live, told].concat()
}

pub(crate) fn table(bytes: &[u8], _: &Path) -> String {
    let all = [
        told(&table::decode::<Rollout>(bytes)),
        told(&table::decode::<PseudoAnswer>(bytes)),
        told(&table::decode::<StepLabel>(bytes)),
        told(&table::decode::<TrainingExample>(bytes)),
    ];
    all.concat()
}

fn told<T, E: std::fmt::Display>(outcome: &Result<T, E>) -> String {
    outcome.as_ref().map_or_else(ToString::to_string, |_| "ok".to_owned())
}

/// The first line of an input is the head of every answer, the rest the body; both are answered to
/// whatever is asked, and the names in it lie in the cache besides.
pub(crate) fn hub(bytes: &[u8], folder: &Path) -> String {
    static ANSWER: Mutex<Vec<u8>> = Mutex::new(Vec::new());
    static ADDRESS: OnceLock<String> = OnceLock::new();
    let address = ADDRESS.get_or_init(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let _server = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let answer = ANSWER.lock().unwrap().clone();
                let _gone = serve(stream, &answer);
            }
        });
        address
    });
    bytes.clone_into(&mut ANSWER.lock().unwrap());
    let cache = folder.join("cache");
    let settings = Settings {
        endpoint: address.clone(),
        first_wait: Duration::ZERO,
        longest_wait: Duration::ZERO,
        cache: cache.clone(),
        ..Settings::of_environment(&|_| None)
    };
    let text = String::from_utf8_lossy(bytes);
    let _inside = hub::Inside::of(&text);
    let repo = Repo::model("org/model", "main").unwrap();
    let brought = hub::snapshot(&repo, &settings, &mut |_| {});
    let _cached = hub::cached(&repo, &settings);
    for entry in folder.read_dir().unwrap() {
        assert_eq!(entry.unwrap().path(), cache, "nothing lies outside the cache");
    }
    empty(&cache);
    said(&brought)
}

#[expect(clippy::disallowed_methods, reason = "each input has a cache of its own")]
fn empty(folder: &Path) {
    if folder.exists() {
        std::fs::remove_dir_all(folder).unwrap();
    }
}

fn serve(mut stream: TcpStream, answer: &[u8]) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut asked = Vec::new();
    let mut piece = [0; 4096];
    while !asked.windows(4).any(|end| end == b"\r\n\r\n") {
        let count = stream.read(&mut piece)?;
        if count == 0 {
            return Ok(());
        }
        asked.extend_from_slice(&piece[..count]);
    }
    let (head, body) = match answer.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&answer[..end], &answer[end + 1..]),
        None => (answer, &[][..]),
    };
    let head = String::from_utf8_lossy(head).replace('|', "\r\n");
    let sized = format!("content-length: {}\r\nconnection: close\r\n\r\n", body.len());
    stream.write_all(format!("HTTP/1.1 {head}\r\n{sized}").as_bytes())?;
    if !asked.starts_with(b"HEAD") {
        stream.write_all(body)?;
    }
    Ok(())
}
