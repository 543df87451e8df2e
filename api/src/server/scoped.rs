//! [`Scoped`]: a retriever that finds and reads only what one caller may read.
//!
//! A filter alone would go by the collections of when the index was built, and by what each route
//! remembers to pass on. Here the documents' collections of now decide, whatever the filter said.

use std::sync::Arc;

use corpus::ChunkId;
use corpus::store::ChunkInContext;
use retriever::{Hit, Query, Result, Retrieve};

use super::caller::Caller;

/// A pinned retriever as one caller may use it.
#[derive(Debug)]
pub(crate) struct Scoped<R> {
    inner: Arc<R>,
    caller: Caller,
}

impl<R: Retrieve> Scoped<R> {
    /// What of `inner` the caller may use.
    pub(crate) fn new(inner: Arc<R>, caller: &Caller) -> Self {
        Self { inner, caller: caller.clone() }
    }
}

impl<R: Retrieve> Retrieve for Scoped<R> {
    fn retrieve(&self, query: &Query) -> Result<Vec<Hit>> {
        if self.caller.collections.is_none() {
            return self.inner.retrieve(query);
        }
        let query = Query { filter: self.caller.scope(query.filter.clone()), ..query.clone() };
        let hits = self.inner.retrieve(&query)?;
        let chunks: Vec<_> = hits.iter().map(|hit| hit.chunk).collect();
        let found = self.read(&chunks)?;
        Ok(hits.into_iter().zip(found).filter_map(|(hit, found)| found.map(|_| hit)).collect())
    }

    fn read(&self, chunks: &[ChunkId]) -> Result<Vec<Option<ChunkInContext>>> {
        let found = self.inner.read(chunks)?;
        let readable = |found: &ChunkInContext| self.caller.may_read(&found.document.collections);
        Ok(found.into_iter().map(|found| found.filter(readable)).collect())
    }

    fn snapshot(&self) -> &str {
        self.inner.snapshot()
    }
}

#[cfg(test)]
mod tests {
    use retriever::Fixed;

    use super::*;

    /// Documents that have come into other collections than a filter goes by: each into one of its title.
    struct Moved(Fixed);

    impl Retrieve for Moved {
        fn retrieve(&self, query: &Query) -> Result<Vec<Hit>> {
            self.0.retrieve(query)
        }

        fn read(&self, chunks: &[ChunkId]) -> Result<Vec<Option<ChunkInContext>>> {
            let mut found = self.0.read(chunks)?;
            for found in found.iter_mut().flatten() {
                found.document.collections = vec![found.document.title.clone()];
            }
            Ok(found)
        }

        fn snapshot(&self) -> &str {
            self.0.snapshot()
        }
    }

    #[test]
    fn the_collections_of_now_decide_whatever_the_index_says() {
        let moved = || Arc::new(Moved(Fixed::new([("a", "own", "lithium"), ("b", "foreign", "lithium")])));
        let query = Query::new("lithium");
        let all = Scoped::new(moved(), &Caller::local()).retrieve(&query).unwrap();
        assert_eq!(all.len(), 2);
        let caller = Caller { collections: Some(vec!["own".to_owned()]), ..Caller::local() };
        let scoped = Scoped::new(moved(), &caller);
        let hits = scoped.retrieve(&query).unwrap();
        assert_eq!(hits.len(), 1);
        let chunks: Vec<_> = all.iter().map(|hit| hit.chunk).collect();
        let titles: Vec<_> =
            scoped.read(&chunks).unwrap().into_iter().map(|found| found.map(|found| found.document.title)).collect();
        assert_eq!(titles.iter().flatten().collect::<Vec<_>>(), ["own"]);
        assert_eq!(hits[0].chunk, chunks[titles.iter().position(Option::is_some).unwrap()]);
    }
}
