//! [`Searched`]: what searches of a run find: what they should, other documents, or nothing.
//!
//! A policy that has learnt to look things up is at chance once its searches find other documents
//! ([`Shuffled`]), and one that scores with nothing to find ([`Empty`]) knew the answers before.

use std::collections::BTreeSet;

use corpus::ChunkId;
use corpus::store::ChunkInContext;
use retriever::{Hit, Query, Result, Retrieve};

use crate::data::question::Question;
use crate::recipe::Retriever;

/// Documents that are found for each question to fill the place of others.
const POOL: usize = 3;

/// What searches of a run find.
#[derive(Debug)]
pub enum Searched<'a> {
    /// What they should.
    True(Inner<'a>),
    /// Other documents.
    Shuffled(Shuffled<'a>),
    /// Nothing.
    Empty(Empty),
}

/// A retriever that is lent.
pub struct Inner<'a>(&'a dyn Retrieve);

impl<'a> Searched<'a> {
    /// What `how` makes of `inner`. Other documents are such as some of `questions` find.
    ///
    /// # Errors
    /// Those of the retriever, and [`crate::Error::Input`] when there are too few documents to shuffle.
    pub fn new(inner: &'a dyn Retrieve, how: Retriever, questions: &[Question]) -> crate::Result<Self> {
        Ok(match how {
            Retriever::True => Self::True(Inner(inner)),
            Retriever::Shuffled => {
                let texts = questions.iter().map(|question| question.question.as_str());
                Self::Shuffled(Shuffled::new(inner, texts)?)
            }
            Retriever::Empty => Self::Empty(Empty),
        })
    }

    fn inner(&self) -> &dyn Retrieve {
        match self {
            Self::True(Inner(inner)) => *inner,
            Self::Shuffled(shuffled) => shuffled,
            Self::Empty(empty) => empty,
        }
    }
}

impl Retrieve for Searched<'_> {
    fn retrieve(&self, query: &Query) -> Result<Vec<Hit>> {
        self.inner().retrieve(query)
    }

    fn read(&self, chunks: &[ChunkId]) -> Result<Vec<Option<ChunkInContext>>> {
        self.inner().read(chunks)
    }

    fn snapshot(&self) -> &str {
        self.inner().snapshot()
    }
}

/// Finds as many documents as `inner`, but other ones: what is left of an answer then is chance.
pub struct Shuffled<'a> {
    inner: &'a dyn Retrieve,
    /// What may be found instead, each chunk once.
    pool: Vec<Hit>,
}

impl<'a> Shuffled<'a> {
    /// Finds what any of `queries` finds, but never what the query at hand does.
    ///
    /// # Errors
    /// Those of `inner`, and [`crate::Error::Input`] when the queries find less than two documents.
    pub fn new<'q>(inner: &'a dyn Retrieve, queries: impl IntoIterator<Item = &'q str>) -> crate::Result<Self> {
        let (mut pool, mut known) = (Vec::new(), BTreeSet::new());
        for text in queries {
            let hits = inner.retrieve(&Query { k: POOL, ..Query::new(text) }).map_err(agent::Error::from)?;
            pool.extend(hits.into_iter().filter(|hit| known.insert(hit.chunk)));
        }
        if pool.iter().map(|hit| &hit.document).collect::<BTreeSet<_>>().len() < 2 {
            return Err(crate::Error::Input("there are too few documents to shuffle".to_owned()));
        }
        Ok(Self { inner, pool })
    }
}

impl Retrieve for Shuffled<'_> {
    fn retrieve(&self, query: &Query) -> Result<Vec<Hit>> {
        let hits = self.inner.retrieve(query)?;
        let right: BTreeSet<_> = hits.iter().map(|hit| hit.document.clone()).collect();
        let [first, second, third, fourth, ..] = *blake3::hash(query.text.as_bytes()).as_bytes();
        let begin = u32::from_le_bytes([first, second, third, fourth]) as usize % self.pool.len();
        let (before, after) = self.pool.split_at(begin);
        let others = after.iter().chain(before).filter(|other| !right.contains(&other.document));
        let instead = |(hit, other): (Hit, &Hit)| Hit { chunk: other.chunk, document: other.document.clone(), ..hit };
        Ok(hits.into_iter().zip(others).map(instead).collect())
    }

    fn read(&self, chunks: &[ChunkId]) -> Result<Vec<Option<ChunkInContext>>> {
        self.inner.read(chunks)
    }

    fn snapshot(&self) -> &'static str {
        "shuffled"
    }
}

/// Finds nothing.
#[derive(Clone, Copy, Debug)]
pub struct Empty;

impl Retrieve for Empty {
    fn retrieve(&self, _: &Query) -> Result<Vec<Hit>> {
        Ok(Vec::new())
    }

    fn read(&self, chunks: &[ChunkId]) -> Result<Vec<Option<ChunkInContext>>> {
        Ok(vec![None; chunks.len()])
    }

    fn snapshot(&self) -> &'static str {
        "empty"
    }
}

impl std::fmt::Debug for Inner<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Inner").field(&self.0.snapshot()).finish()
    }
}

impl std::fmt::Debug for Shuffled<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shuffled").field("pool", &self.pool.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use retriever::Fixed;

    use super::*;
    use crate::task::lookup::Formulary;

    #[test]
    fn a_shuffled_library_finds_others_and_an_empty_one_nothing() {
        let documents = Formulary::new(3, 0, 20).documents();
        let library = Fixed::of_documents(documents.clone());
        let titles = || documents.iter().map(|document| document.title.as_str());
        let shuffled = Shuffled::new(&library, titles()).unwrap();
        for title in titles() {
            for k in [1, 5] {
                let query = Query { k, ..Query::new(title) };
                let (right, others) = (library.retrieve(&query).unwrap(), shuffled.retrieve(&query).unwrap());
                assert_eq!(right.len(), others.len());
                assert_eq!(others, shuffled.retrieve(&query).unwrap());
                assert!(right.iter().all(|hit| others.iter().all(|other| other.document != hit.document)));
                let chunks: BTreeSet<_> = others.iter().map(|hit| hit.chunk).collect();
                assert_eq!(chunks.len(), others.len());
                assert!(shuffled.read(&[others[0].chunk]).unwrap()[0].is_some());
            }
        }
        assert!(Shuffled::new(&library, [titles().next().unwrap(); 3]).is_err() || POOL > 1);
        assert!(Shuffled::new(&library, ["nothing at all"]).unwrap_err().to_string().contains("too few"));
        let query = Query::new(titles().next().unwrap());
        assert!(Empty.retrieve(&query).unwrap().is_empty());
        let same = Searched::new(&library, Retriever::True, &[]).unwrap();
        assert_eq!(same.retrieve(&query).unwrap(), library.retrieve(&query).unwrap());
    }
}
