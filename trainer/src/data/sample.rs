//! [`Sample`]: one token sequence to learn from, and which of its tokens count.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// One token sequence to learn from. `ids[t + 1]` is what position `t` predicts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sample {
    /// Token ids, (T).
    pub ids: Vec<u32>,
    /// Whether a token was written by the policy and is learnt, (T); never the first.
    pub mask: Vec<bool>,
}

impl Sample {
    /// How many tokens it has.
    pub fn tokens(&self) -> usize {
        self.ids.len()
    }

    /// How many of them are learnt.
    pub fn learnt(&self) -> usize {
        self.mask.iter().filter(|learnt| **learnt).count()
    }

    /// Refuses a sample that cannot be learnt from: sizes that differ, a first token that counts,
    /// or nothing that does.
    ///
    /// # Errors
    /// [`Error::Shape`] that says what is wrong.
    pub fn check(&self) -> Result<()> {
        let refuse = |reason: String| Err(Error::Shape(reason));
        if self.ids.len() != self.mask.len() {
            return refuse(format!("{} ids with a mask of {}", self.ids.len(), self.mask.len()));
        }
        if self.mask.first().is_some_and(|learnt| *learnt) {
            return refuse("the first token is to be learnt, but nothing predicts it".to_owned());
        }
        if self.learnt() == 0 {
            return refuse("no token is to be learnt".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_learnt_from_is_refused() {
        let check = |ids: &[u32], mask: &[bool]| Sample { ids: ids.to_vec(), mask: mask.to_vec() }.check();
        assert!(check(&[4, 5], &[false, true]).is_ok());
        for (ids, mask, said) in [
            (&[4_u32, 5][..], &[false][..], "2 ids with a mask of 1"),
            (&[4, 5], &[true, true], "the first token"),
            (&[4, 5], &[false, false], "no token"),
            (&[], &[], "no token"),
        ] {
            let error = check(ids, mask).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
