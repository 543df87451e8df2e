//! Names of a work in the one form in which the database compares them.

use crate::Identifiers;

/// A work's names outside this home, each as its column holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) pmid: Option<String>,
    pub(super) pmcid: Option<String>,
    pub(super) doi: Option<String>,
}

impl Names {
    pub(super) fn new(pmid: Option<&str>, pmcid: Option<&str>, doi: Option<&str>) -> Self {
        Self {
            pmid: pmid.and_then(Identifiers::pmid),
            pmcid: pmcid.and_then(Identifiers::pmcid),
            // Of these only DOIs have case, and it means nothing.
            doi: doi.and_then(Identifiers::doi).map(|doi| doi.to_lowercase()),
        }
    }

    pub(super) fn of(identifiers: &Identifiers) -> Self {
        let Identifiers { pmid, pmcid, doi, .. } = identifiers;
        Self::new(pmid.as_deref(), pmcid.as_deref(), doi.as_deref())
    }

    /// Whatever a person can have meant by `name`. A bare number is a PubMed id.
    pub(super) fn guess(name: &str) -> Self {
        let upper = name.to_ascii_uppercase();
        Self::new(Some(&upper), upper.starts_with("PMC").then_some(&upper), Some(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses_what_people_write() {
        for name in ["123", "0123", "PMID 123", "pmid:123", "PMID: 123"] {
            assert_eq!(Names::guess(name), Names { pmid: Some("123".to_owned()), ..Names::default() }, "{name}");
        }
        for name in ["PMC9", "pmc9"] {
            assert_eq!(Names::guess(name), Names { pmcid: Some("PMC9".to_owned()), ..Names::default() }, "{name}");
        }
        for name in ["10.1/aB", "doi:10.1/AB", "https://doi.org/10.1/ab"] {
            assert_eq!(Names::guess(name), Names { doi: Some("10.1/ab".to_owned()), ..Names::default() }, "{name}");
        }
        for name in ["", "0", "metformin", "10 mg/d", "é"] {
            assert_eq!(Names::guess(name), Names::default(), "{name}");
        }
    }
}
