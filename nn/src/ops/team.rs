//! [`Team`]: threads that wait for the next short piece of work, so that handing one out costs
//! about a microsecond instead of the start of a thread.

use std::any::Any;
use std::cell::UnsafeCell;
use std::fmt;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long an idle worker looks for work before it sleeps: longer than the pause between two
/// operations of a forward pass, short enough that an idle process uses no processor.
const SPIN: Duration = Duration::from_micros(50);
/// Looks between two glances at the clock.
const LOOKS: u32 = 64;

/// Workers that have joined the present work.
const JOINED: u64 = 0xffff;
/// The present work may be joined.
const OPEN: u64 = 1 << 16;
/// The team is being dropped.
const STOP: u64 = 1 << 17;
/// One more piece of work.
const NEXT: u64 = 1 << 18;

/// What runs for each (worker, job).
type Work<'a> = dyn Fn(usize, usize) + Sync + 'a;

/// Persistent threads that share the jobs of one piece of work at a time.
pub(crate) struct Team {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// Somebody's work is running.
    busy: AtomicBool,
}

struct Shared {
    /// The number of the present work, whether it is open, and how many workers are in it.
    state: AtomicU64,
    next: AtomicUsize,
    /// Written while nobody is in, read by those who joined.
    work: UnsafeCell<Option<(*const Work<'static>, usize)>>,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    /// By worker: it sleeps, or is about to.
    asleep: Vec<AtomicBool>,
}

#[expect(unsafe_code, reason = "a pointer to work on the caller's stack")]
// SAFETY: `work` is written by the one caller that holds `busy` while no worker has joined, and
// read by workers between joining and leaving, which the caller waits for.
unsafe impl Sync for Shared {}
#[expect(unsafe_code, reason = "as above")]
// SAFETY: as above; what it points to is `Sync`.
unsafe impl Send for Shared {}

impl Team {
    /// A team of the caller and `threads - 1` workers, or as many as the system gives.
    pub(crate) fn new(threads: NonZero<usize>) -> Self {
        let wanted = (threads.get() - 1).min(JOINED as usize);
        let shared = Arc::new(Shared {
            state: AtomicU64::new(0),
            next: AtomicUsize::new(0),
            work: UnsafeCell::new(None),
            panic: Mutex::new(None),
            asleep: (0..wanted).map(|_| AtomicBool::new(false)).collect(),
        });
        let start = |number: usize| {
            let shared = Arc::clone(&shared);
            let thread = thread::Builder::new().name(format!("team-{}", number + 1));
            thread.spawn(move || shared.serve(number)).ok()
        };
        let workers = (0..wanted).map_while(start).collect();
        Self { shared, workers, busy: AtomicBool::new(false) }
    }

    /// Threads that work, the caller's among them.
    pub(crate) fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Runs `work(worker, job)` for every job in `0..jobs`, each once; returns when all are done.
    /// Workers are numbered from 0, the caller, and take jobs in order as they are free. While
    /// another caller's work runs, or from within `work`, the jobs run here, one after another.
    ///
    /// # Panics
    /// With the first panic of `work`; jobs not yet begun are then left out.
    pub(crate) fn run(&self, jobs: usize, work: &Work<'_>) {
        let alone = jobs <= 1 || self.workers.is_empty();
        if alone || self.busy.swap(true, Ordering::Acquire) {
            for job in 0..jobs {
                work(0, job);
            }
            return;
        }
        self.shared.open(jobs, work);
        for (worker, asleep) in self.workers.iter().zip(&self.shared.asleep).take(jobs - 1) {
            if asleep.load(Ordering::SeqCst) {
                worker.thread().unpark();
            }
        }
        self.shared.take_jobs(0, jobs, work);
        self.shared.close();
        let panic = self.shared.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.busy.store(false, Ordering::Release);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }
}

impl Shared {
    /// Offers `work` to the workers. Nothing of it is used after the next `close`.
    fn open(&self, jobs: usize, work: &Work<'_>) {
        self.next.store(0, Ordering::Relaxed);
        #[expect(unsafe_code, reason = "the workers' threads outlive the borrow, their use of it does not")]
        // SAFETY: `close` waits until every worker that joined has left, and is called before `run`
        // returns, so no use outlives the borrow; nobody has joined now, so nobody reads the cell.
        unsafe {
            let work = std::mem::transmute::<&Work<'_>, &Work<'static>>(work);
            *self.work.get() = Some((std::ptr::from_ref(work), jobs));
        }
        let before = self.state.load(Ordering::Relaxed);
        self.state.store(before.wrapping_add(NEXT) | OPEN, Ordering::SeqCst);
    }

    /// Lets nobody else join and waits for those who have.
    fn close(&self) {
        let mut state = self.state.fetch_and(!OPEN, Ordering::AcqRel);
        let mut looks = 0_u32;
        while state & JOINED != 0 {
            looks += 1;
            // A worker that lost its processor will not get it back from somebody who spins.
            if looks.is_multiple_of(LOOKS * 64) {
                thread::yield_now();
            }
            std::hint::spin_loop();
            state = self.state.load(Ordering::Acquire);
        }
    }

    fn take_jobs(&self, worker: usize, jobs: usize, work: &Work<'_>) {
        let result = catch_unwind(AssertUnwindSafe(|| {
            loop {
                let job = self.next.fetch_add(1, Ordering::Relaxed);
                if job >= jobs {
                    return;
                }
                work(worker, job);
            }
        }));
        if let Err(panic) = result {
            self.next.store(jobs, Ordering::Relaxed);
            self.panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(panic);
        }
    }

    /// The life of one worker.
    fn serve(&self, number: usize) {
        let mut done = 0;
        while let Some(state) = self.wait(number, done) {
            let joined = self.state.compare_exchange(state, state + 1, Ordering::AcqRel, Ordering::Relaxed);
            if joined.is_err() {
                continue;
            }
            #[expect(unsafe_code, reason = "the caller's work, borrowed while joined")]
            // SAFETY: joined while open, so the cell holds the present work, and `close` keeps the
            // caller, and with it the borrow, until this worker leaves below.
            let work = unsafe { (*self.work.get()).map(|(work, jobs)| (&*work, jobs)) };
            if let Some((work, jobs)) = work {
                self.take_jobs(number + 1, jobs, work);
            }
            done = state & !JOINED;
            self.state.fetch_sub(1, Ordering::Release);
        }
    }

    /// The state once it is open with other work than `done`; `None` when the team stops.
    fn wait(&self, number: usize, done: u64) -> Option<u64> {
        let mut since = None;
        loop {
            for _ in 0..LOOKS {
                let state = self.state.load(Ordering::Acquire);
                if state & STOP != 0 {
                    return None;
                }
                if state & OPEN != 0 && state & !JOINED != done {
                    return Some(state);
                }
                std::hint::spin_loop();
            }
            if since.get_or_insert_with(Instant::now).elapsed() > SPIN {
                // Either this load sees the new state, or who wrote it sees the flag and wakes us.
                self.asleep[number].store(true, Ordering::SeqCst);
                let state = self.state.load(Ordering::SeqCst);
                if state & STOP == 0 && (state & OPEN == 0 || state & !JOINED == done) {
                    thread::park();
                }
                self.asleep[number].store(false, Ordering::SeqCst);
                since = None;
            }
        }
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.state.fetch_or(STOP, Ordering::SeqCst);
        for worker in self.workers.drain(..) {
            worker.thread().unpark();
            // A worker catches what its work panics with, so there is nothing to hear here.
            let _ = worker.join();
        }
    }
}

impl fmt::Debug for Team {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Team").field("threads", &self.threads()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn team(threads: usize) -> Team {
        Team::new(NonZero::new(threads).unwrap())
    }

    fn counters(count: usize) -> Vec<AtomicUsize> {
        (0..count).map(|_| AtomicUsize::new(0)).collect()
    }

    #[test]
    fn every_job_runs_once_whatever_the_pause_before() {
        for threads in [1, 2, 5] {
            let team = team(threads);
            assert_eq!(team.threads(), threads);
            for round in 0..2000_u64 {
                let jobs = (round % 7) as usize;
                let runs = counters(jobs);
                team.run(jobs, &|worker, job| {
                    assert!(worker < threads);
                    runs[job].fetch_add(1, Ordering::Relaxed);
                });
                assert!(runs.iter().all(|runs| runs.load(Ordering::Relaxed) == 1), "round {round}");
                if round % 100 == 0 {
                    thread::sleep(SPIN * 2);
                }
            }
        }
    }

    #[test]
    fn workers_share_the_jobs() {
        let team = team(3);
        let seen = counters(3);
        // Two meet only if two threads are at it.
        let inside = AtomicUsize::new(0);
        team.run(2, &|worker, _| {
            seen[worker].fetch_add(1, Ordering::Relaxed);
            inside.fetch_add(1, Ordering::SeqCst);
            while inside.load(Ordering::SeqCst) < 2 {
                thread::yield_now();
            }
        });
        assert!(seen.iter().all(|seen| seen.load(Ordering::Relaxed) < 2));
    }

    #[test]
    fn callers_at_once_do_not_wait_for_each_other() {
        let team = team(2);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        let runs = counters(9);
                        team.run(9, &|_, job| {
                            runs[job].fetch_add(1, Ordering::Relaxed);
                        });
                        assert!(runs.iter().all(|runs| runs.load(Ordering::Relaxed) == 1));
                    }
                });
            }
        });
        let inner = counters(6);
        team.run(2, &|_, outer| team.run(3, &|_, job| _ = inner[outer * 3 + job].fetch_add(1, Ordering::Relaxed)));
        assert!(inner.iter().all(|runs| runs.load(Ordering::Relaxed) == 1));
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_team_lives_on() {
        let team = team(3);
        for bad in [0, 1, 5, 19] {
            let result = catch_unwind(AssertUnwindSafe(|| {
                team.run(20, &|_, job| assert!(job != bad, "job {job} is bad"));
            }));
            let message = *result.unwrap_err().downcast::<String>().unwrap();
            assert_eq!(message, format!("job {bad} is bad"));
            let runs = AtomicUsize::new(0);
            team.run(20, &|_, _| _ = runs.fetch_add(1, Ordering::Relaxed));
            assert_eq!(runs.into_inner(), 20);
        }
    }
}
