//! The interface as checked in is the interface as the types have it.

use std::path::Path;

#[test]
fn the_golden_file_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let current = api::openapi().to_pretty_json().unwrap() + "\n";
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(&path, &current).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    assert!(
        golden == current,
        "the interface changed: if that is meant, run `UPDATE_OPENAPI=1 cargo test -p api --test serve openapi` and look at the difference"
    );
}
