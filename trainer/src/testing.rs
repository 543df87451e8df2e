//! What the tests of runs share: a folder copied, two folders compared, a run on pairs of answers, a small task.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use agent::journal::{self, Entry, Step};

use crate::recipe::{Duplicates, Learn, Plan, Recipe};
use crate::run::checkpoint::State;
use crate::{Kind, Progress, Result, stages, task::lookup};

/// A lookup task that is made in a moment.
pub(crate) const LOOKUP: lookup::Size = lookup::Size {
    drugs: 20,
    train: 5,
    heldout: 6,
    editions: 1,
    demonstrations: 5,
    two_hop: 1,
    copying: 5,
    retelling: 5,
};

/// A copy of the folder `from`, with all that is in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let copied = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &copied) } else { assert!(fs::copy(&path, &copied).is_ok()) }
    }
}

/// Every file under `folder` by its path in it.
pub(crate) fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = PathBuf::from(path.file_name().unwrap());
        if path.is_dir() {
            files.extend(self::files(&path).into_iter().map(|(inner, bytes)| (name.join(inner), bytes)));
        } else {
            files.insert(name, fs::read(&path).unwrap());
        }
    }
    files
}

/// The same files in both folders, to the byte.
pub(crate) fn assert_same(left: &Path, right: &Path) {
    let (left, right) = (files(left), files(right));
    assert_eq!(left.keys().collect::<Vec<_>>(), right.keys().collect::<Vec<_>>());
    for (name, bytes) in &left {
        assert!(right[name] == *bytes, "{} differs", name.display());
    }
}

/// Copies the folder `from` when `step` is told: what a kill right after it would leave.
pub(crate) fn copied_after(step: u64, from: &Path, to: &Path) -> impl FnMut(Progress) {
    let (from, to) = (from.to_owned(), to.to_owned());
    move |progress| {
        if progress.step == step {
            copy(&from, &to);
        }
    }
}

/// Runs of one recipe, in a folder that goes with them.
pub(crate) struct Trial {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) recipe: Recipe,
}

impl Trial {
    /// Runs of a tiny random model on pairs of answers that are ids: learns from these lines and measures by those.
    pub(crate) fn paired(learn: Learn, train: &str, heldout: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("model");
        nn::init(nn::Shape::Tiny, 3, &model, &mut |_, _| {}).unwrap();
        let mut recipe = Recipe::parse(Path::new("a.toml"), crate::recipe::TEMPLATE, &[]).unwrap();
        (recipe.model.path, recipe.model.learn) = (model, learn);
        let write = |name: &str, lines: &str| {
            let path = folder.path().join(name);
            fs::write(&path, lines).unwrap();
            path
        };
        recipe.data.train = vec![write("train.jsonl", train)];
        if !heldout.is_empty() {
            recipe.data.heldout = vec![write("heldout.jsonl", heldout)];
        }
        recipe.data.duplicates = Duplicates::Keep;
        recipe.optimiser.learning_rate = Some(3e-3);
        (recipe.optimiser.warmup_steps, recipe.optimiser.weight_decay) = (2, 0.0);
        (recipe.run.evaluate_every, recipe.run.checkpoint_every) = (0, 0);
        Self { folder, recipe }
    }

    pub(crate) fn plan(&self) -> Plan {
        self.recipe.clone().plan(Path::new("a.toml")).unwrap()
    }

    pub(crate) fn out(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn run(&self, kind: Kind, name: &str, resume: bool) -> Result<State> {
        self.tell(kind, name, resume, &mut |_| {})
    }

    pub(crate) fn tell(&self, kind: Kind, name: &str, resume: bool, told: &mut dyn FnMut(Progress)) -> Result<State> {
        let plan = self.recipe.clone().plan(Path::new("a.toml"))?;
        stages::run(kind, &plan, &self.out(name), resume, &|| jiff::Timestamp::UNIX_EPOCH, told)
    }

    /// The steps that a run told.
    pub(crate) fn steps(&self, name: &str) -> Vec<Step> {
        let entries = journal::read(&self.out(name)).unwrap().into_iter();
        entries.filter_map(|entry| if let Entry::Step(step) = entry { Some(step) } else { None }).collect()
    }
}

/// An answer of one token to a prompt of one token.
pub(crate) fn answer(prompt: u32, id: u32) -> serde_json::Value {
    serde_json::json!({ "ids": [prompt, id], "mask": [false, true] })
}

/// As [`records`], once each and with a token more that nobody learns: other records of the same pairs.
pub(crate) fn again(prompt: u32, pairs: &[(u32, u32)]) -> String {
    let answer = |id: u32| serde_json::json!({ "ids": [prompt, id, 9], "mask": [false, true, false] });
    let line = |(better, worse): &(u32, u32)| {
        format!("{}\n", serde_json::json!({ "chosen": answer(*better), "rejected": answer(*worse) }))
    };
    pairs.iter().map(line).collect()
}

/// So many records that each say that the first answer is better.
pub(crate) fn records(prompt: u32, pairs: &[(u32, u32, usize)]) -> String {
    let line = |(better, worse): (u32, u32)| {
        let record = serde_json::json!({ "chosen": answer(prompt, better), "rejected": answer(prompt, worse) });
        format!("{record}\n")
    };
    pairs.iter().flat_map(|(better, worse, count)| std::iter::repeat_n((*better, *worse), *count)).map(line).collect()
}

/// Runs once whole, and once more from a copy of its folder after `step`; both end in the same bytes.
pub(crate) fn resumes_to_the_byte(paired: &Trial, kind: Kind, step: u64) {
    let (whole, half) = (paired.out("whole"), paired.out("half"));
    let copy_then = &mut copied_after(step, &whole, &half);
    let state = paired.tell(kind, "whole", false, copy_then).unwrap();
    assert!(state.step > step, "{state:?}");
    assert_eq!(paired.run(kind, "half", true).unwrap(), state);
    assert_same(&whole.join("checkpoints"), &half.join("checkpoints"));
    assert_eq!(paired.steps("whole"), paired.steps("half"));
    // The same again from the beginning.
    paired.run(kind, "again", false).unwrap();
    assert_same(&whole.join("checkpoints"), &paired.out("again").join("checkpoints"));
}
