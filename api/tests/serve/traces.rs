//! Stored answers over HTTP and at the command line, and their end.

use corpus::Store;
use corpus::store::{NewTrace, TraceListing};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::harness::{Home, QUESTION, Server, command, eventually};

fn ids(server: &Server, query: &str) -> Vec<String> {
    let traces = server.get(&format!("/v1/traces?{query}")).ok()["traces"].take();
    traces.as_array().unwrap().iter().map(|trace| trace["id"].as_str().unwrap().to_owned()).collect()
}

/// Stores a trace of somebody, as a service of other settings would have.
fn put(home: &Home, caller: &str, expires: Option<Timestamp>) -> String {
    let created = Timestamp::now();
    let id = agent::TraceId::new(created, caller.as_bytes()).to_string();
    let trace = NewTrace {
        id: id.clone(),
        created,
        expires,
        caller: caller.to_owned(),
        outcome: "answered".to_owned(),
        question: format!("asked by {caller}"),
        cited: Vec::new(),
        told: None,
    };
    Store::open(&home.path().join("corpus.db")).unwrap().put_trace(&trace, "{\"z\":1.50,\"as\":\"it  was\"}").unwrap();
    id
}

#[test]
fn answers_are_listed_read_and_erased() {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    let asked: Vec<String> =
        (0..5).map(|_| server.ask(QUESTION).ok()["trace_id"].as_str().unwrap().to_owned()).collect();
    let newest_first: Vec<_> = asked.iter().rev().cloned().collect();
    assert_eq!(ids(&server, ""), newest_first);
    let page = server.get("/v1/traces?limit=2").ok();
    assert_eq!(page["next"], json!(newest_first[1]));
    assert_eq!(ids(&server, &format!("limit=9&after={}", newest_first[1])), newest_first[2..]);
    let card = page["traces"][0].clone();
    assert_eq!(
        (&card["caller"], &card["question"], &card["outcome"]),
        (&json!("local"), &json!(QUESTION), &json!("answered"))
    );
    let days = |time: &Value| time.as_str().unwrap().parse::<Timestamp>().unwrap();
    let kept = days(&card["expires"]).duration_since(days(&card["created"]));
    // it ends on a whole second, the episode began within one
    assert_eq!((kept.as_secs() + 1) / 86_400, 90);

    let whole = server.get(&format!("/v1/traces/{}", asked[0])).ok();
    let exported: Value = serde_json::from_str(&home.run(&["replay", "--export", &asked[0]])).unwrap();
    assert_eq!((&whole["trace"], &whole["id"], &whole["outcome"]), (&exported, &json!(asked[0]), &json!("answered")));
    let shown = home.run(&["trace", "show", &asked[0]]);
    assert!(shown.contains(QUESTION) && shown.contains("no medical advice"), "{shown}");

    assert_eq!(server.delete(&format!("/v1/traces/{}", asked[0])).ok(), json!({ "erased": 1 }));
    server.get(&format!("/v1/traces/{}", asked[0])).failed(404, "not_found");
    server.delete(&format!("/v1/traces/{}", asked[0])).failed(404, "not_found");
    assert_eq!(server.delete("/v1/traces?caller=nobody").ok(), json!({ "erased": 0 }));
    assert_eq!(server.delete("/v1/traces?caller=local").ok(), json!({ "erased": 4 }));
    assert_eq!(ids(&server, ""), [""; 0]);
}

#[test]
fn what_is_not_in_order_is_refused() {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    for query in ["limit=0", "limit=201", "after=nonsense", "before=x", "limit=1&limit=2"] {
        server.get(&format!("/v1/traces?{query}")).failed(400, "invalid_request");
    }
    // to erase everything by leaving out whose would be an accident
    assert!(server.delete("/v1/traces").failed(400, "invalid_request").contains("caller"));
    server.delete("/v1/traces?all=true").failed(400, "invalid_request");
    for id in ["nonsense", "%FF", "00000000000000000000000000"] {
        server.get(&format!("/v1/traces/{id}")).failed(404, "not_found");
        server.delete(&format!("/v1/traces/{id}")).failed(404, "not_found");
    }
}

#[test]
fn an_answer_whose_time_is_over_is_never_given_and_soon_gone() {
    let home = Home::indexed();
    let old = put(&home, "ada", Some(Timestamp::now() - SignedDuration::from_hours(1)));
    let kept = put(&home, "bob", Some(Timestamp::now() + SignedDuration::from_hours(1)));
    let server = Server::start(&home, &[]);
    assert_eq!(ids(&server, ""), [kept.as_str()]);
    server.get(&format!("/v1/traces/{old}")).failed(404, "not_found");
    let head = "HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let (_, whole) = server.raw(&format!("GET /v1/traces/{kept} {head}"));
    assert!(whole.contains(r#""trace":{"z":1.50,"as":"it  was"}"#), "{whole}");
    assert_eq!((ids(&server, "caller=ada").len(), ids(&server, "caller=bob").len()), (0, 1));
    let count = || -> i64 {
        let database = rusqlite::Connection::open(home.path().join("corpus.db")).unwrap();
        database.query_row("SELECT count(*) FROM traces", [], |row| row.get(0)).unwrap()
    };
    eventually("it is erased", || count() == 1);
}

#[test]
fn traces_are_kept_as_long_as_the_service_is_told() {
    let home = Home::indexed();
    let none = Server::start(&home, &["--keep-traces", "0"]);
    let answer = none.ask(QUESTION).ok();
    assert!(answer.get("warnings").is_none(), "{answer}");
    assert_eq!(ids(&none, ""), [""; 0]);
    drop(none);
    let forever = Server::start(&home, &["--keep-traces", "forever"]);
    forever.ask(QUESTION).ok();
    assert_eq!(forever.get("/v1/traces").ok()["traces"][0]["expires"], Value::Null);
    let output = command(home.path(), &["serve", "--keep-traces", "long"]).output().unwrap();
    assert!(String::from_utf8(output.stderr).unwrap().contains("forever"));
}

#[test]
fn the_command_lists_and_erases_too() {
    let home = Home::indexed();
    let (first, second) = (put(&home, "ada", None), put(&home, "bob", None));
    home.run(&["ask", QUESTION]);
    let listed = |args: &[&str]| -> Vec<Value> {
        let args = [&["--json", "trace", "list"], args].concat();
        let output = command(home.path(), &args).output().unwrap();
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    assert_eq!(listed(&[]).len(), 3);
    assert_eq!((&listed(&[])[0]["caller"], &listed(&[])[0]["expires"]), (&json!("local"), &Value::Null));
    assert_eq!(listed(&["--caller", "ada"])[0]["id"], json!(first));
    assert_eq!(listed(&["--limit", "1", "--after", &second])[0]["id"], json!(first));
    assert!(home.run(&["trace", "list"]).contains("asked by bob"));
    assert_eq!(home.run(&["--json", "trace", "erase", &first]).trim(), "{\"erased\":1}");
    assert_eq!(home.run(&["--json", "trace", "erase", "--caller", "bob"]).trim(), "{\"erased\":1}");
    let early = command(home.path(), &["trace", "erase", "--before", "2020"]).output().unwrap();
    assert_eq!(early.status.code(), Some(1));
    assert_eq!(home.run(&["--json", "trace", "erase", "--before", "2100-01-01"]).trim(), "{\"erased\":1}");
    for args in
        [&["trace", "erase"] as &[_], &["trace", "erase", "--caller", "a", "--before", "2020"], &["trace", "show", "x"]]
    {
        assert_eq!(command(home.path(), args).output().unwrap().status.code(), Some(2), "{args:?}");
    }
    let store = Store::open_read_only(&home.path().join("corpus.db")).unwrap();
    assert_eq!(store.traces(&TraceListing::default()).unwrap(), []);
}
