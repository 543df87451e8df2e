//! A thousand clients at once, of every kind.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Home, QUESTION, Server, eventually, serve};

const CLIENTS: usize = 1_000;
/// What they may cost, in MiB of memory.
const MOST_MIB: u64 = 192;

/// Whether this process may open as many connections; says so where not.
#[expect(clippy::print_stdout, reason = "whoever reads the tests' output is to know what did not run")]
fn has_files() -> bool {
    // other tests of this process have connections too
    let enough = rlimit::increase_nofile_limit(4_096).is_ok_and(|files| files >= 2_048);
    if !enough {
        println!("skipped: a process may open too few files here (ulimit -n)");
    }
    enough
}

/// Posts and does not wait for the answer.
fn post(server: &Server, path: &str, body: &Value) -> TcpStream {
    let body = body.to_string();
    let mut client = server.connect();
    let head = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n");
    // who is turned away may be gone already
    let _ = write!(client, "{head}content-length: {}\r\n\r\n{body}", body.len());
    client
}

/// The status of an answer; none where the connection ended without one.
fn status(client: &TcpStream) -> Option<u16> {
    let mut head = [0; 12];
    let mut client = client;
    client.read_exact(&mut head).ok()?;
    String::from_utf8_lossy(&head[9..]).parse().ok()
}

#[test]
fn a_thousand_clients_of_every_kind_are_served_or_told() {
    if !has_files() {
        return;
    }
    let home = Home::indexed();
    let server = Server::start(&home, &["--idle-ms", "6000"]);
    server.ask(QUESTION).ok();
    let before = server.resident();
    let ask = |stream: bool| post(&server, "/v1/ask", &json!({ "question": QUESTION, "stream": stream }));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|place| match place % 5 {
            0 => ask(false),
            1 => ask(true),
            2 => post(&server, "/v1/retrieve", &json!({ "query": "lithium" })),
            3 => server.connect(),
            _ => {
                let mut client = server.connect();
                client.write_all(b"GET /healthz HTTP/1.1\r\nhost: lo").unwrap();
                client
            }
        })
        .collect();
    eventually("all are there at once", || server.gauge("anamnesis_connections") > Some(CLIENTS as f64));
    let (mut served, mut told) = (0, 0);
    for (place, client) in clients.iter().enumerate().filter(|(place, _)| place % 5 < 3) {
        match status(client) {
            Some(200) => served += 1,
            Some(429) => told += 1,
            other => panic!("client {place}: {other:?}"),
        }
    }
    assert!(served > 0 && served + told == CLIENTS / 5 * 3, "{served} {told}");
    let during = server.resident();
    for client in clients.iter().skip(1).step_by(5) {
        let mut lines = BufReader::new(client).lines().map_while(Result::ok);
        let last = lines.find(|line| line == "event: final" || line.contains("\"code\":\"overloaded\""));
        assert!(last.is_some(), "a stream without an end");
    }
    for mut client in clients.into_iter().skip(3).step_by(5) {
        assert_eq!(client.read(&mut [0; 64]).unwrap_or(0), 0, "who says nothing hears nothing");
    }
    server.rests();
    for _ in 0..3 {
        server.ask(QUESTION).ok();
    }
    if let (Some(before), Some(during), Some(after)) = (before, during, server.resident()) {
        assert!(during.max(after) < before + MOST_MIB, "MiB: {before} before, {during} during, {after} after");
    }
}

#[test]
fn a_thousand_clients_where_a_hundred_have_room_are_served_or_told() {
    if !has_files() {
        return;
    }
    let home = Home::indexed();
    let server = Server::start(&home, &["--connections", "100", "--queue", "100"]);
    let clients: Vec<_> = (0..CLIENTS).map(|_| post(&server, "/v1/retrieve", &json!({ "query": "lithium" }))).collect();
    let statuses: Vec<_> = clients.iter().map(status).collect();
    let count = |wanted| statuses.iter().filter(|status| **status == wanted).count();
    let (served, told, ended) = (count(Some(200)), count(Some(503)), count(None));
    assert_eq!(served + told + ended, CLIENTS, "{statuses:?}");
    assert!(served >= 100 && told >= 100, "{served} served, {told} told, {ended} ended");
    let held: Vec<_> = clients.into_iter().zip(statuses).filter(|(_, status)| *status == Some(200)).collect();
    // whoever comes alone is told
    let told = || {
        let mut told = Vec::new();
        let _ = post(&server, "/v1/retrieve", &json!({ "query": "lithium" })).read_to_end(&mut told);
        String::from_utf8_lossy(&told).into_owned()
    };
    eventually("the others are gone", || told().starts_with("HTTP/1.1 503"));
    for _ in 0..20 {
        let told = told();
        assert!(told.starts_with("HTTP/1.1 503") && told.ends_with("try again in a bit\n"), "{told}");
        assert!(told.contains("\r\nretry-after: 1\r\n"), "{told}");
    }
    drop(held);
    eventually("there is room again", || {
        status(&post(&server, "/v1/retrieve", &json!({ "query": "lithium" }))) == Some(200)
    });
    server.rests();
}

#[test]
fn few_files_mean_few_connections_and_no_failures() {
    let home = Home::indexed();
    let command = serve(home.path(), "127.0.0.1:0", &[]);
    let limited = |limit: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{limit} && exec \"$0\" \"$@\"")]);
        shell.arg(command.get_program()).args(command.get_args()).env("NO_COLOR", "1");
        Server::spawn(&mut shell)
    };
    let crowd = |server: &Server| -> Vec<_> {
        let clients: Vec<_> = (0..300).map(|_| server.connect()).collect();
        let mut first = &clients[0];
        let body = json!({ "question": QUESTION }).to_string();
        let head = "POST /v1/ask HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
        write!(first, "{head}content-length: {}\r\n\r\n{body}", body.len()).unwrap();
        assert_eq!(status(first), Some(200));
        clients
    };
    // what may be raised is raised
    let server = limited("ulimit -Sn 128");
    let clients = crowd(&server);
    assert_eq!(server.gauge("anamnesis_connections"), Some(301.0));
    assert!(!server.log().contains("few open files"), "{}", server.log());
    drop((clients, server));
    // what may not is said, and clients are
    let server = limited("ulimit -n 128");
    let clients = crowd(&server);
    assert_eq!(status(&clients[299]), Some(503));
    assert!(server.log().contains("ulimit -n 1280"), "{}", server.log());
    drop(clients);
    server.rests();
}
