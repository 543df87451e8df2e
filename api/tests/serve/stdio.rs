//! The Model Context Protocol over standard streams.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::{Value, json};

use crate::harness::{Home, QUESTION, command, eventually};
use crate::model::Model;

/// A running `anamnesis mcp`; killed when dropped.
struct Tools {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Tools {
    fn start(home: &Home, args: &[&str]) -> Self {
        let mut all = vec!["-v", "mcp"];
        all.extend(args);
        let mut child = command(home.path(), &all)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output }
    }

    fn line(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    fn send(&mut self, id: u32, method: &str, params: &Value) {
        self.line(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string());
    }

    fn hear(&mut self) -> Value {
        let mut line = String::new();
        assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "the other end closed");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    fn open(&mut self, version: &str) {
        self.send(0, "initialize", &json!({ "protocolVersion": version, "capabilities": {} }));
        assert_eq!(self.hear()["result"]["protocolVersion"], version);
        self.line(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    }

    /// Closes standard input; gives what was still said, and the exit status.
    fn end(&mut self) -> (Vec<Value>, Option<i32>) {
        drop(self.input.take());
        let mut rest = Vec::new();
        let mut line = String::new();
        while self.output.read_line(&mut line).unwrap() > 0 {
            rest.push(serde_json::from_str(&line).unwrap());
            line.clear();
        }
        (rest, self.child.wait().unwrap().code())
    }
}

impl Drop for Tools {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn modern(mut params: Value) -> Value {
    params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
    params
}

fn ask() -> Value {
    json!({ "name": "ask", "arguments": { "question": QUESTION } })
}

#[test]
fn messages_are_lines_and_nothing_else_is_said() {
    let home = Home::indexed();
    let mut tools = Tools::start(&home, &[]);
    // neither opened nor saying what it speaks
    tools.send(1, "tools/list", &json!({}));
    assert_eq!(tools.hear()["error"]["code"], -32_602);
    tools.send(2, "server/discover", &modern(json!({})));
    assert_eq!(tools.hear()["result"]["supportedVersions"][0], "2026-07-28");
    tools.send(3, "tools/call", &modern(ask()));
    let asked = tools.hear();
    assert_eq!((&asked["id"], &asked["result"]["resultType"]), (&json!(3), &json!("complete")));
    assert_eq!(asked["result"]["structuredContent"]["abstained"], false);
    tools.open("2025-06-18");
    tools.send(4, "tools/list", &json!({}));
    assert_eq!(tools.hear()["result"]["tools"].as_array().unwrap().len(), 3);
    let progress = json!({ "name": "ask", "arguments": { "question": QUESTION }, "_meta": { "progressToken": 5 } });
    tools.send(5, "tools/call", &progress);
    let mut steps = 0;
    let last = loop {
        let said = tools.hear();
        if said["method"] != "notifications/progress" {
            break said;
        }
        steps += 1;
        assert_eq!((&said["params"]["progressToken"], &said["params"]["progress"]), (&json!(5), &json!(steps)));
    };
    assert!(steps >= 3 && last["id"] == 5 && last["result"].get("resultType").is_none(), "{last}");
    let trace = last["result"]["structuredContent"]["trace_id"].as_str().unwrap();
    home.run(&["replay", trace]);
    assert_eq!(tools.end(), (Vec::new(), Some(0)));
}

#[test]
fn what_is_no_message_is_told_so_and_the_next_is_heard() {
    let home = Home::indexed();
    let mut tools = Tools::start(&home, &[]);
    for (line, code) in [
        ("{".to_owned(), -32_700),
        ("\u{feff}\u{0}".to_owned(), -32_700),
        ("[".repeat(100_000), -32_700),
        ("x".repeat(5_000_000), -32_600),
        ("7".to_owned(), -32_600),
        ("[]".to_owned(), -32_600),
        (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#.to_owned(), -32_600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"nonsense","params":{}}"#.to_owned(), -32_602),
    ] {
        tools.line(&line);
        assert_eq!(tools.hear()["error"]["code"], code, "{}", &line[..line.len().min(60)]);
    }
    tools.line("");
    tools.line(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
    tools.line(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":99}}"#);
    tools.open("2025-03-26");
    tools.line(r#"[{"jsonrpc":"2.0","id":"a","method":"ping"},{"jsonrpc":"2.0","id":"b","method":"nonsense"}]"#);
    let answers = tools.hear();
    assert_eq!((&answers[0]["id"], &answers[1]["error"]["code"]), (&json!("a"), &json!(-32_601)));
    assert_eq!(tools.end(), (Vec::new(), Some(0)));
}

#[test]
fn a_cancelled_request_stops_and_is_never_answered() {
    let home = Home::indexed();
    let model = Model::start();
    let mut tools = Tools::start(&home, &["--policy", &model.policy(), "--workers", "1"]);
    tools.open("2025-11-25");
    tools.send(1, "tools/call", &ask());
    eventually("the model writes", || model.begun() == 1);
    tools.send(1, "tools/call", &ask());
    assert_eq!(tools.hear()["error"]["code"], -32_600, "an id of a request that runs was taken again");
    tools.line(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,"reason":"test"}}"#);
    eventually("the model is left alone", || model.running() == 0);
    model.open();
    tools.send(2, "tools/call", &ask());
    let next = tools.hear();
    assert_eq!((&next["id"], &next["result"]["structuredContent"]["reason"]), (&json!(2), &json!("insufficient")));
    assert_eq!(tools.end(), (Vec::new(), Some(0)));
}

#[test]
fn what_runs_when_the_input_ends_is_still_answered() {
    let home = Home::indexed();
    let mut tools = Tools::start(&home, &[]);
    tools.open("2025-11-25");
    for id in 1..=4 {
        tools.send(id, "tools/call", &ask());
    }
    let (rest, status) = tools.end();
    let mut ids: Vec<_> = rest.iter().map(|answer| answer["id"].as_u64().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!((ids, status), (vec![1, 2, 3, 4], Some(0)));
}

#[test]
fn an_empty_home_prepares_itself_without_a_word_on_standard_output() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = command(folder.path(), &["mcp"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), r#"{{"jsonrpc":"2.0","id":1,"method":"ping"}}"#).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "{\"id\":1,\"jsonrpc\":\"2.0\",\"result\":{}}\n");
}
