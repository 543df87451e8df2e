//! A home that vanishes, and the command run in it.

use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

/// A fresh home and a folder for files beside it.
pub(crate) struct Home {
    folder: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// The home with the three small trials of [`TRIALS`], indexed.
    pub(crate) fn with_trials() -> Self {
        let home = Self::new();
        let file = home.write("trials.jsonl", TRIALS);
        home.succeed(&["corpus", "add", path(&file)]);
        home.succeed(&["index", "build"]);
        home
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// Writes a file beside the home.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let file = self.folder.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        file
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::cargo_bin("anamnesis").unwrap();
        command.env_remove("ANAMNESIS_HOME").arg("--home").arg(self.path()).args(args);
        command
    }

    /// Runs to the end, whatever it is.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Standard output of a command that exits 0.
    pub(crate) fn succeed(&self, args: &[&str]) -> String {
        self.expect(args, 0).0
    }

    /// Standard error of a command that exits 2.
    pub(crate) fn fail(&self, args: &[&str]) -> String {
        self.expect(args, 2).1
    }

    /// Standard output and error of a command that exits `code`.
    pub(crate) fn expect(&self, args: &[&str], code: i32) -> (String, String) {
        let output = self.run(args);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let (out, err) = (text(output.stdout), text(output.stderr));
        assert_eq!(output.status.code(), Some(code), "{args:?}\n--- stdout\n{out}\n--- stderr\n{err}");
        (out, err)
    }

    /// One JSON value a line.
    pub(crate) fn json(&self, args: &[&str]) -> Vec<Value> {
        let mut args = args.to_vec();
        args.push("--json");
        self.succeed(&args).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

pub(crate) fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Three invented trials with all that filters ask for.
pub(crate) const TRIALS: &str = r#"{"id":"t1","title":"Zolmarin for acute migraine","text":"In 120 adults zolmarin 5 mg relieved acute migraine at two hours in 61% against 30% with placebo. Zolmarin is contraindicated in coronary disease.","year":2019,"pmid":"90000001","journal":"Journal of Invented Trials"}
{"id":"t2","title":"Zolmarin and blood pressure","text":"Zolmarin raised systolic blood pressure by 4 mmHg at one hour. Monitoring of zolmarin includes blood pressure.","year":2021,"pmid":"90000002"}
{"id":"t3","title":"Feverfew for the prevention of migraine","text":"Feverfew did not reduce the number of migraine days per month compared with placebo in 80 adults.","year":2010,"pmid":"90000003"}
"#;
