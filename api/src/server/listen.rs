//! Connections: how many, how slow they may be, and how they end.
//!
//! A connection has `idle` to send the head of a request, the first one and each that follows, and to take
//! what is written to it, so that slow or silent clients hold no place; bodies and answers have the time-out
//! of requests. Connections beyond the limit are told so and closed.

mod patient;

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tower_service::Service as _;

use self::patient::Patient;
use super::metrics::Metrics;
use super::origin::Peer;

/// The head of a request, and what is read ahead of a body.
const MOST_BUFFERED: usize = 64 * 1024;
/// After a failure that is the machine's, such as no more file handles.
const PAUSE: Duration = Duration::from_secs(1);
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n";

/// Serves until `stop`, then until every request that runs has ended.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    connections: usize,
    idle: Duration,
    metrics: Arc<Metrics>,
    stop: impl Future<Output = ()>,
) {
    let places = Arc::new(Semaphore::new(connections));
    let open = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(idle).max_buf_size(MOST_BUFFERED);
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let (stream, remote) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                sleep(PAUSE).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            metrics.turned_away();
            // whoever does not read it learns from the end of the connection
            let _ = stream.try_write(FULL);
            continue;
        };
        let Some(peer) = ends(&stream, remote) else { continue };
        let router = router.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            router.clone().call(request)
        });
        let served = open.watch(http.serve_connection(TokioIo::new(Patient::new(stream, idle)), service));
        let connected = metrics.connected();
        tokio::spawn(async move {
            if let Err(error) = served.await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop((place, connected));
        });
    }
    drop(listener);
    open.shutdown().await;
}

fn ends(stream: &TcpStream, remote: SocketAddr) -> Option<Peer> {
    // events are small and must not wait for one another
    stream.set_nodelay(true).ok()?;
    let local = stream.local_addr().ok()?.ip().to_canonical();
    Some(Peer { remote: remote.ip().to_canonical(), local })
}
