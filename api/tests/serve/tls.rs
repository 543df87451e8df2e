//! TLS of the service's own: certificates that are read, renewed and refused, and clients that do not come to a handshake.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::client::key;
use crate::harness::{Home, PATIENCE, QUESTION, Server, command, eventually, serve};

/// Of nobody, made for these tests: each signed by itself, for localhost; of three, one is out of date.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls").join(name)
}

/// Puts a certificate and its key where a service finds them.
fn put(home: &Home, name: &str) -> [String; 2] {
    ["pem", "key"].map(|kind| {
        let file = home.path().join(format!("tls.{kind}"));
        fs::copy(fixture(&format!("{name}.{kind}")), &file).unwrap();
        file.to_str().unwrap().to_owned()
    })
}

fn start(home: &Home, more: &[&str]) -> Server {
    let [cert, key] = put(home, "service");
    let mut args = vec!["--tls-cert", cert.as_str(), "--tls-key", key.as_str()];
    args.extend(more);
    Server::start(home, &args)
}

/// A client that trusts one certificate alone.
fn trusting(name: &str) -> ureq::Agent {
    let pem = fs::read(fixture(&format!("{name}.pem"))).unwrap();
    let certificate = Certificate::from_pem(&pem).unwrap();
    let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&[certificate])).build();
    let config = ureq::Agent::config_builder().tls_config(tls).timeout_global(Some(PATIENCE)).max_idle_connections(0);
    config.build().into()
}

fn https(server: &Server, path: &str) -> String {
    server.url(path).replacen("http://", "https://", 1)
}

/// Whether somebody is answered who trusts one certificate alone, and remembers nothing of an earlier connection.
fn is_well(server: &Server, trusted: &str) -> bool {
    trusting(trusted).get(https(server, "/healthz")).call().is_ok()
}

#[test]
fn a_question_is_answered_over_tls() {
    let home = Home::indexed();
    let server = start(&home, &[]);
    let client = trusting("service");
    let mut response = client.post(https(&server, "/v1/ask")).send_json(json!({ "question": QUESTION })).unwrap();
    let only_tls = response.headers().get("strict-transport-security").unwrap().to_str().unwrap().to_owned();
    assert!(only_tls.starts_with("max-age="), "{only_tls}");
    let answer: Value = response.body_mut().read_json().unwrap();
    assert!(answer["answer"].as_str().unwrap().contains("acidosis"), "{answer}");
    assert!(!is_well(&server, "renewed"), "another certificate is trusted");
    let wrong = client.get(https(&server, "/healthz")).header("host", "evil.example.org").call().unwrap_err();
    assert!(matches!(wrong, ureq::Error::StatusCode(421)), "{wrong}");
    server.terminate();
}

#[test]
fn whoever_speaks_plainly_is_told_so() {
    let home = Home::indexed();
    let server = start(&home, &[]);
    let (status, response) = server.raw("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert!(status == 400 && response.contains("https://") && response.contains("connection: close"), "{response}");
    assert!(is_well(&server, "service"));
}

#[test]
fn who_does_not_finish_a_handshake_holds_no_place_for_long() {
    let home = Home::indexed();
    let server = start(&home, &["--idle-ms", "400", "--connections", "2"]);
    let since = Instant::now();
    let silent = [&b""[..], b"\x16\x03\x01\x02\x00\x01"].map(|begun| {
        let mut stream = server.connect();
        stream.write_all(begun).unwrap();
        stream
    });
    let full = || server.connect().read(&mut [0; 16]).is_ok_and(|read| read > 0);
    eventually("both places are taken", full);
    for mut stream in silent {
        let mut rest = Vec::new();
        // the end of the connection, said or not
        let _ = stream.read_to_end(&mut rest);
    }
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    eventually("places are free again", || is_well(&server, "service"));
    // and one of them does not hold up the end
    let mut server = start(&home, &["--idle-ms", "60000"]);
    let _silent = server.connect();
    thread::sleep(Duration::from_millis(100));
    let since = Instant::now();
    server.terminate();
    assert!(server.ended().success() && since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
}

#[test]
fn a_renewed_certificate_is_taken_up_and_a_broken_one_is_not() {
    let home = Home::indexed();
    let server = start(&home, &[]);
    let (old, new) = ("service", "renewed");
    assert!(is_well(&server, old));
    // as it is while the key is not renewed yet
    fs::copy(fixture("renewed.pem"), home.path().join("tls.pem")).unwrap();
    eventually("it is noticed", || server.log().contains("the last good ones stay"));
    assert!(server.log().contains("is not that of the certificate"), "{}", server.log());
    assert!(is_well(&server, old) && !is_well(&server, new));
    fs::copy(fixture("renewed.key"), home.path().join("tls.key")).unwrap();
    eventually("the new one is taken up", || is_well(&server, new));
    assert!(!is_well(&server, old));
    put(&home, "expired");
    eventually("it is warned of", || server.log().contains("expired 2021-01-01T00:00:00Z"));
}

#[test]
fn what_is_wrong_with_the_files_is_said_before_a_start() {
    let home = Home::indexed();
    let file = |name: &str| fixture(name).to_str().unwrap().to_owned();
    let empty = home.path().join("empty.pem");
    fs::write(&empty, "nothing\n").unwrap();
    let (empty, gone) = (empty.to_str().unwrap().to_owned(), "/nowhere/chain.pem".to_owned());
    let check = |cert: Option<&String>, key: Option<&String>| {
        let mut args = vec!["--json", "serve", "--check", "--listen", "127.0.0.1:0"];
        args.extend(cert.into_iter().flat_map(|file| ["--tls-cert", file.as_str()]));
        args.extend(key.into_iter().flat_map(|file| ["--tls-key", file.as_str()]));
        let output = command(home.path(), &args).output().unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        let lines = told.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let line = lines.into_iter().find(|line| line["check"] == "tls").unwrap();
        (output.status.code(), line["message"].as_str().unwrap().to_owned())
    };
    let (cert, key_file) = (file("service.pem"), file("service.key"));
    for (cert, key, expect) in [
        (Some(&gone), Some(&key_file), "--tls-cert: cannot read /nowhere/chain.pem"),
        (Some(&cert), Some(&gone), "--tls-key: cannot read"),
        (Some(&empty), Some(&key_file), "empty.pem holds no certificate"),
        (Some(&key_file), Some(&key_file), "service.key holds no certificate"),
        (Some(&cert), Some(&cert), "service.pem holds no private key"),
        (Some(&cert), Some(&file("renewed.key")), "is not that of the certificate in"),
        (Some(&cert), None, "--tls-cert has no key"),
        (None, Some(&key_file), "--tls-key has no certificate"),
    ] {
        let (code, message) = check(cert, key);
        assert!(code == Some(2) && message.contains(expect), "{expect}: {message}");
    }
    for (name, expect) in [("service", "are in order"), ("expired", "expired 2021-01-01T00:00:00Z: renew it")] {
        let (code, message) = check(Some(&file(&format!("{name}.pem"))), Some(&file(&format!("{name}.key"))));
        assert!(code == Some(0) && message.contains(expect), "{message}");
        assert_eq!(message.contains("expire"), name == "expired", "{message}");
    }
    assert_eq!(check(None, None), (Some(0), "none: plain HTTP".to_owned()));

    let refused = |listen: &str, key: &str| {
        let output = serve(home.path(), listen, &["--tls-cert", &cert, "--tls-key", key]).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, message) = refused("127.0.0.1:0", &file("renewed.key"));
    assert!(code == Some(2) && message.contains("is not that of the certificate"), "{message}");
    // TLS says who the service is, not who may ask
    let (code, message) = refused("0.0.0.0:0", &key_file);
    assert!(code == Some(2) && message.contains("anamnesis key create"), "{message}");
    key(&home, "ward", &[]);
    let server = Server::start_on(&home, "0.0.0.0:0", &["--tls-cert", &cert, "--tls-key", &key_file]);
    assert!(is_well(&server, "service"));
}
