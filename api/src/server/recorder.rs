//! [`Recorder`]: the one thread that stores traces.
//!
//! An episode waits for its trace to be stored, so that the id in an answer names something; but only
//! for a while, since an answer matters more than its record.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use agent::Trace;
use agent::phi::storable;
use anyhow::{Result, anyhow};
use corpus::Store;

use crate::home::Home;

/// Traces that may wait for the writer.
const PLACES: usize = 64;
/// How long the writer waits for another process that writes to the home.
const BUSY: Duration = Duration::from_secs(2);
/// How long an episode waits for its trace.
const PATIENCE: Duration = Duration::from_secs(3);

/// Where episodes hand in their traces. The writer ends when the last handle is gone.
#[derive(Clone, Debug)]
pub(super) struct Recorder {
    entries: SyncSender<Entry>,
}

struct Entry {
    id: String,
    created: String,
    json: String,
    receipt: SyncSender<Result<()>>,
}

impl Recorder {
    /// Starts the writer for `home`, which is opened at the first trace.
    ///
    /// # Errors
    /// When the system gives no more threads.
    pub(super) fn start(home: Home) -> std::io::Result<Self> {
        let (entries, received) = sync_channel(PLACES);
        thread::Builder::new().name("recorder".to_owned()).spawn(move || write(&home, &received))?;
        Ok(Self { entries })
    }

    /// Stores `trace`, and waits until it is.
    ///
    /// # Errors
    /// When it was not stored, or is not stored yet.
    pub(super) fn store(&self, trace: &Trace) -> Result<()> {
        let (receipt, received) = sync_channel(1);
        let trace = storable(trace)?;
        let entry =
            Entry { id: trace.id.to_string(), created: trace.started.to_string(), json: trace.to_json()?, receipt };
        self.entries.try_send(entry).map_err(|error| match error {
            TrySendError::Full(_) => anyhow!("too many traces wait to be stored"),
            TrySendError::Disconnected(_) => anyhow!("the writer of traces has ended"),
        })?;
        received.recv_timeout(PATIENCE).map_err(|_| anyhow!("the writer of traces did not come to it in time"))?
    }
}

fn write(home: &Home, entries: &Receiver<Entry>) {
    let mut open = None;
    for Entry { id, created, json, receipt } in entries {
        let outcome = put(home, &mut open, &id, &created, &json);
        if outcome.is_err() {
            // whatever was wrong with the store, the next trace opens it anew
            open = None;
        }
        // whoever handed it in may have stopped waiting
        let _ = receipt.try_send(outcome);
    }
}

fn put(home: &Home, open: &mut Option<Store>, id: &str, created: &str, json: &str) -> Result<()> {
    let store = if let Some(store) = open {
        store
    } else {
        let store = home.store()?;
        store.set_busy_timeout(BUSY)?;
        open.insert(store)
    };
    Ok(store.put_trace(id, created, json)?)
}
