//! One request and its reply, read as it comes, within time limits, tried again while that is safe.
//!
//! The connection is read on a thread of its own and handed over line by line, so that whoever waits can
//! look at the clock and at [`Cancel`] meanwhile. Whoever stops waiting closes the connection, which ends
//! the thread: an endpoint that hangs gathers neither.

use std::io::{BufRead, BufReader, Read};
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::TimeLimits;
use super::chunk::{Chunk, message};
use super::endpoint::Endpoint;
use super::sse::Sse;
use crate::session::Finish;
use crate::{Cancel, Error, Result, Said};

/// Bytes of a reply that are read.
const MAX_REPLY: u64 = 8 * 1024 * 1024;
/// Bytes of a line of it.
const MAX_LINE: u64 = 1024 * 1024;
/// Bytes of an error's body that are read.
const MAX_ERROR: u64 = 16 * 1024;
/// When to come back to an endpoint that is busy and does not say.
const BUSY: Duration = Duration::from_secs(1);
/// How much longer a connection may last than who waits for it.
const GRACE: Duration = Duration::from_secs(1);
/// How often a waiting session looks at [`Cancel`].
const GLANCE: Duration = Duration::from_millis(20);

/// Who talks to whom, and how long it may take.
pub(super) struct Exchange<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) key: Option<&'a str>,
    pub(super) time: TimeLimits,
    pub(super) seed: u64,
    pub(super) cancel: &'a Cancel,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) text: String,
    pub(super) finish: Finish,
    /// Whether the listener had heard enough.
    pub(super) complete: bool,
}

/// What the reading thread says.
enum Heard {
    /// The reply began: its status, and when to come back.
    Head {
        status: u16,
        retry_after: Option<Duration>,
    },
    Line(Vec<u8>),
    End,
    /// Nothing could be sent: worth another attempt.
    NotConnected(String),
    /// The connection broke.
    Broken(String),
}

/// A request under way. Dropping it closes its connection.
struct Call {
    agent: ureq::Agent,
    heard: Receiver<Heard>,
}

impl Drop for Call {
    fn drop(&mut self) {
        self.agent.clone().shutdown();
    }
}

/// An attempt that gave no text.
enum Failed {
    /// Worth another attempt, perhaps after this long.
    Again(Box<Error>, Option<Duration>),
    ForGood(Error),
}

impl Exchange<'_> {
    /// Sends `body` and gives each piece of the reply to `on_text`.
    pub(super) fn run(
        &self,
        body: &[u8],
        time_left: Duration,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Reply> {
        let deadline = Instant::now() + time_left;
        let mut attempt = 0;
        loop {
            self.cancel.check()?;
            let error = match self.attempt(body, deadline, on_text) {
                Ok(reply) => return Ok(reply),
                Err(Failed::ForGood(error)) => return Err(error),
                Err(Failed::Again(error, wait)) => {
                    attempt += 1;
                    let wait = wait.unwrap_or_else(|| self.backoff(attempt));
                    let at = Instant::now().checked_add(wait);
                    if attempt < self.time.attempts && at.is_some_and(|at| at < deadline) {
                        tracing::debug!(attempt, wait_ms = wait.as_millis() as u64, %error, "trying the endpoint again");
                        self.sleep(wait)?;
                        continue;
                    }
                    *error
                }
            };
            return Err(error);
        }
    }

    /// Doubles with each attempt; between half and one and a half of that, so that many clients do not
    /// come back at once.
    fn backoff(&self, attempt: u32) -> Duration {
        let mut salt = self.seed.to_le_bytes().to_vec();
        salt.extend(attempt.to_le_bytes());
        let jitter = 0.5 + f64::from(blake3::hash(&salt).as_bytes()[0]) / 255.0;
        (self.time.backoff * 2_u32.saturating_pow(attempt - 1)).mul_f64(jitter)
    }

    fn sleep(&self, wait: Duration) -> Result<()> {
        let until = Instant::now() + wait;
        while Instant::now() < until {
            self.cancel.check()?;
            std::thread::sleep(GLANCE.min(until.saturating_duration_since(Instant::now())));
        }
        Ok(())
    }

    fn attempt(
        &self,
        body: &[u8],
        deadline: Instant,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Reply, Failed> {
        let call = self.send(body.to_vec(), deadline).map_err(Failed::ForGood)?;
        let heard = &call.heard;
        let mut sse = Sse::default();
        let mut reply = Reply { text: String::new(), finish: Finish::Stop, complete: false };
        let mut finished = false;
        loop {
            // Until there is text, nothing is lost by another attempt.
            let began = !reply.text.is_empty();
            let patience = if began { self.time.idle } else { self.time.first_byte };
            let waiting_for = if began { "sending its reply" } else { "beginning its reply" };
            let data = match self.next(heard, patience, deadline, waiting_for).map_err(Failed::ForGood)? {
                Heard::Head { status: 200..=299, .. } => continue,
                Heard::Head { status, retry_after } => return Err(self.refused(status, retry_after, heard, deadline)),
                Heard::NotConnected(why) => {
                    let error = self.failed(
                        format!("cannot connect ({why})"),
                        "check that the server runs and that the URL is right",
                    );
                    return Err(Failed::Again(Box::new(error), None));
                }
                Heard::Broken(why) if finished => {
                    tracing::debug!(why, "the endpoint closed late");
                    return Ok(reply);
                }
                Heard::Broken(why) => {
                    return Err(Failed::ForGood(
                        self.failed(format!("the connection broke ({why})"), "check the server's log, then ask again"),
                    ));
                }
                Heard::Line(line) => sse.line(&line),
                Heard::End => match sse.end().or_else(|| sse.plain().map(str::to_owned)) {
                    Some(last) if !finished => {
                        self.take(&last, &mut reply, &mut finished, on_text)?;
                        if finished || reply.complete {
                            return Ok(reply);
                        }
                        return Err(Failed::ForGood(self.cut_short()));
                    }
                    _ if finished => return Ok(reply),
                    _ => return Err(Failed::ForGood(self.cut_short())),
                },
            };
            if let Some(data) = data
                && self.take(&data, &mut reply, &mut finished, on_text)?
            {
                return Ok(reply);
            }
        }
    }

    /// Takes in one event's data; says whether the reply is over.
    fn take(
        &self,
        data: &str,
        reply: &mut Reply,
        finished: &mut bool,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<bool, Failed> {
        match Chunk::read(data) {
            Chunk::Text { text, finish } => {
                if let Some(finish) = finish {
                    (reply.finish, *finished) = (finish, true);
                }
                if !text.is_empty() {
                    reply.text.push_str(&text);
                    reply.complete = on_text(&text).is_break();
                }
                Ok(reply.complete)
            }
            Chunk::Done => {
                *finished = true;
                Ok(true)
            }
            Chunk::Failed(why) => {
                Err(Failed::ForGood(self.refusing("the server failed".to_owned(), "check the server's log", Some(why))))
            }
            Chunk::Broken => {
                let next = "check that the URL is that of an OpenAI-compatible API (it often ends in /v1)";
                Err(Failed::ForGood(self.failed("the reply is not what chat completions are".to_owned(), next)))
            }
        }
    }

    /// The next thing heard within `patience`, before `deadline`, unless cancelled.
    fn next(
        &self,
        heard: &Receiver<Heard>,
        patience: Duration,
        deadline: Instant,
        waiting_for: &'static str,
    ) -> Result<Heard> {
        let since = Instant::now();
        let until = deadline.min(since + patience);
        loop {
            self.cancel.check()?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let seconds = until.saturating_duration_since(since).as_secs_f64().ceil() as u64;
                return Err(Error::Timeout { endpoint: self.endpoint.shown().to_owned(), seconds, waiting_for });
            }
            match heard.recv_timeout(left.min(GLANCE)) {
                Ok(heard) => return Ok(heard),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Ok(Heard::Broken("no more was heard".to_owned()));
                }
            }
        }
    }

    /// A reply that is an error; its body tells why.
    fn refused(
        &self,
        status: u16,
        retry_after: Option<Duration>,
        heard: &Receiver<Heard>,
        deadline: Instant,
    ) -> Failed {
        let mut body = Vec::new();
        while body.len() < MAX_ERROR as usize
            && let Ok(Heard::Line(line)) = self.next(heard, self.time.idle, deadline, "explaining an error")
        {
            body.extend(line);
        }
        if self.cancel.is_cancelled() {
            return Failed::ForGood(Error::Cancelled);
        }
        let said = serde_json::from_slice(&body).ok().map(|error| message(&error));
        let next = match status {
            401 | 403 => "check the key in OPENAI_API_KEY",
            404 => "check the URL (it often ends in /v1) and the model's name",
            429 => "wait, or raise the rate limit",
            500..=599 => "check the server's log, then ask again",
            _ => "check that the server takes chat completions",
        };
        let mut error = self.refusing(format!("status {status}"), next, said);
        if let Error::Policy { wait, .. } = &mut error
            && matches!(status, 429 | 503)
        {
            *wait = Some(retry_after.unwrap_or(BUSY));
        }
        if status == 429 || (500..=599).contains(&status) {
            Failed::Again(Box::new(error), retry_after)
        } else {
            Failed::ForGood(error)
        }
    }

    fn cut_short(&self) -> Error {
        self.failed("the reply ended before it was finished".to_owned(), "check the server's log, then ask again")
    }

    fn failed(&self, what: String, next: &'static str) -> Error {
        self.refusing(what, next, None)
    }

    fn refusing(&self, what: String, next: &'static str, said: Option<String>) -> Error {
        Error::Policy { endpoint: self.endpoint.shown().to_owned(), what, next, said: said.map(Said), wait: None }
    }

    /// Sends the request on a thread that reports what it hears.
    fn send(&self, body: Vec<u8>, deadline: Instant) -> Result<Call> {
        let left = deadline.saturating_duration_since(Instant::now());
        // Whoever listens tells that the time is over; the connection ends a little later if nobody ends it.
        let agent = self.endpoint.agent(self.time.connect, left + GRACE);
        let mut request = agent
            .post(self.endpoint.url())
            .header("Content-Type", "application/json")
            .header("Accept", "text/event-stream");
        if let Some(key) = self.key {
            request = request.header("Authorization", format!("Bearer {key}"));
        }
        // Few lines wait: a slow listener slows the reading, not the memory.
        let (say, heard) = sync_channel(64);
        let thread = std::thread::Builder::new().name("openai".to_owned());
        let spawned = thread.spawn(move || match request.send(&body[..]) {
            Ok(response) => read(response, &say),
            Err(error) => {
                let _ = say.send(not_sent(&error));
            }
        });
        match spawned {
            Ok(_) => Ok(Call { agent, heard }),
            Err(error) => {
                Err(self
                    .failed(format!("no thread to talk to it on ({error})"), "close other programs, then ask again"))
            }
        }
    }
}

fn not_sent(error: &ureq::Error) -> Heard {
    use ureq::Error as E;
    match error {
        E::HostNotFound | E::ConnectionFailed | E::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
            Heard::NotConnected(error.to_string())
        }
        E::Io(io) if io.kind() == std::io::ErrorKind::ConnectionRefused => Heard::NotConnected(error.to_string()),
        _ => Heard::Broken(error.to_string()),
    }
}

/// Hands over a reply line by line until it ends or nobody listens.
fn read(response: ureq::http::Response<ureq::Body>, say: &SyncSender<Heard>) {
    let seconds = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let head = Heard::Head { status: response.status().as_u16(), retry_after: seconds.map(Duration::from_secs) };
    if say.send(head).is_err() {
        return;
    }
    let mut body = BufReader::new(response.into_body().into_with_config().limit(MAX_REPLY).reader());
    loop {
        let mut line = Vec::new();
        let heard = match body.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
            Ok(0) => Heard::End,
            Ok(_) => Heard::Line(line),
            Err(error) => Heard::Broken(error.to_string()),
        };
        let over = !matches!(heard, Heard::Line(_));
        if say.send(heard).is_err() || over {
            return;
        }
    }
}
