//! Keys: made, shown once, asked for, revoked, expired, and a file of them that is damaged or gone.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use crate::client::{Client, key};
use crate::harness::{Home, QUESTION, Server, command, eventually};

/// What a running service is promised to notice a change in.
const SOON: Duration = Duration::from_secs(2);

fn names(home: &Home) -> Vec<String> {
    let output = command(home.path(), &["--json", "key", "list"]).output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let name = |line: &str| serde_json::from_str::<Value>(line).unwrap()["name"].as_str().unwrap().to_owned();
    lines.lines().map(name).collect()
}

/// Edits `keys.json` as a person would.
fn edit(home: &Home, change: impl Fn(&mut Value)) {
    let path = home.path().join("keys.json");
    let mut keys: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    change(&mut keys);
    fs::write(&path, keys.to_string()).unwrap();
}

#[test]
fn a_key_is_asked_for_as_soon_as_there_is_one() {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    let nobody = Client::new(&server);
    nobody.post("/v1/ask", &json!({ "question": QUESTION })).ok();
    let ward = key(&home, "ward", &[]);
    let made = Instant::now();
    eventually("the service asks for keys", || nobody.post("/v1/retrieve", &json!({ "query": "x" })).status == 401);
    assert!(made.elapsed() < SOON, "{:?}", made.elapsed());
    let refused = nobody.post("/v1/ask", &json!({ "question": QUESTION }));
    assert_eq!(refused.header("www-authenticate"), Some("Bearer realm=\"anamnesis\""));
    assert!(refused.failed(401, "unauthenticated").contains("Authorization: Bearer"));
    for open in ["/", "/healthz", "/readyz", "/openapi.json", "/reference"] {
        assert_eq!(nobody.get(open).status, 200, "{open}");
    }
    nobody.get("/metrics").failed(401, "unauthenticated");
    let known = nobody.with(&ward);
    known.post("/v1/ask", &json!({ "question": QUESTION })).ok();
    let message = known.get("/metrics").failed(403, "forbidden");
    assert!(message.contains("clinician") && message.contains("admin"), "{message}");
    let by_other_header = nobody.send("GET", "/v1/chunks/x", &[("x-api-key", &ward)], None);
    by_other_header.failed(404, "not_found");
}

#[test]
fn only_one_right_key_is_let_in() {
    let (home, other) = (Home::indexed(), Home::with_documents());
    let right = key(&home, "ward", &[]);
    let (revoked, expired) = (key(&home, "revoked", &[]), key(&home, "expired", &["--expires", "90d"]));
    let foreign = key(&other, "ward", &["--role", "admin"]);
    home.run(&["key", "revoke", "revoked"]);
    edit(&home, |keys| keys["keys"][2]["expires"] = json!("2020-01-31T00:00:00Z"));
    let server = Server::start(&home, &["--wrong-keys", "1000"]);
    let client = Client::new(&server);
    let bearer = |key: &str| format!("Bearer {key}");
    let (good, hash) = (bearer(&right), fs::read_to_string(home.path().join("keys.json")).unwrap());
    let hash = serde_json::from_str::<Value>(&hash).unwrap()["keys"][0]["hash"].as_str().unwrap().to_owned();
    let refused: [&[(&str, &str)]; 14] = [
        &[],
        &[("authorization", "")],
        &[("authorization", "Bearer")],
        &[("authorization", "Bearer ")],
        &[("authorization", &right)],
        &[("authorization", &format!("Basic {right}"))],
        &[("authorization", &bearer(&right[..46]))],
        &[("authorization", &bearer(&right.to_uppercase()))],
        &[("authorization", &bearer(&hash))],
        &[("authorization", &bearer(&foreign))],
        &[("authorization", &bearer(&revoked))],
        &[("authorization", &bearer(&expired))],
        &[("authorization", &good), ("authorization", &good)],
        &[("authorization", &good), ("x-api-key", &right)],
    ];
    for headers in refused {
        client.send("POST", "/v1/retrieve", headers, Some(&json!({ "query": "x" }))).failed(401, "unauthenticated");
    }
    for headers in [&[("authorization", good.as_str())], &[("authorization", &format!("bearer  {right} "))]] {
        client.send("POST", "/v1/retrieve", headers, Some(&json!({ "query": "x" }))).ok();
    }
    let log = server.log();
    for secret in [&right, &revoked, &expired, &foreign, &hash] {
        assert!(!log.contains(secret.as_str()));
    }
}

#[test]
fn a_revoked_key_ends_while_the_service_runs() {
    let home = Home::indexed();
    let (ward, clinic) = (key(&home, "ward", &[]), key(&home, "clinic", &[]));
    let server = Server::start(&home, &[]);
    let client = Client::new(&server);
    let asks = |key: &str| client.with(key).post("/v1/retrieve", &json!({ "query": "lithium" })).status;
    assert_eq!((asks(&ward), asks(&clinic)), (200, 200));
    home.run(&["key", "revoke", "ward"]);
    let revoked = Instant::now();
    eventually("the key ends", || asks(&ward) == 401);
    assert!(revoked.elapsed() < SOON, "{:?}", revoked.elapsed());
    assert_eq!(asks(&clinic), 200);
    let next = key(&home, "next", &[]);
    eventually("the new key is let in", || asks(&next) == 200);
}

#[test]
fn a_damaged_file_keeps_the_last_good_keys_and_a_missing_one_lets_nobody_in() {
    let home = Home::indexed();
    let ward = key(&home, "ward", &[]);
    let server = Server::start(&home, &[]);
    let client = Client::new(&server);
    let asks = || client.with(&ward).post("/v1/retrieve", &json!({ "query": "lithium" })).status;
    let path = home.path().join("keys.json");
    let good = fs::read_to_string(&path).unwrap();
    for damaged in [&good[..good.len() / 2], "", "{}", "{\"format\":9,\"keys\":[]}"] {
        fs::write(&path, damaged).unwrap();
        let before = server.log().matches("the keys cannot be read").count();
        eventually("the damage is noticed", || server.log().matches("the keys cannot be read").count() > before);
        assert_eq!(asks(), 200, "{damaged}");
        assert_eq!(client.post("/v1/retrieve", &json!({ "query": "x" })).status, 401, "{damaged}");
        for args in [&["serve", "--listen", "127.0.0.1:0"][..], &["key", "create", "more"], &["key", "list"]] {
            let output = command(home.path(), args).output().unwrap();
            let message = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{args:?}: {message}");
            assert!(message.contains("keys.json is damaged") && message.contains("put a good copy back"), "{message}");
        }
    }
    fs::remove_file(&path).unwrap();
    eventually("nobody is let in", || asks() == 401);
    client.post("/v1/retrieve", &json!({ "query": "x" })).failed(401, "unauthenticated");
    assert_eq!(client.get("/healthz").status, 200);
    fs::write(&path, good).unwrap();
    eventually("the keys are back", || asks() == 200);
}

#[test]
fn a_revocation_in_a_file_that_could_not_be_read_at_first_is_not_missed() {
    let home = Home::indexed();
    let (ward, clinic) = (key(&home, "ward", &[]), key(&home, "clinic", &[]));
    let server = Server::start(&home, &[]);
    let client = Client::new(&server);
    let asks = |key: &str| client.with(key).post("/v1/retrieve", &json!({ "query": "lithium" })).status;
    let path = home.path().join("keys.json");
    let good = fs::read_to_string(&path).unwrap();
    home.run(&["key", "revoke", "ward"]);
    let revoked = fs::read(&path).unwrap();
    fs::write(&path, good).unwrap();
    eventually("the key is back", || asks(&ward) == 200);
    // nothing tells the two states apart but what they hold, as where the reading failed and not the file
    let write = |content: &[u8]| {
        fs::write(&path, content).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    };
    write(&vec![b' '; revoked.len()]);
    thread::sleep(SOON);
    assert!(server.log().contains("the keys cannot be read"));
    assert_eq!(asks(&ward), 200);
    write(&revoked);
    eventually("the key ends", || asks(&ward) == 401);
    assert_eq!(asks(&clinic), 200);
    // a look can meet the file while it is written
    assert!(server.log().matches("the keys cannot be read").count() <= 2, "told at each look");
}

#[test]
fn a_key_is_shown_once_and_only_its_owner_reads_the_file() {
    let home = Home::with_documents();
    let nothing = command(home.path(), &["key", "list"]).output().unwrap();
    assert_eq!(nothing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("anamnesis key create"));
    let made: Value = serde_json::from_str(&home.run(&["--json", "key", "create", "ward"])).unwrap();
    let secret = made["key"].as_str().unwrap();
    assert!(secret.starts_with("ana_") && secret.len() == 47, "{secret}");
    let path = home.path().join("keys.json");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let options = ["--role", "curator", "--collection", "a", "--collection", "b", "--quota", "7", "--expires", "2d"];
    key(&home, "clinic", &options);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!fs::read_to_string(&path).unwrap().contains(secret));
    let list = home.run(&["--json", "key", "list"]);
    let listed: Vec<Value> = list.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&listed[0]["name"], &listed[0]["role"]), (&json!("ward"), &json!("clinician")));
    assert_eq!((&listed[1]["collections"], &listed[1]["quota"]), (&json!(["a", "b"]), &json!(7)));
    assert!(listed.iter().all(|key| key["standing"] == "active" && key.get("hash").is_none()), "{list}");
    for (args, expect) in [
        (&["key", "create", "ward"][..], "exists or existed"),
        (&["key", "create", "local"], "take another name"),
        (&["key", "create", "x y"], "is no name"),
        (&["key", "create", "z", "--expires", "2020-01-01"], "lies in the past"),
        (&["key", "revoke", "nobody"], "anamnesis key list"),
    ] {
        let output = command(home.path(), args).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && message.contains(expect), "{args:?}: {message}");
    }
    let before: Value = serde_json::from_str(&home.run(&["--json", "key", "revoke", "ward"])).unwrap();
    let again: Value = serde_json::from_str(&home.run(&["--json", "key", "revoke", "ward"])).unwrap();
    assert_eq!((&before["revoked"], &again["revoked"]), (&json!(true), &json!(false)));
    assert!(home.run(&["key", "list"]).contains("revoked"));
}

#[test]
fn keys_made_at_once_are_all_kept() {
    let home = Home::with_documents();
    thread::scope(|scope| {
        for maker in 0..6 {
            let home = &home;
            scope.spawn(move || (0..5).for_each(|n| drop(key(home, &format!("key-{maker}-{n}"), &[]))));
        }
    });
    let mut found = names(&home);
    found.sort();
    let mut expect: Vec<_> = (0..6).flat_map(|maker| (0..5).map(move |n| format!("key-{maker}-{n}"))).collect();
    expect.sort();
    assert_eq!(found, expect);
}

#[test]
fn a_kill_while_a_key_is_made_leaves_the_others() {
    let home = Home::with_documents();
    let mut kept = Vec::new();
    let mut cut = 0;
    for round in 0..60_u64 {
        let name = format!("key-{round}");
        let mut child = command(home.path(), &["key", "create", &name])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_micros(round * 400));
        child.kill().unwrap();
        if child.wait().unwrap().success() {
            kept.push(name);
        } else {
            cut += 1;
        }
    }
    // a kill after the rename leaves a key that nobody was shown, which is harmless
    let found = names(&home);
    assert!(kept.iter().all(|name| found.contains(name)), "{kept:?} {found:?}");
    assert!(cut > 0, "no kill came in time");
    key(&home, "last", &[]);
    assert_eq!(names(&home).last().unwrap(), "last");
}
