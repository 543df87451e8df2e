//! [`Tasks`]: the questions of a run, and which of them each step asks.

use std::collections::BTreeSet;

use crate::data::question::{Question, questions};
use crate::learner::order::Order;
use crate::recipe::Recipe;
use crate::run::checkpoint::Cursor;
use crate::{Error, Result};

/// The questions of a run.
pub(super) struct Tasks {
    pub(super) train: Vec<Question>,
    pub(super) heldout: Vec<Question>,
    order: Order,
}

impl Tasks {
    /// Reads the questions of a recipe.
    ///
    /// # Errors
    /// Those of bad files; [`Error::Input`] for a name that is there twice, or a question to train on that is
    /// held out too.
    pub(super) fn read(recipe: &Recipe) -> Result<Self> {
        let read = |paths: &[std::path::PathBuf]| -> Result<Vec<Question>> {
            Ok(paths.iter().map(|path| questions(path)).collect::<Result<Vec<_>>>()?.concat())
        };
        let (train, heldout) = (read(&recipe.data.train)?, read(&recipe.data.heldout)?);
        for questions in [&train, &heldout] {
            let mut names = BTreeSet::new();
            if let Some(twice) = questions.iter().find(|question| !names.insert(&question.id)) {
                return Err(Error::Input(format!("question `{}` is in two files of the recipe", twice.id)));
            }
        }
        let asked: BTreeSet<_> = train.iter().map(|question| question.question.trim()).collect();
        if let Some(both) = heldout.iter().find(|question| asked.contains(question.question.trim())) {
            return Err(Error::Input(format!("question `{}` of data.heldout is in data.train too", both.id)));
        }
        let order = Order::new(vec![1; train.len()], recipe.rollout.questions, recipe.run.seed);
        Ok(Self { train, heldout, order })
    }

    /// The questions at a place of the run, and the place after it.
    pub(super) fn at(&self, cursor: Cursor) -> (Vec<Question>, Cursor) {
        let packs = self.order.epoch(cursor.epoch);
        let pack = packs.get(cursor.pack as usize).map_or(&[][..], Vec::as_slice);
        let next = if cursor.pack + 1 < packs.len() as u64 {
            Cursor { pack: cursor.pack + 1, ..cursor }
        } else {
            Cursor { epoch: cursor.epoch + 1, pack: 0 }
        };
        (pack.iter().map(|number| self.train[*number].clone()).collect(), next)
    }

    /// Passes over the questions once those at `cursor` were asked.
    pub(super) fn epochs(&self, cursor: Cursor) -> f64 {
        let packs = self.order.epoch(cursor.epoch).len().max(1);
        cursor.epoch as f64 + (cursor.pack + 1) as f64 / packs as f64
    }

    /// Hash of all questions, and of what they are asked of.
    pub(super) fn fingerprint(&self, library: &str) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(library.as_bytes());
        for questions in [&self.train, &self.heldout] {
            hasher.update(&(questions.len() as u64).to_le_bytes());
            for question in questions {
                let text = format!("{question:?}");
                hasher.update(&(text.len() as u64).to_le_bytes());
                hasher.update(text.as_bytes());
            }
        }
        hasher.finalize().to_hex().to_string()
    }
}
