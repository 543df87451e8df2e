//! Connections: how many, how slow they may be, and how they end.
//!
//! A connection has `idle` to send the head of a request, the first one and each that follows, and to take
//! what is written to it, so that slow or silent clients hold no place; bodies and answers have the time-out
//! of requests. Connections beyond the limit are told so and closed. Where the service speaks TLS, a handshake has `idle` too.
//!
//! A client that shuts down its sending side and one that left look the same, and HTTP asks for an answer to the
//! first only. Both have a second: an answer that begins within it is sent, after it what was asked is cancelled,
//! so that no worker goes on for whoever closed a page. A stream that has begun ends at once.

mod patient;

use std::future::poll_fn;
use std::io::{ErrorKind, Result};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower_service::Service as _;

use self::patient::Patient;
use super::metrics::Metrics;
use super::origin::Peer;

/// The head of a request, and what is read ahead of a body.
const MOST_BUFFERED: usize = 64 * 1024;
/// After a failure that is the machine's, such as no more file handles.
const PAUSE: Duration = Duration::from_secs(1);
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\n\
    content-type: text/plain\r\ncontent-length: 58\r\n\r\n\
    too many connections are open already: try again in a bit\n";
/// Clients at once that are waited for until they have read that; others may see no more than the end.
const TOLD: usize = 128;
/// How long they are waited for.
const FAREWELL: Duration = Duration::from_secs(1);
/// The first byte of whoever begins to speak TLS.
const HANDSHAKE: u8 = 22;
const SPEAK_TLS: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: text/plain\r\ncontent-length: 55\r\n\r\n\
this address speaks TLS: begin the URL with `https://`\n";

/// Serves until `stop`, then until every request that runs has ended.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    connections: usize,
    idle: Duration,
    metrics: Arc<Metrics>,
    stop: impl Future<Output = ()>,
) {
    let places = Arc::new(Semaphore::new(connections));
    // they too take files of the system's
    let refusals = Arc::new(Semaphore::new(TOLD.min(connections / 4).max(1)));
    let open = GracefulShutdown::new();
    // whoever still shakes hands then has asked for nothing yet
    let (stopping, until_stop) = watch::channel(());
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
            match Arc::clone(&refusals).try_acquire_owned() {
                Err(_) => drop(stream.try_write(FULL)),
                Ok(refusal) => drop(tokio::spawn(async move {
                    let _ = timeout(FAREWELL, turn_away(stream)).await;
                    drop(refusal);
                })),
            }
            continue;
        };
        let Some(peer) = ends(&stream, remote, tls.is_some()) else { continue };
        let connection = Connection { http: http.clone(), router: router.clone(), peer, idle, watcher: open.watcher() };
        let connected = metrics.connected();
        let (tls, mut stopped) = (tls.clone(), until_stop.clone());
        tokio::spawn(async move {
            match tls {
                None => connection.serve(stream).await,
                Some(tls) => tokio::select! {
                    shaken = timeout(idle, handshake(&tls, stream)) => {
                        if let Ok(Some(stream)) = shaken {
                            connection.serve(stream).await;
                        }
                    }
                    _ = stopped.changed() => {}
                },
            }
            drop((place, connected));
        });
    }
    drop((listener, stopping));
    open.shutdown().await;
}

/// A connection that was taken.
struct Connection {
    http: http1::Builder,
    router: Router,
    peer: Peer,
    idle: Duration,
    watcher: Watcher,
}

impl Connection {
    /// Answers what comes until either end closes it.
    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin + 'static) {
        let Self { http, router, peer, idle, watcher } = self;
        let service = service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            router.clone().call(request)
        });
        let served = watcher.watch(http.serve_connection(TokioIo::new(Patient::new(stream, idle)), service));
        if let Err(error) = served.await {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}

/// The stream behind a handshake; nothing where the other end does not come to it.
async fn handshake(tls: &TlsAcceptor, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
    let mut first = [0];
    if stream.peek(&mut first).await.ok()? > 0 && first[0] != HANDSHAKE {
        // what is read is not answered, but closing before it is read would take the answer back
        let _ = stream.try_read(&mut [0; 4096]);
        let _ = stream.writable().await;
        let _ = stream.try_write(SPEAK_TLS);
        return None;
    }
    match tls.accept(stream).await {
        Ok(stream) => Some(stream),
        Err(error) => {
            tracing::debug!(%error, "a handshake failed");
            None
        }
    }
}

/// Tells a client that there is no place, then reads until it leaves: a connection that is closed on bytes
/// that nobody read takes back what was written.
async fn turn_away(mut stream: TcpStream) -> Result<()> {
    stream.try_write(FULL)?;
    poll_fn(|context| Pin::new(&mut stream).poll_shutdown(context)).await?;
    let mut unread = [0; 4_096];
    loop {
        stream.readable().await?;
        match stream.try_read(&mut unread) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

fn ends(stream: &TcpStream, remote: SocketAddr, tls: bool) -> Option<Peer> {
    // events are small and must not wait for one another
    stream.set_nodelay(true).ok()?;
    let local = stream.local_addr().ok()?.ip().to_canonical();
    Some(Peer { remote: remote.ip().to_canonical(), local, tls })
}
