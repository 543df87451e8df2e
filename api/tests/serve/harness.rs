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
    agent: ureq::Agent,
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
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build();
        Self { child, address, log, agent: config.into() }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        Reply::of(self.agent.get(self.url(path)).call().unwrap())
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Reply {
        Reply::of(self.agent.post(self.url(path)).send_json(body).unwrap())
    }

    pub(crate) fn delete(&self, path: &str) -> Reply {
        Reply::of(self.agent.delete(self.url(path)).call().unwrap())
    }

    /// A request that may find nobody listening any more.
    pub(crate) fn try_post(&self, path: &str, body: &Value) -> Option<Reply> {
        self.agent.post(self.url(path)).send_json(body).ok().and_then(Reply::whole)
    }

    pub(crate) fn ask(&self, question: &str) -> Reply {
        self.post("/v1/ask", &json!({ "question": question }))
    }

    /// The snapshot that answers; none while there is none.
    pub(crate) fn snapshot(&self) -> Option<String> {
        self.get("/readyz").json["snapshot"].as_str().map(str::to_owned)
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

/// A response whose body is JSON.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) json: Value,
    headers: Vec<(String, String)>,
}

impl Reply {
    /// A reply that came whole.
    fn whole(mut response: ureq::http::Response<ureq::Body>) -> Option<Self> {
        let status = response.status().as_u16();
        let json = serde_json::from_str(&response.body_mut().read_to_string().ok()?).ok()?;
        Some(Self { status, json, headers: Vec::new() })
    }

    fn of(mut response: ureq::http::Response<ureq::Body>) -> Self {
        let header = |(name, value): (&ureq::http::HeaderName, &ureq::http::HeaderValue)| {
            (name.to_string(), value.to_str().unwrap().to_owned())
        };
        let headers = response.headers().iter().map(header).collect();
        let status = response.status().as_u16();
        let text = response.body_mut().read_to_string().unwrap();
        let json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{status} {error}: {text}"));
        Self { status, json, headers }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body of a success.
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.json);
        assert!(self.header("x-request-id").is_some());
        self.json
    }

    /// The message of an error, whose envelope is checked.
    #[track_caller]
    pub(crate) fn failed(self, status: u16, code: &str) -> String {
        assert_eq!((self.status, self.json["code"].as_str()), (status, Some(code)), "{}", self.json);
        assert_eq!(self.json["request_id"].as_str(), self.header("x-request-id"));
        self.json["message"].as_str().unwrap().to_owned()
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
