//! The HTTP service: routes, limits, start and end.
//!
//! * `wire`: what goes over the wire; `body`: how it is read; `error`: what is said when it fails;
//! * `guard`: request ids, `Host` and `Origin`, the log;
//! * `ask`, `retrieve`, `chunks`, `probe`: the routes;
//! * `current`: the snapshot that answers; `recorder`: the one writer of traces.
//!
//! **Invariants.** Handlers only check, hand over to [`Workers`] and wait: nothing here reads a file or
//! computes on a thread that serves connections. What a client may make the service hold is bounded:
//! bodies, questions, batches, hits, budgets, the queue and the time of everything.

mod ask;
mod body;
mod chunks;
mod current;
pub(crate) mod error;
mod guard;
mod probe;
mod recorder;
mod retrieve;
pub(crate) mod wire;

use std::future::IntoFuture;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use agent::Policy;
use agent::phi::Handling;
use anyhow::{Context, Result};
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Router, middleware};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::sleep;
use tower_http::timeout::RequestBodyTimeoutLayer;
use utoipa::OpenApi;

use self::current::Current;
use self::error::{ApiError, Code};
use self::guard::RequestIds;
use self::recorder::Recorder;
use crate::home::Home;
use crate::worker::Workers;

/// How long requests may go on once the service was told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// What can be set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Where to listen.
    pub(crate) listen: SocketAddr,
    /// Threads that answer.
    pub(crate) workers: usize,
    /// Requests that may wait for one.
    pub(crate) queue: usize,
    /// Bytes of a request's body.
    pub(crate) max_body: usize,
    /// The longest that a request may take, waiting included.
    pub(crate) timeout: Duration,
    /// What becomes of identifiers of patients.
    pub(crate) phi: Handling,
}

/// What handlers share.
pub(crate) struct Service {
    current: Arc<Current>,
    workers: Workers,
    recorder: Recorder,
    policy: Box<dyn Policy>,
    phi: Handling,
    timeout: Duration,
    request_ids: RequestIds,
}

/// Serves `home` until the process is told to end; `ready` hears the address once it is listened on.
///
/// # Errors
/// When the address cannot be listened on or the system gives no threads.
pub(crate) fn serve(
    home: &Home,
    policy: Box<dyn Policy>,
    settings: &Settings,
    ready: impl FnOnce(SocketAddr) -> Result<()>,
) -> Result<()> {
    let current = Arc::new(Current::open(home.clone()));
    let _watch = Arc::clone(&current).watch()?;
    let service = Arc::new(Service {
        current,
        workers: Workers::start(settings.workers, settings.queue)?,
        recorder: Recorder::start(home.clone())?,
        policy,
        phi: settings.phi,
        timeout: settings.timeout,
        request_ids: RequestIds::new(jiff::Timestamp::now()),
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(run(service, settings, ready));
    // connections that outlived the grace are dropped, which cancels what they asked for
    runtime.shutdown_background();
    served
}

async fn run(service: Arc<Service>, settings: &Settings, ready: impl FnOnce(SocketAddr) -> Result<()>) -> Result<()> {
    let mut signals = Signals::listen()?;
    let listener =
        TcpListener::bind(settings.listen).await.with_context(|| format!("cannot listen on {}", settings.listen))?;
    let address = listener.local_addr()?;
    // events are small and must not wait for one another
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    ready(address)?;
    let (stop, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, router(service, settings)).with_graceful_shutdown(async { drop(stopped.await) });
    let mut server = pin!(server.into_future());
    tokio::select! {
        ended = &mut server => return Ok(ended?),
        () = signals.next() => tracing::info!("stopping: requests that run may end"),
    }
    drop(stop);
    tokio::select! {
        ended = server => ended?,
        () = sleep(GRACE) => tracing::warn!(seconds = GRACE.as_secs(), "stopping: some requests did not end in time"),
        () = signals.next() => tracing::warn!("stopping at once: told twice"),
    }
    Ok(())
}

fn router(service: Arc<Service>, settings: &Settings) -> Router {
    Router::new()
        .route("/", get(probe::index))
        .route("/healthz", get(probe::health))
        .route("/readyz", get(probe::ready))
        .route("/openapi.json", get(probe::openapi))
        .route("/v1/ask", post(ask::ask))
        .route("/v1/retrieve", post(retrieve::retrieve))
        .route("/v1/chunks/{id}", get(chunks::chunk))
        .route("/retrieve", post(retrieve::search_r1))
        .fallback(async || ApiError::new(Code::NotFound, "there is nothing here: GET / names what there is"))
        .method_not_allowed_fallback(async || {
            ApiError::new(Code::MethodNotAllowed, "this route has another method: see the header `allow`")
        })
        .layer(DefaultBodyLimit::max(settings.max_body))
        .layer(RequestBodyTimeoutLayer::new(settings.timeout))
        .layer(middleware::from_fn_with_state(Arc::clone(&service), guard::guard))
        .with_state(service)
}

/// The two ways a process is told to end.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Anamnesis",
        description = "Answers medical questions from indexed literature, every sentence tied to the passage that supports it, or abstains. \
                       For research; no medical advice. Every response carries `x-request-id`; every error is a `Failure`.",
    ),
    paths(
        probe::index,
        probe::health,
        probe::ready,
        probe::openapi,
        ask::ask,
        retrieve::retrieve,
        retrieve::search_r1,
        chunks::chunk,
    )
)]
struct Interface;

/// The interface of the service, as its types have it. `api/openapi.json` is the same, checked in.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Interface::openapi()
}
