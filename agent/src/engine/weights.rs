//! [`Weights`]: the decoder that an engine runs; it may be read beside it, and changed while it stands.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use nn::Decoder;

/// A decoder, and how often it was changed.
#[derive(Debug)]
pub(super) struct Weights {
    decoder: RwLock<Decoder>,
    version: AtomicU64,
}

impl Weights {
    /// The weights of version 0.
    pub(super) fn new(decoder: Decoder) -> Self {
        Self { decoder: RwLock::new(decoder), version: AtomicU64::new(0) }
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, Decoder> {
        self.decoder.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes them. They are of a new version even where `work` fails half-way.
    pub(super) fn change<T>(&self, work: impl FnOnce(&mut Decoder) -> T) -> T {
        let mut decoder = self.decoder.write().unwrap_or_else(PoisonError::into_inner);
        self.version.fetch_add(1, Ordering::AcqRel);
        work(&mut decoder)
    }

    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }
}

/// The engine's end of a wish that it stand still.
#[derive(Debug)]
pub(super) struct Halt {
    standing: Sender<()>,
    over: Receiver<()>,
}

/// The other end. Dropping it lets the engine go on.
#[derive(Debug)]
pub(super) struct Standstill {
    standing: Receiver<()>,
    _over: Sender<()>,
}

/// The two ends of a standstill.
pub(super) fn standstill() -> (Halt, Standstill) {
    let (standing, is_standing) = channel();
    let (end, over) = channel();
    (Halt { standing, over }, Standstill { standing: is_standing, _over: end })
}

impl Halt {
    /// Tells that the engine stands, and waits until it may go on.
    pub(super) fn wait(self) {
        if self.standing.send(()).is_ok() {
            // Nothing is ever sent: the other end is dropped.
            let _ = self.over.recv();
        }
    }
}

impl Standstill {
    /// Waits until the engine stands; false when it is no longer there.
    pub(super) fn begin(&self) -> bool {
        self.standing.recv().is_ok()
    }
}
