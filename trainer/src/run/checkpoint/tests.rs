//! Checkpoints that are whole, half-written, damaged and removed.

use super::*;

fn state(step: u64) -> State {
    let best = Some(Best { step: 2, score: 1.0 / 3.0 });
    State { stage: "sft".to_owned(), step, updates: step, tokens: u64::MAX, best, ..State::default() }
}

fn save(checkpoints: &Checkpoints, step: u64) -> PathBuf {
    let fill = |folder: &Path| {
        fs::create_dir(folder.join("model")).map_err(write(folder))?;
        fs::write(folder.join("model/weights"), [step as u8; 100]).map_err(write(folder))?;
        fs::write(folder.join("moments"), b"m").map_err(write(folder))
    };
    checkpoints.save(&state(step), fill).unwrap()
}

#[test]
fn the_newest_whole_one_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::open(&folder.path().join("checkpoints")).unwrap();
    assert!(checkpoints.newest().unwrap().is_none());
    for step in [3, 20, 100] {
        save(&checkpoints, step);
    }
    let (found, read) = checkpoints.newest().unwrap().unwrap();
    assert_eq!((found, read), (checkpoints.folder(100), state(100)));
    fs::write(checkpoints.folder(100).join("model/weights"), [0; 100]).unwrap();
    let error = checkpoints.load(100).unwrap_err().to_string();
    assert!(error.contains("model/weights") && error.contains("damaged"), "{error}");
    assert_eq!(checkpoints.newest().unwrap().unwrap().1.step, 20);
    fs::remove_file(checkpoints.folder(20).join("moments")).unwrap();
    assert_eq!(checkpoints.newest().unwrap().unwrap().1.step, 3);
    fs::write(checkpoints.folder(3).join("state.json"), "{").unwrap();
    assert!(checkpoints.newest().is_err());
}

#[test]
fn what_a_kill_left_is_no_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("checkpoints");
    let checkpoints = Checkpoints::open(&dir).unwrap();
    save(&checkpoints, 5);
    // Killed while the next one is being written, at any point before the rename.
    fs::create_dir_all(dir.join(".partial/model")).unwrap();
    fs::write(dir.join(".partial/model/weights"), b"half").unwrap();
    let again = Checkpoints::open(&dir).unwrap();
    assert_eq!(again.newest().unwrap().unwrap().1.step, 5);
    assert!(!dir.join(".partial").is_dir());
    // A failure while writing leaves the others alone.
    let failed = again.save(&state(6), |_| Err(Error::Input("full".to_owned())));
    assert_eq!(failed.unwrap_err().to_string(), "full");
    assert_eq!(again.steps().unwrap(), [5]);
}

#[test]
fn only_what_is_kept_stays() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::open(folder.path()).unwrap();
    (1..=6).for_each(|step| drop(save(&checkpoints, step)));
    save(&checkpoints, 6);
    checkpoints.prune(&[2, 6]).unwrap();
    assert_eq!(checkpoints.steps().unwrap(), [2, 6]);
    assert!(checkpoints.load(2).is_ok() && checkpoints.load(6).is_ok());
}
