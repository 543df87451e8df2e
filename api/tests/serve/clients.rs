//! Clients that others wrote, where a Python is there that has them (`ANAMNESIS_PYTHON`, `python3` unless set).

use std::path::Path;
use std::process::Command;

use crate::harness::{Home, QUESTION, Server};

/// Runs a script of `clients` that needs `import`; skips, with a line, where that does not succeed.
#[expect(clippy::print_stdout, reason = "whoever reads the tests' output is to know what did not run")]
fn run(script: &str, import: &str, arguments: &[&str]) {
    let python = std::env::var("ANAMNESIS_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let imported = Command::new(&python).args(["-c", import]).output();
    if !imported.is_ok_and(|output| output.status.success()) {
        println!("skipped: {python} cannot `{import}`; name a Python that can in ANAMNESIS_PYTHON");
        return;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(script);
    let output = Command::new(&python).arg(path).args(arguments).output().unwrap();
    let (told, failed) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && told.contains("agrees"), "{told}{failed}");
}

#[test]
fn the_client_of_openai_agrees() {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    run("openai_client.py", "from openai import OpenAI", &[&server.url(""), QUESTION]);
}

#[test]
fn the_client_of_the_model_context_protocol_agrees() {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    let command = [env!("CARGO_BIN_EXE_anamnesis"), "--home", home.path().to_str().unwrap(), "mcp"];
    run(
        "mcp_client.py",
        "from mcp import Client",
        &[&[server.url("").as_str(), QUESTION], command.as_slice()].concat(),
    );
}
