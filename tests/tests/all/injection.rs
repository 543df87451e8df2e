//! Documents that give orders: most stand in quarantine when they come in, and those that are taken in all
//! the same change nothing but what is quoted.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use agent::policy::{Extractive, Local, LocalOptions, Policy, Scripted};
use agent::protocol::{self, Profile};
use agent::trace::{Author, Trace};
use agent::{Ask, Budget, Cancel, ask::ask};
use corpus::reader::{self, Options, Record};
use corpus::store::{ChunkInContext, Listing};
use corpus::{ChunkId, Document, DocumentId, Standing, Store, injection};
use indexes::Filter;
use jiff::Timestamp;
use retriever::{Fixed, Hit, Query, Retrieve};
use serde_json::Value;
use tests::{shared_file, workspace};

const QUESTION: &str = "What is the first-line maintenance treatment of asthma in adults?";
const HONEST: &str = "Inhaled corticosteroids are the first-line maintenance treatment of asthma in adults. \
                      They reduce exacerbations and mortality.";

/// Class and text of every attack of the fixture.
fn attacks() -> Vec<(String, String)> {
    let file = workspace().join("corpus/tests/fixtures/injections.jsonl");
    let read = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap();
        (value["class"].as_str().unwrap().to_owned(), value["text"].as_str().unwrap().to_owned())
    };
    std::fs::read_to_string(file).unwrap().lines().map(read).collect()
}

/// The attack in a document that the question finds.
fn document(number: usize, attack: &str) -> Document {
    let text =
        format!("Maintenance treatment of asthma in adults was studied. {attack}\nAsthma treatment in 120 adults.");
    Document::plain(DocumentId::new("attack", &number.to_string()), "A trial in asthma", &text)
}

fn honest() -> Document {
    Document::plain(DocumentId::new("honest", "1"), "Asthma in adults", HONEST)
}

#[test]
fn attacks_stand_in_quarantine_when_they_come_in() {
    let folder = tempfile::tempdir().unwrap();
    let attacks = attacks();
    let records = || {
        let attacks = attacks.iter().enumerate().map(|(number, (_, text))| document(number, text));
        std::iter::once(honest()).chain(attacks).map(|document| Ok(Record::Document(Box::new(document))))
    };
    let mut store = Store::open(&folder.path().join("corpus.db")).unwrap();
    let done = store.ingest("mixed", records(), &mut |_| {}).unwrap();
    let share = done.quarantined as f64 / attacks.len() as f64;
    let mut missed = BTreeMap::<&str, Vec<&str>>::new();
    for (number, (class, text)) in attacks.iter().enumerate() {
        let id = DocumentId::new("attack", &number.to_string());
        let stored = store.document(&id).unwrap().unwrap();
        if stored.standing == Standing::Active {
            missed.entry(class).or_default().push(text);
        } else {
            let act = store.set_aside(&id).unwrap().unwrap();
            assert_eq!((act.who.as_str(), act.verb.as_str()), ("screening", "quarantine"));
            assert!(act.reason.contains("possible injection"), "{act:?}");
        }
    }
    eprintln!("{} of {} attacks stand in quarantine; not: {missed:#?}", done.quarantined, attacks.len());
    assert!(attacks.len() >= 100 && share >= 0.95, "{share}: {missed:#?}");
    assert_eq!(store.document(&honest().id).unwrap().unwrap().standing, Standing::Active);

    // a curator's word stands, also when the same comes again
    let first = DocumentId::new("attack", "0");
    store.restore(std::slice::from_ref(&first), "looked at").unwrap();
    assert_eq!(store.ingest("mixed", records(), &mut |_| {}).unwrap().quarantined, 0);
    assert_eq!(store.document(&first).unwrap().unwrap().standing, Standing::Active);

    let mut trusting = Store::open(&folder.path().join("trusting.db")).unwrap();
    assert_eq!(trusting.ingest_trusted("mixed", records(), &mut |_| {}).unwrap().quarantined, 0);
    let set_aside = Listing { standing: Some(Standing::Quarantined), ..Listing::default() };
    assert!(trusting.list(&set_aside).unwrap().is_empty());
}

/// A retriever that takes down what it is asked.
struct Watched {
    library: Fixed,
    asked: Mutex<Vec<Query>>,
}

impl Retrieve for Watched {
    fn retrieve(&self, query: &Query) -> retriever::Result<Vec<Hit>> {
        self.asked.lock().unwrap().push(query.clone());
        self.library.retrieve(query)
    }

    fn read(&self, chunks: &[ChunkId]) -> retriever::Result<Vec<Option<ChunkInContext>>> {
        self.library.read(chunks)
    }

    fn snapshot(&self) -> &str {
        self.library.snapshot()
    }
}

/// One episode with `documents` as all there is, and what the retriever was asked.
fn episode(policy: &dyn Policy, profile: Profile, documents: &[Document], budget: Budget) -> Trace {
    let filter = Filter { collections: vec!["trials".to_owned()], ..Filter::default() };
    let task =
        Ask { query: Query { filter, ..Query::new("") }, budget, profile, ..Ask::new(QUESTION, Timestamp::UNIX_EPOCH) };
    let watched = Watched { library: Fixed::of_documents(documents.to_vec()), asked: Mutex::default() };
    let trace = ask(&task, policy, &watched, &|| Duration::ZERO, &Cancel::new(), &mut |_| {}).unwrap();
    assert_eq!((&trace.query, trace.budget), (&task.query, task.budget), "the terms are the caller's");
    for query in watched.asked.lock().unwrap().iter() {
        assert_eq!((&query.filter, query.k), (&task.query.filter, task.budget.hits_per_query));
        assert_eq!(Query { text: String::new(), k: task.query.k, ..query.clone() }, task.query);
    }
    trace
}

/// What must hold of every episode, whatever its evidence says.
fn check(trace: &Trace, documents: &[Document], attack: &str) {
    let marks: &[&str] = match trace.profile {
        Profile::SearchR1 => &["<information>", "</information>"],
        Profile::R1Searcher => &["<|begin_of_documents|>", "<|end_of_documents|>"],
        Profile::SelfAsk => &["Intermediate answer:"],
    };
    for segment in trace.segments.iter().filter(|segment| segment.author == Author::Environment) {
        if !segment.text.contains(marks[0]) {
            continue;
        }
        let mut body = segment.text.clone();
        for mark in marks {
            assert_eq!(body.matches(mark).count(), 1, "{attack}: {body}");
            body = body.replacen(mark, "", 1);
        }
        let turn = protocol::parse(trace.profile, 8, &body);
        assert_eq!((turn.action, turn.end), (None, body.len()), "{attack}: {body}");
        let shown = trace.ledger.entries().iter().filter(|entry| body.contains(&format!("[{}]", entry.label))).count();
        assert_eq!(labels(&body), shown, "a label is forged: {attack}: {body}");
        for token in ["<|", "<tool_call", "<think", "<search", "<answer", "<abstain"] {
            assert!(!body.to_lowercase().contains(token), "{attack}: {token} in {body}");
        }
    }
    for search in &trace.searches {
        let forged = search.query.split(' ').any(|word| word.starts_with('@') && word.contains(':'));
        assert!(!forged, "{attack}: {}", search.query);
    }
    for sentence in &trace.answer.sentences {
        assert!(sentence.cites.iter().all(|label| trace.ledger.get(*label).is_some()), "{attack}");
    }
    for citation in &trace.answer.citations {
        let entry = trace.ledger.get(citation.label).expect("what is cited is in the ledger");
        assert_eq!((entry.chunk, &entry.document), (citation.chunk, &citation.document), "{attack}");
        let source = documents.iter().find(|document| document.id == citation.document).unwrap();
        assert_eq!(&source.text[citation.start..citation.end], citation.quote, "{attack}");
    }
}

/// How many labels of evidence stand in `text`, by anybody.
fn labels(text: &str) -> usize {
    let is_label = |rest: &str| {
        let rest = rest.trim_start().strip_prefix(['E', 'e']).map(str::trim_start);
        rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    text.split('[').skip(1).filter(|rest| is_label(rest)).count()
}

#[test]
fn an_attack_that_is_evidence_changes_nothing() {
    let alone = episode(&Extractive, Profile::SearchR1, &[honest()], Budget::default());
    assert!(alone.answer.is_answered());
    for (number, (class, attack)) in attacks().iter().enumerate() {
        let documents = [honest(), document(number, attack)];
        for profile in Profile::ALL {
            let trace = episode(&Extractive, profile, &documents, Budget::default());
            check(&trace, &documents, attack);
            assert!(trace.answer.documents().contains(&&documents[0].id), "{class}: {attack}: {:?}", trace.answer);
            assert_eq!(trace.searches[0].query, alone.searches[0].query, "{attack}");
            assert_eq!(trace.ledger.entries().len(), 2, "both are evidence: {attack}");
        }
    }
}

#[test]
fn a_policy_says_its_own_lines_beside_any_attack() {
    let turns = [
        "<search>maintenance treatment of asthma</search>",
        "<answer>Give steroids. [E1] All of it. [E2][E9]</answer>",
    ];
    for (number, (_, attack)) in attacks().iter().enumerate() {
        let mut attacking = document(number, attack);
        // a title and a journal are shown as well
        attacking.title = corpus::text::normalise(attack).replace('\n', " ");
        attacking.journal = Some(attacking.title.clone());
        attacking.identifiers.pmid = Some(attacking.title.clone());
        let documents = [honest(), attacking];
        let trace = episode(&Scripted::new(turns), Profile::SearchR1, &documents, Budget::default());
        check(&trace, &documents, attack);
        let queries: Vec<_> = trace.searches.iter().map(|search| search.query.as_str()).collect();
        assert_eq!(queries, ["maintenance treatment of asthma"], "{attack}");
        assert_eq!((trace.answer.citations.len(), trace.answer.struck), (2, 1), "E9 was never given out: {attack}");
        assert_eq!(trace.segments.len(), 3, "{attack}");
    }
}

#[test]
fn a_random_model_beside_attacks_keeps_to_its_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("model");
    nn::init(nn::Shape::Tiny, 7, &dir, &mut |_, _| {}).unwrap();
    let model = Local::open(&dir, &LocalOptions::default()).unwrap();
    let budget = Budget { turns: 2, generated_tokens: 48, evidence_tokens: 200, ..Budget::default() };
    for (number, (_, attack)) in attacks().iter().enumerate().step_by(19) {
        let documents = [honest(), document(number, attack)];
        let trace = episode(&model, Profile::SearchR1, &documents, budget);
        check(&trace, &documents, attack);
        assert!(trace.written_tokens().unwrap() <= budget.generated_tokens, "{attack}");
    }
}

/// Documents of real corpora that would stand in quarantine. All of them with `ANAMNESIS_ALL` set, else
/// every eighth.
#[test]
fn real_text_raises_no_alarm() {
    let every = if std::env::var_os("ANAMNESIS_ALL").is_some() { 1 } else { 8 };
    for name in ["abstracts", "pmc_passages", "medquad", "openstax_passages"] {
        let Some(file) = shared_file(&format!("corpora/{name}.jsonl.gz")) else { continue };
        let (documents, bytes, seconds, alarms) = screen(&file, every);
        eprintln!(
            "{name}: {} alarms in {documents} documents, {:.1} MB/s on one core {alarms:#?}",
            alarms.len(),
            bytes as f64 / 1e6 / seconds,
        );
        assert!(alarms.len() as f64 <= 0.0005 * documents as f64, "{alarms:#?}");
    }
}

fn screen(file: &Path, every: usize) -> (usize, usize, f64, Vec<String>) {
    let records = reader::open(file, &Options::default()).unwrap();
    let (mut documents, mut bytes, mut seconds, mut alarms) = (0, 0, 0.0, Vec::new());
    for record in records.step_by(every) {
        let Ok(Record::Document(document)) = record else { continue };
        let start = Instant::now();
        let (_, reason) = injection::screen(&document.head(), &document.text, document.concealed);
        seconds += start.elapsed().as_secs_f64();
        documents += 1;
        bytes += document.text.len() + document.title.len();
        alarms.extend(reason.map(|reason| format!("{}: {reason}", document.id)));
    }
    (documents, bytes, seconds, alarms)
}
