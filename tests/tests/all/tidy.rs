//! The rules of the house that a machine can check: direction of dependencies, length of files,
//! module docs, where unsafe code and candle may be named, and words that must not appear.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tests::workspace;

const LONGEST: usize = 500;

/// Each crate and the crates of ours that it may use.
const MAY_USE: &[(&str, &[&str])] = &[
    ("corpus", &[]),
    ("indexes", &["corpus"]),
    ("nn", &[]),
    ("retriever", &["corpus", "indexes", "nn"]),
    ("agent", &["corpus", "indexes", "nn", "retriever"]),
    ("trainer", &["agent", "corpus", "indexes", "nn", "retriever"]),
    ("api", &["agent", "corpus", "indexes", "retriever"]),
    ("tests", &["agent", "corpus", "indexes", "nn", "retriever", "trainer"]),
];

#[test]
fn arrows_point_one_way() {
    let metadata =
        cargo_metadata::MetadataCommand::new().manifest_path(workspace().join("Cargo.toml")).no_deps().exec().unwrap();
    let rules: BTreeMap<_, _> = MAY_USE.iter().copied().collect();
    for package in &metadata.packages {
        let allowed = rules.get(package.name.as_str()).unwrap_or_else(|| panic!("{} has no rule here", package.name));
        for dependency in package.dependencies.iter().filter(|dependency| dependency.path.is_some()) {
            assert!(allowed.contains(&dependency.name.as_str()), "{} must not use {}", package.name, dependency.name);
        }
        let names: Vec<_> = package.dependencies.iter().map(|dependency| dependency.name.as_str()).collect();
        let is_async = names.iter().any(|name| ["tokio", "futures", "async-trait"].contains(name));
        assert!(!is_async || package.name.as_str() == "api", "{} is async: async ends in api", package.name);
        let has_tensors = names.iter().any(|name| name.starts_with("candle"));
        assert!(
            !has_tensors || ["nn", "trainer"].contains(&package.name.as_str()),
            "{} names tensors: they live in nn",
            package.name
        );
        assert_eq!(package.publish, Some(Vec::new()), "{} must not be published", package.name);
    }
}

#[test]
fn files_are_short_and_open_with_their_purpose() {
    let mut faults = Vec::new();
    for path in rust_files() {
        let text = fs::read_to_string(&path).unwrap();
        let name = path.strip_prefix(workspace()).unwrap().display().to_string();
        let lines = text.lines().count();
        if lines > LONGEST {
            faults.push(format!("{name} has {lines} lines, over {LONGEST}"));
        }
        if !text.starts_with("//! ") {
            faults.push(format!("{name} does not open with a module doc"));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn nothing_is_left_undone() {
    // written in two parts, so that this file does not find itself
    let words = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("unimpl", "emented!"), concat!("#[ign", "ore")];
    for path in rust_files() {
        let text = fs::read_to_string(&path).unwrap();
        for word in words {
            assert!(!text.contains(word), "{} says {word}", path.display());
        }
    }
}

#[test]
fn fused_ops_are_named_in_ops_only() {
    let banned = ["candle_nn::ops", "candle_nn::LayerNorm", "candle_nn::RmsNorm", "candle_nn::rotary_emb"];
    for path in rust_files() {
        let inside = path.strip_prefix(workspace()).unwrap();
        if inside.starts_with("nn/src/ops")
            || inside.ends_with("ops.rs")
            || inside.starts_with("tests")
            || inside.starts_with("nn/tests")
        {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for name in banned {
            assert!(!text.contains(name), "{} names {name}: it belongs in nn/src/ops", inside.display());
        }
    }
}

#[test]
fn one_noun_has_one_name() {
    // synonyms of chunk and evidence that must not become types
    let banned = ["struct Passage", "struct Snippet", "struct Context ", "struct Doc ", "enum Passage", "type Passage"];
    for path in rust_files().into_iter().filter(|path| !path.ends_with("tidy.rs")) {
        let text = fs::read_to_string(&path).unwrap();
        for name in banned {
            assert!(!text.contains(name), "{} has `{name}`: say Chunk or Evidence", path.display());
        }
    }
}

fn rust_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for (member, _) in MAY_USE {
        let folder = workspace().join(member);
        if folder.is_dir() {
            collect(&folder, &mut files);
        }
    }
    assert!(files.len() > 20, "the search for source files found too few");
    files.sort();
    files
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
