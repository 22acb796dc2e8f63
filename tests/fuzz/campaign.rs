//! One target after the other: replays its corpus, makes new inputs for a while, and keeps the
//! smallest of those that fail.
//!
//! There is no coverage to steer by; what a reader says is taken for it. An input that makes it say
//! something new is kept and changed further.

use crate::{memory, mutate};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

/// Bytes that the reading of one input may take at once.
const MOST_BYTES: usize = 1 << 30;
/// Milliseconds of computing after which an input hangs; those that others compute do not count.
const HANGS: u64 = 120_000;
/// Inputs that are kept in memory.
const KEPT: usize = 1000;
/// Attempts to make a failing input smaller.
const SMALLER: usize = 1500;

/// What reads an input: the bytes, and a folder of its own to write files to. It says in a line
/// what became of them.
pub(crate) type Target = fn(&[u8], &Path) -> String;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
/// Place and words of the last panic.
static PANICKED: Mutex<(String, String)> = Mutex::new((String::new(), String::new()));
static SINCE: AtomicU64 = AtomicU64::new(0);

/// Seconds of each target: `MSTAR_FUZZ_SECONDS`, or one.
fn seconds() -> u64 {
    let given = std::env::var("MSTAR_FUZZ_SECONDS").ok();
    given.map_or(1, |text| text.parse().expect("MSTAR_FUZZ_SECONDS is a number of seconds"))
}

fn seed() -> u64 {
    let given = std::env::var("MSTAR_FUZZ_SEED").ok();
    given.map_or(1, |text| text.parse().expect("MSTAR_FUZZ_SEED is a number"))
}

/// Runs a target; fails with every different fault that was found.
pub(crate) fn run(name: &'static str, target: Target) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    watch();
    // As much stack as the main thread of the program has.
    let thread = std::thread::Builder::new().stack_size(8 << 20);
    let done = thread.spawn(move || Campaign::new(name, target).run()).unwrap().join();
    done.unwrap_or_else(|error| panic::resume_unwind(error));
}

/// Says where a panic was instead of printing it, and ends the process when an input hangs.
fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |about| {
            if SINCE.load(Relaxed) == 0 {
                return usual(about);
            }
            let place = about.location().map(ToString::to_string).unwrap_or_default();
            let said = about.payload_as_str().unwrap_or_default();
            let said = said.chars().take(200).collect();
            *PANICKED.lock().unwrap_or_else(PoisonError::into_inner) = (place, said);
        }));
        let _watcher = std::thread::spawn(|| {
            loop {
                std::thread::sleep(Duration::from_secs(1));
                let since = SINCE.load(Relaxed);
                if since > 0 && computed().saturating_sub(since) > HANGS {
                    eprintln!("an input hangs; it lies in a file named `running`");
                    std::process::abort();
                }
            }
        });
    });
}

/// Milliseconds that the process has computed, and one.
fn computed() -> u64 {
    let about = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = about.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10 + 1
}

fn now() -> u64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    #[expect(clippy::disallowed_methods, reason = "a hang is told by the clock alone")]
    let now = Instant::now();
    now.duration_since(*START.get_or_init(|| now)).as_millis() as u64 + 1
}

struct Campaign {
    name: &'static str,
    target: Target,
    /// Where inputs that are under way, and those that failed, lie.
    folder: PathBuf,
    files: PathBuf,
    corpus: Vec<Vec<u8>>,
    said: BTreeSet<String>,
    /// By what went wrong: the smallest input.
    faults: BTreeMap<String, Vec<u8>>,
    executions: u64,
    slowest: (u64, String),
}

impl Campaign {
    fn new(name: &'static str, target: Target) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz").join(name);
        let files = folder.join("files");
        make_folder(&files);
        Self {
            name,
            target,
            folder,
            files,
            corpus: Vec::new(),
            said: BTreeSet::new(),
            faults: BTreeMap::new(),
            executions: 0,
            slowest: (0, String::new()),
        }
    }

    fn run(mut self) {
        let corpora = match std::env::var_os("MSTAR_FUZZ_CORPORA") {
            Some(other) => PathBuf::from(other),
            None => Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpora"),
        };
        let kept = corpora.join(self.name);
        let mut names: Vec<PathBuf> =
            fs::read_dir(&kept).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        // What a process that ended was at comes first: trying it writes the same file.
        let left = self.folder.join("running");
        if left.exists() {
            names.insert(0, left);
        }
        for name in names {
            self.try_one(fs::read(name).unwrap());
        }
        let until = now() + seconds() * 1000;
        let mut chance = ChaCha8Rng::seed_from_u64(seed());
        while now() < until {
            let input = mutate::mutated(&mut chance, &self.corpus);
            self.try_one(input);
        }
        self.report();
    }

    fn try_one(&mut self, input: Vec<u8>) {
        let before = now();
        let said = self.execute(&input);
        let took = now() - before;
        if took > self.slowest.0 {
            self.slowest = (took, self.keep("slowest", &input));
        }
        match said {
            Ok(said) => {
                if self.said.insert(said) && self.corpus.len() < KEPT {
                    self.corpus.push(input);
                }
            }
            Err(fault) => {
                if !self.faults.contains_key(&fault) {
                    let (_, words) =
                        PANICKED.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    let least = self.smaller(&fault, input);
                    let place = self.keep(&format!("fault-{}", self.faults.len()), &least);
                    eprintln!("{}: {fault}: {words}\n  {place}", self.name);
                    self.faults.insert(fault, least);
                }
            }
        }
    }

    /// What the target says, without what differs from input to input; or what went wrong.
    fn execute(&mut self, input: &[u8]) -> Result<String, String> {
        self.executions += 1;
        let running = self.folder.join("running");
        write(&running, input);
        SINCE.store(computed(), Relaxed);
        let read = || panic::catch_unwind(AssertUnwindSafe(|| (self.target)(input, &self.files)));
        let (said, bytes) = memory::most_during(read);
        SINCE.store(0, Relaxed);
        remove(&running);
        match said {
            Ok(_) if bytes > MOST_BYTES => Err("more than 1 GiB of memory".to_owned()),
            Ok(said) => Ok(shape(&said)),
            Err(_) => {
                let (place, _) = &*PANICKED.lock().unwrap_or_else(PoisonError::into_inner);
                Err(format!("panic at {place}"))
            }
        }
    }

    /// Takes pieces away for as long as the same goes wrong.
    fn smaller(&mut self, fault: &str, mut input: Vec<u8>) -> Vec<u8> {
        let mut tries = 0;
        let mut piece = input.len() / 2;
        while piece > 0 {
            let mut at = 0;
            while at < input.len() && tries < SMALLER {
                let mut less = input.clone();
                less.drain(at..(at + piece).min(input.len()));
                tries += 1;
                match self.execute(&less) {
                    Err(other) if other == fault => input = less,
                    _ => at += piece,
                }
            }
            piece /= 2;
        }
        input
    }

    fn keep(&self, name: &str, input: &[u8]) -> String {
        let path = self.folder.join(name);
        write(&path, input);
        path.display().to_string()
    }

    fn report(self) {
        println!(
            "{}: {} s, {} executions, {} kept, {} faults, slowest {} ms",
            self.name,
            seconds(),
            self.executions,
            self.corpus.len(),
            self.faults.len(),
            self.slowest.0
        );
        let faults: Vec<&String> = self.faults.keys().collect();
        assert!(faults.is_empty(), "{} found {faults:#?} in {}", self.name, self.folder.display());
    }
}

/// A sentence without its numbers and names, so that the same sentence is told from a new one.
fn shape(said: &str) -> String {
    let mut shape = String::new();
    for (index, part) in said.split('`').enumerate() {
        if index % 2 == 0 {
            shape.extend(part.chars().filter(|c| !c.is_ascii_digit()).take(160));
        }
    }
    shape
}

#[expect(clippy::disallowed_methods, reason = "inputs are written where tests write")]
fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
}

#[expect(clippy::disallowed_methods, reason = "inputs are written where tests write")]
fn remove(path: &Path) {
    fs::remove_file(path).unwrap();
}

#[expect(clippy::disallowed_methods, reason = "inputs are written where tests write")]
fn make_folder(path: &Path) {
    fs::create_dir_all(path).unwrap();
}

/// Writes a file that a target reads, in its folder.
pub(crate) fn file(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    write(&path, bytes);
    path
}
