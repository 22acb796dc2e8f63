//! Worker processes: started when there is work, replaced when they die.

use super::{
    Slot, Task,
    message::{Order, Reply},
};
use crate::{
    base::{Failure, Key},
    store::{Artifact, Error},
};
use std::{
    collections::{BTreeSet, VecDeque},
    io::{BufRead as _, BufReader, Write as _},
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, mpsc::Sender},
    thread::JoinHandle,
};

/// Lines of a worker's standard error that are kept, for the reason of its death.
const LAST_WORDS: usize = 4;

/// What the scheduler hears.
#[derive(Debug)]
pub(super) enum Message {
    /// A worker said something.
    Said(Speaker, Reply),
    /// A worker closed its end: it is dead, or about to be.
    Gone(Speaker),
    /// A stage's results were made an artifact, or could not be.
    Committed(usize, Result<Artifact, Error>),
}

/// A worker's number, and which of the processes that had it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Speaker {
    pub(super) worker: usize,
    generation: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Starting,
    Idle,
    Busy,
    Retiring,
}

struct Worker {
    child: Child,
    orders: Option<ChildStdin>,
    state: State,
    generation: u64,
    last_words: Arc<Mutex<VecDeque<String>>>,
    listener: Option<JoinHandle<()>>,
    /// What it read and made last, and probably still has in memory.
    holds: BTreeSet<Key>,
}

/// What is left of a worker.
pub(super) struct Remains {
    /// How it ended, with its last words.
    pub(super) failure: Failure,
    /// Whether it had not yet said that it is ready.
    pub(super) unborn: bool,
    /// Whether it ended because it was done.
    pub(super) retired: bool,
}

/// All workers by number.
pub(super) struct Pool<'a> {
    slots: &'a [Slot],
    command: &'a dyn Fn(&Slot) -> Command,
    messages: Sender<Message>,
    workers: Vec<Option<Worker>>,
    generation: u64,
}

impl<'a> Pool<'a> {
    pub(super) fn new(
        slots: &'a [Slot],
        command: &'a dyn Fn(&Slot) -> Command,
        messages: Sender<Message>,
    ) -> Self {
        let workers = slots.iter().map(|_| None).collect();
        Self { slots, command, messages, workers, generation: 0 }
    }

    pub(super) fn slot(&self, worker: usize) -> &Slot {
        &self.slots[worker]
    }

    /// Starts a worker in an empty slot, if there is one.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub(super) fn start_one(&mut self) -> Result<bool, Failure> {
        let Some(number) = self.workers.iter().position(Option::is_none) else { return Ok(false) };
        let slot = &self.slots[number];
        let threads = slot.threads.to_string();
        let mut command = (self.command)(slot);
        command
            .env("OMP_NUM_THREADS", &threads)
            // Threads that spin while they wait cost ten times the work on a busy machine.
            .env("OMP_WAIT_POLICY", "passive")
            .env("MKL_NUM_THREADS", &threads)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C at the terminal is for the scheduler, which tells the workers.
            .process_group(0);
        let mut child = command.spawn().map_err(|error| Failure {
            reason: format!("cannot start `{}`: {error}", command.get_program().display()),
            hint: None,
        })?;
        self.generation += 1;
        let speaker = Speaker { worker: number, generation: self.generation };
        if let Some(stdout) = child.stdout.take() {
            let messages = self.messages.clone();
            std::thread::spawn(move || forward(stdout, speaker, &messages));
        }
        let last_words = Arc::new(Mutex::new(VecDeque::new()));
        let listener = child.stderr.take().map(|stderr| {
            let last_words = Arc::clone(&last_words);
            std::thread::spawn(move || remember(stderr, &last_words))
        });
        self.workers[number] = Some(Worker {
            orders: child.stdin.take(),
            child,
            state: State::Starting,
            generation: self.generation,
            last_words,
            listener,
            holds: BTreeSet::new(),
        });
        Ok(true)
    }

    /// Whether a message comes from the process that has the number now.
    pub(super) fn knows(&self, speaker: Speaker) -> bool {
        let worker = self.workers[speaker.worker].as_ref();
        worker.is_some_and(|worker| worker.generation == speaker.generation)
    }

    /// Operating system's number of a worker; 0 when there is none.
    pub(super) fn process(&self, worker: usize) -> u32 {
        self.workers[worker].as_ref().map_or(0, |worker| worker.child.id())
    }

    /// A worker that has nothing to do, best one that holds an artifact.
    pub(super) fn idle(&self, wanted: &BTreeSet<Key>) -> Option<usize> {
        let idle = self.workers.iter().enumerate().filter_map(|(number, worker)| {
            worker.as_ref().filter(|worker| worker.state == State::Idle).map(|it| (number, it))
        });
        let shared = |worker: &Worker| worker.holds.intersection(wanted).count();
        idle.max_by_key(|(number, worker)| (shared(worker), usize::MAX - number)).map(|it| it.0)
    }

    /// Whether there is no worker at all.
    pub(super) fn is_empty(&self) -> bool {
        self.workers.iter().all(Option::is_none)
    }

    /// Workers that will soon have nothing to do.
    pub(super) fn starting(&self) -> usize {
        let starting = |worker: &&Worker| worker.state == State::Starting;
        self.workers.iter().flatten().filter(starting).count()
    }

    /// A worker has nothing to do, unless it was ended meanwhile.
    pub(super) fn rest(&mut self, worker: usize) {
        if let Some(worker) = &mut self.workers[worker]
            && worker.state != State::Retiring
        {
            worker.state = State::Idle;
        }
    }

    /// Ends a worker in the midst of what it does.
    pub(super) fn stop(&mut self, worker: usize) {
        self.retire(worker);
        if let Some(worker) = &mut self.workers[worker] {
            // One that cannot be killed is dead already.
            worker.child.kill().ok();
        }
    }

    /// A worker will end by itself.
    pub(super) fn retire(&mut self, worker: usize) {
        if let Some(worker) = &mut self.workers[worker] {
            worker.state = State::Retiring;
            worker.orders = None;
        }
    }

    /// Gives a worker something to do.
    pub(super) fn perform(&mut self, worker: usize, order: &Order) {
        let Order::Perform { task, .. } = order else { return };
        self.tell(worker, order);
        if let Some(worker) = &mut self.workers[worker] {
            worker.state = State::Busy;
            worker.holds = touched(task);
        }
    }

    /// Asks all that are at work to stop at a safe point.
    pub(super) fn cancel(&mut self) {
        for worker in 0..self.workers.len() {
            self.tell(worker, &Order::Cancel);
        }
    }

    /// Ends all at once.
    pub(super) fn kill(&mut self) {
        for worker in self.workers.iter_mut().flatten() {
            // One that cannot be killed is dead already.
            worker.child.kill().ok();
        }
        for mut worker in self.workers.iter_mut().filter_map(Option::take) {
            worker.child.wait().ok();
        }
    }

    /// Clears away a worker that closed its end.
    pub(super) fn bury(&mut self, worker: usize) -> Option<Remains> {
        let mut dead = self.workers[worker].take()?;
        // It may have closed its end and go on living; when it is dead, this changes nothing.
        dead.child.kill().ok();
        let status = dead.child.wait();
        if let Some(listener) = dead.listener.take() {
            listener.join().ok();
        }
        let words = dead.last_words.lock().map(|words| Vec::from(words.clone()).join(" / "));
        let mut failure = match status {
            Ok(status) => describe(status),
            Err(error) => Failure { reason: format!("lost: {error}"), hint: None },
        };
        if let Ok(words) = words
            && !words.is_empty()
        {
            failure.hint = failure.hint.or_else(|| way_out(&words));
            failure.reason = format!("{}; its last words: {words}", failure.reason);
        }
        Some(Remains {
            failure,
            unborn: dead.state == State::Starting,
            retired: dead.state == State::Retiring,
        })
    }

    /// A worker that does not read its orders is dying, which is heard by its other end.
    fn tell(&mut self, worker: usize, order: &Order) {
        if let Some(orders) = self.workers[worker].as_mut().and_then(|it| it.orders.as_mut()) {
            let mut text = serde_json::to_string(order).expect("orders are plain data");
            text.push('\n');
            orders.write_all(text.as_bytes()).ok();
        }
    }
}

impl Drop for Pool<'_> {
    fn drop(&mut self) {
        // What they did is committed or will be gone on from; to take libtorch down in good order
        // would only take time.
        self.kill();
    }
}

/// What a worker has in memory after a task.
fn touched(task: &Task) -> BTreeSet<Key> {
    task.node.inputs.values().copied().chain([task.node.key]).collect()
}

fn forward(stdout: ChildStdout, speaker: Speaker, messages: &Sender<Message>) {
    for line in BufReader::new(stdout).lines() {
        let Ok(line) = line else { break };
        // What was printed before the worker took its standard output over is no message.
        if let Ok(reply) = serde_json::from_str(&line)
            && messages.send(Message::Said(speaker, reply)).is_err()
        {
            return;
        }
    }
    // When nobody listens any more, the run is over.
    messages.send(Message::Gone(speaker)).ok();
}

fn remember(stderr: ChildStderr, last_words: &Mutex<VecDeque<String>>) {
    for line in BufReader::new(stderr).lines() {
        let Ok(line) = line else { break };
        let line = line.trim();
        if let Ok(mut words) = last_words.lock()
            && !line.is_empty()
        {
            words.push_back(line.chars().take(300).collect());
            if words.len() > LAST_WORDS {
                words.pop_front();
            }
        }
    }
}

/// What helps when libtorch or the dynamic linker said this.
pub(super) fn way_out(words: &str) -> Option<String> {
    let words = words.to_lowercase();
    let hint = if words.contains("error while loading shared libraries") {
        "libtorch is no longer where it was at the build, or memory does not suffice to load it: \
         build again, or free memory"
    } else if ["out of memory", "allocate memory", "bad_alloc"].iter().any(|it| words.contains(it))
    {
        "use fewer workers, a smaller `micro_batch_size` or a shorter `max_length`"
    } else {
        return None;
    };
    Some(hint.to_owned())
}

fn describe(status: ExitStatus) -> Failure {
    let Some(signal) = status.signal() else {
        let code = status.code().unwrap_or_default();
        return Failure { reason: format!("its worker ended with exit code {code}"), hint: None };
    };
    let (name, hint) = match signal {
        4 => (" (SIGILL)", Some("this libtorch was built for another processor")),
        6 => (" (SIGABRT)", None),
        7 => (" (SIGBUS)", Some("a mapped file was cut, or the disk is full")),
        9 => (
            " (SIGKILL)",
            Some("when memory ran out: fewer workers, or a smaller `micro_batch_size`"),
        ),
        11 => (" (SIGSEGV)", None),
        15 => (" (SIGTERM)", None),
        _ => ("", None),
    };
    Failure {
        reason: format!("its worker was killed by signal {signal}{name}"),
        hint: hint.map(str::to_owned),
    }
}
