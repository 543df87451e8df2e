//! A folder that loads, the same each time; and nothing where it could not be made.

use super::*;

fn make(shape: Shape, seed: u64, dir: &Path) {
    init(shape, seed, dir, &mut |_, _| {}).unwrap();
}

/// Names in a folder, sorted.
fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_seed_decides_every_byte() {
    let home = tempfile::tempdir().unwrap();
    let weights = |name: &str, seed: u64| {
        let dir = home.path().join(name);
        make(Shape::Tiny, seed, &dir);
        let files = names(&dir);
        assert_eq!(
            files,
            ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
        );
        files.iter().map(|file| blake3::hash(&fs::read(dir.join(file)).unwrap())).collect::<Vec<_>>()
    };
    let first = weights("a", 1);
    assert_eq!(first, weights("b", 1));
    let other = weights("c", 2);
    assert_ne!(first[2], other[2]);
    assert_eq!((&first[..2], &first[3..]), (&other[..2], &other[3..]));
    // What other machines and later versions must draw too.
    assert_eq!(first[2].to_hex()[..16], *"8df51b5b6e20ff19");
    assert_eq!(names(home.path()), ["a", "b", "c"]);
}

#[test]
fn progress_ends_at_the_whole() {
    let home = tempfile::tempdir().unwrap();
    let mut seen = Vec::new();
    init(Shape::Small, 0, &home.path().join("small"), &mut |done, total| seen.push((done, total))).unwrap();
    assert!(seen.is_sorted() && seen.first().unwrap().0 == 0);
    let (done, total) = *seen.last().unwrap();
    assert_eq!(done, total);
    let length = fs::metadata(home.path().join("small/model.safetensors")).unwrap().len();
    assert!(length > total && length < total + 10_000, "{length} bytes for {total}");
}

#[test]
fn what_exists_is_left_alone() {
    let home = tempfile::tempdir().unwrap();
    for (name, is_file) in [("folder", false), ("file", true)] {
        let dir = home.path().join(name);
        if is_file {
            fs::write(&dir, "x").unwrap();
        } else {
            fs::create_dir(&dir).unwrap();
        }
        let message = init(Shape::Tiny, 0, &dir, &mut |_, _| {}).unwrap_err().to_string();
        assert!(message.contains(name) && message.contains("exists already"), "{message}");
    }
    assert_eq!(names(home.path()), ["file", "folder"]);
    assert!(init(Shape::Tiny, 0, Path::new("/"), &mut |_, _| {}).is_err());
}

#[test]
fn a_folder_cannot_be_written_by_two() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("model");
    let mut refused = None;
    init(Shape::Tiny, 0, &dir, &mut |_, _| {
        if refused.is_none() {
            refused = Some(init(Shape::Tiny, 1, &dir, &mut |_, _| {}).unwrap_err().to_string());
        }
    })
    .unwrap();
    assert!(refused.unwrap().contains("another process"));
    assert_eq!(names(home.path()), ["model"]);
}

#[test]
fn what_a_killed_run_left_is_removed_by_the_next() {
    let home = tempfile::tempdir().unwrap();
    let left = home.path().join(".model.partial");
    fs::create_dir(&left).unwrap();
    fs::write(left.join("model.safetensors"), [0; 100]).unwrap();
    fs::write(home.path().join(".model.lock"), "").unwrap();
    make(Shape::Tiny, 0, &home.path().join("model"));
    assert_eq!(names(home.path()), ["model"]);
}

#[test]
fn a_failure_leaves_nothing_behind() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("model");
    let hidden = home.path().join(".model.partial");
    // The folder is gone when the last file is to be renamed into place.
    let error = init(Shape::Tiny, 0, &dir, &mut |done, total| {
        if done == total {
            fs::remove_dir_all(&hidden).unwrap();
        }
    })
    .unwrap_err();
    assert!(matches!(error, Error::Write { .. }), "{error}");
    assert!(names(home.path()).is_empty());
    // A panic on the way unwinds through the same door.
    let died = std::panic::catch_unwind(|| init(Shape::Tiny, 0, &dir, &mut |_, _| panic!("on purpose")));
    assert!(died.is_err() && names(home.path()).is_empty());
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_with_the_file() {
    let message = save(Path::new("/dev/full"), b"x").unwrap_err().to_string();
    assert!(message.starts_with("cannot write /dev/full: "), "{message}");
    let tensors = layout::tensors(&layout::config(Shape::Tiny));
    let mut seen = 0;
    let full = safetensors::write_file(Path::new("/dev/full"), &tensors, false, 0, &mut |bytes| seen += bytes);
    assert!(matches!(full, Err(Error::Write { .. })) && seen == 0);
}

#[cfg(unix)]
#[test]
fn a_place_that_cannot_be_is_told() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("file"), "x").unwrap();
    let message = init(Shape::Tiny, 0, &home.path().join("file/model"), &mut |_, _| {}).unwrap_err().to_string();
    assert!(message.starts_with("cannot write") && message.contains("file"), "{message}");
}

#[test]
fn shapes_are_known_by_name() {
    for shape in Shape::ALL {
        assert_eq!(shape.name().parse(), Ok(shape));
    }
    let message = "7b".parse::<Shape>().unwrap_err();
    assert_eq!(message, "`7b` is no shape: tiny, small, 0.5b, 1b, 8b");
}
