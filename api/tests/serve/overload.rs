//! More requests than can be answered, and clients that leave.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::harness::{Home, QUESTION, Server, eventually};
use crate::model::Model;

/// Sends a question and does not wait for the answer.
fn send(server: &Server, stream: bool) -> TcpStream {
    let body = json!({ "question": QUESTION, "stream": stream }).to_string();
    let mut client = server.connect();
    let head = "POST /v1/ask HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n";
    write!(client, "{head}content-length: {}\r\n\r\n{body}", body.len()).unwrap();
    client
}

/// A request that waits in the queue: a stream begins as soon as it has its place.
fn queued(server: &Server) -> TcpStream {
    let mut queued = None;
    eventually("the queue has a place", || {
        let client = send(server, true);
        let has_place = status(client.try_clone().unwrap()) == 200;
        queued = has_place.then_some(client);
        has_place
    });
    queued.unwrap()
}

fn status(client: TcpStream) -> u16 {
    let mut line = String::new();
    BufReader::new(client).read_line(&mut line).unwrap();
    line.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("no status in {line:?}"))
}

/// Reads a stream to its end, which must be an answer.
#[track_caller]
fn assert_final(client: TcpStream) {
    let told: Vec<_> = BufReader::new(client).lines().map_while(Result::ok).collect();
    assert!(told.iter().any(|line| line == "event: final"), "{told:?}");
}

#[test]
fn what_cannot_be_answered_soon_is_told_to_come_back() {
    let home = Home::indexed();
    let model = Model::start();
    let server = Server::start(&home, &["--policy", &model.policy(), "--workers", "1", "--queue", "1"]);
    let running = send(&server, false);
    eventually("the worker is busy", || model.begun() == 1);
    let waiting = queued(&server);
    let refused = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let reply = server.ask(QUESTION);
                assert!(
                    reply
                        .header("retry-after")
                        .is_some_and(|seconds| seconds.parse::<u32>().is_ok_and(|seconds| seconds > 0))
                );
                reply.failed(429, "overloaded");
                refused.fetch_add(1, Ordering::SeqCst);
            });
        }
    });
    assert_eq!(refused.load(Ordering::SeqCst), 20);
    assert_eq!(server.get("/healthz").status, 200);
    model.open();
    assert_eq!(status(running), 200);
    assert_final(waiting);
    for _ in 0..3 {
        server.ask(QUESTION).ok();
    }
}

#[test]
fn a_client_that_leaves_frees_its_worker() {
    let home = Home::indexed();
    let model = Model::start();
    let server = Server::start(&home, &["--policy", &model.policy(), "--workers", "1", "--queue", "1"]);
    for (round, streams) in [true, false, true].into_iter().enumerate() {
        let client = send(&server, streams);
        if streams {
            let mut lines = BufReader::new(client.try_clone().unwrap()).lines();
            assert!(lines.any(|line| line.unwrap().starts_with("event: turn")), "the stream ended before it began");
        }
        eventually("the model writes", || model.begun() == round + 1);
        client.shutdown(Shutdown::Both).unwrap();
        eventually("the model is left alone", || model.running() == 0);
    }
    eventually("the worker is free", || server.post("/v1/retrieve", &json!({ "query": "lithium" })).status == 200);
}

#[test]
fn a_client_that_leaves_the_queue_is_never_served() {
    let home = Home::indexed();
    let model = Model::start();
    let server = Server::start(&home, &["--policy", &model.policy(), "--workers", "1", "--queue", "1"]);
    let running = send(&server, true);
    eventually("the worker is busy", || model.begun() == 1);
    for _ in 0..3 {
        let waiting = queued(&server);
        assert_eq!(server.ask(QUESTION).status, 429);
        drop(waiting);
    }
    // whether a request that is not streamed waits shows only in that nothing comes back
    eventually("a request waits", || {
        let waiting = send(&server, false);
        waiting.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let is_silent = waiting.peek(&mut [0]).is_err();
        is_silent && status(send(&server, true)) == 429
    });
    // having the only place proves that all others have left it
    let last = queued(&server);
    model.open();
    assert_eq!(status(running), 200);
    assert_final(last);
    assert_eq!(model.begun(), 2, "the model was asked for a client that had left");
}

#[test]
fn two_hundred_connections_at_once_are_served() {
    let home = Home::indexed();
    let server = Server::start(&home, &["--queue", "200"]);
    let clients: Vec<_> = (0..200).map(|_| send(&server, false)).collect();
    for client in clients {
        assert_eq!(status(client), 200);
    }
}
