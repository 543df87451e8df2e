//! Who may do what: every route of the interface, every role, own and foreign collections.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::client::{Client, key};
use crate::harness::{Home, QUESTION, Server};
use crate::stream::events;

const ROLES: [&str; 4] = ["clinician", "curator", "trainer", "admin"];

/// Written a second time, apart from the table that decides.
const EXPECT: &[(&str, &[&str], &[&str])] = &[
    ("open", &[], &["GET /", "GET /healthz", "GET /readyz", "GET /openapi.json", "GET /reference", "GET /assets/{}"]),
    (
        "everybody with a key",
        &["clinician", "curator", "trainer", "admin"],
        &[
            "POST /v1/ask",
            "POST /v1/retrieve",
            "POST /retrieve",
            "POST /v1/verify",
            "GET /v1/chunks/{}",
            "GET /v1/documents",
            "GET /v1/documents/{}",
            "GET /v1/collections",
            "GET /v1/snapshots",
            "GET /v1/traces",
            "GET /v1/traces/{}",
            "DELETE /v1/traces",
            "DELETE /v1/traces/{}",
            "POST /v1/chat/completions",
            "POST /v1/completions",
            "POST /v1/embeddings",
            "GET /v1/models",
            "GET /v1/models/{}",
            "POST /mcp",
        ],
    ),
    (
        "curators",
        &["curator", "admin"],
        &[
            "POST /v1/documents",
            "POST /v1/documents/tag",
            "POST /v1/documents/untag",
            "POST /v1/documents/quarantine",
            "POST /v1/documents/restore",
            "POST /v1/documents/remove",
            "POST /v1/documents/retract",
            "POST /v1/documents/reinstate",
            "POST /v1/snapshots",
            "POST /v1/snapshots/{}/use",
            "GET /v1/jobs",
            "GET /v1/jobs/{}",
            "DELETE /v1/jobs/{}",
            "GET /v1/audit",
            "GET /v1/affected",
        ],
    ),
    ("trainers", &["trainer", "admin"], &["GET /v1/runs", "GET /v1/runs/{}", "GET /v1/runs/{}/episodes"]),
    ("admins", &["admin"], &["GET /metrics"]),
];

/// Parameters by whatever name.
fn anonymous(path: &str) -> String {
    let parts = path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

#[test]
fn every_route_is_for_the_roles_that_it_is_for() {
    let home = Home::indexed();
    let keys: BTreeMap<_, _> = ROLES.map(|role| (role, key(&home, role, &["--role", role]))).into();
    let server = Server::start(&home, &[]);
    let nobody = Client::new(&server);
    let expect: BTreeMap<_, _> =
        EXPECT.iter().flat_map(|(_, roles, routes)| routes.iter().map(move |route| (*route, *roles))).collect();
    let document = nobody.get("/openapi.json").ok();
    let mut checked = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let method = method.to_uppercase();
            let route = format!("{method} {}", anonymous(path));
            let roles = expect.get(route.as_str()).unwrap_or_else(|| panic!("{route} is in no line of this test"));
            let path = anonymous(path).replace("{}", "nothing-is-called-so");
            // in order only by accident: what matters is who is turned away before it is read
            let body = (method == "POST").then(|| json!({}));
            let status = |client: &Client| client.send(&method, &path, &[], body.as_ref()).status;
            let without = status(&nobody);
            assert_eq!(without == 401, !roles.is_empty(), "{route} without a key: {without}");
            for role in ROLES {
                let with = status(&nobody.with(&keys[role]));
                assert_ne!(with, 401, "{route} as {role}");
                assert_eq!(with == 403, !roles.is_empty() && !roles.contains(&role), "{route} as {role}: {with}");
                checked += 1;
            }
        }
    }
    assert!(checked >= 10 * ROLES.len(), "{checked} combinations");
    for role in ROLES {
        let client = nobody.with(&keys[role]);
        client.get("/nowhere").failed(404, "not_found");
        let wrong = client.get("/v1/ask");
        assert_eq!(wrong.header("allow"), Some("POST"));
        wrong.failed(405, "method_not_allowed");
    }
}

const SECRET: &str = "Verapamil is the first-line drug for cluster headache prevention in the trial of ward nine.";

/// A home where `metformin` and others lie in `documents`, and one document in `secret`.
fn two_collections() -> Home {
    let home = Home::with_documents();
    let file = home.path().join("secret.jsonl");
    let line = json!({ "id": "verapamil", "title": "Verapamil", "text": SECRET }).to_string();
    std::fs::write(&file, line + "\n").unwrap();
    home.run(&["corpus", "add", "--format", "jsonl", "--collection", "secret", file.to_str().unwrap()]);
    home.build();
    home
}

const SECRET_QUESTION: &str = "Which drug is first-line for cluster headache prevention?";

#[test]
fn a_foreign_collection_does_not_exist_for_any_role() {
    let home = two_collections();
    let keys: Vec<_> = ROLES
        .map(|role| {
            let scoped = key(&home, &format!("{role}-scoped"), &["--role", role, "--collection", "documents"]);
            (role, key(&home, role, &["--role", role]), scoped)
        })
        .into();
    let server = Server::start(&home, &[]);
    for (role, all, scoped) in &keys {
        let client = Client::new(&server);
        let (all, scoped) = (client.with(all), client.with(scoped));
        let hits = |client: &Client, body: &Value| client.post("/v1/retrieve", body).ok()["results"][0].take();
        let verapamil = json!({ "query": "verapamil cluster headache" });
        let chunk = hits(&all, &verapamil)[0]["chunk"].as_str().unwrap().to_owned();
        let path = format!("/v1/chunks/{chunk}");
        assert_eq!(all.get(&path).ok()["title"], "Verapamil", "{role}");
        assert_eq!(all.post("/v1/ask", &json!({ "question": SECRET_QUESTION })).ok()["abstained"], false, "{role}");

        let own = hits(&scoped, &json!({ "query": "metformin" }))[0].clone();
        assert_eq!(own["title"], "Metformin", "{role}");
        scoped.get(&format!("/v1/chunks/{}", own["chunk"].as_str().unwrap())).ok();
        assert_eq!(scoped.post("/v1/ask", &json!({ "question": QUESTION })).ok()["abstained"], false, "{role}");
        let mut told = vec![
            scoped.post("/v1/retrieve", &verapamil).text,
            scoped.post("/retrieve", &json!({ "queries": ["verapamil cluster headache"], "topk": 9 })).text,
            scoped.get(&path).text,
        ];
        scoped.get(&path).failed(404, "not_found");
        for collections in [json!([]), json!(["secret"]), json!(["secret", "documents"]), json!([""])] {
            let filter = json!({ "collections": collections });
            told.push(scoped.post("/v1/retrieve", &json!({ "query": "first-line drug", "filter": filter })).text);
            let answer = scoped.post("/v1/ask", &json!({ "question": SECRET_QUESTION, "filter": filter }));
            assert_eq!(answer.ok()["snapshot"], json!(server_snapshot(&client)));
            told.push(answer.text);
        }
        for found in told {
            assert!(!found.contains("Verapamil is") && !found.contains(&chunk), "{role}: {found}");
        }
        let headers = format!("authorization: Bearer {}\r\n", keys.iter().find(|key| key.0 == *role).unwrap().2);
        let stream = events(&server, &json!({ "question": SECRET_QUESTION, "stream": true }), &headers);
        assert!(stream.len() > 2 && !format!("{stream:?}").contains(&chunk), "{role}: {stream:?}");
    }
}

#[test]
fn what_is_of_all_collections_is_not_for_a_key_that_is_bound_to_one() {
    let home = two_collections();
    for role in ["curator", "admin"] {
        let bound = key(&home, &format!("{role}-bound"), &["--role", role, "--collection", "documents"]);
        let server = Server::start(&home, &[]);
        let client = Client::new(&server).with(&bound);
        let current = server_snapshot(&client);
        for (method, path) in [
            ("POST", "/v1/snapshots".to_owned()),
            ("POST", format!("/v1/snapshots/{current}/use")),
            ("DELETE", "/v1/jobs/any".to_owned()),
        ] {
            let body = (method == "POST").then(|| json!({}));
            let message = client.send(method, &path, &[], body.as_ref()).failed(403, "forbidden");
            assert!(message.contains("bound to collections"), "{role} {path}: {message}");
        }
    }
}

fn server_snapshot(client: &Client) -> String {
    client.get("/readyz").ok()["snapshot"].as_str().unwrap().to_owned()
}

#[test]
fn a_scoped_episode_is_replayed_within_its_scope() {
    let home = two_collections();
    let scoped = key(&home, "ward", &["--collection", "documents"]);
    let server = Server::start(&home, &[]);
    let client = Client::new(&server).with(&scoped);
    let answer = client.post("/v1/ask", &json!({ "question": SECRET_QUESTION })).ok();
    let replay = command_output(&home, answer["trace_id"].as_str().unwrap());
    assert_eq!(replay["same"], true, "{replay}");
    let elsewhere = json!({ "question": QUESTION, "filter": { "collections": ["secret"] } });
    let answer = client.post("/v1/ask", &elsewhere).ok();
    assert_eq!(answer["abstained"], true, "{answer}");
    assert_eq!(command_output(&home, answer["trace_id"].as_str().unwrap())["same"], true);
}

fn command_output(home: &Home, trace: &str) -> Value {
    let output = crate::harness::command(home.path(), &["--json", "replay", trace]).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}
