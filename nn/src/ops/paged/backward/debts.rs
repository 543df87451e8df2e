//! [`Debts`]: what sequences that share a beginning owe to it.

use std::ops::Range;

use super::{Heads, Span};

/// Who owes what to whom: a span owes gradients to the keys and values of those that it goes on from.
pub(super) struct Debts {
    heads: Heads,
    /// For each span, where its debts begin and how many tokens are before it.
    places: Vec<(usize, usize)>,
    /// For each span those that go on from it, near or far.
    heirs: Vec<Vec<usize>>,
    /// Values of all.
    pub(super) total: usize,
}

impl Debts {
    pub(super) fn new(heads: Heads, spans: &[Span<'_>]) -> Self {
        let (mut places, mut heirs, mut total) = (Vec::new(), vec![Vec::new(); spans.len()], 0);
        for (number, span) in spans.iter().enumerate() {
            places.push((total, span.past));
            total += span.past * heads.key * 2 * heads.size;
            for parent in parents(spans, number) {
                heirs[parent].push(number);
            }
        }
        Self { heads, places, heirs, total }
    }

    /// What one head of a span owes, (past, 2 size).
    pub(super) fn of(&self, span: usize, head: usize) -> Range<usize> {
        let (first, past) = self.places[span];
        let length = past * 2 * self.heads.size;
        first + head * length..first + (head + 1) * length
    }

    /// What is owed to one head of a span, (rows, 2 size) each.
    pub(super) fn to<'a>(
        &'a self,
        spans: &'a [Span<'_>],
        span: usize,
        head: usize,
    ) -> impl Iterator<Item = Range<usize>> + 'a {
        let width = 2 * self.heads.size;
        let (from, count) = (spans[span].past * width, spans[span].rows.len() * width);
        self.heirs[span].iter().map(move |heir| {
            let first = self.of(*heir, head).start + from;
            first..first + count
        })
    }
}

/// Those that a span goes on from, the nearest first.
pub(super) fn parents<'a>(spans: &'a [Span<'_>], number: usize) -> impl Iterator<Item = usize> + 'a {
    std::iter::successors(spans[number].parent, |parent| spans[*parent].parent)
}
