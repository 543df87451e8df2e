//! Read-only and locked homes, kills at random moments, two builds at once.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::harness::{Home, path};

/// A corpus large enough that adding and building it takes a while: each report of a topic of its own.
fn many(count: usize) -> String {
    let words = [
        "insulin",
        "heart",
        "trial",
        "placebo",
        "renal",
        "dose",
        "risk",
        "adults",
        "therapy",
        "outcome",
        "asthma",
        "lung",
        "stroke",
        "bleeding",
        "vaccine",
        "children",
        "surgery",
        "pain",
        "opioid",
        "infection",
        "sepsis",
        "bone",
        "fracture",
        "thyroid",
        "iron",
        "anemia",
        "liver",
        "virus",
        "cancer",
        "tumor",
        "imaging",
        "screening",
        "pregnancy",
        "migraine",
        "seizure",
        "sleep",
        "obesity",
        "exercise",
        "diet",
        "kidney",
    ];
    let line = |id: usize| {
        let word = |at: usize| words[(id * (2 * at + 7) + id / words.len() * (at + 3)) % words.len()];
        let body: Vec<_> = (0..60).map(|at| word(at % 6)).collect();
        format!("{{\"id\":\"d{id}\",\"title\":\"Report {id}\",\"text\":\"{}.\"}}\n", body.join(" "))
    };
    (0..count).map(line).collect::<Vec<_>>().concat()
}

fn spawn(home: &Home, args: &[&str]) -> std::process::Child {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("anamnesis"));
    command.env_remove("ANAMNESIS_HOME").arg("--home").arg(home.path()).args(args);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Milliseconds that spread over a run of `whole`, a different one each `round` of ten.
fn moment(whole: Duration, round: u32) -> Duration {
    whole.mul_f64(f64::from((round * 7 + 3) % 10) / 10.0 + 0.02)
}

#[test]
fn killed_while_adding_nothing_committed_is_lost() {
    let home = Home::new();
    let file = home.write("many.jsonl", many(20_000));
    let start = std::time::Instant::now();
    Home::new().succeed(&["corpus", "add", path(&file)]);
    let whole = start.elapsed();
    let mut before = 0;
    for round in 0..10 {
        let mut child = spawn(&home, &["corpus", "add", path(&file)]);
        std::thread::sleep(moment(whole, round));
        child.kill().unwrap();
        child.wait().unwrap();
        if home.path().join("corpus.db").is_file() {
            let stats = &home.json(&["corpus", "stats"])[0];
            let documents = stats["documents"].as_u64().unwrap();
            assert!(documents >= before, "{documents} documents after {before}");
            assert_eq!(stats["chunks"], stats["documents"], "each document has its chunk");
            before = documents;
        }
    }
    home.succeed(&["corpus", "add", path(&file)]);
    assert_eq!(home.json(&["corpus", "stats"])[0]["documents"], 20_000);
}

#[test]
fn killed_while_building_the_old_snapshot_serves() {
    let home = Home::with_trials();
    let id = || fs::read_to_string(home.path().join("snapshots/CURRENT")).unwrap();
    let file = home.write("many.jsonl", many(6_000));
    home.succeed(&["corpus", "add", path(&file)]);
    let old = id();
    let start = std::time::Instant::now();
    home.succeed(&["index", "build", "--vectors", "hnsw"]);
    let whole = start.elapsed();
    home.succeed(&["index", "rollback"]);
    assert_eq!(id(), old);
    for round in 0..10 {
        let mut child = spawn(&home, &["index", "build", "--vectors", "hnsw"]);
        std::thread::sleep(moment(whole, round));
        child.kill().unwrap();
        let finished = child.wait().unwrap().success();
        if !finished && id() == old {
            assert_eq!(home.json(&["search", "zolmarin", "--arm", "lexical"]).len(), 2, "round {round}");
        } else {
            home.succeed(&["index", "verify"]);
            home.succeed(&["index", "rollback", old.trim()]);
        }
    }
    home.succeed(&["index", "build"]);
    home.succeed(&["index", "gc", "--keep", "1"]);
    let left: Vec<_> =
        fs::read_dir(home.path().join("snapshots")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("building")), "{left:?}");
    assert_eq!(home.json(&["index", "list"]).len(), 1);
}

#[test]
fn two_builds_at_once_one_is_told_to_wait() {
    let home = Home::new();
    let file = home.write("many.jsonl", many(6_000));
    home.succeed(&["corpus", "add", path(&file)]);
    let mut children: Vec<_> = (0..2).map(|_| spawn(&home, &["index", "build", "--vectors", "hnsw"])).collect();
    let codes: Vec<_> = children.iter_mut().map(|child| child.wait().unwrap().code()).collect();
    assert!(codes.contains(&Some(0)), "{codes:?}");
    assert!(codes.iter().all(|code| [Some(0), Some(2)].contains(code)), "{codes:?}");
    home.succeed(&["index", "verify"]);
    home.succeed(&["search", "insulin"]);
}

#[test]
fn a_read_only_home_answers_without_storing() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::with_trials();
    let set = |mode: u32, file_mode: u32| {
        let mut stack = vec![home.path()];
        while let Some(folder) = stack.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    stack.push(path);
                } else {
                    fs::set_permissions(&path, fs::Permissions::from_mode(file_mode)).unwrap();
                }
            }
            fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    set(0o555, 0o444);
    let writable = fs::write(home.path().join("probe"), "").is_ok();
    let answer = home.run(&["ask", "When is zolmarin contraindicated?", "--json"]);
    let add = home.run(&["corpus", "tag", "x", "t1"]);
    set(0o755, 0o644);
    assert_eq!(answer.status.code(), Some(0), "{}", String::from_utf8_lossy(&answer.stderr));
    if writable {
        // permissions do not bind a superuser: only the answer could be tested
        eprintln!("skipped: this user may write anywhere, so the refusal to write was not tested");
    } else {
        assert_eq!(add.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&add.stderr).contains("read-only"));
    }
}

#[test]
fn foreign_and_damaged_homes_are_refused_plainly() {
    let home = Home::new();
    fs::create_dir_all(home.path()).unwrap();
    fs::write(home.path().join("corpus.db"), "this is no database, whatever its name says".repeat(99)).unwrap();
    let error = home.fail(&["corpus", "stats"]);
    assert!(error.contains("corpus.db"), "{error}");
    fs::remove_file(home.path().join("corpus.db")).unwrap();
    fs::remove_dir(home.path()).unwrap();
    fs::write(home.path(), "a file").unwrap();
    home.fail(&["ask", "What is zolmarin?"]);
}
