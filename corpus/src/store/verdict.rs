//! Who says what of a document, and what follows: the source's own word, rulings, curators.

use crate::{Level, Standing, Status};

/// The words on one document. What the source says is kept apart from what is ruled here, so that a
/// newer version of a record cannot undo a ruling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) own_status: Status,
    pub(super) ruled_status: Option<Status>,
    pub(super) own_level: Level,
    pub(super) ruled_level: Option<Level>,
    pub(super) curated: Standing,
    /// The source has deleted the record; undone when the source brings it again.
    pub(super) deleted: bool,
}

impl Verdict {
    pub(super) fn new(own_status: Status, own_level: Level) -> Self {
        Self { own_status, ruled_status: None, own_level, ruled_level: None, curated: Standing::Active, deleted: false }
    }

    /// The graver of the source's word and the ruling; only a ruling of `ok` clears a document.
    pub(super) fn status(self) -> Status {
        match self.ruled_status {
            Some(Status::Ok) => Status::Ok,
            Some(ruled) => ruled.max(self.own_status),
            None => self.own_status,
        }
    }

    pub(super) fn level(self) -> Level {
        self.ruled_level.unwrap_or(self.own_level)
    }

    pub(super) fn standing(self) -> Standing {
        if self.deleted { Standing::Removed } else { self.curated }
    }

    /// May its chunks be found?
    pub(super) fn is_shown(self) -> bool {
        self.status() != Status::Retracted && self.standing() == Standing::Active
    }

    /// Takes over what a registry says of a name that the record brings now. A ruling only gets graver, and one of `ok` stays:
    /// whoever cleared the document has looked at it.
    pub(super) fn hear_registry(&mut self, status: Status) {
        self.ruled_status = match self.ruled_status {
            Some(Status::Ok) => Some(Status::Ok),
            ruled => ruled.max(Some(status)),
        };
    }

    /// Takes over what a newer record of the source says. A ruling of `ok` falls when the source itself
    /// now says worse than it did when the ruling was made.
    pub(super) fn hear_source(&mut self, status: Status, level: Level) {
        if self.ruled_status == Some(Status::Ok) && status > self.own_status {
            self.ruled_status = None;
        }
        (self.own_status, self.own_level, self.deleted) = (status, level, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_graver_word_counts_unless_cleared() {
        let mut verdict = Verdict::new(Status::Concern, Level::Rct);
        for (ruled, expected) in [
            (None, Status::Concern),
            (Some(Status::Corrected), Status::Concern),
            (Some(Status::Retracted), Status::Retracted),
            (Some(Status::Ok), Status::Ok),
        ] {
            verdict.ruled_status = ruled;
            assert_eq!(verdict.status(), expected, "{ruled:?}");
        }
    }

    #[test]
    fn a_clearance_falls_only_when_the_source_says_worse() {
        let mut verdict = Verdict::new(Status::Concern, Level::Rct);
        verdict.ruled_status = Some(Status::Ok);
        verdict.hear_source(Status::Concern, Level::Rct);
        assert_eq!(verdict.status(), Status::Ok);
        verdict.hear_source(Status::Retracted, Level::Rct);
        assert_eq!(verdict.status(), Status::Retracted);
    }

    #[test]
    fn a_registry_makes_a_ruling_graver_and_takes_no_clearance_back() {
        let (concern, gone) = (Some(Status::Concern), Some(Status::Retracted));
        for (ruled, said, expected) in [
            (None, Status::Concern, concern),
            (concern, Status::Retracted, gone),
            (gone, Status::Concern, gone),
            (concern, Status::Ok, concern),
            (Some(Status::Ok), Status::Retracted, Some(Status::Ok)),
        ] {
            let mut verdict = Verdict { ruled_status: ruled, ..Verdict::new(Status::Ok, Level::Rct) };
            verdict.hear_registry(said);
            assert_eq!(verdict.ruled_status, expected, "{ruled:?} and then {said:?}");
        }
    }

    #[test]
    fn a_ruling_outlives_a_new_version_and_a_curator_outlives_the_source() {
        let mut verdict = Verdict::new(Status::Ok, Level::Rct);
        verdict.ruled_status = Some(Status::Retracted);
        verdict.curated = Standing::Quarantined;
        verdict.deleted = true;
        assert_eq!(verdict.standing(), Standing::Removed);
        verdict.hear_source(Status::Ok, Level::Opinion);
        assert_eq!((verdict.status(), verdict.standing()), (Status::Retracted, Standing::Quarantined));
        assert!(!verdict.is_shown());
    }
}
