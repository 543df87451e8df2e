//! [`Stages`]: the program's own spans as spans of traces.
//!
//! A request begins a trace, or goes on with one that its header names; a stage belongs to what it happens in. What happens in no
//! request is not told. An event of a stage's target says more of the span it happens in.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::Instant;

use jiff::Timestamp;
use retriever::STAGE;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes as Said, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::REQUEST;
use super::export::Message;
use super::parent::Parent;
use super::span::{Attributes, Span};

/// What an event says where its span belongs to a trace that began elsewhere.
const TRACEPARENT: &str = "traceparent";

/// Hands spans that are over to whoever sends them.
#[derive(Debug)]
pub(crate) struct Stages {
    messages: SyncSender<Message>,
    lost: Arc<AtomicU64>,
}

/// A span that is not over.
struct Open {
    trace: [u8; 16],
    id: [u8; 8],
    parent: Option<[u8; 8]>,
    sampled: bool,
    began: Timestamp,
    since: Instant,
    attributes: Attributes,
}

/// Whether a span or event is one of those that are told.
pub(crate) fn is_told(metadata: &Metadata<'_>) -> bool {
    metadata.target() == STAGE || is_request(metadata)
}

fn is_request(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.name() == REQUEST && metadata.target().starts_with("api::")
}

impl Stages {
    pub(super) fn new(messages: SyncSender<Message>) -> Self {
        Self { messages, lost: Arc::default() }
    }

    /// How many spans found the queue full.
    pub(super) fn lost(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.lost)
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Stages {
    fn on_new_span(&self, said: &Said<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut attributes = Attributes::default();
        said.record(&mut attributes);
        let within = span.parent().and_then(|parent| {
            let extensions = parent.extensions();
            extensions.get::<Open>().map(|open| (open.trace, open.id, open.sampled))
        });
        let (trace, parent, sampled) = match within {
            Some((trace, parent, sampled)) => (trace, Some(parent), sampled),
            None if is_request(said.metadata()) => (random(), None, true),
            None => return,
        };
        let (id, began, since) = (random(), Timestamp::now(), Instant::now());
        span.extensions_mut().insert(Open { trace, id, parent, sampled, began, since, attributes });
    }

    fn on_record(&self, id: &Id, said: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(open) = span.extensions_mut().get_mut::<Open>() {
            said.record(&mut open.attributes);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let Some(span) = context.event_span(event) else { return };
        let mut extensions = span.extensions_mut();
        let Some(open) = extensions.get_mut::<Open>() else { return };
        if event.fields().all(|field| field.name() != TRACEPARENT) {
            event.record(&mut open.attributes);
            return;
        }
        let mut named = Named(None);
        event.record(&mut named);
        if let Some(Parent { trace, span, sampled }) = named.0 {
            (open.trace, open.parent, open.sampled) = (trace, Some(span), sampled);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(open) = span.extensions_mut().remove::<Open>().filter(|open| open.sampled) else { return };
        let over = Span {
            trace: open.trace,
            id: open.id,
            parent: open.parent,
            name: span.name(),
            is_request: is_request(span.metadata()),
            began: open.began,
            nanoseconds: u64::try_from(open.since.elapsed().as_nanos()).unwrap_or(u64::MAX),
            attributes: open.attributes,
        };
        if self.messages.try_send(Message::Span(Box::new(over))).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The trace that an event says its span belongs to.
struct Named(Option<Parent>);

impl Visit for Named {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == TRACEPARENT {
            self.0 = Parent::parse(value);
        }
    }

    fn record_debug(&mut self, _field: &Field, _value: &dyn fmt::Debug) {}
}

/// Not zero, which is no name.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // without the system's randomness spans would have one name: they are told apart by less, and nothing else suffers
    if getrandom::fill(&mut bytes).is_err() || bytes == [0; N] {
        bytes = [1; N];
    }
    bytes
}
