//! A language model's endpoint that fails in every way that endpoints do: each failure is told in every form with the
//! status that fits, and nothing of it stays behind.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Home, QUESTION, Server, eventually};
use crate::model::read_request;
use crate::openai::data;
use crate::stream::events;

/// What the endpoint does once it has read a request.
type Deed = fn(&mut TcpStream);

/// An endpoint whose ways can be changed.
struct Endpoint {
    address: String,
    deed: Arc<Mutex<Deed>>,
    open: Arc<AtomicUsize>,
}

impl Endpoint {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = Self {
            address: listener.local_addr().unwrap().to_string(),
            deed: Arc::new(Mutex::new(good as Deed)),
            open: Arc::default(),
        };
        let (deed, open) = (Arc::clone(&endpoint.deed), Arc::clone(&endpoint.open));
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let (deed, open) = (*deed.lock().unwrap(), Arc::clone(&open));
                open.fetch_add(1, Ordering::SeqCst);
                thread::spawn(move || {
                    // whoever hung up before the end of its request has nothing to hear
                    if read_request(&stream).is_ok() {
                        deed(&mut stream);
                    }
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        endpoint
    }

    fn does(&self, deed: Deed) {
        *self.deed.lock().unwrap() = deed;
    }
}

fn write(stream: &mut TcpStream, text: &str) -> bool {
    stream.write_all(text.as_bytes()).is_ok()
}

fn head(stream: &mut TcpStream, status: &str, headers: &str) {
    write(stream, &format!("HTTP/1.1 {status}\r\nconnection: close\r\n{headers}\r\n"));
}

fn whole(stream: &mut TcpStream, body: &str) {
    head(stream, "200 OK", &format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len()));
    write(stream, body);
}

fn begin(stream: &mut TcpStream) {
    head(stream, "200 OK", "content-type: text/event-stream\r\n");
}

fn say(stream: &mut TcpStream, text: &str) -> bool {
    write(stream, &format!("data: {}\n\n", json!({ "choices": [{ "delta": { "content": text } }] })))
}

fn good(stream: &mut TcpStream) {
    begin(stream);
    say(stream, "<abstain reason=\"insufficient\">Nothing found.</abstain>");
    write(stream, "data: [DONE]\n\n");
}

/// Says and hears nothing until the other side hangs up.
fn hang(stream: &mut TcpStream) {
    while stream.read(&mut [0; 64]).is_ok_and(|read| read > 0) {}
}

fn for_ever(stream: &mut TcpStream, part: &str) {
    let many = part.repeat(64 * 1024 / part.len());
    while write(stream, &many) {}
}

/// Asks in every form at once; each must tell of the failure. Gives how long they took.
#[track_caller]
fn fails(server: &Server, name: &str, status: u16, code: &str) -> Duration {
    let begun = Instant::now();
    let chat = |stream: bool| json!({ "model": "anamnesis", "messages": [{ "role": "user", "content": QUESTION }], "stream": stream });
    let (json, stream, chat_json, chat_stream, tool) = thread::scope(|scope| {
        let json = scope.spawn(|| server.ask(QUESTION));
        let stream = scope.spawn(|| events(server, &json!({ "question": QUESTION, "stream": true }), ""));
        let chat_json = scope.spawn(|| server.post("/v1/chat/completions", &chat(false)));
        let chat_stream = scope.spawn(|| data(server, "/v1/chat/completions", &chat(true)));
        let call = json!({ "name": "ask", "arguments": { "question": QUESTION } });
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call });
        let tool = scope.spawn(move || server.post("/mcp", &call).ok());
        (json.join(), stream.join(), chat_json.join(), chat_stream.join(), tool.join())
    });
    let message = json.unwrap().failed(status, code);
    assert!(message.contains("try again") || message.contains("--timeout-ms"), "{name}: {message}");
    let (event, told) = stream.unwrap().pop().unwrap();
    assert_eq!((event.as_str(), told["code"].as_str()), ("error", Some(code)), "{name}: {told}");
    let chat = chat_json.unwrap();
    assert_eq!((chat.status, chat.json()["error"]["code"].as_str()), (status, Some(code)), "{name}: {chat:?}");
    let last: Value = serde_json::from_str(chat_stream.unwrap().last().unwrap()).unwrap();
    assert_eq!(last["error"]["code"], code, "{name}: {last}");
    let result = tool.unwrap()["result"].take();
    let text = result["content"][0]["text"].as_str().unwrap();
    assert!(result["isError"] == true && text.starts_with(&format!("{code}: ")), "{name}: {result}");
    begun.elapsed()
}

/// One failure after the other in each of the five forms at once, followed by an answer.
#[track_caller]
fn all_fail(faults: &[(&str, Deed)], workers: &str, status: u16, code: &str) {
    let home = Home::indexed();
    let endpoint = Endpoint::start();
    let policy = format!("openai:http://{}/v1#test", endpoint.address);
    let server = Server::start(
        &home,
        &["--policy", &policy, "--workers", workers, "--queue", "8", "--timeout-ms", "3000", "--idle-ms", "1000"],
    );
    assert_eq!(server.ask(QUESTION).ok()["abstained"], true);
    let before = server.resident();
    for (name, deed) in faults {
        endpoint.does(*deed);
        let took = fails(&server, name, status, code);
        assert!(took < Duration::from_secs(10), "{name}: {took:?}");
        endpoint.does(good);
        eventually(&format!("{name} leaves no connection"), || endpoint.open.load(Ordering::SeqCst) == 0);
        server.rests();
        assert_eq!(server.ask(QUESTION).ok()["reason"], "insufficient", "{name}");
    }
    if let (Some(before), Some(after)) = (before, server.resident()) {
        assert!(after < before + MOST_MIB, "{before} MiB before, {after} MiB after");
    }
}

/// What failures of an endpoint may leave in memory.
const MOST_MIB: u64 = 96;

#[test]
fn an_endpoint_that_hangs_is_waited_for_no_longer_than_allowed() {
    let half_a_head: Deed = |stream| {
        write(stream, "HTTP/1.1 200 OK\r\ncontent-ty");
        hang(stream);
    };
    let only_a_head: Deed = |stream| {
        begin(stream);
        hang(stream);
    };
    let half_a_stream: Deed = |stream| {
        begin(stream);
        say(stream, "<think>");
        hang(stream);
    };
    let alive: Deed = |stream| {
        begin(stream);
        while write(stream, ": still here\n\n") {
            thread::sleep(Duration::from_millis(20));
        }
    };
    let faults: [(&str, Deed); 5] = [
        ("silence", hang),
        ("half a head", half_a_head),
        ("only a head", only_a_head),
        ("half a stream", half_a_stream),
        ("comments without end", alive),
    ];
    // some wait for a worker, and are told in time all the same
    all_fail(&faults, "2", 504, "timeout");
}

#[test]
fn an_endpoint_that_drops_or_breaks_is_told_of() {
    let drops: Deed = |_| {};
    let half_a_body: Deed = |stream| {
        head(stream, "200 OK", "content-type: application/json\r\ncontent-length: 1000\r\n");
        write(stream, "{\"choices\":[");
    };
    let half_a_stream: Deed = |stream| {
        begin(stream);
        say(stream, "<think>");
    };
    let half_a_character: Deed = |stream| {
        begin(stream);
        let _ = stream.write_all(b"data: {\"choices\":[{\"delta\":{\"content\":\"na\xc3");
    };
    let faults: [(&str, Deed); 14] = [
        ("a connection that ends", drops),
        ("no HTTP", |stream| {
            write(stream, "SSH-2.0-OpenSSH_9.9\r\n");
        }),
        ("half a body", half_a_body),
        ("half a stream", half_a_stream),
        ("half a character", half_a_character),
        ("broken JSON", |stream| whole(stream, "{\"choices\":[{\"message\":")),
        ("JSON of another shape", |stream| whole(stream, "{\"choices\":{\"message\":7}}")),
        ("JSON without choices", |stream| whole(stream, "{\"object\":\"list\"}")),
        ("a list", |stream| whole(stream, "[]")),
        ("nothing", |stream| whole(stream, "")),
        ("a page", |stream| whole(stream, "<html>Welcome</html>")),
        ("events without data", |stream| {
            begin(stream);
            write(stream, "event: text\nid: 1\n\nevent: text\nid: 2\n\n");
        }),
        ("broken JSON in events", |stream| {
            begin(stream);
            write(stream, "data: {\"choices\":[{\n\ndata: [DONE]\n\n");
        }),
        ("an event of another shape", |stream| {
            begin(stream);
            write(stream, "data: {\"choices\":[{\"delta\":{\"content\":{\"text\":1}}}]}\n\n");
        }),
    ];
    all_fail(&faults, "2", 502, "policy_failed");
}

#[test]
fn an_endpoint_that_never_ends_is_read_to_a_bound() {
    let faults: [(&str, Deed); 4] = [
        ("a head without end", |stream| {
            write(stream, "HTTP/1.1 200 OK\r\n");
            for_ever(stream, "x-more: and more\r\n");
        }),
        ("a line without end", |stream| {
            begin(stream);
            for_ever(stream, "x");
        }),
        ("an event without end", |stream| {
            begin(stream);
            write(stream, "data: [0,\n");
            for_ever(stream, &format!("data: {}\n", "1,".repeat(100)));
        }),
        ("an enormous body", |stream| {
            head(stream, "200 OK", "content-type: application/json\r\ncontent-length: 8000000000\r\n");
            for_ever(stream, "[[[[[[[[");
        }),
    ];
    all_fail(&faults, "2", 502, "policy_failed");
}

#[test]
fn a_model_that_writes_without_end_is_cut_short() {
    let home = Home::indexed();
    let endpoint = Endpoint::start();
    let policy = format!("openai:http://{}/v1#test", endpoint.address);
    let server = Server::start(&home, &["--policy", &policy, "--workers", "1", "--idle-ms", "1000"]);
    endpoint.does(|stream| {
        begin(stream);
        while say(stream, "and on and on and on ") {}
    });
    for _ in 0..2 {
        let answer = server.ask(QUESTION).ok();
        assert_eq!((&answer["abstained"], &answer["reason"]), (&json!(true), &json!("budget")), "{answer}");
    }
    endpoint.does(good);
    assert_eq!(server.ask(QUESTION).ok()["reason"], "insufficient");
    server.rests();
}

#[test]
fn an_endpoint_that_refuses_or_fails_is_told_of() {
    let faults: [(&str, Deed); 5] = [
        ("500", |stream| head(stream, "500 Internal Server Error", "content-length: 0\r\n")),
        ("502 with a page", |stream| {
            head(stream, "502 Bad Gateway", "content-length: 6\r\n");
            write(stream, "<html>");
        }),
        ("a redirect", |stream| head(stream, "307 Temporary Redirect", "location: http://127.0.0.1:1/\r\n")),
        ("a wrong key", |stream| head(stream, "401 Unauthorized", "content-length: 0\r\n")),
        ("no such model", |stream| head(stream, "404 Not Found", "content-length: 0\r\n")),
    ];
    all_fail(&faults, "5", 502, "policy_failed");
}

#[test]
fn an_endpoint_that_is_busy_sends_clients_away_for_as_long_as_it_says() {
    let busy: Deed = |stream| head(stream, "429 Too Many Requests", "retry-after: 7\r\ncontent-length: 0\r\n");
    let never: Deed =
        |stream| head(stream, "429 Too Many Requests", "retry-after: 18446744073709551615\r\ncontent-length: 0\r\n");
    let down: Deed = |stream| head(stream, "503 Service Unavailable", "content-length: 0\r\n");
    all_fail(&[("busy", busy), ("busy for ever", never), ("down", down)], "5", 503, "policy_busy");

    let home = Home::indexed();
    let endpoint = Endpoint::start();
    let server = Server::start(
        &home,
        &["--policy", &format!("openai:http://{}/v1#test", endpoint.address), "--timeout-ms", "3000"],
    );
    for (deed, seconds) in [(busy, "7"), (never, "3600"), (down, "1")] {
        endpoint.does(deed);
        let refused = server.ask(QUESTION);
        assert_eq!(refused.header("retry-after"), Some(seconds));
        assert!(refused.failed(503, "policy_busy").ends_with(&format!("try again in {seconds} s")));
    }
}
