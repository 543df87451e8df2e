//! [`Collector`]: the thread that sends spans, some at a time, in OTLP's JSON over HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::span::Span;

/// Spans of one message, at most.
const MOST: usize = 512;
/// How long a span waits for others.
const EVERY: Duration = Duration::from_secs(1);
/// How long a collector may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long one that does not take anything is left alone; what comes meanwhile is lost.
const PAUSE: Duration = Duration::from_secs(10);

/// What the thread is told.
#[derive(Debug)]
pub(super) enum Message {
    /// A span is over.
    Span(Box<Span>),
    /// What there is shall be sent now; whoever asks hears when it is.
    Flush(SyncSender<()>),
}

/// Where spans go.
#[derive(Debug)]
pub(super) struct Collector {
    url: String,
    agent: ureq::Agent,
    /// Spans that found the queue full.
    lost: Arc<AtomicU64>,
    /// Spans that are not sent yet.
    batch: Vec<Value>,
    /// When the collector is spoken to again, where it failed.
    again: Option<Instant>,
}

impl Collector {
    /// The collector at `url`, without the path that OTLP gives to traces.
    pub(super) fn new(url: &str, lost: Arc<AtomicU64>) -> Self {
        let config =
            ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).http_status_as_error(true).proxy(None).build();
        let url = format!("{}/v1/traces", url.trim_end_matches('/'));
        Self { url, agent: config.into(), lost, batch: Vec::new(), again: None }
    }

    /// Sends what comes until nobody can send any more.
    pub(super) fn run(mut self, messages: &Receiver<Message>) {
        let mut due = Instant::now();
        loop {
            let wait = if self.batch.is_empty() { EVERY } else { due.saturating_duration_since(Instant::now()) };
            match messages.recv_timeout(wait) {
                Ok(Message::Span(span)) => {
                    if self.batch.is_empty() {
                        due = Instant::now() + EVERY;
                    }
                    self.batch.push(span.to_json());
                    if self.batch.len() >= MOST {
                        self.send();
                    }
                }
                Ok(Message::Flush(done)) => {
                    self.send();
                    let _ = done.try_send(());
                }
                Err(RecvTimeoutError::Timeout) => self.send(),
                Err(RecvTimeoutError::Disconnected) => return self.send(),
            }
        }
    }

    fn send(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let spans = std::mem::take(&mut self.batch);
        let count = spans.len() as u64;
        if self.again.is_some_and(|again| Instant::now() < again) {
            self.lost.fetch_add(count, Ordering::Relaxed);
            return;
        }
        match self.agent.post(&self.url).send_json(message(&spans)) {
            Ok(_) => {
                self.again = None;
                let lost = self.lost.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    tracing::warn!(lost, "spans were lost before the collector took these");
                }
            }
            Err(error) => {
                self.lost.fetch_add(count, Ordering::Relaxed);
                // once, until it is well again
                if self.again.is_none() {
                    tracing::warn!(url = self.url, %error, "the collector takes no spans: they are lost until it does");
                }
                self.again = Some(Instant::now() + PAUSE);
            }
        }
    }
}

/// `spans` as a message of OTLP.
fn message(spans: &[Value]) -> Value {
    let said = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    let (name, version) = ("anamnesis", env!("CARGO_PKG_VERSION"));
    json!({
        "resourceSpans": [{
            "resource": { "attributes": [said("service.name", name), said("service.version", version)] },
            "scopeSpans": [{ "scope": { "name": name, "version": version }, "spans": spans }],
        }],
    })
}
