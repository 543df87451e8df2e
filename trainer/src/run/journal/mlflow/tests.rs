//! Against a server of the standard library's making, and, where one is installed, against MLflow's own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use super::*;

/// A request: its method and path, and its body.
type Heard = (String, Value);

/// Serves as MLflow does, or answers everything with `status`; gives the address and what was asked.
fn serve(status: &'static str) -> (String, Receiver<Heard>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (say, heard) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let Some((line, body)) = request(&mut stream) else { continue };
            let reply = if line.contains("get-by-name") {
                ("404 Not Found", json!({"error_code": "RESOURCE_DOES_NOT_EXIST"}))
            } else if line.contains("experiments/create") {
                ("200 OK", json!({"experiment_id": "7"}))
            } else if line.contains("runs/create") {
                ("200 OK", json!({"run": {"info": {"run_id": "abc"}}}))
            } else {
                ("200 OK", json!({}))
            };
            let (status, reply) = if status == "200 OK" { reply } else { (status, json!({"error_code": "BROKEN"})) };
            let _ = say.send((line, body));
            let reply = reply.to_string();
            let length = reply.len();
            let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{reply}");
        }
    });
    (format!("http://{address}"), heard)
}

fn request(stream: &mut TcpStream) -> Option<Heard> {
    let mut reader = BufReader::new(stream);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).ok()?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((first.split(" HTTP").next()?.to_owned(), serde_json::from_slice(&body).unwrap_or_default()))
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn start(address: &str, run: &Path) -> Mlflow {
    let recipe = "[run]\nseed = 3\n[model]\npath = \"a\"\n";
    Mlflow::start(address, run, settings(recipe), at(5))
}

#[test]
fn a_run_is_made_told_and_gone_on_with() {
    let (address, heard) = serve("200 OK");
    let folder = tempfile::tempdir().unwrap();
    let mlflow = start(&format!("{address}#mine"), folder.path());
    for step in 1..=3 {
        mlflow.numbers(step, &[("grpo/reward".to_owned(), step as f64), ("bad".to_owned(), f64::NAN)], at(step as i64));
    }
    assert_eq!(mlflow.end(at(9)), None);
    let asked: Vec<Heard> = heard.try_iter().collect();
    let of =
        |name: &str| asked.iter().filter(|(line, _)| line.ends_with(name)).map(|(_, body)| body).collect::<Vec<_>>();
    assert_eq!(of("experiments/create"), [&json!({"name": "mine"})]);
    let made = of("runs/create");
    assert_eq!((made.len(), &made[0]["experiment_id"], &made[0]["start_time"]), (1, &json!("7"), &json!(5_000)));
    let batches = of("runs/log-batch");
    assert_eq!(batches[0]["params"], json!([{"key": "model.path", "value": "a"}, {"key": "run.seed", "value": "3"}]));
    let metrics: Vec<&Value> = batches.iter().filter_map(|body| body["metrics"].as_array()).flatten().collect();
    assert_eq!(metrics.len(), 3);
    assert_eq!(*metrics[1], json!({"key": "grpo/reward", "value": 2.0, "timestamp": 2_000, "step": 2}));
    assert_eq!(of("runs/update"), [&json!({"run_id": "abc", "status": "FINISHED", "end_time": 9_000})]);

    // The same folder is the same run.
    let mlflow = start(&address, folder.path());
    mlflow.numbers(4, &[("loss".to_owned(), 1.0)], at(10));
    drop(mlflow);
    let lines: Vec<String> = heard.try_iter().map(|(line, _)| line).collect();
    assert!(lines[0].ends_with("runs/update") && lines[1].ends_with("runs/log-batch") && lines.len() == 2, "{lines:?}");
}

#[test]
fn a_server_that_fails_is_told_once_and_stops_nothing() {
    let (down, _heard) = serve("500 Internal Server Error");
    for address in [down.as_str(), "http://127.0.0.1:9"] {
        let folder = tempfile::tempdir().unwrap();
        let mlflow = start(address, folder.path());
        let begun = Instant::now();
        for step in 0..10_000 {
            mlflow.numbers(step, &[("loss".to_owned(), 1.0)], at(1));
        }
        assert!(begun.elapsed() < Duration::from_secs(1), "a run does not wait");
        let failure = (0..400).find_map(|_| {
            thread::sleep(Duration::from_millis(20));
            mlflow.failure()
        });
        assert!(failure.unwrap().contains("takes no numbers"));
        assert_eq!(mlflow.failure(), None);
        assert!(!folder.path().join(FILE).is_file());
    }
}

#[test]
fn addresses_are_checked() {
    for address in ["http://127.0.0.1:5000", "https://host#mine"] {
        assert!(Mlflow::check(address).is_ok());
    }
    for address in ["", "127.0.0.1:5000", "http://", "http://me:key@host", "http://ho st"] {
        assert!(Mlflow::check(address).unwrap_err().to_string().contains("MLFLOW_TRACKING_TOKEN"), "{address}");
    }
}

/// MLflow's own server, ended with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asks MLflow's own server what arrived. Its program is named by `MLFLOW`, since it takes half a minute to start.
#[test]
fn mlflow_itself_has_what_was_told() {
    let Some(program) = std::env::var_os("MLFLOW") else {
        println!("skipped: set MLFLOW to the program of an MLflow installation");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let store = format!("sqlite:///{}/mlflow.db", folder.path().display());
    let mut command = Command::new(program);
    command.args(["server", "--workers", "1", "--host", "127.0.0.1", "--port", &port.to_string()]);
    command.args(["--backend-store-uri", &store]).current_dir(folder.path());
    let _server = Server(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let address = format!("http://127.0.0.1:{port}");
    let agent: ureq::Agent = ureq::Agent::config_builder().proxy(None).http_status_as_error(false).build().into();
    let is_up = || agent.get(format!("{address}/health")).call().is_ok_and(|reply| reply.status() == 200);
    assert!(
        (0..240).any(|_| is_up() || {
            thread::sleep(Duration::from_millis(500));
            false
        }),
        "the server does not start"
    );

    let run = folder.path().join("runs/first");
    fs::create_dir_all(&run).unwrap();
    let mlflow = start(&format!("{address}#mine"), &run);
    for step in 1..=2_500_u64 {
        // Faster than any server takes them: the queue is bounded, so they are told in pieces.
        while step % 250 == 0 && fs::read(run.join(FILE)).is_err() {
            thread::sleep(Duration::from_millis(50));
        }
        mlflow.numbers(step, &[("grpo/reward".to_owned(), step as f64 / 10.0)], at(step as i64));
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(mlflow.end(at(9_000)), None);
    let kept: Kept = serde_json::from_slice(&fs::read(run.join(FILE)).unwrap()).unwrap();
    let get = |method: &str, more: &str| -> Value {
        let url = format!("{address}/api/2.0/mlflow/{method}?run_id={}{more}", kept.run_id);
        serde_json::from_slice(&agent.get(url).call().unwrap().into_body().read_to_vec().unwrap()).unwrap()
    };
    let run = &get("runs/get", "")["run"];
    assert_eq!(
        (&run["info"]["status"], &run["info"]["run_name"].as_str().unwrap().ends_with("runs/first")),
        (&json!("FINISHED"), &true)
    );
    assert!(run["data"]["params"].as_array().unwrap().contains(&json!({"key": "run.seed", "value": "3"})));
    let history = get("metrics/get-history", "&metric_key=grpo/reward&max_results=10000");
    let metrics = history["metrics"].as_array().unwrap();
    assert_eq!(metrics.len(), 2_500);
    assert_eq!(metrics.iter().map(|one| one["value"].as_f64().unwrap()).fold(0.0, f64::max), 250.0);
}
