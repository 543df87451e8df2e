//! A language model for tests: an endpoint that keeps every turn waiting until the test lets it go on.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// How the model ends every turn.
const LAST_WORDS: &str = "</think><abstain reason=\"insufficient\">Nothing found.</abstain>";

/// The endpoint. While its gate is shut, turns go on without end.
#[derive(Clone)]
pub(crate) struct Model {
    address: String,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    open: AtomicBool,
    begun: AtomicUsize,
    running: AtomicUsize,
}

impl Model {
    /// A model whose gate is shut.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let model = Self { address: listener.local_addr().unwrap().to_string(), state: Arc::default() };
        let state = Arc::clone(&model.state);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let state = Arc::clone(&state);
                thread::spawn(move || {
                    state.begun.fetch_add(1, Ordering::SeqCst);
                    state.running.fetch_add(1, Ordering::SeqCst);
                    // a listener that leaves ends the turn: that is what some tests wait for
                    let _ = turn(stream, &state);
                    state.running.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        model
    }

    /// What to pass to `--policy`.
    pub(crate) fn policy(&self) -> String {
        format!("openai:http://{}/v1#test", self.address)
    }

    /// Lets all turns end.
    pub(crate) fn open(&self) {
        self.state.open.store(true, Ordering::SeqCst);
    }

    /// Turns that began.
    pub(crate) fn begun(&self) -> usize {
        self.state.begun.load(Ordering::SeqCst)
    }

    /// Turns that somebody listens to.
    pub(crate) fn running(&self) -> usize {
        self.state.running.load(Ordering::SeqCst)
    }
}

fn turn(mut stream: TcpStream, state: &State) -> std::io::Result<()> {
    read_request(&stream)?;
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")?;
    say(&mut stream, "<think>")?;
    while !state.open.load(Ordering::SeqCst) {
        say(&mut stream, "hm ")?;
        thread::sleep(Duration::from_millis(10));
    }
    say(&mut stream, LAST_WORDS)?;
    stream.write_all(b"data: [DONE]\n\n")
}

pub(crate) fn read_request(stream: &TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    reader.read_exact(&mut vec![0; length])
}

fn say(stream: &mut TcpStream, text: &str) -> std::io::Result<()> {
    let chunk = serde_json::json!({ "choices": [{ "index": 0, "delta": { "content": text } }] });
    stream.write_all(format!("data: {chunk}\n\n").as_bytes())?;
    stream.flush()
}
