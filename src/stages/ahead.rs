//! Things made on other threads before they are needed, in a fixed order.
//!
//! Which thread makes what is no one's business: what comes out, and in which order, is the same with
//! any number of threads. They stop while as much waits to be taken as may.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Bytes that wait to be taken, about; each thread makes one thing in any case.
const WAITING: usize = 256 << 20;

/// Gives things one after the other that are made ahead.
pub(super) struct Ahead<T> {
    make: Arc<dyn Fn(usize) -> T + Send + Sync>,
    count: usize,
    next: usize,
    /// The first thread makes the first thing, and so on in turns; none where all is made when it is
    /// asked for.
    threads: Vec<Maker<T>>,
    shared: Arc<Shared>,
}

/// What a thread makes, with its bytes, and the thread until it was joined.
type Maker<T> = (Receiver<(T, usize)>, Option<JoinHandle<()>>);

/// What the threads and the one that takes know of each other.
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    most: usize,
}

/// What was made and not taken yet.
struct Waiting {
    bytes: usize,
    /// Things of each thread.
    of_thread: Vec<usize>,
    has_ended: bool,
}

impl<T: Send + 'static> Ahead<T> {
    /// Has so many things made by up to so many threads; `size` is how many bytes one takes.
    pub(super) fn new(
        count: usize,
        threads: usize,
        size: fn(&T) -> usize,
        make: impl Fn(usize) -> T + Send + Sync + 'static,
    ) -> Self {
        Self::within(WAITING, count, threads, size, make)
    }

    fn within(
        most: usize,
        count: usize,
        threads: usize,
        size: fn(&T) -> usize,
        make: impl Fn(usize) -> T + Send + Sync + 'static,
    ) -> Self {
        // One thread makes what it needs itself.
        let threads = if threads > 1 { threads.min(count) } else { 0 };
        let waiting = Waiting { bytes: 0, of_thread: vec![0; threads], has_ended: false };
        let shared =
            Arc::new(Shared { waiting: Mutex::new(waiting), changed: Condvar::new(), most });
        let make: Arc<dyn Fn(usize) -> T + Send + Sync> = Arc::new(make);
        let begin = |first: usize| {
            let (sender, receiver) = channel();
            let (make, shared) = (Arc::clone(&make), Arc::clone(&shared));
            let own = (first..count).step_by(threads);
            let work = move || shared.work(first, own, &*make, size, &sender);
            (receiver, Some(std::thread::spawn(work)))
        };
        let threads = (0..threads).map(begin).collect();
        Self { make, count, next: 0, threads, shared }
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing that can fail is done while it is held.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What one thread does.
    fn work<T>(
        &self,
        thread: usize,
        own: impl Iterator<Item = usize>,
        make: &dyn Fn(usize) -> T,
        size: fn(&T) -> usize,
        sender: &Sender<(T, usize)>,
    ) {
        for number in own {
            let may_not = |it: &mut Waiting| {
                !it.has_ended && it.of_thread[thread] > 0 && it.bytes >= self.most
            };
            let waiting = self.changed.wait_while(self.waiting(), may_not);
            if waiting.unwrap_or_else(PoisonError::into_inner).has_ended {
                return;
            }
            let made = make(number);
            let bytes = size(&made);
            let mut waiting = self.waiting();
            waiting.bytes += bytes;
            waiting.of_thread[thread] += 1;
            drop(waiting);
            if sender.send((made, bytes)).is_err() {
                return;
            }
        }
    }
}

impl<T> Iterator for Ahead<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let number = self.next;
        if number >= self.count {
            return None;
        }
        self.next += 1;
        if self.threads.is_empty() {
            return Some((self.make)(number));
        }
        let thread = number % self.threads.len();
        let (receiver, handle) = &mut self.threads[thread];
        let Ok((made, bytes)) = receiver.recv() else {
            // It ended too soon: what it panicked with goes on here.
            let ended = handle.take().map(JoinHandle::join);
            std::panic::resume_unwind(match ended {
                Some(Err(panic)) => panic,
                _ => Box::new("a thread ended too soon"),
            });
        };
        let mut waiting = self.shared.waiting();
        waiting.bytes -= bytes;
        waiting.of_thread[thread] -= 1;
        drop(waiting);
        self.shared.changed.notify_all();
        Some(made)
    }
}

impl<T> Drop for Ahead<T> {
    fn drop(&mut self) {
        self.shared.waiting().has_ended = true;
        self.shared.changed.notify_all();
        for (_, handle) in &mut self.threads {
            // Who did not take what a thread made does not care how it ended.
            handle.take().map(JoinHandle::join).transpose().ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn things_come_in_their_order_whatever_the_threads() {
        for threads in [0, 1, 2, 3, 7, 100] {
            for most in [0, 5, usize::MAX] {
                let made = Ahead::within(most, 40, threads, |_| 1, |number| number * number);
                let expected: Vec<usize> = (0..40).map(|number| number * number).collect();
                assert_eq!(made.collect::<Vec<_>>(), expected, "{threads} {most}");
            }
        }
        assert_eq!(Ahead::new(0, 4, |_: &u8| 1, |_| 0).count(), 0);
    }

    #[test]
    fn no_more_is_made_than_may_wait() {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let count = |number: usize| {
            MADE.fetch_add(1, Ordering::SeqCst);
            number
        };
        let mut made = Ahead::within(10, 1000, 2, |_| 1, count);
        assert_eq!(made.next(), Some(0));
        // Of the ten that wait one was taken; each thread may have one more in its hands.
        for _ in 0..50 {
            std::thread::yield_now();
            assert!(MADE.load(Ordering::SeqCst) <= 13);
        }
        drop(made);
        assert!(MADE.load(Ordering::SeqCst) <= 13);
    }

    #[test]
    fn a_panic_of_a_thread_is_that_of_who_takes() {
        let mut made = Ahead::new(9, 3, |_| 1, |number| 6 / (4 - number.min(4)));
        let taken = std::panic::AssertUnwindSafe(|| made.by_ref().count());
        assert!(std::panic::catch_unwind(taken).is_err());
    }
}
