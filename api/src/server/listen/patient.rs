//! [`Patient`]: a connection whose other end must read what it asked for, and may stop sending once it has asked.
//!
//! hyper waits for as long as a client takes to read, so that one which never reads holds its place for
//! ever. Here a write that nobody takes ends the connection.
//!
//! hyper also drops a request as soon as its client sends no more, which a client that only shut down its
//! sending side and one that left show in the same way. Here an answer that is owed has a while to be given
//! before hyper hears of the end.

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How long a client that sends no more is thought to wait for its answer.
const LEAVING: Duration = Duration::from_secs(1);

/// A stream, and how long a write to it may make no way.
#[derive(Debug)]
pub(super) struct Patient<S> {
    stream: S,
    most: Duration,
    /// Runs while a write waits.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Something was read and nothing written since.
    owes: bool,
    /// Runs once the other end sends no more while something was owed to it.
    leaving: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    pub(super) fn new(stream: S, most: Duration) -> Self {
        Self { stream, most, stalled: None, owes: false, leaving: None }
    }

    fn watch<T>(&mut self, outcome: Poll<Result<T>>, context: &mut Context<'_>) -> Poll<Result<T>> {
        if outcome.is_ready() {
            self.stalled = None;
            return outcome;
        }
        let most = self.most;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(most)));
        stalled.as_mut().poll(context).map(|()| Err(Error::new(ErrorKind::TimedOut, "the client does not read")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        if self.leaving.is_none() {
            let before = buffer.remaining();
            ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
            let is_end = buffer.remaining() == before && before > 0;
            if !is_end {
                self.owes = true;
            }
            if !is_end || !self.owes {
                return Poll::Ready(Ok(()));
            }
        }
        let leaving = self.leaving.get_or_insert_with(|| Box::pin(sleep(LEAVING)));
        leaving.as_mut().poll(context).map(Ok)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        self.owes = false;
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(outcome, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        self.owes = false;
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.watch(outcome, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(context);
        self.watch(outcome, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(context);
        self.watch(outcome, context)
    }
}
