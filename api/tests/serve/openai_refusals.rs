//! The form of OpenAI: what is refused, and in which envelope.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::harness::{Home, QUESTION, Server, eventually};
use crate::model::Model;
use crate::openai::data;

fn chat(question: &str) -> Value {
    json!({ "model": "anamnesis", "messages": [{ "role": "user", "content": question }] })
}

#[track_caller]
fn refused(server: &Server, path: &str, body: &Value, status: u16, param: Option<&str>, code: &str) -> String {
    let reply = server.post(path, body);
    let error = &reply.json()["error"];
    assert_eq!((reply.status, error["code"].as_str(), error["param"].as_str()), (status, Some(code), param), "{error}");
    assert!(error["type"].is_string() && reply.header("x-request-id").is_some(), "{error}");
    assert_eq!(reply.json().as_object().unwrap().len(), 1);
    error["message"].as_str().unwrap().to_owned()
}

#[test]
fn bad_requests_name_the_field_in_the_envelope_of_openai() {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    let with = |field: &str, value: Value| {
        let mut body = chat(QUESTION);
        body[field] = value;
        body
    };
    let image = json!([{ "role": "user", "content": [{ "type": "image_url", "image_url": { "url": "http://x/" } }] }]);
    let long = "x".repeat(16 * 1024 + 1);
    let schema = json!({ "type": "json_schema", "json_schema": { "name": "x", "schema": {} } });
    for (body, param, code) in [
        (with("n", json!(2)), "n", "unsupported_parameter"),
        (with("tools", json!([{ "type": "function" }])), "tools", "unsupported_parameter"),
        (with("logprobs", json!(true)), "logprobs", "unsupported_parameter"),
        (with("response_format", schema), "response_format", "unsupported_parameter"),
        (with("filter", json!({ "collections": ["elsewhere"] })), "filter", "unknown_parameter"),
        (with("budget", json!({ "turns": 16 })), "budget", "unknown_parameter"),
        (with("messages", json!([])), "messages", "invalid_value"),
        (with("messages", json!([{ "role": "system", "content": QUESTION }])), "messages", "invalid_value"),
        (with("messages", image), "messages[0].content[0]", "unsupported_parameter"),
        (with("messages", json!([{ "role": "user" }])), "messages[0].content", "unsupported_parameter"),
        (with("messages", json!([{ "role": "boss", "content": "x" }])), "messages[0].role", "invalid_request"),
        (with("stream_options", json!({ "usage": true })), "stream_options.usage", "invalid_request"),
        (chat(" \n"), "messages", "invalid_value"),
        (chat(&long), "messages", "invalid_value"),
        (json!({ "model": "anamnesis" }), "messages", "invalid_request"),
    ] {
        let message = refused(&server, "/v1/chat/completions", &body, 400, Some(param), code);
        assert!(!message.contains(&long), "the message repeats what was sent");
    }
    let unknown = with("model", json!("gpt-4o"));
    refused(&server, "/v1/chat/completions", &unknown, 404, Some("model"), "model_not_found");
    for (body, param, code) in [
        (json!({ "model": "anamnesis", "prompt": [1, 2] }), "prompt", "invalid_request"),
        (json!({ "model": "anamnesis", "prompt": ["a", "b"] }), "prompt", "unsupported_parameter"),
        (json!({ "model": "anamnesis", "prompt": QUESTION, "best_of": 2 }), "best_of", "unsupported_parameter"),
        (json!({ "model": "anamnesis", "prompt": QUESTION, "echo": true }), "echo", "unsupported_parameter"),
        (json!({ "model": "anamnesis", "prompt": "" }), "prompt", "invalid_value"),
    ] {
        refused(&server, "/v1/completions", &body, 400, Some(param), code);
    }
    let embedding = |input: Value| json!({ "model": "static", "input": input });
    for (body, param, code) in [
        (embedding(json!([1, 2, 3])), "input", "invalid_request"),
        (embedding(json!([[1], [2]])), "input", "invalid_request"),
        (embedding(json!([])), "input", "invalid_value"),
        (embedding(json!("")), "input", "invalid_value"),
        (embedding(json!(vec!["x"; 257])), "input", "invalid_value"),
        (embedding(json!([long])), "input", "invalid_value"),
        (json!({ "model": "static", "input": "x", "dimensions": 3 }), "dimensions", "invalid_value"),
        (json!({ "model": "static", "input": "x", "encoding_format": "hex" }), "encoding_format", "invalid_request"),
        (json!({ "model": "static", "input": "x", "truncate": 1 }), "truncate", "invalid_request"),
    ] {
        refused(&server, "/v1/embeddings", &body, 400, Some(param), code);
    }
    // this index was built without an encoder
    for model in ["anamnesis-encoder", "anamnesis", "text-embedding-3-small"] {
        let body = json!({ "model": model, "input": "x" });
        refused(&server, "/v1/embeddings", &body, 404, Some("model"), "model_not_found");
    }
}

#[test]
fn bodies_that_are_none_and_strangers_get_the_same_envelope() {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    let send = |headers: &str, body: &str| {
        let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n";
        let (status, response) =
            server.raw(&format!("{head}{headers}\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
        let json = response.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap();
        let json: Value = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {response}"));
        (status, json["error"]["code"].as_str().map(str::to_owned), json["error"]["type"].as_str().map(str::to_owned))
    };
    let expect = |status: u16, code: &str, kind: &str| (status, Some(code.to_owned()), Some(kind.to_owned()));
    let deep = format!("{{\"model\":\"anamnesis\",\"messages\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000));
    let hidden = format!("{{\"model\":\"anamnesis\",\"metadata\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000));
    for body in [
        "",
        "{",
        "\u{0}",
        "[]",
        "NaN",
        r#"{"model":"anamnesis","messages":[],"temperature":NaN}"#,
        r#"{"model":"anamnesis","messages":[],"seed":1e400}"#,
        &deep,
        &hidden,
    ] {
        let found = send("content-type: application/json", body);
        assert_eq!(found, expect(400, "invalid_request", "invalid_request_error"), "{}", &body[..body.len().min(80)]);
    }
    let body = chat(QUESTION).to_string();
    assert_eq!(send("content-type: text/plain", &body), expect(415, "unsupported_media_type", "invalid_request_error"));
    assert_eq!(
        send("content-type: application/json\r\norigin: https://example.org", &body),
        expect(403, "forbidden_origin", "permission_error")
    );
    let wrong = server.get("/v1/chat/completions");
    assert_eq!((wrong.status, &wrong.json()["error"]["code"]), (405, &json!("method_not_allowed")));
    server.post("/v1/chat/completions", &chat(QUESTION)).ok();
}

#[test]
fn a_body_that_is_too_large_is_refused_before_it_is_read() {
    let home = Home::indexed();
    let server = Server::start(&home, &["--max-body", "2000"]);
    for path in ["/v1/chat/completions", "/v1/completions", "/v1/embeddings"] {
        let reply = server.post(path, &chat(&"x".repeat(3_000)));
        assert_eq!((reply.status, &reply.json()["error"]["code"]), (413, &json!("too_large")), "{path}");
    }
    for path in ["/v1/chat/completions", "/mcp"] {
        let mut client = server.connect();
        let head = "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 5000000\r\n\r\n";
        client.write_all(head.replace("{path}", path).as_bytes()).unwrap();
        // the service closes while the body still comes
        let block = vec![b'['; 50_000];
        let sent = (0..100).take_while(|_| client.write_all(&block).is_ok()).count();
        assert!(sent < 100, "all of it was read");
    }
    server.post("/v1/embeddings", &json!({ "model": "static", "input": "x" })).ok();
}

#[test]
fn without_an_index_answers_and_its_encoder_are_not_ready() {
    let home = Home::with_documents();
    let server = Server::start(&home, &[]);
    let message = refused(&server, "/v1/chat/completions", &chat(QUESTION), 503, None, "not_ready");
    assert!(message.contains("anamnesis index build"), "{message}");
    let body = json!({ "model": "anamnesis-encoder", "input": "x" });
    refused(&server, "/v1/embeddings", &body, 503, None, "not_ready");
    server.post("/v1/embeddings", &json!({ "model": "static", "input": "x" })).ok();
}

#[test]
fn more_than_can_be_answered_is_a_rate_limit() {
    let home = Home::indexed();
    let model = Model::start();
    let server = Server::start(&home, &["--policy", &model.policy(), "--workers", "1", "--queue", "0"]);
    let answered = AtomicUsize::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            server.post("/v1/chat/completions", &chat(QUESTION)).ok();
            answered.fetch_add(1, Ordering::SeqCst);
        });
        eventually("the worker is busy", || model.begun() == 1);
        let reply = server.post("/v1/chat/completions", &chat(QUESTION));
        assert!(reply.header("retry-after").is_some());
        assert_eq!((reply.status, &reply.json()["error"]["type"]), (429, &json!("rate_limit_error")));
        model.open();
    });
    assert_eq!(answered.load(Ordering::SeqCst), 1);
}

#[test]
fn a_model_that_fails_ends_a_stream_with_its_error() {
    let home = Home::indexed();
    // nobody listens on port 1
    let server = Server::start(&home, &["--policy", "openai:http://127.0.0.1:1/v1#none"]);
    refused(&server, "/v1/chat/completions", &chat(QUESTION), 502, None, "policy_failed");
    let mut body = chat(QUESTION);
    body["stream"] = json!(true);
    let told = data(&server, "/v1/chat/completions", &body);
    let last: Value = serde_json::from_str(told.last().unwrap()).unwrap();
    assert_eq!((&last["error"]["code"], &last["error"]["type"]), (&json!("policy_failed"), &json!("server_error")));
}

#[test]
fn a_question_that_the_model_cannot_hold_is_the_clients_fault_in_either_form() {
    let home = Home::indexed();
    home.run(&["model", "init", "tiny", "--shape", "tiny"]);
    let server = Server::start(&home, &["--policy", "tiny", "--threads", "1"]);
    let mut body = chat(&"ab ".repeat(5_400));
    refused(&server, "/v1/chat/completions", &body, 400, None, "invalid_request");
    body["stream"] = json!(true);
    let told = data(&server, "/v1/chat/completions", &body);
    let last: Value = serde_json::from_str(told.last().unwrap()).unwrap();
    assert_eq!((told.len(), &last["error"]["type"]), (2, &json!("invalid_request_error")), "{last}");
}

#[test]
fn the_log_never_holds_a_question_of_these_forms() {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    server.post("/v1/chat/completions", &chat(QUESTION)).ok();
    server.post("/v1/embeddings", &json!({ "model": "static", "input": QUESTION })).ok();
    let call = json!({ "name": "ask", "arguments": { "question": QUESTION } });
    server.post("/mcp", &json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call })).ok();
    eventually("three requests are logged", || server.log().matches("answered").count() >= 3);
    let log = server.log();
    assert!(log.contains("/mcp") && !log.contains("metformin"), "{log}");
}
