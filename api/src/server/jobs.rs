//! [`Jobs`]: one long piece of work at a time, on a thread of its own, that a request begins, watches and stops.
//!
//! Jobs live in memory and end with the process: what a killed build leaves changes nothing (see [`indexes::Build`]).

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::Result;
use jiff::Timestamp;

use super::error::{ApiError, Code};
use super::wire::{Job, JobKind, JobState};
use crate::building::Step;

/// Jobs that are remembered.
const KEPT: usize = 50;
/// What is told of a failure that nobody who watches can mend.
const INSIDE: &str = "something failed inside: the service's log knows more under this job's id";

/// All jobs, newest first.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    known: Mutex<VecDeque<Known>>,
}

#[derive(Debug)]
struct Known {
    job: Job,
    stop: Arc<AtomicBool>,
}

/// What a job tells and hears while it runs.
#[derive(Debug)]
pub(super) struct Handle {
    jobs: Arc<Jobs>,
    id: String,
    /// Set when it is to end.
    pub(super) stop: Arc<AtomicBool>,
}

impl Handle {
    /// Tells how far it is.
    pub(super) fn at(&self, step: Step) {
        let (done, total) = step.count.unwrap_or_default();
        self.jobs.change(&self.id, |job| (job.stage, job.done, job.total) = (step.stage, done, total));
    }
}

impl Jobs {
    /// Begins `work`, which gives the snapshot that it came to.
    ///
    /// # Errors
    /// [`Code::Conflict`] beside another job; when the system gives no thread.
    pub(super) fn start(
        self: &Arc<Self>,
        kind: JobKind,
        caller: &str,
        work: impl FnOnce(&Handle) -> Result<String> + Send + 'static,
    ) -> Result<Job, ApiError> {
        let now = Timestamp::now();
        let mut known = self.lock();
        if let Some(Known { job, .. }) = known.iter().find(|known| !is_over(&known.job)) {
            let message = format!("job {} is under way: wait for it to end, or cancel it", job.id);
            return Err(ApiError::new(Code::Conflict, message));
        }
        // one at a time, so that no two begin in one millisecond unless the clock stands still
        let mut number = now.as_millisecond();
        let id = loop {
            let id = format!("{number:x}");
            if known.iter().all(|known| known.job.id != id) {
                break id;
            }
            number += 1;
        };
        let stop = Arc::new(AtomicBool::new(false));
        let job = Job {
            id: id.clone(),
            kind,
            state: JobState::Queued,
            stage: "waiting",
            done: 0,
            total: 0,
            message: None,
            result: None,
            caller: caller.to_owned(),
            created: now.to_string(),
            started: None,
            ended: None,
        };
        let handle = Handle { jobs: Arc::clone(self), id, stop: Arc::clone(&stop) };
        let run = move || handle.run(work);
        thread::Builder::new().name("job".to_owned()).spawn(run).map_err(|error| ApiError::internal(&error))?;
        known.push_front(Known { job: job.clone(), stop });
        known.truncate(KEPT);
        Ok(job)
    }

    /// All that are remembered, newest first.
    pub(super) fn list(&self) -> Vec<Job> {
        self.lock().iter().map(|known| known.job.clone()).collect()
    }

    /// The job called `id`.
    pub(super) fn get(&self, id: &str) -> Option<Job> {
        self.lock().iter().find(|known| known.job.id == id).map(|known| known.job.clone())
    }

    /// Tells the job called `id` to end; one that is over stays what it is.
    pub(super) fn cancel(&self, id: &str) -> Option<Job> {
        let known = self.lock();
        let found = known.iter().find(|known| known.job.id == id)?;
        found.stop.store(true, Ordering::Relaxed);
        Some(found.job.clone())
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut Job)) {
        if let Some(found) = self.lock().iter_mut().find(|known| known.job.id == id) {
            change(&mut found.job);
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Known>> {
        // nothing panics while it is held
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handle {
    fn run(self, work: impl FnOnce(&Self) -> Result<String>) {
        let begun = Timestamp::now().to_string();
        self.jobs
            .change(&self.id, |job| (job.state, job.stage, job.started) = (JobState::Running, "opening", Some(begun)));
        let outcome = catch_unwind(AssertUnwindSafe(|| work(&self)));
        let (state, message, result) = match outcome {
            Ok(Ok(snapshot)) => (JobState::Done, None, Some(snapshot)),
            Ok(Err(error)) if is_stopped(&error) => (JobState::Cancelled, None, None),
            Ok(Err(error)) => {
                tracing::warn!(job = self.id, cause = format!("{error:#}"), "a job failed");
                (JobState::Failed, Some(told(error)), None)
            }
            Err(_) => (JobState::Failed, Some(INSIDE.to_owned()), None),
        };
        tracing::info!(job = self.id, ?state, "a job ended");
        let ended = Some(Timestamp::now().to_string());
        self.jobs.change(&self.id, |job| {
            (job.state, job.message, job.result, job.ended) = (state, message, result, ended);
        });
    }
}

/// What whoever watches is told of a failure: causes inside name paths and speak as libraries do, and are for the log.
fn told(error: anyhow::Error) -> String {
    let error = error.downcast::<corpus::Error>().map(retriever::Error::from);
    let error = error.or_else(|error| error.downcast::<indexes::Error>().map(retriever::Error::from));
    let message = match error.or_else(anyhow::Error::downcast::<retriever::Error>) {
        Err(_) => INSIDE,
        Ok(retriever::Error::Encoder { .. } | retriever::Error::Nn(_)) => {
            "the encoder cannot be used: ask for another, or see the service's log"
        }
        Ok(retriever::Error::Index(indexes::Error::Corrupt { .. } | indexes::Error::Format { .. })) => {
            "the snapshot is damaged, or of another version: build a new one"
        }
        Ok(error) => match ApiError::from(error) {
            error if error.code() == Code::Internal => INSIDE,
            error => return error.message().to_owned(),
        },
    };
    message.to_owned()
}

fn is_over(job: &Job) -> bool {
    !matches!(job.state, JobState::Queued | JobState::Running)
}

fn is_stopped(error: &anyhow::Error) -> bool {
    let found = error.downcast_ref::<retriever::Error>();
    matches!(found, Some(retriever::Error::Index(indexes::Error::Stopped)))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::{Duration, Instant};

    use anyhow::bail;

    use super::*;

    fn ended(jobs: &Jobs, id: &str) -> Job {
        let start = Instant::now();
        loop {
            let job = jobs.get(id).unwrap();
            if is_over(&job) {
                return job;
            }
            assert!(start.elapsed() < Duration::from_secs(10), "{job:?}");
            thread::sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn one_runs_at_a_time_and_the_second_hears_of_the_first() {
        let jobs = Arc::new(Jobs::default());
        let (go, gone) = channel::<()>();
        let first = jobs.start(JobKind::BuildSnapshot, "ada", move |handle| {
            handle.at(Step { stage: "words", count: Some((3, 7)) });
            gone.recv()?;
            Ok("s1".to_owned())
        });
        let first = first.unwrap();
        let refused = jobs.start(JobKind::UseSnapshot, "bob", |_| Ok(String::new())).unwrap_err();
        assert!(refused.message().contains(&first.id), "{}", refused.message());
        while jobs.get(&first.id).unwrap().stage != "words" {
            thread::yield_now();
        }
        let running = jobs.get(&first.id).unwrap();
        assert_eq!((running.state, running.done, running.total), (JobState::Running, 3, 7));
        go.send(()).unwrap();
        let done = ended(&jobs, &first.id);
        assert_eq!((done.state, done.result.as_deref(), done.caller.as_str()), (JobState::Done, Some("s1"), "ada"));
        let second = jobs.start(JobKind::UseSnapshot, "bob", |_| bail!("the disk is gone")).unwrap();
        let failed = ended(&jobs, &second.id);
        assert_eq!((failed.state, failed.message.as_deref()), (JobState::Failed, Some(INSIDE)));
        assert_eq!(jobs.list().iter().map(|job| job.id.as_str()).collect::<Vec<_>>(), [&second.id, &first.id]);
    }

    #[test]
    fn a_job_ends_when_it_is_told_to_and_when_it_panics() {
        let jobs = Arc::new(Jobs::default());
        let job = jobs.start(JobKind::BuildSnapshot, "ada", |handle| {
            while !handle.stop.load(Ordering::Relaxed) {
                thread::yield_now();
            }
            Err(retriever::Error::Index(indexes::Error::Stopped).into())
        });
        let id = job.unwrap().id;
        assert!(jobs.cancel("none").is_none());
        jobs.cancel(&id).unwrap();
        assert_eq!(ended(&jobs, &id).state, JobState::Cancelled);
        let job = jobs.start(JobKind::BuildSnapshot, "ada", |_| panic!("on purpose")).unwrap();
        let failed = ended(&jobs, &job.id);
        assert_eq!(failed.state, JobState::Failed);
        assert!(!failed.message.unwrap().contains("on purpose"));
    }

    #[test]
    fn a_failure_says_what_to_do_and_nothing_of_the_inside() {
        let path = || std::path::PathBuf::from("/srv/home/secret");
        for (error, expect) in [
            (corpus::Error::Full { path: path() }.into(), "free some space"),
            (retriever::Error::from(corpus::Error::Locked { path: path() }).into(), "try again"),
            (indexes::Error::Corrupt { path: path(), reason: "secret".to_owned() }.into(), "build a new one"),
            (retriever::Error::Encoder { path: path(), reason: "secret".to_owned() }.into(), "the encoder"),
            (indexes::Error::Busy { pid: "7".to_owned() }.into(), "try again"),
            (corpus::Error::Unusable { path: path(), reason: "secret".to_owned() }.into(), INSIDE),
            (anyhow::anyhow!("no such table: secret").context("/srv/home"), INSIDE),
        ] {
            let message = told(error);
            assert!(message.contains(expect), "{message}");
            assert!(!message.contains("secret") && !message.contains("/srv"), "{message}");
        }
    }

    #[test]
    fn old_jobs_are_forgotten() {
        let jobs = Arc::new(Jobs::default());
        for _ in 0..KEPT + 3 {
            let job = jobs.start(JobKind::UseSnapshot, "ada", |_| Ok("s".to_owned())).unwrap();
            ended(&jobs, &job.id);
        }
        assert_eq!(jobs.list().len(), KEPT);
    }
}
