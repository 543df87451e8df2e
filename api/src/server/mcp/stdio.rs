//! Standard streams: one message a line, requests answered as they end. Standard output holds messages and
//! nothing else; it ends with standard input, once what runs has ended.
//!
//! A thread reads and a thread writes, so that what runs in between waits for neither.

use std::collections::HashMap;
use std::future::poll_fn;
use std::io::{BufRead, BufReader, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use futures_core::Stream;
use serde_json::Value;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

use super::call::Call;
use super::message::{Fault, Message, Request, response};
use super::revision::Revision;
use super::{MAX_BATCH, Step, handle};
use crate::home::Home;
use crate::server::caller::Caller;
use crate::server::{Answering, GRACE, Service};

/// Bytes of one message.
const MAX_MESSAGE: u64 = 4 * 1024 * 1024;
/// Messages that may wait to be read, or to be written.
const PLACES: usize = 64;
/// Requests that may wait for a worker.
const QUEUE: usize = 64;

/// Answers on standard streams until standard input ends.
///
/// # Errors
/// When the system gives no threads.
pub(crate) fn stdio(home: &Home, answering: Answering, workers: usize, limit: Duration) -> Result<()> {
    let (service, _watch) = Service::open(home, answering, workers, QUEUE, limit)?;
    let (to_us, lines) = channel(PLACES);
    thread::Builder::new().name("stdin".to_owned()).spawn(move || read(&to_us))?;
    let (from_us, messages) = channel(PLACES);
    let writer = thread::Builder::new().name("stdout".to_owned()).spawn(move || write(messages))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(
        Conversation { service, out: from_us, agreed: None, tasks: JoinSet::new(), running: HashMap::new() }
            .hold(lines),
    );
    drop(runtime);
    // whatever it could not write, nobody reads any more
    let _ = writer.join();
    Ok(())
}

/// A line of standard input; nothing where it was too long.
type Line = Option<Vec<u8>>;

fn read(lines: &Sender<Line>) {
    let mut input = BufReader::new(std::io::stdin().lock());
    loop {
        let mut line = Vec::new();
        match (&mut input).take(MAX_MESSAGE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let whole = line.len() < MAX_MESSAGE as usize || line.ends_with(b"\n");
        if !whole && input.skip_until(b'\n').is_err() {
            return;
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        if lines.blocking_send(whole.then_some(line)).is_err() {
            return;
        }
    }
}

fn write(mut messages: Receiver<Value>) {
    let mut out = std::io::stdout().lock();
    while let Some(message) = messages.blocking_recv() {
        if writeln!(out, "{message}").and_then(|()| out.flush()).is_err() {
            return;
        }
    }
}

/// What was said so far, and what runs.
struct Conversation {
    service: Arc<Service>,
    out: Sender<Value>,
    /// The older revision that `initialize` came to.
    agreed: Option<Revision>,
    tasks: JoinSet<String>,
    /// Calls that run, by their ids as JSON.
    running: HashMap<String, AbortHandle>,
}

impl Conversation {
    async fn hold(mut self, mut lines: Receiver<Line>) {
        loop {
            let line = tokio::select! {
                line = lines.recv() => line,
                Some(ended) = self.tasks.join_next() => {
                    self.forget(ended.ok());
                    continue;
                }
            };
            let Some(line) = line else { break };
            if self.hear(line).await.is_err() {
                return;
            }
        }
        let rest = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(GRACE, rest).await.is_err() {
            tracing::warn!(seconds = GRACE.as_secs(), "some requests did not end in time");
        }
    }

    fn forget(&mut self, ended: Option<String>) {
        match ended {
            Some(id) => drop(self.running.remove(&id)),
            // it was cancelled, and which one it was it cannot say
            None => self.running.retain(|_, task| !task.is_finished()),
        }
    }

    /// Answers a line.
    ///
    /// # Errors
    /// When nobody reads answers any more.
    async fn hear(&mut self, line: Line) -> Result<(), Gone> {
        let Some(line) = line else {
            let fault = Fault::invalid_request(format!("the message has more than {MAX_MESSAGE} bytes"));
            return self.say(fault.to_message(None)).await;
        };
        match serde_json::from_slice(&line) {
            Err(_) => self.say(Fault::no_json().to_message(None)).await,
            Ok(Value::Array(values)) => self.hear_all(values).await,
            Ok(value) => {
                if let Some(answer) = self.take(value) {
                    self.say(answer).await?;
                }
                Ok(())
            }
        }
    }

    /// Answers messages in a list with a list; calls among them are answered one by one when they end.
    async fn hear_all(&mut self, values: Vec<Value>) -> Result<(), Gone> {
        let allowed = self.agreed.is_some_and(Revision::has_batches);
        if !allowed || values.is_empty() || values.len() > MAX_BATCH {
            let message = format!("send one message; only revision 2025-03-26 has lists, of at most {MAX_BATCH}");
            return self.say(Fault::invalid_request(message).to_message(None)).await;
        }
        let answers: Vec<_> = values.into_iter().filter_map(|value| self.take(value)).collect();
        if answers.is_empty() { Ok(()) } else { self.say(Value::Array(answers)).await }
    }

    /// Takes a message; gives its answer if there is one at once.
    fn take(&mut self, value: Value) -> Option<Value> {
        match Message::read(value) {
            Ok(Message::Request(request)) => self.request(&request),
            Ok(Message::Notification { method, params }) => {
                if method == "notifications/cancelled"
                    && let Some(task) = params.get("requestId").and_then(|id| self.running.remove(&id.to_string()))
                {
                    // its place with the workers goes with it
                    task.abort();
                }
                None
            }
            Ok(Message::Response) => None,
            Err((id, fault)) => Some(fault.to_message(id.as_ref())),
        }
    }

    fn request(&mut self, request: &Request) -> Option<Value> {
        let id = request.id.to_string();
        if self.running.contains_key(&id) {
            return Some(Fault::invalid_request("id: a request that still runs has it").to_message(Some(&request.id)));
        }
        let caller = Caller::local();
        let revision = self.revision(request);
        let step = revision.and_then(|revision| handle(&self.service, &caller, request, revision, Instant::now()));
        match step {
            Ok(Step::Done(result)) => {
                if request.method == "initialize" {
                    self.agreed = Revision::negotiate(&request.params).ok();
                }
                Some(response(&request.id, &result))
            }
            Ok(Step::Call(call)) => {
                let task = self.tasks.spawn(carry_out(call, self.out.clone(), id.clone()));
                self.running.insert(id, task);
                None
            }
            Err(fault) => Some(fault.to_message(Some(&request.id))),
        }
    }

    /// The revision of a request: its own word, or what `initialize` came to.
    fn revision(&self, request: &Request) -> Result<Revision, Fault> {
        if Revision::said(&request.params).is_some() {
            return Revision::declared(&request.params);
        }
        let opens = matches!(request.method.as_str(), "initialize" | "ping").then_some(Revision::Of2025November);
        // whoever neither opened nor says what it speaks is told what a request must say
        self.agreed.or(opens).map_or_else(|| Revision::declared(&request.params), Ok)
    }

    async fn say(&self, message: Value) -> Result<(), Gone> {
        self.out.send(message).await.map_err(|_| Gone)
    }
}

/// Nobody reads any more.
struct Gone;

/// Says what a call makes; gives the id back.
async fn carry_out(mut call: Box<Call>, out: Sender<Value>, id: String) -> String {
    while let Some(message) = poll_fn(|context| Pin::new(&mut *call).poll_next(context)).await {
        if out.send(message).await.is_err() {
            break;
        }
    }
    id
}
