//! [`Telemetry`]: where the time of requests goes, told to a collector of OpenTelemetry.
//!
//! * `stages`: what of the program's spans is told, and under which trace; `span`: one that is over;
//! * `request`: what is said of a whole one; `parent`: a trace that began elsewhere (W3C Trace Context);
//! * `export`: the thread that sends them, in OTLP's JSON over HTTP.
//!
//! A request is a trace; the stages of its work, wherever they are measured, are spans with the target [`STAGE`](retriever::STAGE)
//! within it. Whoever waits for an answer never waits for a collector: spans that find the queue full are lost, and so are those
//! that a collector does not take.
//!
//! **Invariant.** Only spans and events of that target are told, and the id of a request: counts, and names of closed sets. What
//! was asked, found or answered is in none of them.

mod export;
mod parent;
pub(crate) mod request;
mod span;
mod stages;

use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use self::export::{Collector, Message};

pub(crate) use self::stages::{Stages, is_told};

/// The name of the span that is the whole of a request, and the beginning of its trace.
pub(crate) const REQUEST: &str = "request";
/// Spans that may wait to be sent.
const PLACES: usize = 4_096;
/// How long the end of the program waits for what is not sent yet.
const PATIENCE: Duration = Duration::from_secs(2);

/// Sends spans to a collector until dropped, and what is left then.
#[derive(Debug)]
pub(crate) struct Telemetry {
    messages: SyncSender<Message>,
}

impl Telemetry {
    /// Begins to send to the collector at `url`; gives what measures as well.
    ///
    /// # Errors
    /// When the system gives no more threads.
    pub(crate) fn start(url: &str) -> io::Result<(Self, Stages)> {
        let (messages, received) = sync_channel(PLACES);
        let stages = Stages::new(messages.clone());
        let collector = Collector::new(url, stages.lost());
        thread::Builder::new().name("telemetry".to_owned()).spawn(move || collector.run(&received))?;
        Ok((Self { messages }, stages))
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        let (done, sent) = sync_channel(1);
        if self.messages.try_send(Message::Flush(done)).is_ok() {
            // a collector that takes longer gets no more
            let _ = sent.recv_timeout(PATIENCE);
        }
    }
}
