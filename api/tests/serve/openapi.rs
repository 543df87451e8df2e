//! The interface as checked in is the interface as the types have it.

use std::collections::BTreeMap;
use std::fs;
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

/// Names that the types of a folder have in the interface.
fn named(folder: &Path, names: &mut BTreeMap<String, Vec<String>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            named(&path, names);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let mut is_schema = false;
        let mut other_name = None;
        for line in text.lines() {
            is_schema |= line.starts_with("#[derive(") && line.contains("ToSchema");
            other_name =
                line.strip_prefix("#[schema(as = ").and_then(|rest| rest.split([')', ',']).next()).or(other_name);
            let own = ["pub(crate) struct ", "pub(crate) enum "].iter().find_map(|kind| line.strip_prefix(kind));
            let Some(own) = own.and_then(|rest| rest.split([' ', '(', '<', ';']).next()) else { continue };
            if is_schema {
                let name = other_name.unwrap_or(own).to_owned();
                names.entry(name).or_default().push(path.display().to_string());
            }
            (is_schema, other_name) = (false, None);
        }
    }
}

#[test]
fn no_two_types_have_one_name_in_the_interface() {
    let mut names = BTreeMap::new();
    named(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/server/wire"), &mut names);
    assert!(names.len() > 80, "{}", names.len());
    // of two schemas with one name, one takes the other's place without a word
    let twice: Vec<_> = names.into_iter().filter(|(_, files)| files.len() > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
}
