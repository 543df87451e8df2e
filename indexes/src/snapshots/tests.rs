//! Builds that end and builds that do not; damage; roll-back; collection.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::*;
use crate::fixture::{ROWS, Row, build, chunk_id, options, pushed, with_vectors};
use crate::{Filter, Stage, VectorIndex, VectorKind};
use corpus::DocumentId;

fn home() -> (tempfile::TempDir, Snapshots) {
    let dir = tempfile::tempdir().unwrap();
    let snapshots = Snapshots::new(&dir.path().join("snapshots"));
    (dir, snapshots)
}

fn leftovers(snapshots: &Snapshots) -> Vec<String> {
    snapshots.names().unwrap().into_iter().filter(|name| name.starts_with(BUILDING)).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn what_was_built_opens_again() {
    let (_dir, snapshots) = home();
    assert!(matches!(snapshots.open_current(), Err(Error::NoSnapshot { .. })));
    assert!(snapshots.list().unwrap().is_empty());
    let manifest = build(snapshots.dir(), with_vectors(0, VectorKind::Hnsw, 8), &ROWS).unwrap();
    let snapshot = snapshots.open_current().unwrap();
    assert_eq!(snapshot.manifest(), &manifest);
    assert_eq!((snapshot.len(), manifest.documents), (5, 4));
    for slot in 0..5 {
        assert_eq!(snapshot.chunk(slot), chunk_id(slot as usize));
        assert_eq!(snapshot.slot(&chunk_id(slot as usize)), Some(slot));
        assert_eq!(snapshot.document(slot), format!("note:{}", ROWS[slot as usize].0));
    }
    assert_eq!(snapshot.slot(&chunk_id(9)), None);
    assert_eq!((snapshot.document_number(1), snapshot.document_number(2)), (0, 1));
    assert_eq!(snapshot.slots_of(&DocumentId::new("note", "1")), [0, 1]);
    assert_eq!(snapshot.slots_of(&DocumentId::new("note", "9")), [0_u32; 0]);
    let drugs = Filter { collections: vec!["drugs".to_owned()], ..Filter::default() };
    assert_eq!(snapshot.mask(&drugs).iter().collect::<Vec<_>>(), [0, 1]);
    assert!(snapshots.verify(&manifest.id).unwrap().files >= 5);
    assert!(leftovers(&snapshots).is_empty());
}

#[test]
fn stages_are_told_in_order() {
    let (_dir, snapshots) = home();
    let mut stages = Vec::new();
    let build = pushed(snapshots.dir(), with_vectors(0, VectorKind::Hnsw, 8), &ROWS).unwrap();
    build.finish(&mut |stage| stages.push(stage)).unwrap();
    let graph = |done| Stage::Graph { done, total: 5 };
    let expected = [Stage::Lexical, graph(0), graph(2), graph(5), Stage::Recall, Stage::Verify, Stage::Publish];
    assert_eq!(stages, expected);
}

#[test]
fn a_build_that_is_stopped_at_any_stage_changes_nothing() {
    let (_dir, snapshots) = home();
    let first = build(snapshots.dir(), options(0), &ROWS).unwrap();
    for stop_at in [Stage::Lexical, Stage::Graph { done: 0, total: 5 }, Stage::Recall, Stage::Verify] {
        let options = with_vectors(1, VectorKind::Hnsw, 8);
        let stop = Arc::clone(&options.stop);
        let build = pushed(snapshots.dir(), options, &ROWS).unwrap();
        let outcome = build.finish(&mut |stage| stop.store(stage == stop_at || stop.load(Relaxed), Relaxed));
        assert!(matches!(outcome, Err(Error::Stopped)), "{stop_at:?}: {outcome:?}");
        assert_eq!(snapshots.current().unwrap(), Some(first.id.clone()));
        assert!(leftovers(&snapshots).is_empty());
    }
    let options = options(2);
    options.stop.store(true, Relaxed);
    assert!(matches!(pushed(snapshots.dir(), options, &ROWS), Err(Error::Stopped)));
    build(snapshots.dir(), with_vectors(3, VectorKind::Flat, 8), &ROWS).unwrap();
}

#[test]
fn nothing_in_nothing_out() {
    let (_dir, snapshots) = home();
    for (second, options) in
        [(0, options(0)), (1, with_vectors(1, VectorKind::Flat, 4)), (2, with_vectors(2, VectorKind::Hnsw, 4))]
    {
        build(snapshots.dir(), options, &[]).unwrap();
        let snapshot = snapshots.open_current().unwrap();
        assert!(snapshot.is_empty());
        assert_eq!(snapshot.lexical("metformin", 10, None).unwrap(), []);
        assert_eq!(snapshot.mask(&Filter::default()).count(), 0);
        if second > 0 {
            assert_eq!(snapshot.vectors(&[1.0; 4], 10, None, None).unwrap(), []);
        }
    }
}

#[test]
fn a_build_that_does_not_end_changes_nothing() {
    let (_dir, snapshots) = home();
    let first = build(snapshots.dir(), options(0), &ROWS).unwrap();
    for rows in [&ROWS[..0], &ROWS[..3]] {
        drop(pushed(snapshots.dir(), options(1), rows).unwrap());
        assert!(leftovers(&snapshots).is_empty());
        assert_eq!(snapshots.current().unwrap(), Some(first.id.clone()));
    }
    // A kill runs no destructor: what it leaves, at any stage, is in the way of nothing.
    let mut copies = 0;
    let mut copy = |snapshots: &Snapshots| {
        for name in leftovers(snapshots) {
            copies += 1;
            copy_folder(&snapshots.dir().join(&name), &snapshots.dir().join(format!("killed-{copies}")));
        }
    };
    let unfinished = pushed(snapshots.dir(), with_vectors(1, VectorKind::Hnsw, 8), &ROWS).unwrap();
    copy(&snapshots);
    unfinished.finish(&mut |_| copy(&snapshots)).unwrap();
    assert!(copies > 5);
    for number in 1..=copies {
        fs::rename(
            snapshots.dir().join(format!("killed-{number}")),
            snapshots.dir().join(format!("{BUILDING}{number}")),
        )
        .unwrap();
    }
    fs::write(snapshots.dir().join("CURRENT.tmp"), "2026").unwrap();
    assert_eq!(snapshots.open_current().unwrap().len(), 5);
    assert_eq!(snapshots.list().unwrap().len(), 2);
    snapshots.gc(9).unwrap();
    assert!(leftovers(&snapshots).is_empty());
    assert_eq!(snapshots.list().unwrap().len(), 2);
}

/// Copies what is there. The lexical index merges and collects on threads of its own, so a file may vanish meanwhile.
fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &target);
        } else if let Err(error) = fs::copy(&path, &target) {
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{}: {error}", path.display());
        }
    }
}

#[test]
fn two_builds_at_once_are_refused() {
    let (_dir, snapshots) = home();
    let first = pushed(snapshots.dir(), options(0), &ROWS).unwrap();
    let pid = std::process::id().to_string();
    assert!(matches!(pushed(snapshots.dir(), options(0), &ROWS), Err(Error::Busy { pid: holder }) if holder == pid));
    assert!(matches!(snapshots.gc(1), Err(Error::Busy { .. })));
    first.finish(&mut |_| {}).unwrap();
    build(snapshots.dir(), options(0), &ROWS).unwrap();
}

#[test]
fn a_chunk_pushed_twice_is_refused() {
    let (_dir, snapshots) = home();
    let rows: Vec<Row> = ROWS.to_vec();
    let mut build = pushed(snapshots.dir(), options(0), &rows).unwrap();
    let entry =
        crate::Entry { chunk: chunk_id(0), title: "", heading: "", text: "", facets: &crate::fixture::facets("1") };
    build.push(&entry, None).unwrap();
    assert!(matches!(build.finish(&mut |_| {}), Err(Error::Input(_))));
    assert_eq!(snapshots.current().unwrap(), None);
    assert!(leftovers(&snapshots).is_empty());
}

#[test]
fn a_graph_that_finds_too_little_is_refused() {
    let (_dir, snapshots) = home();
    let strict = crate::BuildOptions { recall_threshold: 1.1, ..with_vectors(0, VectorKind::Hnsw, 8) };
    assert!(matches!(build(snapshots.dir(), strict, &ROWS), Err(Error::Recall { .. })));
    assert_eq!(snapshots.current().unwrap(), None);
}

#[test]
fn a_graph_nobody_asked_for_makes_way_for_the_exact_scan() {
    let (_dir, snapshots) = home();
    let strict = crate::BuildOptions { recall_threshold: 1.1, graph_from: 2, ..with_vectors(0, VectorKind::Auto, 8) };
    let manifest = build(snapshots.dir(), strict, &ROWS).unwrap();
    assert_eq!(manifest.vectors.kind, VectorIndex::Flat);
    assert!(manifest.files.keys().all(|file| !file.contains("graph")), "{:?}", manifest.files.keys());
    snapshots.open(&manifest.id).unwrap();
}

/// A message names the file and the command that mends it.
fn tells_what_to_do(error: &Error, file: &Path) {
    let message = error.to_string();
    assert!(message.contains(&file.display().to_string()), "{message}: {}", file.display());
    assert!(message.contains("anamnesis index build"), "{message}");
}

#[test]
fn a_flipped_byte_anywhere_is_refused() {
    let (_dir, snapshots) = home();
    let manifest = build(snapshots.dir(), with_vectors(0, VectorKind::Hnsw, 8), &ROWS).unwrap();
    let folder = snapshots.folder(&manifest.id);
    let mut seed = 1_u64;
    for file in files(&folder) {
        let whole = fs::read(&file).unwrap();
        // Every byte of a short file, some of a long one.
        for at in (0..whole.len()).step_by(whole.len().div_ceil(150)) {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = (at + (seed >> 40) as usize) % whole.len();
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (seed >> 60 & 7);
            fs::write(&file, &bytes).unwrap();
            let error = snapshots.open_current().map(|_| ()).expect_err(&format!("{} at {at}", file.display()));
            tells_what_to_do(&error, &file);
            assert!(snapshots.verify(&manifest.id).is_err());
        }
        fs::write(&file, &whole[..whole.len() / 2]).unwrap();
        tells_what_to_do(&snapshots.open_current().unwrap_err(), &file);
        fs::write(&file, [&whole[..], b" "].concat()).unwrap();
        assert!(snapshots.open_current().is_err(), "{}", file.display());
        fs::remove_file(&file).unwrap();
        tells_what_to_do(&snapshots.open_current().unwrap_err(), &file);
        fs::write(&file, &whole).unwrap();
        snapshots.open_current().unwrap();
    }
}

#[test]
fn a_manifest_of_another_version_or_snapshot_is_refused() {
    let (_dir, snapshots) = home();
    let id = build(snapshots.dir(), options(0), &ROWS).unwrap().id;
    let path = snapshots.folder(&id).join("manifest.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"format_version\": 1", "\"format_version\": 99, \"new\": true")).unwrap();
    let error = snapshots.open_current().unwrap_err();
    assert!(matches!(error, Error::Format { found: 99, .. }));
    tells_what_to_do(&error, &path);
    fs::write(&path, text).unwrap();
    let other = SnapshotId::parse("20261121T132200123Z-3fa9c1").unwrap();
    fs::rename(snapshots.folder(&id), snapshots.folder(&other)).unwrap();
    assert!(matches!(snapshots.open(&other), Err(Error::Corrupt { .. })));
    assert!(matches!(snapshots.open(&id), Err(Error::Unknown { .. })));
}

#[test]
fn a_current_that_points_nowhere_is_refused() {
    let (_dir, snapshots) = home();
    build(snapshots.dir(), options(0), &ROWS).unwrap();
    let path = snapshots.dir().join("CURRENT");
    for text in ["", "../..", "20261121T132200123Z-3fa9c1\n", "\u{0}", &"x".repeat(9000)] {
        fs::write(&path, text).unwrap();
        tells_what_to_do(&snapshots.open_current().unwrap_err(), &path);
        assert_eq!(snapshots.list().unwrap().len(), 1);
    }
}

#[test]
fn rolling_back_and_collecting() {
    let (_dir, snapshots) = home();
    assert!(matches!(snapshots.rollback(None), Err(Error::NoSnapshot { .. })));
    // The clock is set back twice: names keep the order of builds all the same.
    let ids: Vec<SnapshotId> =
        [9, 9, 3, 4].into_iter().map(|second| build(snapshots.dir(), options(second), &ROWS).unwrap().id).collect();
    assert!(ids.is_sorted());
    let listed: Vec<(SnapshotId, bool)> =
        snapshots.list().unwrap().into_iter().map(|one| (one.id, one.current)).collect();
    assert_eq!(listed, ids.iter().map(|id| (id.clone(), *id == ids[3])).collect::<Vec<_>>());

    let pinned = snapshots.open_current().unwrap();
    assert_eq!(snapshots.rollback(None).unwrap(), ids[2]);
    assert_eq!(snapshots.rollback(None).unwrap(), ids[1]);
    assert_eq!(snapshots.rollback(Some(ids[3].clone())).unwrap(), ids[3]);
    assert_eq!(snapshots.rollback(Some(ids[0].clone())).unwrap(), ids[0]);
    assert!(matches!(snapshots.rollback(None), Err(Error::Input(_))));
    assert_eq!(pinned.manifest().id, ids[3]);

    // Damage is found before `CURRENT` moves.
    fs::write(snapshots.folder(&ids[1]).join("chunks.bin"), "x").unwrap();
    assert!(matches!(snapshots.rollback(Some(ids[1].clone())), Err(Error::Corrupt { .. })));
    assert_eq!(snapshots.current().unwrap(), Some(ids[0].clone()));

    assert_eq!(snapshots.gc(1).unwrap(), [ids[1].clone(), ids[2].clone()]);
    assert_eq!(
        snapshots.list().unwrap().into_iter().map(|one| one.id).collect::<Vec<_>>(),
        [ids[0].clone(), ids[3].clone()]
    );
    assert_eq!(snapshots.gc(0).unwrap(), [ids[3].clone()]);
    assert_eq!(snapshots.open_current().unwrap().len(), 5);
    // What has been removed stays open where it is pinned.
    assert_eq!(pinned.lexical("tocilizumab", 1, None).unwrap().len(), 1);
}

#[cfg(unix)]
#[test]
fn reading_writes_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let (_dir, snapshots) = home();
    let id = build(snapshots.dir(), with_vectors(0, VectorKind::Hnsw, 8), &ROWS).unwrap().id;
    let stamps = |dir: &Path| -> BTreeMap<PathBuf, std::time::SystemTime> {
        files(dir).into_iter().map(|path| (path.clone(), fs::metadata(&path).unwrap().modified().unwrap())).collect()
    };
    let before = stamps(snapshots.dir());
    for folder in [snapshots.folder(&id).join("lexical"), snapshots.folder(&id), snapshots.dir().to_owned()] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o555)).unwrap();
    }
    assert_eq!(snapshots.open_current().unwrap().lexical("metformin", 9, None).unwrap().len(), 2);
    snapshots.verify(&id).unwrap();
    snapshots.list().unwrap();
    assert_eq!(stamps(snapshots.dir()), before);
    for folder in [snapshots.folder(&id).join("lexical"), snapshots.folder(&id), snapshots.dir().to_owned()] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    }
}
