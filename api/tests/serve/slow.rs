//! Clients that are slow, and clients that end only one direction of their connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Home, QUESTION, Server, eventually};
use crate::model::Model;

const HEAD: &str = "POST /v1/ask HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";

/// Everything that still comes.
fn rest(mut stream: TcpStream) -> String {
    let mut told = Vec::new();
    // a connection that ends early ends with an error on some systems
    let _ = stream.read_to_end(&mut told);
    String::from_utf8_lossy(&told).into_owned()
}

fn asks(server: &Server, streams: bool) -> TcpStream {
    let body = json!({ "question": QUESTION, "stream": streams }).to_string();
    let mut stream = server.connect();
    write!(stream, "{HEAD}content-length: {}\r\n\r\n{body}", body.len()).unwrap();
    stream
}

/// Waits for the first event of a stream.
fn begun(stream: &TcpStream) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().starts_with("event: turn")), "the stream ended before it began");
}

/// Sends a byte to each of `clients` now and then until `most` have passed or nobody listens.
fn drip(clients: &mut [TcpStream], byte: &[u8], most: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < most && clients.iter_mut().filter_map(|client| client.write_all(byte).ok()).count() > 0 {
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn heads_and_bodies_that_come_byte_by_byte_have_an_end() {
    let home = Home::indexed();
    let server = Server::start(&home, &["--idle-ms", "1000", "--timeout-ms", "1500", "--workers", "1"]);
    let mut heads: Vec<_> = (0..20).map(|_| server.connect()).collect();
    let mut bodies: Vec<_> = (0..20).map(|_| server.connect()).collect();
    for head in &mut heads {
        head.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-more: ").unwrap();
    }
    for body in &mut bodies {
        write!(body, "{HEAD}content-length: 1000000\r\n\r\n{{\"question\":\"").unwrap();
    }
    thread::scope(|scope| {
        // while they are at it, others are served
        let other = scope.spawn(|| server.ask(QUESTION).ok());
        let slow = scope.spawn(|| drip(&mut heads, b"x", Duration::from_secs(10)));
        let begun = Instant::now();
        drip(&mut bodies, b"x", Duration::from_secs(10));
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(6), "{took:?}");
        slow.join().unwrap();
        other.join().unwrap();
    });
    for head in heads {
        let told = rest(head);
        assert!(told.is_empty() || told.starts_with("HTTP/1.1 408"), "{told}");
    }
    let told: Vec<_> = bodies.into_iter().map(rest).collect();
    // a client that goes on writing may lose what it was told
    assert!(told.iter().all(|told| told.is_empty() || told.starts_with("HTTP/1.1 408")), "{told:?}");
    server.rests();

    let mut body = server.connect();
    write!(body, "{HEAD}content-length: 1000000\r\n\r\n{{").unwrap();
    let told = rest(body);
    assert!(told.starts_with("HTTP/1.1 408") && told.contains("\"code\":\"too_slow\""), "{told}");
    assert!(told.contains("--timeout-ms"), "{told}");
}

#[test]
fn readers_of_streams_may_be_slow_and_hold_no_worker() {
    let home = Home::indexed();
    let server = Server::start(&home, &["--workers", "1", "--idle-ms", "1000"]);
    let clients: Vec<_> = (0..20).map(|_| asks(&server, true)).collect();
    server.ask(QUESTION).ok();
    eventually("nobody waits for a reader", || server.gauge("anamnesis_workers_busy") == Some(0.0));
    for mut client in clients {
        let (mut told, mut byte) = (Vec::new(), [0]);
        for place in 0.. {
            match client.read(&mut byte) {
                Ok(1) => told.push(byte[0]),
                _ => break,
            }
            if place % 500 == 0 {
                thread::sleep(Duration::from_millis(1));
            }
        }
        let told = String::from_utf8_lossy(&told).into_owned();
        assert!(told.contains("\nevent: final\n"), "{told}");
    }
    server.rests();
}

#[test]
fn who_ends_the_sending_side_is_answered_soon_or_has_left() {
    let home = Home::indexed();
    let quick = Server::start(&home, &["--workers", "4"]);
    for streams in [false, false, true, false] {
        let client = asks(&quick, streams);
        client.shutdown(Shutdown::Write).unwrap();
        let told = rest(client);
        // the first part of a stream is all that is sure to come
        assert!(told.starts_with("HTTP/1.1 200") && (streams || told.contains("\"citations\"")), "{told}");
    }
    quick.rests();

    let model = Model::start();
    let server = Server::start(&home, &["--policy", &model.policy(), "--workers", "2", "--queue", "60"]);
    let clients: Vec<_> = (0..50).map(|place| asks(&server, place % 2 == 0)).collect();
    eventually("both workers are busy", || model.running() == 2);
    eventually("the others wait", || server.gauge("anamnesis_queue_waiting") == Some(48.0));
    for client in &clients {
        client.shutdown(Shutdown::Write).unwrap();
    }
    for client in clients {
        let told = rest(client);
        assert!(!told.contains("event: final") && !told.contains("event: error"), "{told}");
    }
    eventually("the model is left alone", || model.running() == 0);
    server.rests();
    // who had its turn in the moment in which it left may have been heard
    assert!(model.begun() < 10, "{} of 50 were asked of the model", model.begun());
    model.open();
    server.ask(QUESTION).ok();
}

#[test]
fn who_ends_the_sending_side_amid_a_body_is_told_or_let_go() {
    let home = Home::indexed();
    let server = Server::start(&home, &["--workers", "1"]);
    for begin in ["{\"question\":\"", ""] {
        let mut clients: Vec<_> = (0..50).map(|_| server.connect()).collect();
        for client in &mut clients {
            write!(client, "{HEAD}content-length: 1000\r\n\r\n{begin}").unwrap();
            client.shutdown(Shutdown::Write).unwrap();
        }
        for client in clients {
            let told = rest(client);
            assert!(told.is_empty() || told.starts_with("HTTP/1.1 400"), "{told}");
        }
        server.rests();
    }
    server.ask(QUESTION).ok();
}

#[test]
fn who_ends_the_reading_side_amid_a_stream_holds_no_worker() {
    let home = Home::indexed();
    let model = Model::start();
    let server =
        Server::start(&home, &["--policy", &model.policy(), "--workers", "4", "--queue", "0", "--idle-ms", "1000"]);
    let clients: Vec<_> = (0..4).map(|_| asks(&server, true)).collect();
    for client in &clients {
        begun(client);
        client.shutdown(Shutdown::Read).unwrap();
    }
    eventually("all four are asked of the model", || model.running() == 4);
    model.open();
    eventually("all workers are free", || server.gauge("anamnesis_workers_busy") == Some(0.0));
    for _ in 0..5 {
        server.ask(QUESTION).ok();
    }
    drop(clients);
    server.rests();
}
