//! The scheduler: one loop that hands parts of stages to workers and acts upon what it hears.

use super::{
    Clock, Options, RunError, RunSummary, Settings, Stop, Task,
    account::{Stored, look_up, provenance, summary},
    board::{Board, State},
    message::{Order, PROTOCOL, Reply},
    pool::{Message, Pool},
    speaker::Speaker,
    work::{Ending, Work},
};
use crate::{
    base::{self, Failure, Key},
    event::{Event, FORMAT, Outcome, Record},
    plan::Graph,
    store::{self, Artifact, RunLog, Store, Sync},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    time::Duration,
};

/// How often the scheduler looks up when nothing is heard.
const LOOK_UP: Duration = Duration::from_millis(50);
/// Seconds between two looks at a stage that another run holds: at first, and at most.
const POLL: (f64, f64) = (0.02, 0.5);
/// Workers that may fail to start, one after another, before the run gives up on them.
const UNBORN: u32 = 3;
/// How often one artifact may be found altered before the disk is not trusted any more.
const ALTERED: u32 = 3;
/// Seconds of work that are worth the milliseconds of a sync.
const WORTH_A_SYNC: f64 = 1.0;

/// Carries out all of a graph that is missing in the store. What happens is said to the log and to
/// the listener.
///
/// # Errors
/// Only when the store fails the scheduler itself; a stage that fails is part of the summary.
pub fn run(
    graph: &Graph,
    store: &Store,
    log: RunLog,
    options: &Options<'_>,
    listener: &mut dyn FnMut(&Record),
) -> Result<RunSummary, RunError> {
    let clock = Clock::start();
    let mut speaker = Speaker::new(log, listener);
    speaker.say(Event::RunStarted {
        format: FORMAT,
        run: speaker.run().to_owned(),
        name: options.name.clone(),
        recipe_file: options.recipe_file.clone(),
        versions: options.versions.clone(),
        machine: options.machine.clone(),
    })?;
    speaker.say(Event::Planned {
        stages: graph.nodes().map(summary).collect(),
        best: graph.best().iter().cloned().collect(),
    })?;
    let mut stored = BTreeSet::new();
    for node in graph.nodes() {
        if let Some(found) = look_up(store, node.key, &mut speaker)? {
            stored.insert(node.key);
            speaker.say(found.finished(Outcome::Stored, 0.0))?;
        }
    }
    let (sender, messages) = channel();
    let scheduler = Scheduler {
        board: Board::new(graph, &stored),
        pool: Pool::new(&options.slots, options.worker, sender.clone()),
        store,
        options,
        clock,
        speaker,
        sender,
        works: BTreeMap::new(),
        committing: BTreeMap::new(),
        held: BTreeMap::new(),
        deaths: BTreeMap::new(),
        altered: BTreeMap::new(),
        unborn: 0,
        hopeless: None,
        interrupts: 0,
        done: 0,
        stored: stored.len(),
        skipped: 0,
        failures: Vec::new(),
    };
    scheduler.carry_out(&messages)
}

/// A stage that another run holds.
struct Held {
    /// The clock at the next look.
    next: f64,
    pause: f64,
}

struct Scheduler<'a> {
    board: Board<'a>,
    pool: Pool<'a>,
    store: &'a Store,
    options: &'a Options<'a>,
    clock: Clock,
    speaker: Speaker<'a>,
    sender: Sender<Message>,
    works: BTreeMap<usize, Work>,
    /// Stages whose results are on their way into the store, with their wall seconds.
    committing: BTreeMap<usize, f64>,
    held: BTreeMap<usize, Held>,
    deaths: BTreeMap<usize, u32>,
    altered: BTreeMap<Key, u32>,
    unborn: u32,
    /// Why no worker can be had, once that is certain.
    hopeless: Option<Failure>,
    interrupts: u32,
    done: usize,
    stored: usize,
    skipped: usize,
    failures: Vec<(String, Failure)>,
}

impl Scheduler<'_> {
    fn carry_out(mut self, messages: &Receiver<Message>) -> Result<RunSummary, RunError> {
        while self.is_going_on() {
            self.dispatch()?;
            match messages.recv_timeout(LOOK_UP) {
                Ok(message) => self.hear(message)?,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            while let Ok(message) = messages.try_recv() {
                self.hear(message)?;
            }
            self.look_at_interrupts()?;
            self.look_at_timeouts()?;
            self.look_at_held()?;
        }
        self.end()
    }

    fn is_going_on(&self) -> bool {
        let under_way = !self.works.is_empty() || !self.committing.is_empty();
        under_way || self.begins_more() && !self.board.is_decided()
    }

    /// Whether stages are still begun.
    fn begins_more(&self) -> bool {
        self.interrupts == 0 && (self.options.keep_going || self.failures.is_empty())
    }

    fn end(mut self) -> Result<RunSummary, RunError> {
        let left = self.board.open();
        let because = match self.failures.first() {
            Some((name, _)) if self.interrupts == 0 => {
                format!("`{name}` failed, and the run was told not to keep going")
            }
            _ => "the run was interrupted".to_owned(),
        };
        self.skip(&left, &because)?;
        let outcome = match (self.interrupts, self.failures.len()) {
            (1.., _) => Outcome::Interrupted,
            (0, 0) => Outcome::Done,
            (0, _) => Outcome::Failed,
        };
        let seconds = self.clock.seconds();
        self.speaker.say(Event::RunFinished { outcome, seconds })?;
        let run = self.speaker.run().to_owned();
        self.speaker.close()?;
        let Self { done, stored, skipped, failures, .. } = self;
        Ok(RunSummary { run, outcome, done, stored, skipped, failures, seconds })
    }

    /// Hands out parts as long as there are workers for them.
    fn dispatch(&mut self) -> Result<(), RunError> {
        while self.interrupts == 0 {
            let Some(number) = self.most_urgent() else { return Ok(()) };
            let wanted = self.board.node(number).inputs.values().copied().collect();
            let Some(worker) = self.pool.idle(&wanted) else {
                self.start_workers();
                match &self.hopeless {
                    Some(failure) if self.pool.is_empty() => {
                        self.give_up(number, failure.clone())?;
                        continue;
                    }
                    _ => return Ok(()),
                }
            };
            if !self.works.contains_key(&number) && !self.begin(number, worker)? {
                continue;
            }
            let Some(work) = self.works.get_mut(&number) else { continue };
            let Some(part) = work.hand_out(worker, self.clock.seconds()) else { continue };
            let task = Box::new(Task { node: self.board.node(number).clone(), part });
            let settings = Settings { checkpoint_every_secs: self.options.checkpoint_every_secs };
            self.pool.perform(worker, &Order::Perform { task, settings });
        }
        Ok(())
    }

    /// The most urgent stage with something to hand out; of equals, one that has begun.
    fn most_urgent(&self) -> Option<usize> {
        let urgency = |number: &usize| self.board.urgency(*number);
        let begun = self.works.iter().filter(|(_, work)| work.is_open()).map(|(number, _)| *number);
        let begun = begun.max_by_key(urgency);
        match (begun, self.board.first_ready().filter(|_| self.begins_more())) {
            (Some(begun), Some(ready)) if urgency(&ready) > urgency(&begun) => Some(ready),
            (begun, ready) => begun.or(ready),
        }
    }

    /// Starts as many workers as there is something to do for.
    fn start_workers(&mut self) {
        let parts: usize =
            self.works.values().filter(|work| work.is_open()).map(Work::waiting).sum();
        let wanted = parts + if self.begins_more() { self.board.ready() } else { 0 };
        while self.hopeless.is_none() && self.pool.starting() < wanted {
            match self.pool.start_one() {
                Ok(true) => {}
                Ok(false) => break,
                Err(failure) => self.hopeless = Some(failure),
            }
        }
    }

    /// Takes a stage's lock and looks at what is there. False when there is nothing to hand out.
    fn begin(&mut self, number: usize, worker: usize) -> Result<bool, RunError> {
        let key = self.board.node(number).key;
        let Some(lock) = self.store.lock(key)? else {
            self.hold(number)?;
            return Ok(false);
        };
        // Another run may have made it since the last look.
        match Stored::find(self.store, key) {
            Ok(Some(found)) => {
                drop(lock);
                self.found(number, found)?;
                return Ok(false);
            }
            Ok(None) => {}
            Err(store::Error::Altered { .. }) => drop(self.store.discard_altered(&lock)?),
            Err(error) => return Err(error.into()),
        }
        let staging = self.store.staging(key)?;
        let node = self.board.node(number);
        let work = Work::begin(lock, node, &staging)?;
        let resumed_from = work.resumed();
        let worker = self.pool.slot(worker).number;
        self.speaker.say(Event::StageStarted { key, worker, resumed_from })?;
        self.board.take(number, State::Active);
        self.works.insert(number, work);
        Ok(true)
    }

    fn hold(&mut self, number: usize) -> Result<(), RunError> {
        let now = self.clock.seconds();
        self.board.take(number, State::Held);
        if let Some(held) = self.held.get_mut(&number) {
            held.pause = (held.pause * 1.5).min(POLL.1);
            held.next = now + held.pause;
            return Ok(());
        }
        self.held.insert(number, Held { next: now + POLL.0, pause: POLL.0 });
        let key = Some(self.board.node(number).key);
        let message = format!("another run is at work on `{}`: waiting for it", self.title(number));
        self.speaker.say(Event::Note { key, message })?;
        Ok(())
    }

    /// Looks again at what other runs hold: it may be done, or its run may be dead.
    fn look_at_held(&mut self) -> Result<(), RunError> {
        let now = self.clock.seconds();
        let due = |(number, held): (&usize, &Held)| {
            (held.next <= now && self.board.state(*number) == State::Held).then_some(*number)
        };
        let due: Vec<usize> = self.held.iter().filter_map(due).collect();
        for number in due {
            let key = self.board.node(number).key;
            if let Ok(Some(found)) = Stored::find(self.store, key) {
                self.found(number, found)?;
            } else {
                let lost = self.board.again(number);
                self.skip_below(number, &lost)?;
            }
        }
        Ok(())
    }

    /// A stage turns out to be stored.
    fn found(&mut self, number: usize, found: Stored) -> Result<(), RunError> {
        self.held.remove(&number);
        self.stored += 1;
        self.board.finish(number);
        Ok(self.speaker.say(found.finished(Outcome::Stored, 0.0))?)
    }

    fn hear(&mut self, message: Message) -> Result<(), RunError> {
        match message {
            Message::Committed(number, result) => self.committed(number, result),
            Message::Said(speaker, reply) if self.pool.knows(speaker) => {
                self.reply(speaker.worker, reply)
            }
            Message::Gone(speaker) if self.pool.knows(speaker) => self.bury(speaker.worker),
            Message::Said(..) | Message::Gone(..) => Ok(()),
        }
    }

    fn reply(&mut self, worker: usize, reply: Reply) -> Result<(), RunError> {
        match reply {
            Reply::Ready { protocol: PROTOCOL } => {
                self.unborn = 0;
                self.pool.rest(worker);
                let process = self.pool.process(worker);
                let slot = self.pool.slot(worker);
                let (device, threads) = (slot.device.clone(), slot.threads);
                let worker = slot.number;
                Ok(self.speaker.say(Event::WorkerStarted { worker, process, device, threads })?)
            }
            Reply::Ready { .. } => {
                let reason = "the worker is of another version of mstar".to_owned();
                let hint = Some("start the run again: the program was replaced meanwhile".into());
                self.hopeless = Some(Failure { reason, hint });
                self.pool.retire(worker);
                Ok(())
            }
            Reply::Unfit(failure) => {
                self.hopeless = Some(failure);
                self.pool.retire(worker);
                Ok(())
            }
            Reply::Said(Event::StageProgress { done, total, unit, watched, .. }) => {
                let work = self.works.values_mut().find(|work| work.has(worker));
                let event =
                    work.and_then(|work| work.progress(worker, (done, total), unit, watched));
                event.map_or(Ok(()), |event| Ok(self.speaker.say(event)?))
            }
            Reply::Said(event) => Ok(self.speaker.say(event)?),
            Reply::Done { computed_on } => {
                self.pool.rest(worker);
                self.part_done(worker, computed_on)
            }
            Reply::Stopped { stop, retires } => {
                if retires {
                    self.pool.retire(worker)
                } else {
                    self.pool.rest(worker)
                }
                self.part_stopped(worker, stop)
            }
        }
    }

    fn part_done(&mut self, worker: usize, computed_on: String) -> Result<(), RunError> {
        let now = self.clock.seconds();
        let Some(number) = self.number_of(worker) else { return Ok(()) };
        let Some(work) = self.works.get_mut(&number) else { return Ok(()) };
        if !work.finish(worker, now) {
            return self.settle(number);
        }
        let Some(work) = self.works.remove(&number) else { return Ok(()) };
        let node = self.board.node(number);
        let seconds = work.seconds(now);
        self.committing.insert(number, seconds);
        let provenance = provenance(node, computed_on);
        let sync = if seconds < WORTH_A_SYNC { Sync::Later } else { Sync::Now };
        let (store, sender) = (self.store.clone(), self.sender.clone());
        // Digests of large weights take seconds, and the other workers must not wait for them.
        std::thread::spawn(move || {
            let result = store.commit(&work.lock, provenance, sync);
            drop(work);
            // When nobody listens any more, the run is over.
            sender.send(Message::Committed(number, result)).ok();
        });
        Ok(())
    }

    fn committed(
        &mut self,
        number: usize,
        result: Result<Artifact, store::Error>,
    ) -> Result<(), RunError> {
        let seconds = self.committing.remove(&number).unwrap_or_default();
        match result.and_then(Stored::read) {
            Ok(made) => {
                self.done += 1;
                self.board.finish(number);
                Ok(self.speaker.say(made.finished(Outcome::Done, seconds))?)
            }
            Err(error) => match Stop::from(error) {
                Stop::Failed(failure) => self.failed(number, failure, seconds),
                Stop::Cancelled | Stop::Altered { .. } => {
                    let reason = "its artifact was altered as soon as it was stored".to_owned();
                    let hint = Some("the disk may be failing".to_owned());
                    self.failed(number, Failure { reason, hint }, seconds)
                }
            },
        }
    }

    fn part_stopped(&mut self, worker: usize, stop: Stop) -> Result<(), RunError> {
        let Some(number) = self.number_of(worker) else { return Ok(()) };
        let ending = match stop {
            Stop::Failed(failure) => Ending::Failed(failure),
            Stop::Cancelled if self.options.interrupts.count() > 0 => Ending::Cancelled,
            Stop::Cancelled => {
                let reason = "it stopped without being asked to".to_owned();
                Ending::Failed(Failure { reason, hint: None })
            }
            Stop::Altered { key, file } => self.remake(key, &file)?,
        };
        if let Some(work) = self.works.get_mut(&number) {
            work.take_back(worker, self.clock.seconds());
            work.end(ending);
        }
        self.settle(number)
    }

    /// Takes an altered artifact away and has it made again.
    fn remake(&mut self, key: Key, file: &str) -> Result<Ending, RunError> {
        let Some(number) = self.board.number(key) else {
            let reason = format!("it reads artifact {}, which is not of this graph", key.short());
            return Ok(Ending::Failed(Failure { reason, hint: None }));
        };
        // Another of its readers has said so already.
        if self.board.state(number) != State::Available {
            return Ok(Ending::Again);
        }
        let times = self.altered.entry(key).or_default();
        *times += 1;
        let times = *times;
        let name = self.board.node(number).name.clone();
        if times > ALTERED {
            let reason = format!("`{file}` of `{name}` was altered {times} times");
            let hint = Some("the disk may be failing: use another with `--store`".to_owned());
            return Ok(Ending::Failed(Failure { reason, hint }));
        }
        // Without the lock, another run is making it again already.
        if let Some(lock) = self.store.lock(key)?
            && !self.store.discard_altered(&lock)?
        {
            return Ok(Ending::Again);
        }
        let message = format!("`{file}` of `{name}` is not what was stored: made again");
        self.speaker.say(Event::Note { key: Some(key), message })?;
        let lost = self.board.lose(number);
        self.skip_below(number, &lost)?;
        Ok(Ending::Again)
    }

    /// Clears away a dead worker. The stage it was at is tried again or fails.
    fn bury(&mut self, worker: usize) -> Result<(), RunError> {
        let Some(remains) = self.pool.bury(worker) else { return Ok(()) };
        if remains.retired {
            return Ok(());
        }
        let failure = remains.failure;
        let reason = failure.reason.clone();
        let slot = self.pool.slot(worker).number;
        self.speaker.say(Event::WorkerDied { worker: slot, reason })?;
        if remains.unborn {
            self.unborn += 1;
            if self.unborn >= UNBORN {
                let reason = format!("no worker can be started: {}", failure.reason);
                self.hopeless = Some(Failure { reason, hint: failure.hint });
            }
            return Ok(());
        }
        let Some(number) = self.number_of(worker) else { return Ok(()) };
        let deaths = self.deaths.entry(number).or_default();
        *deaths += 1;
        let again = *deaths <= self.options.retries && self.interrupts == 0;
        let Some(work) = self.works.get_mut(&number) else { return Ok(()) };
        let Some(part) = work.take_back(worker, self.clock.seconds()) else { return Ok(()) };
        if again {
            work.put_back(part);
            let message = format!("{}: trying again", failure.reason);
            let key = Some(self.board.node(number).key);
            self.speaker.say(Event::Note { key, message })?;
        } else {
            work.end(Ending::Failed(failure));
        }
        self.settle(number)
    }

    /// Lets a stage go that has an ending and no worker any more.
    fn settle(&mut self, number: usize) -> Result<(), RunError> {
        let over = |work: &&Work| work.workers().is_empty() && work.ending.is_some();
        if self.works.get(&number).filter(over).is_none() {
            return Ok(());
        }
        let Some(mut work) = self.works.remove(&number) else { return Ok(()) };
        match work.ending.take() {
            Some(Ending::Failed(failure)) => {
                self.failed(number, failure, work.seconds(self.clock.seconds()))
            }
            Some(Ending::Again) => {
                let lost = self.board.again(number);
                self.skip_below(number, &lost)
            }
            Some(Ending::Cancelled) | None => Ok(()),
        }
    }

    fn failed(&mut self, number: usize, failure: Failure, seconds: f64) -> Result<(), RunError> {
        let node = self.board.node(number);
        let (key, name) = (node.key, node.name.clone());
        let Failure { reason, hint } = failure.clone();
        self.speaker.say(Event::StageFailed { key, reason, hint, seconds })?;
        let because = format!("`{}` failed", self.title(number));
        self.failures.push((name, failure));
        let skipped = self.board.fail(number);
        self.skip(&skipped, &because)
    }

    /// There is no worker to be had for what is left.
    fn give_up(&mut self, number: usize, failure: Failure) -> Result<(), RunError> {
        if let Some(work) = self.works.get_mut(&number) {
            work.end(Ending::Failed(failure));
            return self.settle(number);
        }
        self.failed(number, failure, 0.0)
    }

    fn skip_below(&mut self, number: usize, skipped: &[usize]) -> Result<(), RunError> {
        let because = format!("what `{}` needs failed", self.title(number));
        self.skip(skipped, &because)
    }

    fn skip(&mut self, skipped: &[usize], because: &str) -> Result<(), RunError> {
        for number in skipped {
            self.skipped += 1;
            let key = self.board.node(*number).key;
            self.speaker.say(Event::StageSkipped { key, because: because.to_owned() })?;
        }
        Ok(())
    }

    fn look_at_interrupts(&mut self) -> Result<(), RunError> {
        let count = self.options.interrupts.count();
        if count > self.interrupts && self.interrupts == 0 {
            let message = "stopping at the next safe point; once more to stop at once".to_owned();
            self.speaker.say(Event::Note { key: None, message })?;
            self.pool.cancel();
            for number in self.works.keys().copied().collect::<Vec<_>>() {
                if let Some(work) = self.works.get_mut(&number) {
                    work.end(Ending::Cancelled);
                }
                self.settle(number)?;
            }
        }
        if count > 1 && self.interrupts <= 1 {
            self.pool.kill();
            self.works.clear();
        }
        self.interrupts = count;
        Ok(())
    }

    /// Ends stages that take too long, with the workers that are at them.
    fn look_at_timeouts(&mut self) -> Result<(), RunError> {
        let limit = self.options.timeout_secs;
        if limit <= 0.0 || self.interrupts > 0 {
            return Ok(());
        }
        let now = self.clock.seconds();
        let late = self.works.iter().filter(|(_, work)| work.seconds(now) > limit);
        for number in late.map(|(number, _)| *number).collect::<Vec<_>>() {
            let Some(work) = self.works.get_mut(&number) else { continue };
            for worker in work.workers() {
                work.take_back(worker, now);
                self.pool.stop(worker);
            }
            let reason = format!("took longer than {}", base::Duration(limit));
            let hint = "raise `run.timeout_secs` or `--timeout`; the next run goes on from its \
                        checkpoint or its shards";
            work.end(Ending::Failed(Failure { reason, hint: Some(hint.to_owned()) }));
            self.settle(number)?;
        }
        Ok(())
    }

    /// What a stage is called among all members.
    fn title(&self, number: usize) -> String {
        summary(self.board.node(number)).title(self.board.members())
    }

    fn number_of(&self, worker: usize) -> Option<usize> {
        let at = |(_, work): &(&usize, &Work)| work.has(worker);
        self.works.iter().find(at).map(|(number, _)| *number)
    }
}
