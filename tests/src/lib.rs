//! Harness of the tests that cross crates: where shared data lies and a home that vanishes.

use std::path::{Path, PathBuf};

/// The folder of real corpora and judgments, if this machine has it: `ANAMNESIS_DATA`, else
/// `../shared/data` beside the project.
pub fn shared_data() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = std::env::var_os("ANAMNESIS_DATA").map_or_else(beside, PathBuf::from);
    folder.is_dir().then_some(folder)
}

/// The shared file at `path`; where it is missing says so, so that a skipped test is seen.
pub fn shared_file(path: &str) -> Option<PathBuf> {
    let file = shared_data().map(|folder| folder.join(path)).filter(|file| file.is_file() || file.is_dir());
    if file.is_none() {
        skip(&format!("{path} is not on this machine"));
    }
    file
}

/// Says that a test did not run, and why.
#[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
pub fn skip(reason: &str) {
    eprintln!("skipped: {reason} (set ANAMNESIS_DATA to the folder that holds it)");
}

/// The root of the workspace.
pub fn workspace() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    root.expect("the member lies in the workspace").to_owned()
}
