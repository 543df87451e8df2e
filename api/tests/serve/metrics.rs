//! Numbers and logs: in a form that programs read, rising as they should, and silent about questions.

use std::collections::BTreeMap;
use std::thread;

use serde_json::{Value, json};

use crate::client::{Client, key};
use crate::harness::{Home, QUESTION, Server, eventually};
use crate::model::Model;

/// Samples by name and labels as written.
type Samples = BTreeMap<String, f64>;

/// Reads OpenMetrics text, strictly: families in one piece, described before their samples, suffixes as
/// their type has them, labels well formed, each sample once, buckets rising to their count, an end.
#[track_caller]
fn parse(text: &str) -> Samples {
    let mut samples = Samples::new();
    let mut types: BTreeMap<String, String> = BTreeMap::new();
    let mut family = String::new();
    let body = text.strip_suffix("# EOF\n").expect("no end");
    for line in body.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let (kind, rest) = comment.split_once(' ').unwrap();
            let (name, said) = rest.split_once(' ').unwrap();
            assert!(["HELP", "TYPE", "UNIT"].contains(&kind), "{line}");
            assert!(name.starts_with("anamnesis_") && is_name(name), "{line}");
            if name != family {
                assert!(!types.contains_key(name), "{name} comes twice");
                name.clone_into(&mut family);
            }
            if kind == "TYPE" {
                assert!(["counter", "gauge", "histogram"].contains(&said), "{line}");
                types.insert(family.clone(), said.to_owned());
            }
            if kind == "UNIT" {
                assert!(name.ends_with(&format!("_{said}")), "{line}");
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let name = series.split('{').next().unwrap();
        let suffix = name.strip_prefix(&family).unwrap_or_else(|| panic!("{name} is no sample of {family}"));
        let suffixes: &[&str] = match types[&family].as_str() {
            "counter" => &["_total"],
            "gauge" => &[""],
            _ => &["_sum", "_count", "_bucket"],
        };
        assert!(suffixes.contains(&suffix), "{line}");
        if let Some(labels) = series.strip_prefix(name).filter(|labels| !labels.is_empty()) {
            for label in labels.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap().split("\",") {
                let (key, value) = label.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
                let value = value.strip_suffix('"').unwrap_or(value);
                assert!(is_name(key) && !value.contains(['"', '\\', '\n']), "{line}");
            }
        }
        let value: f64 = value.parse().unwrap();
        assert!(value.is_finite() && (value >= 0.0 || types[&family] == "gauge"), "{line}");
        assert!(samples.insert(series.to_owned(), value).is_none(), "{series} comes twice");
    }
    for (series, value) in samples.iter().filter(|(series, _)| series.contains("_bucket{")) {
        let bound = series.split_once("le=\"").unwrap().1.split('"').next().unwrap();
        let infinite = series.replace(&format!("le=\"{bound}\""), "le=\"+Inf\"");
        assert!(*value <= samples[&infinite], "{series}");
    }
    samples
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[track_caller]
fn read(client: &Client) -> Samples {
    let response = client.get("/metrics");
    assert_eq!(response.status, 200, "{}", response.text);
    assert!(response.header("content-type").unwrap().starts_with("application/openmetrics-text; version=1.0.0"));
    parse(&response.text)
}

fn of(samples: &Samples, series: &str) -> f64 {
    samples.get(series).copied().unwrap_or(0.0)
}

#[test]
fn counts_rise_with_what_is_done_and_labels_stay_few() {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    let client = Client::new(&server);
    let before = read(&client);
    assert_eq!(of(&before, "anamnesis_build_info{version=\"0.1.0\"}"), 1.0, "{before:#?}");
    assert!((0.0..600.0).contains(&of(&before, "anamnesis_snapshot_age_seconds")));
    let deeds = || {
        for _ in 0..2 {
            client.post("/v1/ask", &json!({ "question": QUESTION })).ok();
        }
        client.post("/v1/ask", &json!({ "question": "Who won the football world cup of 1954?" })).ok();
        client.post("/v1/ask", &json!({ "question": "" })).failed(400, "invalid_request");
        client.get("/v1/chunks/metformin-contraindicated").failed(404, "not_found");
        client.get("/metformin-contraindicated?x=metformin").failed(404, "not_found");
        let strange = "METFORMIN /v1/ask HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        assert_eq!(server.raw(strange).0, 405);
        client.send("GET", "/", &[("host", "metformin.example.org")], None).failed(421, "wrong_host");
    };
    deeds();
    let first = read(&client);
    for (series, rise) in [
        ("anamnesis_request_seconds_count{route=\"/v1/ask\",status=\"2xx\"}", 3.0),
        ("anamnesis_request_seconds_count{route=\"/v1/ask\",status=\"4xx\"}", 2.0),
        ("anamnesis_request_seconds_count{route=\"/v1/chunks/{id}\",status=\"4xx\"}", 1.0),
        ("anamnesis_request_seconds_count{route=\"none\",status=\"4xx\"}", 1.0),
        ("anamnesis_answers_total{outcome=\"answered\"}", 2.0),
        ("anamnesis_answers_total{outcome=\"abstained\"}", 1.0),
        ("anamnesis_abstentions_total{code=\"insufficient\"}", 1.0),
        ("anamnesis_episode_stage_seconds_count{stage=\"search\"}", 3.0),
        ("anamnesis_episode_stage_seconds_count{stage=\"policy\"}", 3.0),
        ("anamnesis_episode_stage_seconds_count{stage=\"check\"}", 3.0),
        ("anamnesis_queue_wait_seconds_count", 3.0),
        ("anamnesis_errors_total{code=\"wrong_host\"}", 1.0),
        ("anamnesis_errors_total{code=\"invalid_request\"}", 1.0),
    ] {
        assert_eq!(of(&first, series) - of(&before, series), rise, "{series} in {first:#?}");
    }
    assert!(of(&first, "anamnesis_verdicts_total{label=\"support\"}") >= 2.0);
    assert!(of(&first, "anamnesis_connections") >= 1.0);
    deeds();
    let second = read(&client);
    assert_eq!(first.keys().collect::<Vec<_>>(), second.keys().collect::<Vec<_>>(), "the same deeds, the same series");
    assert!(!format!("{second:?}").to_lowercase().contains("metformin"));
}

#[test]
fn the_queue_is_seen_while_it_is_there() {
    let home = Home::indexed();
    let model = Model::start();
    let server = Server::start(&home, &["--policy", &model.policy(), "--workers", "1", "--queue", "2"]);
    let client = Client::new(&server);
    thread::scope(|scope| {
        let ask = || client.post("/v1/ask", &json!({ "question": QUESTION })).ok();
        scope.spawn(ask);
        eventually("the worker is busy", || model.begun() == 1);
        scope.spawn(ask);
        eventually("one works and one waits", || {
            let now = read(&client);
            of(&now, "anamnesis_workers_busy") == 1.0 && of(&now, "anamnesis_queue_waiting") == 1.0
        });
        model.open();
    });
    let after = read(&client);
    assert_eq!((of(&after, "anamnesis_queue_waiting"), of(&after, "anamnesis_queue_wait_seconds_count")), (0.0, 2.0));
    assert!(of(&after, "anamnesis_queue_wait_seconds_sum") > 0.0);
    eventually("the worker is free", || of(&read(&client), "anamnesis_workers_busy") == 0.0);
}

#[test]
fn a_log_for_programs_names_request_caller_and_route() {
    let home = Home::indexed();
    let ward = key(&home, "ward", &[]);
    let server = Server::start(&home, &["--log", "json"]);
    let client = Client::new(&server);
    let asked = client.with(&ward).post("/v1/ask", &json!({ "question": QUESTION }));
    asked.ok();
    client.post("/v1/ask", &json!({ "question": QUESTION })).failed(401, "unauthenticated");
    eventually("both are logged", || server.log().matches("answered").count() >= 2);
    let log = server.log();
    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect();
    let line = lines.iter().find(|line| line["span"]["id"] == asked.header("x-request-id").unwrap()).unwrap();
    assert_eq!(
        (&line["caller"], &line["route"], &line["status"], &line["level"]),
        (&json!("ward"), &json!("/v1/ask"), &json!(200), &json!("INFO")),
        "{line}"
    );
    assert!(line["timestamp"].is_string() && line["ms"].as_f64().unwrap() > 0.0);
    let refused = lines.iter().find(|line| line["status"] == 401).unwrap();
    assert_eq!((&refused["caller"], &refused["address"]), (&json!("-"), &json!("127.0.0.1")), "{refused}");
    let listening = lines.iter().find(|line| line["url"].is_string()).unwrap();
    assert_eq!((&listening["url"], &listening["level"]), (&json!(server.url("")), &json!("INFO")), "{listening}");
    assert!(listening["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    assert!(!log.contains("etformin") && !log.contains("ana_"), "{log}");
}
