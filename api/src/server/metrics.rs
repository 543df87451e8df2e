//! [`Metrics`]: what is counted and measured, and `GET /metrics` that tells it.
//!
//! Labels come from closed sets: routes as they are written in the router, codes, outcomes. Nothing that a
//! client, a document or a model wrote is ever one.

use std::sync::Arc;
use std::time::Duration;

use agent::{Outcome, Trace};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use super::Service;
use super::error::ApiError;

const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    route: String,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Stage {
    stage: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ending {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Verdict {
    label: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Build {
    version: &'static str,
}

type Times<L> = Family<L, Histogram, fn() -> Histogram>;

/// From a millisecond to a minute and a half.
fn times() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.5, 13))
}

/// What is counted and measured.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Times<Request>,
    stages: Times<Stage>,
    waits: Histogram,
    answers: Family<Ending, Counter>,
    abstentions: Family<Reason, Counter>,
    verdicts: Family<Verdict, Counter>,
    refusals: Family<Reason, Counter>,
    tokens: Counter,
    connections: Gauge,
    turned_away: Counter,
    waiting: Gauge,
    busy: Gauge,
    snapshot_age: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut new = Self {
            registry: Registry::with_prefix("anamnesis"),
            requests: Family::new_with_constructor(times),
            stages: Family::new_with_constructor(times),
            waits: times(),
            answers: Family::default(),
            abstentions: Family::default(),
            verdicts: Family::default(),
            refusals: Family::default(),
            tokens: Counter::default(),
            connections: Gauge::default(),
            turned_away: Counter::default(),
            waiting: Gauge::default(),
            busy: Gauge::default(),
            snapshot_age: Gauge::default(),
        };
        new.register();
        new
    }
}

impl Metrics {
    fn register(&mut self) {
        let build = Family::<Build, Gauge>::default();
        build.get_or_create(&Build { version: env!("CARGO_PKG_VERSION") }).set(1);
        let to = &mut self.registry;
        to.register("build_info", "Which version runs", build);
        to.register_with_unit(
            "request",
            "From a request's head to its response's; a stream goes on after that",
            Unit::Seconds,
            self.requests.clone(),
        );
        to.register_with_unit(
            "episode_stage",
            "Time of an episode by stage: search, policy, and check, which is all else",
            Unit::Seconds,
            self.stages.clone(),
        );
        to.register_with_unit("queue_wait", "How long work waited for a worker", Unit::Seconds, self.waits.clone());
        to.register("queue_waiting", "Work that waits for a worker", self.waiting.clone());
        to.register("workers_busy", "Workers that work", self.busy.clone());
        to.register("answers", "Episodes by how they ended", self.answers.clone());
        to.register("abstentions", "Episodes without an answer, by reason", self.abstentions.clone());
        to.register("verdicts", "Sentences of answers by what they cite says of them", self.verdicts.clone());
        to.register("errors", "Responses that are errors, by code", self.refusals.clone());
        to.register("generated_tokens", "Tokens that policies wrote, where they tell", self.tokens.clone());
        to.register("connections", "Open connections", self.connections.clone());
        to.register("connections_refused", "Connections beyond the limit", self.turned_away.clone());
        to.register_with_unit(
            "snapshot_age",
            "Since the snapshot that answers was built; -1 when none is open",
            Unit::Seconds,
            self.snapshot_age.clone(),
        );
    }

    /// A request was answered, or its client left.
    pub(super) fn answered(&self, route: &str, status: u16, code: Option<&'static str>, took: Duration) {
        let class = match status / 100 {
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            5 => "5xx",
            _ => "1xx",
        };
        self.requests.get_or_create(&Request { route: route.to_owned(), status: class }).observe(took.as_secs_f64());
        if let Some(code) = code {
            self.refusals.get_or_create(&Reason { code }).inc();
        }
    }

    /// An episode ended.
    pub(crate) fn episode(&self, trace: &Trace) {
        let outcome = match trace.answer.outcome {
            Outcome::Answered => "answered",
            Outcome::Abstained(code) => {
                self.abstentions.get_or_create(&Reason { code: code.as_str() }).inc();
                "abstained"
            }
        };
        self.answers.get_or_create(&Ending { outcome }).inc();
        for finding in trace.answer.sentences.iter().filter_map(|sentence| sentence.finding.as_ref()) {
            self.verdicts.get_or_create(&Verdict { label: finding.label.name() }).inc();
        }
        let times = &trace.timings;
        let rest = (times.total_ms - times.policy_ms - times.retrieval_ms).max(0.0);
        for (stage, ms) in [("search", times.retrieval_ms), ("policy", times.policy_ms), ("check", rest)] {
            self.stages.get_or_create(&Stage { stage }).observe(ms / 1e3);
        }
        self.tokens.inc_by(trace.written_tokens().unwrap_or(0) as u64);
    }

    /// Work left the queue.
    pub(super) fn waited(&self, wait: Duration) {
        self.waits.observe(wait.as_secs_f64());
    }

    /// A connection is open until what is given back is dropped.
    pub(super) fn connected(self: &Arc<Self>) -> Connected {
        self.connections.inc();
        Connected(Arc::clone(self))
    }

    /// A connection was one too many.
    pub(super) fn turned_away(&self) {
        self.turned_away.inc();
    }
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Connected(Arc<Metrics>);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.connections.dec();
    }
}

/// Measure the service.
///
/// Counts and times since the service started, in OpenMetrics text as Prometheus reads it.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "service",
    responses((status = 200, description = "OpenMetrics text", body = String, content_type = "application/openmetrics-text")),
)]
pub(super) async fn metrics(State(service): State<Arc<Service>>) -> Result<impl IntoResponse, ApiError> {
    let metrics = &service.metrics;
    let load = service.workers.load();
    metrics.waiting.set(load.waiting as i64);
    metrics.busy.set(load.busy as i64);
    let built = service.current.pin().ok().map(|pinned| pinned.pinned().manifest().created);
    metrics.snapshot_age.set(built.map_or(-1, |built| jiff::Timestamp::now().duration_since(built).as_secs()));
    let mut text = String::new();
    encode(&mut text, &metrics.registry).map_err(|error| ApiError::internal(&error))?;
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], text))
}
