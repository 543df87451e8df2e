//! What other forms of the answer, those of OpenAI and of the Model Context Protocol, read of it.

use super::{Answer, Citation, Sentence};

impl Answer {
    /// The answer without labels, or in an abstention why there is none.
    pub(crate) fn text(&self) -> &str {
        &self.answer
    }

    /// Whether the evidence does not carry an answer.
    pub(crate) fn is_abstention(&self) -> bool {
        self.abstained
    }

    /// Why, in an abstention.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.reason
    }

    /// Its sentences.
    pub(crate) fn sentences(&self) -> &[Sentence] {
        &self.sentences
    }

    /// What they cite.
    pub(crate) fn citations(&self) -> &[Citation] {
        &self.citations
    }

    /// What a reader is to be told beside the sentences: what was struck, where evidence disagrees, risks, and what to ask instead.
    /// Where an error would do harm, what was struck is counted and not said again.
    pub(crate) fn remarks(&self) -> Vec<String> {
        let struck: Vec<String> = match self.struck.len() {
            0 => Vec::new(),
            count if !self.risks.is_empty() => {
                vec![format!("Struck {count} of the draft's sentences: its evidence does not bear them out.")]
            }
            _ => self.struck.iter().map(|struck| format!("Struck “{}”: {}", struck.text, struck.why)).collect(),
        };
        let conflicts = self.conflicts.iter().map(|conflict| format!("Evidence disagrees: {}", conflict.text));
        let risks = self.risks.iter().map(|risk| risk.line.to_owned());
        struck.into_iter().chain(conflicts).chain(self.suggestion.clone()).chain(risks).collect()
    }

    /// What a reader should know.
    pub(crate) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// One thing more that a reader should know.
    pub(crate) fn warn(&mut self, warning: String) {
        self.warnings.push(warning);
    }

    /// The episode's name.
    pub(crate) fn trace_id(&self) -> &str {
        &self.trace_id
    }

    /// What this is, and what it is not.
    pub(crate) fn notice(&self) -> &'static str {
        self.notice
    }
}

impl Sentence {
    /// Its text, without labels.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Labels of what supports it.
    pub(crate) fn cites(&self) -> &[String] {
        &self.cites
    }

    /// What a reader should look at, in words.
    pub(crate) fn concern(&self) -> Option<&str> {
        match &self.verdict {
            Some(verdict) => verdict.concern.as_deref(),
            None => Some("it cites nothing"),
        }
    }
}

impl Citation {
    /// What sentences cite it by.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// The document's title, or its id where it has none.
    pub(crate) fn title(&self) -> &str {
        if self.title.is_empty() { &self.document } else { &self.title }
    }

    /// The document.
    pub(crate) fn document(&self) -> &str {
        &self.document
    }

    /// A sentence of the chunk, word for word.
    pub(crate) fn quote(&self) -> &str {
        &self.quote
    }

    /// Where a reader finds it: at PubMed, by its DOI, or as a chunk of this service.
    pub(crate) fn url(&self) -> String {
        match (&self.pmid, &self.doi) {
            (Some(pmid), _) => format!("https://pubmed.ncbi.nlm.nih.gov/{pmid}/"),
            (None, Some(doi)) => format!("https://doi.org/{doi}"),
            (None, None) => format!("/v1/chunks/{}", self.chunk),
        }
    }

    /// In one line: who published it, when, and what speaks against it.
    pub(crate) fn source(&self) -> String {
        let mut facts = Vec::new();
        facts.extend(self.pmid.as_ref().map(|pmid| format!("PMID {pmid}")));
        facts.extend(self.journal.clone());
        facts.extend(self.year.map(|year| year.to_string()));
        facts.push(corpus::Level::from(self.level).label().to_owned());
        facts.push(corpus::Status::from(self.status).to_string());
        facts.join(" · ")
    }
}
