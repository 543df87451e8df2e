//! What a stream tells, event by event.

use serde::Serialize;
use utoipa::openapi::schema::AnyOfBuilder;
use utoipa::openapi::{OpenApi, RefOr, Schema};
use utoipa::{Modify, PartialSchema, ToSchema};

use super::{Answer, Citation, Contribution, Failure, Level, Status, Verdict, labels};

/// One server-sent event: the variant is its name, the content its data. The last is `final`, which
/// repeats the whole answer, or `error`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Event {
    /// A turn begins.
    #[schema(title = "turn")]
    Turn {
        /// From 1.
        turn: u32,
        /// Whether a search would be heard.
        may_search: bool,
    },
    /// A query is asked.
    #[schema(title = "query")]
    Query {
        /// The turn.
        turn: u32,
        /// The query with its modifiers.
        query: String,
    },
    /// What a query found.
    #[schema(title = "hits")]
    Hits {
        /// The turn.
        turn: u32,
        /// The query with its modifiers.
        query: String,
        /// Best first.
        hits: Vec<Found>,
    },
    /// What of it may be cited.
    #[schema(title = "evidence")]
    Evidence {
        /// The turn.
        turn: u32,
        /// The query with its modifiers.
        query: String,
        /// New evidence.
        evidence: Vec<EvidenceItem>,
        /// Labels of evidence that was told before.
        known: Vec<String>,
    },
    /// The next sentence of the answer.
    #[schema(title = "answer")]
    Answer {
        /// The sentence.
        text: String,
        /// Labels of what supports it.
        cites: Vec<String>,
    },
    /// A work that the answer cites.
    #[schema(title = "citation")]
    Citation(Citation),
    /// What a sentence cites says of it.
    #[schema(title = "verdict")]
    Verdict {
        /// Its place in the answer, from 1.
        sentence: usize,
        /// The verdict.
        verdict: Verdict,
    },
    /// Something a reader should know.
    #[schema(title = "warning")]
    Warning {
        /// In words.
        message: String,
    },
    /// The end: the whole answer.
    #[schema(title = "final")]
    Final(Box<Answer>),
    /// The end: there is no answer.
    #[schema(title = "error")]
    Error(Failure),
}

/// Says of events that their data may have the fields of others too: the name of an event tells which it is, while
/// `oneOf`, which an enum becomes, wants exactly one to fit.
#[derive(Debug)]
pub(crate) struct Overlapping;

impl Modify for Overlapping {
    fn modify(&self, document: &mut OpenApi) {
        let RefOr::T(Schema::OneOf(kinds)) = Event::schema() else { return };
        let any = AnyOfBuilder::new().description(kinds.description);
        let any = kinds.items.into_iter().fold(any, AnyOfBuilder::item);
        let components = document.components.get_or_insert_default();
        components.schemas.insert(<Event as ToSchema>::name().into_owned(), any.into());
    }
}

/// A hit of an episode, told before its text is read.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Found {
    /// Place in the list, from 1.
    rank: usize,
    /// Sum of the contributions' values.
    score: f64,
    /// The chunk.
    chunk: String,
    /// Its document.
    document: String,
    /// What each arm gave.
    contributions: Vec<Contribution>,
}

/// A chunk that may be cited.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EvidenceItem {
    /// What the answer cites it by.
    label: String,
    /// The chunk.
    chunk: String,
    /// Its document.
    document: String,
    /// PubMed id.
    pmid: Option<String>,
    /// The document's title.
    title: String,
    /// Breadcrumb inside the document; may be empty.
    heading: String,
    /// Year of publication.
    year: Option<u16>,
    /// Journal, book or site.
    journal: Option<String>,
    /// Kind of study.
    level: Level,
    /// What publishers say of it.
    status: Status,
    /// The chunk's text.
    text: String,
}

impl Event {
    /// What the policy's loop told. What a model writes is not told, since nobody has checked it, nor
    /// the end: the service has the last word.
    pub(crate) fn of_episode(event: agent::Event) -> Option<Self> {
        Some(match event {
            agent::Event::Turn { turn, may_search } => Self::Turn { turn, may_search },
            agent::Event::Query { turn, query } => Self::Query { turn, query },
            agent::Event::Hits { turn, query, hits } => {
                Self::Hits { turn, query, hits: hits.into_iter().map(Found::from).collect() }
            }
            agent::Event::Evidence { turn, query, evidence, known } => {
                let evidence = evidence.into_iter().map(EvidenceItem::from).collect();
                Self::Evidence { turn, query, evidence, known: labels(&known) }
            }
            agent::Event::Answer { text, cites } => Self::Answer { text, cites: labels(&cites) },
            agent::Event::Citation { citation } => Self::Citation((&citation).into()),
            agent::Event::Verdict { sentence, finding } => Self::Verdict { sentence, verdict: (&finding).into() },
            agent::Event::Warning { message } => Self::Warning { message },
            agent::Event::Text { .. } | agent::Event::Final { .. } | agent::Event::Error { .. } => return None,
        })
    }

    /// Its name in the stream.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Turn { .. } => "turn",
            Self::Query { .. } => "query",
            Self::Hits { .. } => "hits",
            Self::Evidence { .. } => "evidence",
            Self::Answer { .. } => "answer",
            Self::Citation(_) => "citation",
            Self::Verdict { .. } => "verdict",
            Self::Warning { .. } => "warning",
            Self::Final(_) => "final",
            Self::Error(_) => "error",
        }
    }

    /// Whether nothing comes after it.
    pub(crate) fn is_last(&self) -> bool {
        matches!(self, Self::Final(_) | Self::Error(_))
    }
}

impl From<retriever::Hit> for Found {
    fn from(hit: retriever::Hit) -> Self {
        Self {
            rank: hit.rank,
            score: hit.score,
            chunk: hit.chunk.to_string(),
            document: hit.document.to_string(),
            contributions: hit.contributions.iter().map(Contribution::from).collect(),
        }
    }
}

impl From<retriever::Evidence> for EvidenceItem {
    fn from(evidence: retriever::Evidence) -> Self {
        Self {
            label: evidence.label.to_string(),
            chunk: evidence.chunk.to_string(),
            document: evidence.document.to_string(),
            pmid: evidence.identifiers.pmid,
            title: evidence.title,
            heading: evidence.heading,
            year: evidence.year,
            journal: evidence.journal,
            level: evidence.level.into(),
            status: evidence.status.into(),
            text: evidence.text,
        }
    }
}
