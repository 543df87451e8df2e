//! A browser, driven by the WebDriver protocol: a headless Chromium of its own for each test, one test at a time.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::Server;

/// Nothing on the page may take longer.
const PATIENCE: Duration = Duration::from_secs(30);
/// A browser takes whole cores: several at once would time each other out.
static ONE: Mutex<()> = Mutex::new(());

/// An open page; closed when dropped.
pub(crate) struct Browser {
    driver: Child,
    session: String,
    agent: ureq::Agent,
    _turn: MutexGuard<'static, ()>,
}

impl Browser {
    /// Opens `path` of the service; none, and said so, where there is no Chromium.
    pub(crate) fn open(server: &Server, path: &str) -> Option<Self> {
        let Some(browser) = Self::start() else {
            skip("there is no chromium and chromedriver");
            return None;
        };
        browser.go(&server.url(path));
        browser.wait("the page is there", "return document.querySelector('main').childElementCount > 0");
        Some(browser)
    }

    fn start() -> Option<Self> {
        let turn = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let chromium = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| is_there(name))?;
        if !is_there("chromedriver") {
            return None;
        }
        let mut driver =
            Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = loop {
            let line = lines.next().expect("chromedriver ended before it listened").unwrap();
            if let Some((_, rest)) = line.split_once("started successfully on port ") {
                break rest.trim_end_matches('.').to_owned();
            }
        };
        // its pipe stays empty, so that it never waits to write
        thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build();
        let mut browser =
            Self { driver, session: format!("http://127.0.0.1:{port}/session"), agent: config.into(), _turn: turn };
        // no sandbox: where tests run as root, Chromium has none
        let args =
            ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1280,900"];
        let binary = which(chromium).unwrap();
        let options = json!({ "args": args, "binary": binary });
        let wanted = json!({ "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" } });
        let opened = browser.post("", &json!({ "capabilities": { "alwaysMatch": wanted } }));
        let id = opened["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {opened}"));
        browser.session = format!("{}/{id}", browser.session);
        Some(browser)
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let mut response = self.agent.post(format!("{}{path}", self.session)).send_json(body).unwrap();
        let answered: Value = response.body_mut().read_json().unwrap();
        assert!(response.status().is_success(), "{path} {body}: {answered}");
        answered["value"].clone()
    }

    pub(crate) fn go(&self, url: &str) {
        self.post("/url", &json!({ "url": url }));
    }

    /// Another view of the same page, without loading it anew.
    pub(crate) fn view(&self, hash: &str) {
        self.run(&format!("location.hash = {}", json!(hash)));
    }

    /// Runs the body of a function in the page; gives what it returns, waiting for a promise.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Waits until a script returns something that is true, and gives it.
    #[track_caller]
    pub(crate) fn wait(&self, what: &str, script: &str) -> Value {
        let start = Instant::now();
        loop {
            let found = self.run(script);
            if !matches!(found, Value::Null | Value::Bool(false)) && found != json!("") && found != json!(0) {
                return found;
            }
            assert!(start.elapsed() < PATIENCE, "waited in vain: {what}\n{}", self.text("body"));
            thread::sleep(Duration::from_millis(25));
        }
    }

    /// The text that is seen of the first element that matches; empty where there is none.
    pub(crate) fn text(&self, selector: &str) -> String {
        let found = self.run(&format!("return document.querySelector({})?.innerText ?? ''", json!(selector)));
        found.as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub(crate) fn click(&self, selector: &str) {
        // as a person would who does not click through what lies over it
        let centred = "const one = document.querySelector($); one?.scrollIntoView({ block: 'center' }); return one";
        let found = self.wait(selector, &centred.replace('$', &json!(selector).to_string()));
        let id = found.as_object().and_then(|element| element.values().next()).and_then(Value::as_str).unwrap();
        self.post(&format!("/element/{id}/click"), &json!({}));
    }

    /// Presses keys one after the other, as a person would; WebDriver's own letters for keys that write nothing.
    pub(crate) fn keys(&self, keys: &str) {
        let press = |key: char| {
            [
                json!({ "type": "keyDown", "value": key.to_string() }),
                json!({ "type": "keyUp", "value": key.to_string() }),
            ]
        };
        let actions: Vec<_> = keys.chars().flat_map(press).collect();
        self.post("/actions", &json!({ "actions": [{ "type": "key", "id": "keys", "actions": actions }] }));
    }

    /// Writes a question into the box and asks it, as a mouse and a keyboard would; waits for the end.
    #[track_caller]
    pub(crate) fn ask(&self, question: &str) {
        self.click("#question");
        self.keys(question);
        self.keys(ENTER);
        self.answered();
    }

    /// Waits until the last question asked has its answer.
    #[track_caller]
    pub(crate) fn answered(&self) {
        let script = "const last = [...document.querySelectorAll('.exchange')].at(-1); \
                      return last?.getAttribute('aria-busy') === 'false'";
        self.wait("the answer is whole", script);
    }

    fn devtools(&self, command: &str, params: &Value) -> Value {
        self.post("/goog/cdp/execute", &json!({ "cmd": command, "params": params }))
    }

    /// Makes the page as wide as a device.
    pub(crate) fn resize(&self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700 });
        self.devtools("Emulation.setDeviceMetricsOverride", &size);
    }

    /// What the system prefers: `light` or `dark`.
    pub(crate) fn prefer(&self, scheme: &str) {
        let features = json!({ "features": [
            { "name": "prefers-color-scheme", "value": scheme },
            // what is measured must not be half faded in
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ] });
        self.devtools("Emulation.setEmulatedMedia", &features);
    }

    /// Answers requests of the page in place of the service: by method and path, JSON or, for `.sse`, a stream's text.
    pub(crate) fn stub(&self, answers: &Value) {
        let script = include_str!("stub.js");
        self.post("/execute/sync", &json!({ "script": script, "args": [answers] }));
    }

    /// What the browser complained about: scripts that failed, content that the policy refused.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let log = self.post("/se/log", &json!({ "type": "browser" }));
        let severe = log.as_array().unwrap().iter().filter(|line| line["level"] == "SEVERE");
        severe.map(|line| line["message"].as_str().unwrap().to_owned()).collect()
    }
}

/// Keys as WebDriver writes them.
pub(crate) const ENTER: &str = "\u{e007}";
pub(crate) const ESCAPE: &str = "\u{e00c}";
pub(crate) const TAB: &str = "\u{e004}";

impl Drop for Browser {
    fn drop(&mut self) {
        // closes the browser itself; the driver alone would leave it running
        let _ = self.agent.delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Says why a test, or the rest of it, does not run.
#[expect(clippy::print_stderr, reason = "whoever reads the output of tests must see what was left out")]
pub(crate) fn skip(why: &str) {
    eprintln!("skipped: {why}");
}

/// Says what was measured.
#[expect(clippy::print_stderr, reason = "a figure that is only bounded by a test is read in its output")]
pub(crate) fn tell(figure: &str) {
    eprintln!("{figure}");
}

fn is_there(program: &str) -> bool {
    which(program).is_some()
}

fn which(program: &str) -> Option<String> {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(program));
    places.find(|place| place.is_file())?.to_str().map(str::to_owned)
}
