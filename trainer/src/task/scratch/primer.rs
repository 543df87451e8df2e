//! [`Primer`]: a policy that speaks a corpus's own words, and what it is taught before it sees a task.

use std::path::Path;

use agent::Budget;
use corpus::store::ChunkInContext;
use nn::Tokenizer;

use super::copying::copying;
use super::reading::{Pretend, Reader, lessons};
use super::{Shape, tokenizer, write_folder};
use crate::{Error, Result, files};

/// How large the policy is, and how much it is taught.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Primer {
    shape: Shape,
    vocabulary: usize,
    copying: usize,
    reading: usize,
}

/// What was written.
pub(crate) struct Primed {
    /// Sees episodes as the policy does.
    pub(crate) reader: Reader,
    /// Parameters of the policy.
    pub(crate) parameters: usize,
    /// Lessons in reading.
    pub(crate) reading: usize,
}

impl Primer {
    /// A policy of `layers` layers of `width` numbers over `vocabulary` learnt tokens; so many lessons in `copying`
    /// and in `reading`.
    ///
    /// # Errors
    /// [`Error::Input`] for what cannot be.
    pub(crate) fn new(
        (width, layers): (usize, usize),
        vocabulary: usize,
        copying: usize,
        reading: usize,
    ) -> Result<Self> {
        if copying == 0 || reading == 0 {
            return Err(Error::Input("task.copying and task.reading must be at least 1".to_owned()));
        }
        tokenizer::check(vocabulary)?;
        Ok(Self { shape: Shape::new(width, layers)?, vocabulary, copying, reading })
    }

    /// Writes `model/`, `warm/copying.jsonl` and `warm/reading.jsonl` to the folder `dir`. The vocabulary is that of the
    /// `passages` and of what is `asked`; `ask` makes the questions of lessons. The same seed gives the same bytes.
    ///
    /// # Errors
    /// Those of the lessons' episodes; [`Error::Write`] when the disk refuses.
    pub(crate) fn write<'a>(
        &self,
        dir: &Path,
        (seed, budget): (u64, Budget),
        passages: &'a [ChunkInContext],
        asked: impl Iterator<Item = &'a str> + Send,
        ask: &Pretend<'_>,
    ) -> Result<Primed> {
        let (model, warm) = (dir.join("model"), dir.join("warm"));
        let texts = passages.iter().map(|passage| passage.chunk.text.as_str());
        let vocabulary = tokenizer::learn(texts.chain(asked), self.vocabulary)?;
        let parameters = write_folder(&model, self.shape, &vocabulary, seed)?;
        let words = tokenizer::learnt(&vocabulary, self.vocabulary);
        files::lines(&warm.join("copying.jsonl"), copying(&Tokenizer::open(&model)?, &words, seed, self.copying)?)?;
        let reader = Reader::open(&model, budget)?;
        let reading = lessons(&reader, seed, passages, self.reading, ask)?;
        files::lines(&warm.join("reading.jsonl"), &reading)?;
        Ok(Primed { reader, parameters, reading: reading.len() })
    }
}
