//! [`Split`]: one slice that jobs on several threads write, each its own part.

use std::marker::PhantomData;
use std::ops::Range;

/// A mutable slice whose parts go to several jobs at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Split<'a, T> {
    start: *mut T,
    length: usize,
    whole: PhantomData<&'a mut [T]>,
}

#[expect(unsafe_code, reason = "a slice shared between threads that do not share its elements")]
// SAFETY: parts are handed out only through `part`, whose caller promises that they do not overlap.
unsafe impl<T: Send> Send for Split<'_, T> {}
#[expect(unsafe_code, reason = "as above")]
// SAFETY: as above.
unsafe impl<T: Send> Sync for Split<'_, T> {}

impl<'a, T> Split<'a, T> {
    /// Takes the whole slice for as long as parts of it are used.
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Self { start: slice.as_mut_ptr(), length: slice.len(), whole: PhantomData }
    }

    /// One part. Panics when `range` is not within the slice.
    ///
    /// # Safety
    /// No two parts that live at the same time overlap.
    #[expect(unsafe_code, reason = "only the caller knows that its parts do not overlap")]
    #[inline]
    pub(crate) unsafe fn part(&self, range: Range<usize>) -> &'a mut [T] {
        assert!(range.start <= range.end && range.end <= self.length, "a part lies within the whole");
        // SAFETY: within the slice that `new` took, and not overlapping another living part.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.end - range.start) }
    }
}
