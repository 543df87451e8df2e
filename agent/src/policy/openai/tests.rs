//! Against a server of the standard library's making that behaves as badly as servers do.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use super::*;
use crate::{Budget, Error};

/// What the server does with one connection.
type Act1 = fn(&mut TcpStream);

/// Serves each connection by the next of `acts`; gives the address and the requests as they came.
fn serve(acts: Vec<Act1>) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (say, heard) = channel();
    std::thread::spawn(move || {
        for act in acts {
            let Ok((mut stream, _)) = listener.accept() else {
                return;
            };
            let _ = say.send(request(&mut stream));
            act(&mut stream);
        }
    });
    (format!("http://{address}/v1#test"), heard)
}

fn request(stream: &mut TcpStream) -> String {
    let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut buffer).unwrap_or(0);
        text.extend_from_slice(&buffer[..read]);
        let seen = String::from_utf8_lossy(&text).into_owned();
        let length = seen
            .to_ascii_lowercase()
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.split("\r\n").next()?.parse::<usize>().ok());
        let whole = seen.split_once("\r\n\r\n").is_some_and(|(_, body)| body.len() >= length.unwrap_or(0));
        if whole || read == 0 {
            return seen;
        }
    }
}

fn head(stream: &mut TcpStream, status: &str, headers: &str) {
    let _ =
        write!(stream, "HTTP/1.1 {status}\r\nContent-Type: text/event-stream\r\nConnection: close\r\n{headers}\r\n");
}

fn say(stream: &mut TcpStream, text: &str) {
    let data = serde_json::json!({"choices": [{"delta": {"content": text}}]});
    let _ = write!(stream, "data: {data}\n\n");
    let _ = stream.flush();
}

fn stop(stream: &mut TcpStream) {
    let _ = stream.write_all(
        concat!("data: ", r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#, "\n\ndata: [DONE]\n\n").as_bytes(),
    );
}

fn good(stream: &mut TcpStream) {
    head(stream, "200 OK", "");
    say(stream, "<answer>Yes. [E1]");
    stop(stream);
}

fn policy(spec: &str) -> OpenAi {
    let mut policy = OpenAi::new(spec, Some("sk-secret".to_owned())).unwrap();
    policy.limits = TimeLimits {
        connect: Duration::from_millis(500),
        first_byte: Duration::from_millis(400),
        idle: Duration::from_millis(300),
        backoff: Duration::from_millis(10),
        attempts: 3,
    };
    policy
}

fn act(policy: &OpenAi, cancel: &Cancel) -> Result<(Act, Vec<String>)> {
    let budget = Budget::default();
    let task = Task {
        question: "Is it <|im_start|>safe?",
        earlier: None,
        budget: &budget,
        profile: Profile::SearchR1,
        seed: 7,
        started: jiff::Timestamp::UNIX_EPOCH,
    };
    let limits = ActLimits { max_tokens: 64, time_left: Duration::from_secs(3), may_search: true, is_heard: true };
    let mut pieces = Vec::new();
    let mut parser = protocol::Parser::new(Profile::SearchR1, 3);
    let act = policy.open(&task)?.act(&limits, cancel, &mut |piece| {
        pieces.push(piece.to_owned());
        match parser.push(piece) {
            protocol::Progress::More => ControlFlow::Continue(()),
            protocol::Progress::Done => ControlFlow::Break(()),
        }
    })?;
    Ok((act, pieces))
}

fn text(acts: Vec<Act1>) -> String {
    act(&policy(&serve(acts).0), &Cancel::new()).unwrap().0.text
}

fn error(acts: Vec<Act1>) -> Error {
    act(&policy(&serve(acts).0), &Cancel::new()).unwrap_err()
}

#[test]
fn streams_and_restores_the_closing_tag() {
    let (spec, requests) = serve(vec![good]);
    let (act, pieces) = act(&policy(&spec), &Cancel::new()).unwrap();
    assert_eq!(act.text, "<answer>Yes. [E1]</answer>");
    assert_eq!(pieces.concat(), act.text);
    let request = requests.recv().unwrap();
    assert!(request.starts_with("POST /v1/chat/completions "), "{request}");
    for part in
        ["Bearer sk-secret", "\"stream\":true", "\"seed\":7", "\"max_tokens\":64", "</search>", "‹|im_start|>safe?"]
    {
        assert!(request.to_lowercase().contains(&part.to_lowercase()), "{part} in {request}");
    }
}

#[test]
fn reads_sloppy_streams() {
    let crlf: Act1 = |stream| {
        head(stream, "200 OK", "");
        let _ = stream.write_all(
            concat!(": hi\r\n\r\ndata:", r#"{"choices":[{"delta":{"content":"<search>na"}}]}"#, "\r\n\r\n").as_bytes(),
        );
        // The two bytes of `ï` come apart.
        let chunk = "data: {\"choices\":[{\"delta\":{\"content\":\"ïve\"},\"finish_reason\":\"stop\"}]}\n\n".as_bytes();
        let cut = chunk.iter().position(|byte| *byte == 0xC3).unwrap() + 1;
        let _ = stream.write_all(&chunk[..cut]);
        let _ = stream.flush();
        std::thread::sleep(Duration::from_millis(50));
        let _ = stream.write_all(&chunk[cut..]);
        let _ = stream.write_all(concat!("data: ", r#"{"choices":[],"usage":{}}"#, "\n\n").as_bytes());
    };
    assert_eq!(text(vec![crlf]), "<search>naïve</search>");
    let no_stream: Act1 = |stream| {
        head(stream, "200 OK", "");
        let _ = stream
            .write_all(r#"{"choices":[{"message":{"content":"<answer>A. [E1]"},"finish_reason":"stop"}]}"#.as_bytes());
    };
    assert_eq!(text(vec![no_stream]), "<answer>A. [E1]</answer>");
}

/// What a server said of its failure.
fn said(error: &Error) -> String {
    std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
}

#[test]
fn stops_listening_when_the_action_is_complete() {
    let chatty: Act1 = |stream| {
        head(stream, "200 OK", "");
        say(stream, "<search>x</search>");
        for _ in 0..1_000 {
            say(stream, " and on");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    let begun = Instant::now();
    assert_eq!(text(vec![chatty]), "<search>x</search>");
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[test]
fn tries_again_before_the_first_text() {
    let busy: Act1 = |stream| head(stream, "429 Too Many Requests", "Retry-After: 0\r\n");
    let down: Act1 = |stream| head(stream, "503 Service Unavailable", "");
    assert_eq!(text(vec![busy, down, good]), "<answer>Yes. [E1]</answer>");
    let told = error(vec![down, down, down]).to_string();
    assert!(told.contains("status 503") && told.contains("127.0.0.1") && !told.contains("sk-secret"), "{told}");
}

#[test]
fn does_not_try_again_what_is_refused() {
    let refused: Act1 = |stream| {
        head(stream, "401 Unauthorized", "");
        let _ = stream.write_all(r#"{"error":{"message":"bad key"}}"#.as_bytes());
    };
    let (spec, requests) = serve(vec![refused, good]);
    let error = act(&policy(&spec), &Cancel::new()).unwrap_err();
    assert!(error.to_string().contains("status 401") && error.to_string().contains("OPENAI_API_KEY"), "{error}");
    assert_eq!(said(&error), "it says: bad key");
    assert_eq!(requests.try_iter().count(), 1);
}

#[test]
fn a_server_that_hangs_times_out() {
    let silent: Act1 = |_| std::thread::sleep(Duration::from_secs(2));
    assert!(matches!(error(vec![silent]), Error::Timeout { waiting_for: "beginning its reply", .. }));
    let stuck: Act1 = |stream| {
        head(stream, "200 OK", "");
        say(stream, "so");
        std::thread::sleep(Duration::from_secs(2));
    };
    assert!(matches!(error(vec![stuck]), Error::Timeout { waiting_for: "sending its reply", .. }));
}

#[test]
fn what_breaks_is_an_error() {
    let dropped: Act1 = |stream| {
        head(stream, "200 OK", "");
        say(stream, "half");
    };
    let broken_json: Act1 = |stream| {
        head(stream, "200 OK", "");
        let _ = write!(stream, "data: {{\"choices\":[{{\n\n");
    };
    let page: Act1 = |stream| {
        head(stream, "200 OK", "");
        let _ = write!(stream, "<html>welcome</html>");
    };
    let failed: Act1 = |stream| {
        head(stream, "200 OK", "");
        say(stream, "x");
        let _ = write!(stream, "data: {{\"error\":{{\"message\":\"out of memory\"}}}}\n\n");
    };
    let moved: Act1 = |stream| head(stream, "302 Found", "Location: http://127.0.0.1:1/\r\n");
    for (act, says) in [
        (dropped, "before it was finished"),
        (broken_json, "not what chat completions are"),
        (page, "not what chat completions are"),
        (failed, "the server failed"),
        (moved, "status 302"),
    ] {
        let told = error(vec![act]).to_string();
        assert!(told.contains(says), "{told}");
    }
    assert_eq!(said(&error(vec![failed])), "it says: out of memory");
}

#[test]
fn what_a_server_says_is_kept_apart_since_it_may_repeat_the_question() {
    let echo: Act1 = |stream| {
        head(stream, "400 Bad Request", "");
        let _ = stream.write_all(r#"{"error":{"message":"cannot answer: is Jo ill?"}}"#.as_bytes());
    };
    let late: Act1 = |stream| {
        head(stream, "200 OK", "");
        let _ = write!(stream, "data: {{\"error\":\"cannot answer: is Jo ill?\"}}\n\n");
    };
    for act in [echo, late] {
        let error = error(vec![act]);
        assert!(!error.to_string().contains("Jo"), "{error}");
        assert!(said(&error).contains("is Jo ill?"), "{error:?}");
    }
}

#[test]
fn nobody_there() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let told = act(&policy(&format!("http://{address}/v1#m")), &Cancel::new()).unwrap_err().to_string();
    assert!(told.contains("cannot connect"), "{told}");
}

#[test]
fn cancelling_ends_the_wait() {
    let silent: Act1 = |_| std::thread::sleep(Duration::from_secs(2));
    let cancel = Cancel::new();
    let canceller = cancel.clone();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(60));
        canceller.cancel();
    });
    let begun = Instant::now();
    assert!(matches!(act(&policy(&serve(vec![silent]).0), &cancel), Err(Error::Cancelled)));
    assert!(begun.elapsed() < Duration::from_millis(350));
}

/// Sends `part` for as long as anybody listens.
fn for_ever(stream: &mut TcpStream, part: &[u8]) {
    let many = part.repeat(64 * 1024 / part.len());
    while stream.write_all(&many).is_ok() {}
}

#[test]
fn what_never_ends_is_read_to_a_bound() {
    let heads: Act1 = |stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
        for_ever(stream, b"x-more: and more\r\n");
    };
    let line: Act1 = |stream| {
        head(stream, "200 OK", "");
        for_ever(stream, b"x");
    };
    // one event that no blank line ends, and that might be whole at each of its lines
    let event: Act1 = |stream| {
        head(stream, "200 OK", "");
        let _ = stream.write_all(b"data: [0,\n");
        for_ever(stream, format!("data: {}\n", "1,".repeat(100)).as_bytes());
    };
    let thoughts: Act1 = |stream| {
        head(stream, "200 OK", "");
        let thought = "hm ".repeat(100);
        let data = serde_json::json!({"choices": [{"delta": {"reasoning_content": thought}}]});
        for_ever(stream, format!("data: {data}\n\n").as_bytes());
    };
    for (name, act) in [("heads", heads), ("line", line), ("event", event), ("thoughts", thoughts)] {
        let told = error(vec![act]);
        assert!(matches!(told, Error::Policy { .. }) && told.to_string().contains("broke"), "{name}: {told}");
    }
    let alive: Act1 = |stream| {
        head(stream, "200 OK", "");
        while stream.write_all(b": still here\n\n").is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    assert!(matches!(error(vec![alive]), Error::Timeout { .. }));
    let chatty: Act1 = |stream| {
        head(stream, "200 OK", "");
        for_ever(stream, b"data: {\"choices\":[{\"delta\":{\"content\":\"and on and on \"}}]}\n\n");
    };
    let read = text(vec![chatty]).len();
    assert!((protocol::Parser::MAX_BYTES..2 * protocol::Parser::MAX_BYTES).contains(&read), "{read}");
}

#[test]
fn an_endpoint_that_is_busy_says_when_to_come_back() {
    let waits = |act: Act1| match error(vec![act, act, act]) {
        Error::Policy { wait, .. } => wait,
        other => panic!("{other}"),
    };
    assert_eq!(
        waits(|stream| head(stream, "429 Too Many Requests", "Retry-After: 7\r\n")),
        Some(Duration::from_secs(7))
    );
    assert_eq!(waits(|stream| head(stream, "503 Service Unavailable", "")), Some(Duration::from_secs(1)));
    // longer than any clock goes
    let never = waits(|stream| head(stream, "429 Too Many Requests", "Retry-After: 18446744073709551615\r\n"));
    assert_eq!(never, Some(Duration::from_secs(u64::MAX)));
    assert_eq!(waits(|stream| head(stream, "500 Internal Server Error", "Retry-After: 0\r\n")), None);
}

#[test]
fn who_stops_waiting_hangs_up() {
    // this server has one connection at a time: the second comes through once the first has ended
    let until_left: Act1 = |stream| while stream.read(&mut [0; 64]).is_ok_and(|read| read > 0) {};
    for is_cancelled in [true, false] {
        let policy = policy(&serve(vec![until_left, good]).0);
        let cancel = Cancel::new();
        if is_cancelled {
            let canceller = cancel.clone();
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(60));
                canceller.cancel();
            });
        }
        assert!(act(&policy, &cancel).is_err());
        assert_eq!(act(&policy, &Cancel::new()).unwrap().0.text, "<answer>Yes. [E1]</answer>");
    }
}

#[test]
fn completes_outside_of_any_episode() {
    let busy: Act1 = |stream| head(stream, "429 Too Many Requests", "Retry-After: 0\r\n");
    let (spec, requests) = serve(vec![busy, good]);
    let said = policy(&spec).complete("grade it", "an answer", 64, Duration::from_secs(3)).unwrap();
    assert_eq!(said, "<answer>Yes. [E1]");
    let request = requests.iter().nth(1).unwrap();
    assert!(
        request.contains("grade it") && request.contains("an answer") && !request.contains("\"stop\""),
        "{request}"
    );
}

#[test]
fn an_endpoint_is_reached_before_anything_depends_on_it() {
    let list: Act1 = |stream| {
        head(stream, "200 OK", "");
        let _ = stream.write_all(br#"{"object":"list","data":[{"id":"test"},{"id":"more"}]}"#);
    };
    let time = Duration::from_secs(2);
    let (spec, heard) = serve(vec![list, list, |stream| head(stream, "404 Not Found", ""), |stream| {
        head(stream, "401 Unauthorized", "");
    }]);
    assert!(policy(&spec).reach(time).unwrap());
    let asked = heard.recv().unwrap();
    assert!(asked.starts_with("GET /v1/models ") && asked.contains("Bearer sk-secret"), "{asked}");
    assert!(!policy(&spec.replace("#test", "#other")).reach(time).unwrap(), "it lists others");
    assert!(policy(&spec).reach(time).unwrap(), "no list is no fault");
    let error = policy(&spec).reach(time).unwrap_err().to_string();
    assert!(error.contains("OPENAI_API_KEY") && !error.contains("sk-secret"), "{error}");
    let error = policy("http://127.0.0.1:9/v1#test").reach(time).unwrap_err().to_string();
    assert!(error.contains("nobody answers") && error.contains("127.0.0.1:9"), "{error}");
}
