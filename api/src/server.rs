//! The HTTP service: routes, limits, start and end.
//!
//! * `page`: what browsers show;
//! * `wire`: what goes over the wire; `body`: how it is read; `error`: what is said when it fails;
//! * `listen`: connections, with `tls`, `files`: how many the system allows; `guard`: what every request passes, with `origin`
//!   (`Host`, `Origin`, CORS),
//!   `keyring` and `limits` (keys), `access` (who may use which route), `caller` and `scoped` (who asks, and
//!   what they may read), `headers`, `audit` (the log of that name) and `metrics`;
//! * `ask`, `verify`, `retrieve`, `chunks`, `probe`, `reference`: the routes of those who ask; `documents`, `curate`,
//!   `snapshots`: of curators; `traces`: of both; `runs`: of trainers; `params`: what stands behind the `?`;
//! * `openai`, `mcp`: the same for clients that speak the interface of OpenAI or the Model Context Protocol; `conversation`: what
//!   came before a question, where the client keeps it;
//! * `current`: the snapshot that answers; `watch`: how that is noticed, and other changes; `stores`: the corpus, `view`: what of it
//!   a caller may read; `recorder`: the one writer of traces; `jobs`: what takes long.
//!
//! **Invariants.** Handlers only check, hand over to [`Workers`] and wait: nothing here reads a file or
//! computes on a thread that serves connections. What a client may make the service hold is bounded:
//! bodies, questions, batches, hits, budgets, the queue and the time of everything.

mod access;
mod ask;
mod audit;
mod body;
pub(crate) mod caller;
mod chunks;
mod conversation;
mod curate;
mod current;
mod documents;
pub(crate) mod error;
mod files;
mod guard;
mod headers;
mod jobs;
mod keyring;
mod limits;
mod listen;
pub(crate) mod mcp;
pub(crate) mod metrics;
mod openai;
mod origin;
mod page;
mod params;
mod probe;
mod recorder;
mod reference;
mod retrieve;
mod runs;
pub(crate) mod scoped;
mod snapshots;
mod stores;
mod tls;
mod traces;
mod verify;
mod view;
mod watch;
pub(crate) mod wire;

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use agent::Policy;
use agent::phi::Handling;
use agent::review::Terms;
use anyhow::{Context, Result};
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use axum::{Router, middleware};
use retriever::Embed;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tower_http::timeout::RequestBodyDeadlineLayer;
use utoipa::OpenApi;

use self::access::Keyed;
use self::audit::AuditLog;
use self::current::Current;
use self::error::{ApiError, Code};
use self::guard::{Door, RequestIds};
use self::jobs::Jobs;
use self::keyring::Keyring;
use self::metrics::Metrics;
use self::recorder::Recorder;
use self::stores::Stores;
use self::tls::Certificates;
use self::watch::Watch;
use self::wire::Overlapping;
use crate::home::Home;
use crate::keeping::Keep;
use crate::worker::Workers;

pub(crate) use self::audit::Room;
pub(crate) use self::keyring::may_listen;
pub(crate) use self::origin::Names;
pub(crate) use self::tls::TlsFiles;

/// How long requests may go on once the service was told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// What can be set.
#[derive(Clone, Debug)]
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
    /// Connections at once.
    pub(crate) connections: usize,
    /// How long a connection may take to send the head of a request.
    pub(crate) idle: Duration,
    /// What the service proves itself with, where it speaks TLS itself.
    pub(crate) tls: Option<TlsFiles>,
    /// What the service is called, and whom it knows.
    pub(crate) names: Names,
    /// Wrong keys that are heard from one address in a minute.
    pub(crate) wrong_keys: u32,
    /// How much of the audit log is kept.
    pub(crate) audit: Room,
}

/// Who answers, and what becomes of answers, over any transport.
pub(crate) struct Answering {
    /// Who writes them.
    pub(crate) policy: Box<dyn Policy>,
    /// How they are checked.
    pub(crate) review: Terms,
    /// What becomes of identifiers of patients.
    pub(crate) phi: Handling,
    /// How long their traces are kept.
    pub(crate) keep: Keep,
}

/// What handlers share.
pub(crate) struct Service {
    home: Home,
    stores: Stores,
    jobs: Arc<Jobs>,
    current: Arc<Current>,
    workers: Workers,
    recorder: Recorder,
    policy: Box<dyn Policy>,
    review: Terms,
    phi: Handling,
    timeout: Duration,
    request_ids: RequestIds,
    /// The encoder that comes with the project, opened at first use.
    bundled: OnceLock<Arc<dyn Embed>>,
    metrics: Arc<Metrics>,
}

impl Service {
    /// All that answers, over any transport; what watches for new snapshots lives as long as the watch.
    fn open(
        home: &Home,
        answering: Answering,
        workers: usize,
        queue: usize,
        timeout: Duration,
    ) -> Result<(Arc<Self>, Watch)> {
        let Answering { policy, review, phi, keep } = answering;
        let current = Arc::new(Current::open(home.clone()));
        let watch = Arc::clone(&current).watch()?;
        let metrics = Arc::new(Metrics::default());
        let workers = Workers::start(workers, queue)?;
        let observer = Arc::clone(&metrics);
        workers.observe(move |wait| observer.waited(wait));
        let service = Self {
            home: home.clone(),
            stores: Stores::new(home.clone()),
            jobs: Arc::default(),
            current,
            workers,
            recorder: Recorder::start(home.clone(), keep)?,
            policy,
            review,
            phi,
            timeout,
            request_ids: RequestIds::new(jiff::Timestamp::now()),
            bundled: OnceLock::new(),
            metrics,
        };
        Ok((Arc::new(service), watch))
    }
}

/// Serves `home` until the process is told to end; `ready` hears the address once it is listened on.
///
/// # Errors
/// When the keys cannot be read or do not allow the address, it cannot be listened on, the certificate is not in order, the audit
/// log cannot be written, or the system gives no threads.
pub(crate) fn serve(
    home: &Home,
    answering: Answering,
    settings: &Settings,
    ready: impl FnOnce(SocketAddr) -> Result<()>,
) -> Result<()> {
    let keyring = Arc::new(Keyring::open(home.keys(), settings.listen, settings.wrong_keys)?);
    let (tls, _certificates) = settings.tls.clone().map(Certificates::open).transpose()?.unzip();
    let (audit, writer) = AuditLog::start(home.root(), settings.audit)?;
    let (service, _watch) = Service::open(home, answering, settings.workers, settings.queue, settings.timeout)?;
    let _keys = Arc::clone(&keyring).watch()?;
    let door = Arc::new(Door { service, names: settings.names.clone(), keyring, audit });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(run(door, settings, tls, ready));
    // connections that outlived the grace are dropped, which cancels what they asked for
    runtime.shutdown_background();
    writer.finish();
    served
}

async fn run(
    door: Arc<Door>,
    settings: &Settings,
    tls: Option<TlsAcceptor>,
    ready: impl FnOnce(SocketAddr) -> Result<()>,
) -> Result<()> {
    let mut signals = Signals::listen()?;
    let listener =
        TcpListener::bind(settings.listen).await.with_context(|| format!("cannot listen on {}", settings.listen))?;
    let address = listener.local_addr()?;
    ready(address)?;
    let (stop, stopped) = oneshot::channel::<()>();
    let metrics = Arc::clone(&door.service.metrics);
    let router = router(door, settings);
    let stopped = async { drop(stopped.await) };
    let room = files::room(settings.connections);
    let mut server = pin!(listen::serve(listener, tls, router, room, settings.idle, metrics, stopped));
    tokio::select! {
        () = &mut server => return Ok(()),
        () = signals.next() => tracing::info!("stopping: requests that run may end"),
    }
    drop(stop);
    tokio::select! {
        () = server => {}
        () = sleep(GRACE) => tracing::warn!(seconds = GRACE.as_secs(), "stopping: some requests did not end in time"),
        () = signals.next() => tracing::warn!("stopping at once: told twice"),
    }
    Ok(())
}

fn router(door: Arc<Door>, settings: &Settings) -> Router {
    let service = Arc::clone(&door.service);
    Router::new()
        .route("/", get(probe::index))
        .route("/assets/{name}", get(page::asset))
        .route("/healthz", get(probe::health))
        .route("/readyz", get(probe::ready))
        .route("/openapi.json", get(probe::openapi))
        .route("/reference", get(reference::reference))
        .route("/metrics", get(metrics::metrics))
        .route("/v1/ask", post(ask::ask))
        .route("/v1/retrieve", post(retrieve::retrieve))
        .route("/v1/verify", post(verify::verify))
        .route("/v1/chunks/{id}", get(chunks::chunk))
        .route("/retrieve", post(retrieve::search_r1))
        .merge(openai::routes())
        .merge(mcp::routes())
        .merge(curation())
        .fallback(async || ApiError::new(Code::NotFound, "there is nothing here: GET / names what there is"))
        .method_not_allowed_fallback(async || {
            ApiError::new(Code::MethodNotAllowed, "this route has another method: see the header `allow`")
        })
        .layer(DefaultBodyLimit::max(settings.max_body))
        .layer(RequestBodyDeadlineLayer::new(settings.timeout))
        .layer(middleware::from_fn_with_state(door, guard::guard))
        .with_state(service)
}

/// The routes of curators and trainers, and those of stored answers.
fn curation() -> Router<Arc<Service>> {
    Router::new()
        .route("/v1/documents", get(documents::list).post(documents::add))
        .route("/v1/documents/{id}", get(documents::one))
        .route("/v1/documents/tag", post(curate::tag))
        .route("/v1/documents/untag", post(curate::untag))
        .route("/v1/documents/quarantine", post(curate::quarantine))
        .route("/v1/documents/restore", post(curate::restore))
        .route("/v1/documents/remove", post(curate::remove))
        .route("/v1/documents/retract", post(curate::retract))
        .route("/v1/documents/reinstate", post(curate::reinstate))
        .route("/v1/collections", get(documents::collections))
        .route("/v1/audit", get(curate::audit))
        .route("/v1/affected", get(curate::affected))
        .route("/v1/snapshots", get(snapshots::list).post(snapshots::build))
        .route("/v1/snapshots/{id}/use", post(snapshots::choose))
        .route("/v1/jobs", get(snapshots::jobs))
        .route("/v1/jobs/{id}", get(snapshots::job).delete(snapshots::cancel))
        .route("/v1/traces", get(traces::list).delete(traces::erase_all))
        .route("/v1/traces/{id}", get(traces::one).delete(traces::erase))
        .route("/v1/runs", get(runs::list))
        .route("/v1/runs/{id}", get(runs::one))
        .route("/v1/runs/{id}/episodes", get(runs::episodes))
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
    modifiers(&Keyed, &Overlapping),
    info(
        title = "Anamnesis",
        description = "Answers medical questions from indexed literature, every sentence tied to the passage that supports it, or abstains. \
                       For research; no medical advice. Where the service has keys, send yours as `Authorization: Bearer ana_…`: \
                       without it the answer is 401, where its role does not reach 403. Every response carries `x-request-id`; every error is a `Failure`.",
    ),
    paths(
        probe::index,
        probe::health,
        probe::ready,
        probe::openapi,
        page::asset,
        reference::reference,
        metrics::metrics,
        ask::ask,
        retrieve::retrieve,
        retrieve::search_r1,
        verify::verify,
        chunks::chunk,
        openai::chat::complete,
        openai::completions::complete,
        openai::embeddings::embed,
        openai::models::list,
        openai::models::one,
        mcp::http::post,
        documents::list,
        documents::one,
        documents::add,
        documents::collections,
        curate::tag,
        curate::untag,
        curate::quarantine,
        curate::restore,
        curate::remove,
        curate::retract,
        curate::reinstate,
        curate::audit,
        curate::affected,
        snapshots::list,
        snapshots::build,
        snapshots::choose,
        snapshots::jobs,
        snapshots::job,
        snapshots::cancel,
        traces::list,
        traces::one,
        traces::erase,
        traces::erase_all,
        runs::list,
        runs::one,
        runs::episodes,
    )
)]
struct Interface;

/// The interface of the service, as its types have it. `api/openapi.json` is the same, checked in.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Interface::openapi()
}
