//! [`Mlflow`]: the numbers of a run, told to an MLflow server as well, by its REST API.
//!
//! A run never waits for a server and never fails by one: numbers go through a bounded queue to a thread of their own,
//! and what a server does not take is told once and let go.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::files::replace;
use crate::{Error, Result};

/// Which run of the server a folder is.
const FILE: &str = "mlflow.json";
/// The experiment when none is named.
const EXPERIMENT: &str = "anamnesis";
/// Steps that wait to be told.
const QUEUE: usize = 512;
/// Numbers and settings of one request, as the server allows them.
const METRICS: usize = 1_000;
const PARAMS: usize = 100;
/// Characters of a setting.
const LONGEST: usize = 500;
/// How long numbers are gathered, and one request may take.
const GATHER: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(5);
/// Requests in a row that may fail before the server is let be.
const FAILURES: u32 = 3;

/// A run at an MLflow server.
#[derive(Debug)]
pub struct Mlflow {
    say: Option<SyncSender<Said>>,
    thread: Option<JoinHandle<()>>,
    failure: Arc<Mutex<Option<String>>>,
    is_over: Arc<AtomicBool>,
}

/// What the thread is told.
enum Said {
    Numbers(Vec<Number>),
    End(i64),
}

/// One number, as the server takes it.
#[derive(Clone, Debug, Serialize)]
struct Number {
    key: String,
    value: f64,
    timestamp: i64,
    step: u64,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    server: String,
    run_id: String,
}

impl Mlflow {
    /// Checks an address, as `http://127.0.0.1:5000` or with the name of an experiment, `http://127.0.0.1:5000#mine`.
    ///
    /// # Errors
    /// [`Error::Input`] when it is none.
    pub fn check(address: &str) -> Result<()> {
        let (server, _) = parts(address);
        let rest = server.strip_prefix("http://").or_else(|| server.strip_prefix("https://")).unwrap_or_default();
        if rest.is_empty() || rest.contains('@') || address.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(Error::Input(
                "run.mlflow is no address: write http://HOST:PORT or http://HOST:PORT#EXPERIMENT, a key in MLFLOW_TRACKING_TOKEN".to_owned(),
            ));
        }
        Ok(())
    }

    /// Begins to tell the run in the folder `run`, or goes on with it, to the server at `address`; `settings` are its
    /// recipe. Asks nothing yet.
    pub fn start(address: &str, run: &Path, settings: Vec<(String, String)>, now: Timestamp) -> Self {
        let (server, experiment) = parts(address);
        let is_local = ["http://127.", "http://localhost", "http://[::1]"].iter().any(|one| server.starts_with(one));
        let mut agent = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
        if is_local {
            agent = agent.proxy(None);
        }
        let (failure, is_over) = (Arc::default(), Arc::default());
        let teller = Teller {
            agent: ureq::Agent::new_with_config(agent.build()),
            server: server.to_owned(),
            experiment: experiment.to_owned(),
            token: std::env::var("MLFLOW_TRACKING_TOKEN").ok(),
            run: run.to_owned(),
            settings,
            started: now.as_millisecond(),
            run_id: None,
            failure: Arc::clone(&failure),
            is_over: Arc::clone(&is_over),
        };
        let (say, said) = sync_channel(QUEUE);
        let thread = thread::Builder::new().name("mlflow".to_owned()).spawn(move || teller.listen(&said));
        Self { say: Some(say), thread: thread.ok(), failure, is_over }
    }

    /// Tells the numbers of a step; never waits.
    pub(super) fn numbers(&self, step: u64, scalars: &[(String, f64)], now: Timestamp) {
        let timestamp = now.as_millisecond();
        let finite = scalars.iter().filter(|(_, value)| value.is_finite());
        let numbers = finite.map(|(key, value)| Number { key: key.clone(), value: *value, timestamp, step });
        self.say(Said::Numbers(numbers.collect()));
    }

    /// Tells that the run reached its end, and waits until all is told, at most for a few requests. Gives what went wrong.
    pub(super) fn end(mut self, now: Timestamp) -> Option<String> {
        self.say(Said::End(now.as_millisecond()));
        self.close();
        self.failure()
    }

    fn close(&mut self) {
        drop(self.say.take());
        if let Some(thread) = self.thread.take() {
            // It ends within a few requests, each of which has its time limit.
            let _ = thread.join();
        }
    }

    /// What went wrong, once.
    pub(super) fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn say(&self, said: Said) {
        if let Some(say) = self.say.as_ref().filter(|_| !self.is_over.load(Ordering::Relaxed)) {
            // A full queue is a server that is too slow: what does not fit is let go.
            let _ = say.try_send(said);
        }
    }
}

impl Drop for Mlflow {
    fn drop(&mut self) {
        self.close();
    }
}

/// Server and experiment of an address.
fn parts(address: &str) -> (&str, &str) {
    let (server, experiment) = address.split_once('#').unwrap_or((address, ""));
    (server.trim_end_matches('/'), if experiment.is_empty() { EXPERIMENT } else { experiment })
}

/// The thread's side.
struct Teller {
    agent: ureq::Agent,
    server: String,
    experiment: String,
    token: Option<String>,
    run: PathBuf,
    settings: Vec<(String, String)>,
    started: i64,
    run_id: Option<String>,
    failure: Arc<Mutex<Option<String>>>,
    is_over: Arc<AtomicBool>,
}

impl Teller {
    fn listen(mut self, said: &Receiver<Said>) {
        let (mut waiting, mut end, mut failures, mut is_open) = (Vec::new(), None, 0, true);
        while is_open {
            match said.recv_timeout(GATHER) {
                Ok(Said::Numbers(numbers)) => waiting.extend(numbers),
                Ok(Said::End(at)) => end = Some(at),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => is_open = false,
            }
            // Gathered while the last request was under way.
            while let Ok(more) = said.try_recv() {
                match more {
                    Said::Numbers(numbers) => waiting.extend(numbers),
                    Said::End(at) => end = Some(at),
                }
            }
            if waiting.is_empty() && end.is_none() {
                continue;
            }
            match self.tell(&mut waiting, &mut end) {
                Ok(()) => failures = 0,
                Err(why) => {
                    failures += 1;
                    if failures >= FAILURES || !is_open {
                        let text = format!("the MLflow server at {} takes no numbers: {why}", self.server);
                        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
                        self.is_over.store(true, Ordering::Relaxed);
                        return;
                    }
                }
            }
        }
    }

    /// Tells all that waits; what was told waits no more.
    fn tell(&mut self, waiting: &mut Vec<Number>, end: &mut Option<i64>) -> Result<(), String> {
        if self.run_id.is_none() {
            self.run_id = Some(self.begin()?);
        }
        let run_id = &self.run_id;
        while !waiting.is_empty() {
            let count = waiting.len().min(METRICS);
            self.post("runs/log-batch", &json!({"run_id": run_id, "metrics": waiting[..count]}))?;
            waiting.drain(..count);
        }
        if let Some(at) = end {
            self.post("runs/update", &json!({"run_id": run_id, "status": "FINISHED", "end_time": at}))?;
            *end = None;
        }
        Ok(())
    }

    /// The run to tell to: the one that this folder was before, or a new one.
    fn begin(&self) -> Result<String, String> {
        let path = self.run.join(FILE);
        let kept = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Kept>(&bytes).ok());
        if let Some(Kept { run_id, .. }) = kept.filter(|kept| kept.server == self.server) {
            let known = self.post("runs/update", &json!({"run_id": run_id, "status": "RUNNING"}));
            if known.is_ok() {
                return Ok(run_id);
            }
        }
        let experiment = self.experiment()?;
        let name: Vec<_> = self.run.components().rev().take(3).collect();
        let name: PathBuf = name.into_iter().rev().collect();
        let body =
            json!({"experiment_id": experiment, "start_time": self.started, "run_name": name.display().to_string()});
        let made = self.post("runs/create", &body)?;
        let run_id = made["run"]["info"]["run_id"].as_str().ok_or("the reply names no run")?.to_owned();
        for part in self.settings.chunks(PARAMS) {
            let short = |value: &str| value.chars().take(LONGEST).collect::<String>();
            let params: Vec<Value> =
                part.iter().map(|(key, value)| json!({"key": key, "value": short(value)})).collect();
            self.post("runs/log-batch", &json!({"run_id": run_id, "params": params}))?;
        }
        let kept = Kept { server: self.server.clone(), run_id: run_id.clone() };
        let text = serde_json::to_vec(&kept).map_err(|error| error.to_string())?;
        replace(&path, &text).map_err(|error| error.to_string())?;
        Ok(run_id)
    }

    fn experiment(&self) -> Result<String, String> {
        let find = || {
            let url = self.url("experiments/get-by-name");
            let request = self.agent.get(&url).query("experiment_name", &self.experiment);
            let reply = self.signed(request).call().map_err(|error| error.to_string())?;
            Ok::<_, String>(
                read(reply).ok().and_then(|found| Some(found["experiment"]["experiment_id"].as_str()?.to_owned())),
            )
        };
        if let Some(found) = find()? {
            return Ok(found);
        }
        match self.post("experiments/create", &json!({"name": self.experiment})) {
            Ok(made) => Ok(made["experiment_id"].as_str().ok_or("the reply names no experiment")?.to_owned()),
            // Another run may have made it meanwhile.
            Err(why) => find()?.ok_or(why),
        }
    }

    fn url(&self, method: &str) -> String {
        format!("{}/api/2.0/mlflow/{method}", self.server)
    }

    fn post(&self, method: &str, body: &Value) -> Result<Value, String> {
        let request = self.signed(self.agent.post(self.url(method)));
        read(request.send_json(body).map_err(|error| error.to_string())?)
    }

    fn signed<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match &self.token {
            Some(token) => request.header("Authorization", format!("Bearer {token}")),
            None => request,
        }
    }
}

/// What a reply says.
fn read(reply: ureq::http::Response<ureq::Body>) -> Result<Value, String> {
    let status = reply.status();
    let text = reply.into_body().into_with_config().limit(1 << 20).read_to_vec().map_err(|error| error.to_string())?;
    let value: Value = serde_json::from_slice(&text).unwrap_or_default();
    if status.is_success() {
        return Ok(value);
    }
    let code = value["error_code"].as_str().unwrap_or_default();
    Err(format!("status {} {code}", status.as_u16()).trim_end().to_owned())
}

/// The values of a recipe by their place in it, as `optimiser.beta1`.
pub(crate) fn settings(recipe: &str) -> Vec<(String, String)> {
    fn walk(prefix: &str, value: &toml::Value, all: &mut Vec<(String, String)>) {
        match value {
            toml::Value::Table(table) => {
                for (key, value) in table {
                    let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                    walk(&name, value, all);
                }
            }
            toml::Value::String(text) => all.push((prefix.to_owned(), text.clone())),
            other => all.push((prefix.to_owned(), other.to_string())),
        }
    }
    let mut all = Vec::new();
    if let Ok(table) = recipe.parse::<toml::Table>() {
        walk("", &toml::Value::Table(table), &mut all);
    }
    all
}

#[cfg(test)]
mod tests;
