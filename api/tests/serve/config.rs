//! The configuration file: an example of it, what is read of it, and a check of everything before a start.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use serde_json::Value;

use crate::client::{Client, key};
use crate::harness::{Home, Server, command};

fn run(home: &Home, args: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command(home.path(), args).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// What each check came to, by name.
#[track_caller]
fn check(home: &Home, args: &[&str]) -> (Option<i32>, Vec<(String, bool, String)>) {
    let all: Vec<_> = [&["--json", "serve", "--check"][..], args].concat();
    let (code, told, _) = run(home, &all);
    let lines = told
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line.get("check").is_some());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let checks =
        lines.map(|line| (text(&line["check"]), line["ok"].as_bool().unwrap(), text(&line["message"]))).collect();
    (code, checks)
}

#[track_caller]
fn fails(home: &Home, args: &[&str], name: &str, expect: &str) {
    let (code, checks) = check(home, args);
    assert_eq!(code, Some(2), "{checks:?}");
    assert_eq!(checks.len(), 8, "all are tried: {checks:?}");
    for (what, ok, message) in &checks {
        assert_eq!(*ok, what != name, "{what}: {message}");
        assert!(*ok || message.contains(expect), "{message}");
    }
}

#[test]
fn the_example_is_explained_and_can_be_used() {
    let home = Home::indexed();
    let (code, example, _) = run(&home, &["serve", "--print-config"]);
    assert_eq!(code, Some(0));
    let (_, help, _) = run(&home, &["serve", "--help"]);
    let keys: Vec<_> = example
        .lines()
        .filter_map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')))
        .map(|line| line.split(" = ").next().unwrap())
        .collect();
    assert!(keys.len() > 20, "{keys:?}");
    for key in &keys {
        assert!(help.contains(&format!("--{} ", key.replace('_', "-"))), "{key} is no option");
    }
    let mut options: Vec<_> =
        help.split_whitespace().filter_map(|word| word.strip_prefix("--")).map(|word| word.replace('-', "_")).collect();
    let others = ["home", "json", "color", "verbose", "help", "version", "config", "print_config", "check"];
    options.retain(|option| {
        !others.contains(&option.as_str()) && option.chars().all(|c| c.is_ascii_lowercase() || c == '_')
    });
    assert!(options.iter().all(|option| keys.contains(&option.as_str())), "{options:?}");
    let all: String = example
        .lines()
        .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line).to_owned() + "\n")
        .collect();
    let file = home.path().join("all.toml");
    fs::write(&file, all).unwrap();
    let (_, checks) = check(&home, &["--config", file.to_str().unwrap(), "--listen", "127.0.0.1:0"]);
    assert_eq!((checks[0].0.as_str(), checks[0].1), ("config", true), "{checks:?}");
    // as printed it changes nothing
    fs::write(&file, example).unwrap();
    let (code, checks) = check(&home, &["--config", file.to_str().unwrap(), "--listen", "127.0.0.1:0"]);
    assert_eq!(code, Some(0), "{checks:?}");
}

#[test]
fn the_homes_file_is_read_and_the_command_line_wins() {
    let home = Home::indexed();
    let file = home.path().join("anamnesis.toml");
    fs::write(
        &file,
        "[service]\nmax_body = 100\nlisten = \"192.0.2.1:1\"\n[access]\nhost = [\"evidence.example.org\"]\n",
    )
    .unwrap();
    let long = serde_json::json!({ "query": "x".repeat(200) });
    // the harness names an address of its own
    let server = Server::start(&home, &[]);
    let client = Client::new(&server);
    client.post("/v1/retrieve", &long).failed(413, "too_large");
    let named = |name: &str| client.send("GET", "/healthz", &[("host", name)], None).status;
    assert_eq!((named("evidence.example.org:443"), named("other.example.org")), (200, 421));
    let server = Server::start(&home, &["--max-body", "10000", "--host", "other.example.org"]);
    let client = Client::new(&server);
    client.post("/v1/retrieve", &long).ok();
    let named = |name: &str| client.send("GET", "/healthz", &[("host", name)], None).status;
    assert_eq!((named("evidence.example.org"), named("other.example.org")), (421, 200));
    for (text, expect) in [
        ("[service]\nqueues = 1", "service.queues is no key"),
        ("[service]\nlisten = \"nowhere\"", "service.listen: invalid value 'nowhere'"),
        ("[more]\nx = 1", "[more] is no section"),
        ("[service", "TOML parse error"),
    ] {
        fs::write(&file, text).unwrap();
        let (code, _, message) = run(&home, &["serve", "--listen", "127.0.0.1:0"]);
        assert!(code == Some(2) && message.contains(expect) && message.contains("anamnesis.toml"), "{message}");
        assert!(message.contains("--print-config"), "{message}");
    }
    let (code, _, message) = run(&home, &["serve", "--config", "/nowhere.toml"]);
    assert!(code == Some(2) && message.contains("/nowhere.toml is not there"), "{message}");
}

#[test]
fn a_check_tries_everything_and_names_what_is_wrong() {
    let home = Home::indexed();
    let any = ["--listen", "127.0.0.1:0"];
    let (code, checks) = check(&home, &any);
    assert_eq!(code, Some(0), "{checks:?}");
    assert!(checks.iter().all(|(_, ok, _)| *ok) && checks.len() == 8, "{checks:?}");
    assert!(!home.path().join("audit.jsonl").try_exists().unwrap(), "a check leaves nothing behind");

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    fails(&home, &["--listen", &address], "address", "take another with --listen");
    fails(&home, &["--listen", "127.0.0.1:0", "--policy", "no-such-model"], "policy", "no-such-model");
    let nobody = "openai:http://127.0.0.1:9/v1#m";
    fails(&home, &["--listen", "127.0.0.1:0", "--policy", nobody], "policy", "nobody answers");
    fails(&home, &["--listen", "127.0.0.1:0", "--judge", "no-such-scorer"], "judge", "no-such-scorer");
    let privacy = || check(&home, &any).1.into_iter().find(|(what, ..)| what == "privacy").unwrap().2;
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(privacy(), "the home is for its owner alone");
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(privacy().contains("chmod go= "), "{}", privacy());
    let (code, checks) = check(&home, &["--listen", "0.0.0.0:0"]);
    assert!(
        code == Some(2)
            && checks
                .iter()
                .any(|(what, ok, message)| what == "keys" && !ok && message.contains("anamnesis key create")),
        "{checks:?}"
    );
    key(&home, "ward", &[]);
    let (code, checks) = check(&home, &["--listen", "0.0.0.0:0"]);
    assert_eq!(code, Some(0), "{checks:?}");
    home.run(&["key", "revoke", "ward"]);
    fails(&home, &["--listen", "0.0.0.0:0"], "keys", "revoked or expired");
    fs::write(home.path().join("keys.json"), "{").unwrap();
    fails(&home, &any, "keys", "keys.json is damaged");
    fs::remove_file(home.path().join("keys.json")).unwrap();
    fs::remove_file(home.path().join("snapshots/CURRENT")).unwrap();
    fails(&home, &any, "index", "anamnesis index build");
}

#[test]
fn with_a_key_other_addresses_may_be_listened_on() {
    let home = Home::indexed();
    let ward = key(&home, "ward", &[]);
    let server = Server::start_on(&home, "0.0.0.0:0", &[]);
    let client = Client::new(&server).with(&ward);
    client.post("/v1/retrieve", &serde_json::json!({ "query": "lithium" })).ok();
    Client::new(&server).get("/v1/chunks/x").failed(401, "unauthenticated");
    for (host, status) in [("127.0.0.1", 404), ("192.0.2.9", 421), ("evil.example.org", 421)] {
        assert_eq!(client.send("GET", "/v1/chunks/x", &[("host", host)], None).status, status, "{host}");
    }
}
