//! Writes that cannot be done: another writer has the home, the disk is full. Reads go on.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use crate::documents::{add, lines};
use crate::harness::{Home, QUESTION, Server, serve};

fn tag(key: &str) -> serde_json::Value {
    json!({ "ids": [format!("documents:{key}")], "tag": "x", "reason": "a test" })
}

/// What a reader may ask goes on being answered.
fn assert_reads(server: &Server) {
    assert_eq!(server.get("/v1/documents").ok()["documents"].as_array().unwrap().len(), 4);
    server.get("/v1/documents/documents:asthma").ok();
    server.get("/v1/traces").ok();
    assert_eq!(server.ask(QUESTION).ok()["abstained"], false);
}

#[test]
fn another_writer_is_waited_for_and_then_told() {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    let other = rusqlite::Connection::open(home.path().join("corpus.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = server.post("/v1/documents/tag", &tag("asthma"));
    assert!(refused.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().unwrap() > 0));
    refused.failed(503, "busy");
    let body =
        json!({ "collection": "notes", "format": "jsonl", "content": lines(["1".to_owned()]), "reason": "a test" });
    server.post("/v1/documents", &body).failed(503, "busy");
    assert_eq!(server.get("/v1/documents").ok()["documents"].as_array().unwrap().len(), 4);
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(server.post("/v1/documents/tag", &tag("asthma")).ok()["changed"], 1);
    server.post("/v1/documents", &body).ok();
}

#[test]
fn writers_at_once_lose_nothing() {
    let home = Home::indexed();
    let server = Server::start(&home, &["--workers", "4"]);
    std::thread::scope(|scope| {
        for client in 0..6 {
            let server = &server;
            scope.spawn(move || {
                for round in 0..8 {
                    assert_eq!(add(server, "notes", &lines([format!("{client}-{round}")]))["added"], 1);
                    let body =
                        json!({ "ids": ["documents:asthma"], "tag": format!("{client}-{round}"), "reason": "a test" });
                    assert_eq!(server.post("/v1/documents/tag", &body).ok()["changed"], 1);
                }
            });
        }
    });
    assert_eq!(server.get("/v1/documents/documents:asthma").ok()["tags"].as_array().unwrap().len(), 48);
    assert_eq!(server.get("/v1/documents?collection=notes&limit=200").ok()["documents"].as_array().unwrap().len(), 48);
}

/// A limit on the size of files is a disk that refuses to be written, without rights that a test may not have.
#[test]
fn a_disk_that_refuses_is_told_and_reads_go_on() {
    let home = Home::indexed();
    let usual = serve(home.path(), "127.0.0.1:0", &[]);
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "trap '' XFSZ; ulimit -f 2048; exec \"$0\" \"$@\""])
        .arg(usual.get_program())
        .args(usual.get_args());
    let server = Server::spawn(&mut limited);
    let mut refused = None;
    for round in 0..40 {
        let text = "Each of these words takes a place on the disk. ".repeat(3_000);
        let content = json!({ "id": round.to_string(), "text": format!("{round} {text}") }).to_string();
        let body = json!({ "collection": "notes", "format": "jsonl", "content": content, "reason": "a test" });
        let reply = server.post("/v1/documents", &body);
        if reply.status != 200 {
            refused = Some((round, reply));
            break;
        }
    }
    let (kept, reply) = refused.expect("the limit was not reached");
    let message = reply.failed(507, "storage_full");
    assert!(message.contains("disk") && !message.contains(&home.path().display().to_string()), "{message}");
    let listed = server.get("/v1/documents?collection=notes&limit=200").ok();
    assert_eq!(listed["documents"].as_array().unwrap().len(), kept, "what was acknowledged is there, and nothing else");
    assert_eq!(server.ask(QUESTION).ok()["abstained"], false);
    drop(server);
    // with room again, the same home is written as before
    let server = Server::start(&home, &[]);
    assert_eq!(server.post("/v1/documents/tag", &tag("asthma")).ok()["changed"], 1);
}

/// A small disk of its own; gone when dropped.
struct Disk {
    dir: TempDir,
}

impl Disk {
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"]).arg(dir.path()).output();
        mount.is_ok_and(|output| output.status.success()).then_some(Self { dir })
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.dir.path()).status();
    }
}

fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    while file.write_all(&[7; 4096]).is_ok() {}
}

#[test]
fn on_a_full_disk_reads_go_on_and_writes_say_why() {
    let Some(disk) = Disk::mount() else {
        eprintln!("skipped: no disk may be mounted here, so a full one was not tested");
        return;
    };
    let home = disk.dir.path().join("home");
    let copied = Command::new("cp").arg("-r").arg(Home::indexed().path()).arg(&home).status().unwrap();
    assert!(copied.success());
    let server = Server::spawn(&mut serve(&home, "127.0.0.1:0", &[]));
    server.ask(QUESTION).ok();
    let filler = disk.dir.path().join("filler");
    fill(&filler);
    let body = json!({ "collection": "notes", "format": "jsonl", "content": lines((0..50).map(|key| key.to_string())), "reason": "a test" });
    server.post("/v1/documents", &body).failed(507, "storage_full");
    assert_reads(&server);
    std::fs::remove_file(&filler).unwrap();
    assert_eq!(server.post("/v1/documents", &body).ok()["added"], 50);
    assert_eq!(server.post("/v1/documents/tag", &tag("asthma")).ok()["changed"], 1);
}
