//! [`each`]: much work that waits most of the time, done by several threads, its results in order.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use agent::Cancel;

use crate::{Error, Result};

/// What `work` gives for each number below `count`, in order, at most `at_once` under way. After the first failure the
/// others are cancelled.
///
/// # Errors
/// The first failure.
pub(crate) fn each<T: Send>(
    count: usize,
    at_once: usize,
    work: impl Fn(usize, &Cancel) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let (next, cancel, failure) = (AtomicUsize::new(0), Cancel::new(), Mutex::new(None::<Error>));
    let worker = || {
        let mut done = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count || cancel.is_cancelled() {
                return done;
            }
            match work(number, &cancel) {
                Ok(result) => done.push((number, result)),
                Err(error) => {
                    // Those that are cancelled for it fail later.
                    failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                    cancel.cancel();
                    return done;
                }
            }
        }
    };
    let mut done = thread::scope(|scope| {
        let threads: Vec<_> = (0..at_once.clamp(1, count.max(1))).map(|_| scope.spawn(worker)).collect();
        let mut done = Vec::with_capacity(count);
        for thread in threads {
            match thread.join() {
                Ok(part) => done.extend(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    if let Some(error) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    done.sort_by_key(|(number, _)| *number);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order_and_the_first_failure_ends_all() {
        for at_once in [1, 3, 50] {
            assert_eq!(
                each(20, at_once, |number, _| Ok(number * 2)).unwrap(),
                (0..20).map(|at| at * 2).collect::<Vec<_>>()
            );
        }
        assert!(each(0, 4, |number, _| Ok(number)).unwrap().is_empty());
        let seen = AtomicUsize::new(0);
        let failed = each(10_000, 2, |number, cancel| {
            seen.fetch_add(1, Ordering::Relaxed);
            if number == 3 { Err(Error::Input("three".to_owned())) } else { Ok(cancel.is_cancelled()) }
        });
        assert_eq!(failed.unwrap_err().to_string(), "three");
        assert!(seen.into_inner() < 10_000);
    }
}
