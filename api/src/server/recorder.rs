//! [`Recorder`]: the one thread that stores traces, and from time to time erases those whose time is over.
//!
//! An episode waits for its trace to be stored, so that the id in an answer names something; but only
//! for a while, since an answer matters more than its record.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use agent::Trace;
use agent::phi::storable;
use anyhow::{Result, anyhow};
use corpus::Store;
use corpus::store::{Erase, NewTrace};
use retriever::STAGE;

use crate::home::Home;
use crate::keeping::{self, Keep};

/// Traces that may wait for the writer.
const PLACES: usize = 64;
/// How long the writer waits for another process that writes to the home.
const BUSY: Duration = Duration::from_secs(2);
/// How long an episode waits for its trace.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often traces are looked for whose time is over. Until they are erased nobody is given them.
const SWEEP: Duration = Duration::from_mins(10);
/// How soon again, where there may be more than one call erases.
const SWEEP_AGAIN: Duration = Duration::from_secs(5);

/// Where episodes hand in their traces. The writer ends when the last handle is gone.
#[derive(Clone, Debug)]
pub(super) struct Recorder {
    entries: SyncSender<Entry>,
    keep: Keep,
}

struct Entry {
    trace: NewTrace,
    json: String,
    receipt: SyncSender<Result<()>>,
}

impl Recorder {
    /// Starts the writer for `home`, which is opened at the first trace.
    ///
    /// # Errors
    /// When the system gives no more threads.
    pub(super) fn start(home: Home, keep: Keep) -> std::io::Result<Self> {
        let (entries, received) = sync_channel(PLACES);
        thread::Builder::new().name("recorder".to_owned()).spawn(move || write(&home, &received))?;
        Ok(Self { entries, keep })
    }

    /// Stores `trace` of `caller`, and waits until it is; `told` is what it is found by again in a conversation. Where none are
    /// kept, nothing is done.
    ///
    /// # Errors
    /// When it was not stored, or is not stored yet.
    pub(super) fn store(&self, trace: &Trace, caller: &str, told: Option<[u8; 32]>) -> Result<()> {
        if !self.keep.keeps() {
            return Ok(());
        }
        let _stage = tracing::info_span!(target: STAGE, "store").entered();
        let (receipt, received) = sync_channel(1);
        let trace = storable(trace)?;
        let expires = self.keep.expires(trace.started);
        let (row, json) = (keeping::entry(&trace, caller, expires, told), trace.to_json()?);
        let entry = Entry { trace: row, json, receipt };
        self.entries.try_send(entry).map_err(|error| match error {
            TrySendError::Full(_) => anyhow!("too many traces wait to be stored"),
            TrySendError::Disconnected(_) => anyhow!("the writer of traces has ended"),
        })?;
        received.recv_timeout(PATIENCE).map_err(|_| anyhow!("the writer of traces did not come to it in time"))?
    }
}

fn write(home: &Home, entries: &Receiver<Entry>) {
    let mut open = None;
    let mut sweep_at = Instant::now();
    loop {
        match entries.recv_timeout(sweep_at.saturating_duration_since(Instant::now())) {
            Ok(Entry { trace, json, receipt }) => {
                let outcome = put(home, &mut open, &trace, &json);
                if outcome.is_err() {
                    // whatever was wrong with the store, the next trace opens it anew
                    open = None;
                }
                // whoever handed it in may have stopped waiting
                let _ = receipt.try_send(outcome);
            }
            Err(RecvTimeoutError::Timeout) => sweep_at = Instant::now() + sweep(home),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Erases some of the traces whose time is over; gives when to do so again.
fn sweep(home: &Home) -> Duration {
    // with a connection of its own: erasing makes it overwrite what it frees
    let erase = || -> Result<u64> {
        let mut store = home.store()?;
        store.set_busy_timeout(BUSY)?;
        Ok(store.erase_traces(&Erase::Expired)?)
    };
    match erase() {
        Ok(0) => SWEEP,
        Ok(erased) => {
            tracing::info!(erased, "traces whose time was over are gone");
            SWEEP_AGAIN
        }
        Err(error) => {
            tracing::warn!(error = format!("{error:#}"), "traces whose time is over could not be erased");
            SWEEP
        }
    }
}

fn put(home: &Home, open: &mut Option<Store>, trace: &NewTrace, json: &str) -> Result<()> {
    let store = if let Some(store) = open {
        store
    } else {
        let store = home.store()?;
        store.set_busy_timeout(BUSY)?;
        open.insert(store)
    };
    Ok(store.put_trace(trace, json)?)
}
