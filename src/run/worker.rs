//! The other end: a process that carries out tasks until its scheduler is gone.
//!
//! Orders come by standard input, replies go to what was standard output when it began; whatever
//! libraries print goes to standard error from then on.

use super::{
    Context, Part, Performer, Settings, Stop, Task,
    message::{Order, PROTOCOL, Reply},
    pool::way_out,
    shard,
};
use crate::{
    base::{Failure, Hint},
    event::Event,
    store::{self, Store},
};
use std::{
    fs::File,
    io::{self, BufRead as _, Write as _},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, channel},
    },
};
use thiserror::Error;

/// Why a worker cannot work.
#[derive(Debug, Error)]
pub enum WorkerError {
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The scheduler cannot be reached.
    #[error("the scheduler cannot be reached: {0}")]
    Channel(#[from] io::Error),
    /// What carries out stages cannot be set up.
    #[error("{}", .0.reason)]
    Unfit(Failure),
}

impl Hint for WorkerError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Store(error) => error.hint(),
            Self::Channel(_) => Some("`mstar run` starts workers; they do not run alone".into()),
            Self::Unfit(failure) => failure.hint.clone(),
        }
    }
}

/// Carries out tasks until standard input ends. Should it end while a task is going on, the
/// scheduler is dead and the process ends itself at once.
///
/// # Errors
/// When it cannot begin.
pub fn serve<P: Performer>(
    store: &Path,
    threads: u32,
    make: impl FnOnce() -> Result<P, Failure>,
) -> Result<(), WorkerError> {
    let line = Line::take_over()?;
    let store = Store::open(store)?;
    let mut performer = make().map_err(|failure| {
        line.say(&Reply::Unfit(failure.clone()));
        WorkerError::Unfit(failure)
    })?;
    let link = Link::default();
    let orders = listen(&link);
    line.say(&Reply::Ready { protocol: PROTOCOL });
    for (task, settings) in orders {
        let say = |event: Event| line.say(&Reply::Said(event));
        let attempt = Attempt { store: &store, task: &task, settings, threads, link: &link };
        let outcome = attempt.make(&mut performer, &say);
        link.cancel.store(false, Ordering::SeqCst);
        link.busy.store(false, Ordering::SeqCst);
        match outcome {
            Ok(()) => line.say(&Reply::Done { computed_on: performer.computed_on() }),
            Err(Ended::Stopped(stop)) => line.say(&Reply::Stopped { stop, retires: false }),
            Err(Ended::Panicked(failure)) => {
                // What a panic left behind, in memory or on a device, is not to be trusted.
                line.say(&Reply::Stopped { stop: Stop::Failed(failure), retires: true });
                return Ok(());
            }
        }
    }
    Ok(())
}

/// What the reading thread and the working one share.
#[derive(Clone, Debug, Default)]
struct Link {
    /// A task was handed over and not yet answered.
    busy: Arc<AtomicBool>,
    cancel: Arc<AtomicBool>,
}

/// Reads orders on a thread of its own, so that a cancel and the end of the scheduler are noticed
/// in the middle of a task.
fn listen(link: &Link) -> Receiver<(Task, Settings)> {
    let (sender, receiver) = channel();
    let link = link.clone();
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            match serde_json::from_str(&line) {
                Ok(Order::Perform { task, settings }) => {
                    link.busy.store(true, Ordering::SeqCst);
                    if sender.send((*task, settings)).is_err() {
                        break;
                    }
                }
                Ok(Order::Cancel) => {
                    link.cancel.store(link.busy.load(Ordering::SeqCst), Ordering::SeqCst);
                }
                Err(_) => break,
            }
        }
        if link.busy.load(Ordering::SeqCst) {
            // Nobody would commit what comes of it, and another run may be waiting for the stage.
            // No destructor of libtorch's may hold this up.
            let own = rustix::process::getpid();
            rustix::process::kill_process(own, rustix::process::Signal::KILL)
                .expect("a process may kill itself");
        }
    });
    receiver
}

enum Ended {
    Stopped(Stop),
    Panicked(Failure),
}

/// One task at one time.
struct Attempt<'a> {
    store: &'a Store,
    task: &'a Task,
    settings: Settings,
    threads: u32,
    link: &'a Link,
}

impl Attempt<'_> {
    fn make(self, performer: &mut impl Performer, say: &dyn Fn(Event)) -> Result<(), Ended> {
        let stopped = |error: store::Error| Ended::Stopped(error.into());
        let _presence = self.store.presence(self.task.node.key).map_err(stopped)?;
        let cancel = &self.link.cancel;
        let context =
            Context::open(self.store, self.task, self.settings, self.threads, cancel, say)
                .map_err(Ended::Stopped)?;
        if !matches!(self.task.part, Part::Shard(_)) {
            // What a killed attempt left here could differ from what this one leaves.
            context.results().clear().map_err(stopped)?;
        }
        catch(|| performer.perform(self.task, &context))?.map_err(Ended::Stopped)?;
        if let Part::Shard(shard) = self.task.part {
            shard::mark(context.work(), shard).map_err(stopped)?;
        }
        Ok(())
    }
}

/// Turns a panic, with which tensor code answers wrong shapes and full devices, into a failure.
fn catch<T>(work: impl FnOnce() -> T) -> Result<T, Ended> {
    let said = Arc::new(Mutex::new(String::new()));
    let heard = Arc::clone(&said);
    std::panic::set_hook(Box::new(move |panic| {
        let message = panic.payload_as_str().unwrap_or("a panic without a message");
        let place = panic.location().map(|place| format!(" ({}:{})", place.file(), place.line()));
        let text = format!("{}{}", without_trace(message), place.unwrap_or_default());
        // The first panic is the cause; those of destructors on the way out are not.
        if let Ok(mut heard) = heard.lock()
            && heard.is_empty()
        {
            *heard = text;
        }
    }));
    let outcome = catch_unwind(AssertUnwindSafe(work));
    drop(std::panic::take_hook());
    outcome.map_err(|_| {
        let reason = said.lock().map(|text| text.clone()).unwrap_or_default();
        let hint = way_out(&reason);
        Ended::Panicked(Failure { reason, hint })
    })
}

/// What libtorch said, without the frames of C++ that it says it with and the Rust around it.
fn without_trace(message: &str) -> &str {
    let text = message.trim_start_matches("called `Result::unwrap()` on an `Err` value: ");
    let text = text.trim_start_matches("Torch(\"");
    let ends = ["\\nException raised from", "\nException raised from", "\\nframe #", "\nframe #"];
    let end = ends.iter().filter_map(|end| text.find(end)).min();
    text[..end.unwrap_or(text.len())].trim()
}

/// The way to the scheduler.
struct Line(Mutex<File>);

impl Line {
    /// Takes standard output away from everybody else in this process.
    fn take_over() -> io::Result<Self> {
        let own = rustix::io::fcntl_dupfd_cloexec(io::stdout(), 3)?;
        rustix::stdio::dup2_stdout(io::stderr())?;
        let mut file = File::from(own);
        // Ends a line that somebody may have begun before.
        file.write_all(b"\n")?;
        Ok(Self(Mutex::new(file)))
    }

    /// Says something. When nobody listens any more, standard input ends as well, and that is acted
    /// upon.
    fn say(&self, reply: &Reply) {
        let mut text = serde_json::to_string(reply).expect("replies are plain data");
        text.push('\n');
        if let Ok(mut file) = self.0.lock() {
            file.write_all(text.as_bytes()).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_tensor_code_is_told_in_a_sentence() {
        let panicked = catch(|| -> () {
            panic!(
                "can't allocate memory: you tried to allocate 8 bytes.\nframe #0: c10::alloc + 0x6a"
            )
        });
        let Err(Ended::Panicked(failure)) = panicked else { panic!("it is caught") };
        assert!(failure.reason.contains("you tried to allocate 8 bytes."), "{}", failure.reason);
        assert!(!failure.reason.contains("frame #"), "{}", failure.reason);
        assert!(failure.hint.is_some_and(|hint| hint.contains("fewer workers")));
        let said = r#"called `Result::unwrap()` on an `Err` value: Torch("no memory. Error code 12\nframe #0: x")"#;
        assert_eq!(without_trace(said), "no memory. Error code 12");
        assert_eq!(without_trace("index 3 is out of range"), "index 3 is out of range");
    }
}
