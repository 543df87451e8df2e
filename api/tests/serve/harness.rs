//! Homes with a few documents, and services that end with their test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Client, Response};

/// Nothing in these tests may take longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

const DOCUMENTS: [(&str, &str, &str); 4] = [
    (
        "metformin",
        "Metformin",
        "Metformin is the first-line drug for type 2 diabetes. Metformin is contraindicated in severe renal impairment and in metabolic acidosis.",
    ),
    (
        "lithium",
        "Lithium",
        "Lithium is the first-line drug for bipolar disorder. Monitoring of lithium includes thyroid and renal function.",
    ),
    (
        "warfarin",
        "Warfarin",
        "Warfarin is monitored by the international normalised ratio. Warfarin is contraindicated in pregnancy.",
    ),
    ("asthma", "Asthma", "Inhaled corticosteroids are the first-line maintenance treatment of asthma in adults."),
];

/// The question that the documents answer.
pub(crate) const QUESTION: &str = "When is metformin contraindicated?";

/// A home in a folder of its own.
pub(crate) struct Home {
    dir: TempDir,
}

impl Home {
    /// With documents, not yet indexed.
    pub(crate) fn with_documents() -> Self {
        let home = Self { dir: tempfile::tempdir().unwrap() };
        home.add(&DOCUMENTS);
        home
    }

    /// With documents and an index.
    pub(crate) fn indexed() -> Self {
        let home = Self::with_documents();
        home.build();
        home
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn add(&self, documents: &[(&str, &str, &str)]) {
        let file = self.dir.path().join("documents.jsonl");
        let line = |(id, title, text): &(&str, &str, &str)| {
            json!({ "id": id, "title": title, "text": text }).to_string() + "\n"
        };
        std::fs::write(&file, documents.iter().map(line).collect::<String>()).unwrap();
        // some of these are hostile on purpose: what matters is what they do once they are evidence
        self.run(&["corpus", "add", "--trust", "--format", "jsonl", file.to_str().unwrap()]);
    }

    pub(crate) fn build(&self) {
        self.run(&["index", "build", "--encoder", "none"]);
    }

    /// Runs a command that must end well; gives what it printed.
    pub(crate) fn run(&self, args: &[&str]) -> String {
        let output = command(self.path(), args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

pub(crate) fn command(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anamnesis"));
    command.arg("--home").arg(home).args(args).env_remove("OPENAI_API_KEY").env("NO_COLOR", "1");
    command
}

/// The command that serves on an address.
pub(crate) fn serve(home: &Path, listen: &str, args: &[&str]) -> Command {
    let mut command = command(home, &["-v", "serve", "--listen", listen]);
    command.args(args);
    command
}

/// A running service; killed when dropped.
pub(crate) struct Server {
    child: Child,
    address: String,
    log: Arc<Mutex<String>>,
    client: Client,
}

impl Server {
    /// Starts the service on a free port and waits until it listens.
    pub(crate) fn start(home: &Home, args: &[&str]) -> Self {
        Self::start_on(home, "127.0.0.1:0", args)
    }

    /// The same on an address, which is spoken to by loopback.
    pub(crate) fn start_on(home: &Home, listen: &str, args: &[&str]) -> Self {
        Self::spawn(&mut serve(home.path(), listen, args))
    }

    /// Runs a command that serves, as [`serve`] makes it, and waits until it listens.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut begun = String::new();
        let address = loop {
            let line = lines.next().expect("the service ended before it listened").unwrap();
            begun.push_str(&line);
            begun.push('\n');
            // a log of JSON has it in a string
            let address = line.split_once("listening on http://").or(line.split_once("listening on https://"));
            if let Some((_, address)) = address {
                break address.split('"').next().unwrap_or_default().replace("0.0.0.0", "127.0.0.1");
            }
        };
        let log = Arc::new(Mutex::new(begun));
        let sink = Arc::clone(&log);
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut log = sink.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let client = Client::of(format!("http://{address}"));
        Self { child, address, log, client }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    pub(crate) fn get(&self, path: &str) -> Response {
        self.client.get(path)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Response {
        self.client.post(path, body)
    }

    pub(crate) fn delete(&self, path: &str) -> Response {
        self.client.send("DELETE", path, &[], None)
    }

    /// A request that may find nobody listening any more.
    pub(crate) fn try_post(&self, path: &str, body: &Value) -> Option<Response> {
        self.client.try_send("POST", path, &[], Some(body)).ok()
    }

    pub(crate) fn ask(&self, question: &str) -> Response {
        self.post("/v1/ask", &json!({ "question": question }))
    }

    /// Whoever asks here, without a key.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The snapshot that answers; none while there is none.
    pub(crate) fn snapshot(&self) -> Option<String> {
        self.get("/readyz").json()["snapshot"].as_str().map(str::to_owned)
    }

    /// A request as bytes; gives the status and everything that came back.
    pub(crate) fn raw(&self, request: &str) -> (u16, String) {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let mut response = Vec::new();
        stream.read_to_end(&mut response).unwrap();
        let response = String::from_utf8_lossy(&response).into_owned();
        let status = response.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.unwrap_or_else(|| panic!("no status in {response:?}")), response)
    }

    /// A number that the service measures, as `/metrics` has it. Asking takes a connection: none where there is no room.
    pub(crate) fn gauge(&self, name: &str) -> Option<f64> {
        let (mut stream, mut told) = (self.connect(), Vec::new());
        let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let _ = stream.read_to_end(&mut told);
        let told = String::from_utf8_lossy(&told);
        told.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    }

    /// Waits until nothing is under way any more: no work, no queue, no connection but the one that asks.
    #[track_caller]
    pub(crate) fn rests(&self) {
        for (name, expect) in
            [("anamnesis_workers_busy", 0.0), ("anamnesis_queue_waiting", 0.0), ("anamnesis_connections", 1.0)]
        {
            eventually(&format!("{name} is {expect}"), || self.gauge(name) == Some(expect));
        }
    }

    /// MiB of memory that the process holds; none where the system does not tell.
    pub(crate) fn resident(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
        kib?.trim().parse::<u64>().ok().map(|kib| kib / 1_024)
    }

    /// What was logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Tells the service to end, as a service manager does.
    pub(crate) fn terminate(&self) {
        let status = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
    }

    /// Ends the service as a loss of power does.
    pub(crate) fn kill(&self) {
        let status = Command::new("kill").arg("-KILL").arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
    }

    /// Waits for the end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the service ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until something holds.
#[track_caller]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// An answer without what differs from one run to the next.
pub(crate) fn lasting(mut answer: Value) -> Value {
    let object = answer.as_object_mut().unwrap();
    for passing in ["trace_id", "timings"] {
        assert!(object.remove(passing).is_some(), "{passing} is missing");
    }
    answer
}
