//! Loads a service over HTTP with connections that each wait for an answer before they ask again, and says as one
//! line of JSON how the service bore it. `api/benches/load.sh` measures with it.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use serde_json::{Value, json};

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_mins(2);
/// After a connection failed, so that a service that is gone is not asked in a tight loop.
const PAUSE: Duration = Duration::from_millis(50);

/// Posts requests in a closed loop over kept-alive connections and prints, as JSON, requests a second and
/// milliseconds (p50, p90, p99) of those begun after the warm-up
#[derive(Debug, Parser)]
struct Arguments {
    /// Where to post, such as http://127.0.0.1:8080/v1/retrieve
    url: String,
    /// File of request bodies, JSON, one a line; each request takes the next line, and after the last the first
    bodies: PathBuf,
    /// Connections, each with one request at a time
    #[arg(long, value_name = "N", default_value = "16")]
    connections: NonZeroUsize,
    /// How long to measure
    #[arg(long, value_name = "S", default_value = "20")]
    seconds: NonZeroU32,
    /// How long to load before measuring begins, in seconds
    #[arg(long, value_name = "S", default_value_t = 3)]
    warm_up: u32,
    /// Also sample the memory of this process each second: medians of the first and of the last minute of
    /// measuring (of its halves, if shorter) and how much it grew
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let (authority, path) = parts(&arguments.url)?;
    let bodies = std::fs::read_to_string(&arguments.bodies)
        .with_context(|| format!("cannot read {}", arguments.bodies.display()))?;
    let requests: Vec<_> = bodies.lines().map(|body| request(authority, path, body)).collect();
    ensure!(!requests.is_empty(), "{} holds no request bodies", arguments.bodies.display());
    TcpStream::connect(authority).with_context(|| format!("nothing listens on {authority}"))?;
    arguments.pid.map(memory).transpose()?;

    let begin = Instant::now() + Duration::from_secs(arguments.warm_up.into());
    let end = begin + Duration::from_secs(u64::from(arguments.seconds.get()));
    let load = Load { authority, requests, next: AtomicUsize::new(0), begin, end };
    let (tallies, samples) = thread::scope(|scope| {
        let connections: Vec<_> = (0..arguments.connections.get()).map(|_| scope.spawn(|| load.run())).collect();
        let samples = arguments.pid.map(|pid| sample(pid, begin, end));
        let tallies: Vec<_> = connections.into_iter().map(|thread| thread.join().expect("panics nowhere")).collect();
        (tallies, samples)
    });
    let mut report = report(tallies, begin);
    report["connections"] = json!(arguments.connections);
    if let Some(samples) = samples {
        let of = |field: fn(&Memory) -> f64| growth(&samples.iter().map(field).collect::<Vec<_>>());
        report["memory"] =
            json!({ "resident": of(|memory| memory.resident), "anonymous": of(|memory| memory.anonymous) });
    }
    Ok(writeln!(io::stdout(), "{report}")?)
}

/// What all connections share.
struct Load<'a> {
    authority: &'a str,
    requests: Vec<Vec<u8>>,
    next: AtomicUsize,
    begin: Instant,
    end: Instant,
}

/// What one connection saw of the requests that it began after the warm-up.
#[derive(Default)]
struct Tally {
    milliseconds: Vec<f64>,
    /// Why, and how often.
    errors: BTreeMap<String, u64>,
    bytes: u64,
    /// When the last of them was over.
    last: Option<Instant>,
}

impl Load<'_> {
    fn run(&self) -> Tally {
        let mut tally = Tally::default();
        let mut connection = None;
        loop {
            let request = &self.requests[self.next.fetch_add(1, Ordering::Relaxed) % self.requests.len()];
            let began = Instant::now();
            if began >= self.end {
                return tally;
            }
            let answer = exchange(self.authority, &mut connection, request);
            let ended = Instant::now();
            if answer.is_err() {
                connection = None;
                thread::sleep(PAUSE);
            }
            if began < self.begin {
                continue;
            }
            tally.last = Some(ended);
            match answer {
                Ok(Answer { status: 200, bytes, .. }) => {
                    tally.milliseconds.push((ended - began).as_secs_f64() * 1e3);
                    tally.bytes += bytes;
                }
                Ok(Answer { status, .. }) => *tally.errors.entry(format!("status {status}")).or_default() += 1,
                Err(error) => *tally.errors.entry(error.to_string()).or_default() += 1,
            }
        }
    }
}

/// Sends `request` over `connection`, which is made if there is none, and reads the answer.
fn exchange(authority: &str, connection: &mut Option<BufReader<TcpStream>>, request: &[u8]) -> io::Result<Answer> {
    let mut stream = if let Some(stream) = connection.take() { stream } else { connect(authority)? };
    stream.get_mut().write_all(request)?;
    let answer = read(&mut stream)?;
    if answer.keeps {
        *connection = Some(stream);
    }
    Ok(answer)
}

fn connect(authority: &str) -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(authority)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(BufReader::with_capacity(1 << 16, stream))
}

/// What is kept of a response.
#[derive(Debug, PartialEq)]
struct Answer {
    status: u16,
    /// Of the body.
    bytes: u64,
    /// Whether the connection takes another request.
    keeps: bool,
}

/// Reads one response, whose length must be told beforehand: what is measured streams nothing.
fn read(stream: &mut impl BufRead) -> io::Result<Answer> {
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| bad("no response to read"))?;
    let (mut length, mut keeps) = (None, true);
    loop {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Err(bad("the response was cut short"));
        }
        let Some((name, value)) = line.split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok(),
            "connection" => keeps = !value.trim().eq_ignore_ascii_case("close"),
            _ => {}
        }
    }
    let length: u64 = length.ok_or_else(|| bad("the response has no content-length"))?;
    let bytes = io::copy(&mut stream.take(length), &mut io::sink())?;
    if bytes == length { Ok(Answer { status, bytes, keeps }) } else { Err(bad("the response was cut short")) }
}

/// Authority and path of a URL.
fn parts(url: &str) -> Result<(&str, &str)> {
    let rest = url.strip_prefix("http://").with_context(|| format!("`{url}` does not begin with http://"))?;
    let Some(slash) = rest.find('/') else { bail!("`{url}` has no path: write http://127.0.0.1:8080/v1/retrieve") };
    Ok(rest.split_at(slash))
}

fn request(authority: &str, path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: {authority}\r\naccept: application/json\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

fn report(tallies: Vec<Tally>, begin: Instant) -> Value {
    let last = tallies.iter().filter_map(|tally| tally.last).max().unwrap_or(begin);
    let mut all = Tally::default();
    for tally in tallies {
        all.milliseconds.extend(tally.milliseconds);
        all.bytes += tally.bytes;
        for (why, count) in tally.errors {
            *all.errors.entry(why).or_default() += count;
        }
    }
    all.milliseconds.sort_unstable_by(f64::total_cmp);
    let (count, seconds) = (all.milliseconds.len(), (last - begin).as_secs_f64());
    let at = |share| quantile(&all.milliseconds, share).map(|ms| round(ms, 3));
    json!({
        "requests": count,
        "rps": if seconds > 0.0 { round(count as f64 / seconds, 1) } else { 0.0 },
        "p50_ms": at(0.5),
        "p90_ms": at(0.9),
        "p99_ms": at(0.99),
        "errors": all.errors.values().sum::<u64>(),
        "why": all.errors,
        "bytes": all.bytes,
        "seconds": round(seconds, 2),
    })
}

/// The least of `sorted` that at least `share` of them do not exceed.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

fn round(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}

/// Memory of a process in MB. Pages of mapped files are resident too and grow as an index is touched; what
/// leaks is anonymous.
struct Memory {
    resident: f64,
    anonymous: f64,
}

fn memory(pid: u32) -> Result<Memory> {
    let path = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.trim_end_matches("kB").trim().parse::<f64>().ok());
        kib.map(|kib| kib * 1024.0 / 1e6).with_context(|| format!("{path} names no {name}"))
    };
    Ok(Memory { resident: field("VmRSS:")?, anonymous: field("RssAnon:")? })
}

/// The memory of `pid` in each second from `begin` to `end`, or until it is gone.
fn sample(pid: u32, begin: Instant, end: Instant) -> Vec<Memory> {
    let mut samples = Vec::new();
    let mut at = begin;
    while at < end {
        thread::sleep(at.saturating_duration_since(Instant::now()));
        let Ok(memory) = memory(pid) else { break };
        samples.push(memory);
        at += Duration::from_secs(1);
    }
    samples
}

/// Medians of the first and the last minute of samples a second apart, and the growth between them.
fn growth(samples: &[f64]) -> Value {
    let minute = (samples.len() / 2).clamp(1, 60).min(samples.len());
    let median = |part: &[f64]| {
        let mut part = part.to_vec();
        part.sort_unstable_by(f64::total_cmp);
        quantile(&part, 0.5)
    };
    let (first, last) = (median(&samples[..minute]), median(&samples[samples.len() - minute..]));
    let share = first.zip(last).map(|(first, last)| round(last / first - 1.0, 4));
    json!({ "first_mb": first.map(|mb| round(mb, 1)), "last_mb": last.map(|mb| round(mb, 1)), "growth": share })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Result<Answer, String> {
        read(&mut text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn reads_one_response_and_leaves_the_next() {
        let mut two = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 503 Busy\r\nconnection: close\r\n\
                       content-length: 0\r\n\r\n"
            .as_bytes();
        assert_eq!(read(&mut two).unwrap(), Answer { status: 200, bytes: 3, keeps: true });
        assert_eq!(read(&mut two).unwrap(), Answer { status: 503, bytes: 0, keeps: false });
        assert_eq!(read(&mut two).unwrap_err().to_string(), "no response to read");
    }

    #[test]
    fn half_a_response_is_none() {
        assert_eq!(answer("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab").unwrap_err(), "the response was cut short");
        assert_eq!(answer("HTTP/1.1 200 OK\r\ncontent-length: 3").unwrap_err(), "the response was cut short");
        assert_eq!(answer("HTTP/1.1 200 OK\r\n\r\n").unwrap_err(), "the response has no content-length");
    }

    #[test]
    fn quantiles_are_values_that_were_seen() {
        let hundred: Vec<_> = (1..=100).map(f64::from).collect();
        let of = |share| quantile(&hundred, share).unwrap();
        assert_eq!((of(0.5), of(0.9), of(0.99), of(1.0)), (50.0, 90.0, 99.0, 100.0));
        assert_eq!((quantile(&[7.0], 0.99), quantile(&[], 0.5)), (Some(7.0), None));
    }

    #[test]
    fn growth_compares_the_first_minute_with_the_last() {
        let flat_then_ten_percent_more: Vec<_> =
            (0..600).map(|second| if second < 300 { 100.0 } else { 110.0 }).collect();
        assert_eq!(growth(&flat_then_ten_percent_more), json!({ "first_mb": 100.0, "last_mb": 110.0, "growth": 0.1 }));
        assert_eq!(growth(&[50.0]), json!({ "first_mb": 50.0, "last_mb": 50.0, "growth": 0.0 }));
        assert_eq!(growth(&[]), json!({ "first_mb": null, "last_mb": null, "growth": null }));
    }

    #[test]
    fn counts_what_was_begun_after_the_warm_up() {
        let begin = Instant::now();
        let tally = |milliseconds: Vec<f64>, seconds| Tally {
            milliseconds,
            errors: BTreeMap::from([("status 503".to_owned(), 1)]),
            bytes: 10,
            last: Some(begin + Duration::from_secs(seconds)),
        };
        let report = report(vec![tally(vec![3.0, 1.0], 1), tally(vec![2.0], 2)], begin);
        assert_eq!((&report["p50_ms"], &report["rps"], &report["seconds"]), (&json!(2.0), &json!(1.5), &json!(2.0)));
        assert_eq!((&report["why"], &report["bytes"]), (&json!({ "status 503": 2 }), &json!(20)));
    }

    #[test]
    fn a_url_needs_scheme_and_path() {
        assert_eq!(parts("http://127.0.0.1:80/a/b").unwrap(), ("127.0.0.1:80", "/a/b"));
        assert!(parts("https://127.0.0.1/a").is_err() && parts("http://127.0.0.1:80").is_err());
    }

    #[test]
    fn knows_its_own_memory() {
        let Memory { resident, anonymous } = memory(std::process::id()).unwrap();
        assert!(resident >= anonymous && anonymous > 0.0, "{resident} {anonymous}");
    }
}
