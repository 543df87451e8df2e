//! [`Formulary`]: drugs and what is true of them, as documents and as questions.

use corpus::{Document, DocumentId};

use super::names::Names;
use crate::data::question::{Gold, Question};
use crate::draw::{Draw, Purpose};

/// The source of its documents.
pub(super) const SOURCE: &str = "formulary";
/// Classes, conditions, and the drug that has no entry.
pub(super) const OTHER_NAMES: usize = CLASSES + CONDITIONS + 1;

/// So many that few recur: what is the answer to many questions is worth remembering, and then nothing is looked up.
const CLASSES: usize = 160;
const CONDITIONS: usize = 160;
/// Of ten drugs, so many have their questions held out.
const HELD_OUT: usize = 3;

/// Of so many questions one takes a single document: those that take two are what demonstrations teach least.
const SINGLE: usize = 4;

/// One edition.
#[derive(Clone, Debug)]
pub struct Formulary {
    seed: u64,
    edition: u32,
    drugs: Vec<Drug>,
}

/// One entry.
#[derive(Clone, Debug)]
pub(super) struct Drug {
    pub(super) name: String,
    class: String,
    /// In milligrams, two digits.
    dose: usize,
    /// The drug it interacts with: always an earlier entry, so that of two documents with equally many
    /// words of a query the earlier is the one it is about. The first drug's has no entry.
    partner: Option<usize>,
    partner_name: String,
    condition: String,
}

/// What is true of a drug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Class,
    Dose,
    Interaction,
    Contraindication,
}

impl Relation {
    pub(super) const ALL: [Self; 4] = [Self::Class, Self::Dose, Self::Interaction, Self::Contraindication];

    fn word(self) -> &'static str {
        match self {
            Self::Class => "class",
            Self::Dose => "dose",
            Self::Interaction => "interaction",
            Self::Contraindication => "contraindication",
        }
    }
}

/// A question as facts: whose, what, and over how many documents.
#[derive(Clone, Copy, Debug)]
struct Asked {
    drug: usize,
    relation: Relation,
    hops: u8,
}

impl Formulary {
    /// Edition `edition` of `seed` with so many drugs.
    pub fn new(seed: u64, edition: u32, drugs: usize) -> Self {
        let (mut names, mut draw) = (Names::new(seed, edition), Draw::new(seed, Purpose::Facts, edition));
        let classes: Vec<_> = (0..CLASSES).map(|_| names.next()).collect();
        let conditions: Vec<_> = (0..CONDITIONS).map(|_| names.next()).collect();
        let outside = names.next();
        let mut entries: Vec<Drug> = Vec::with_capacity(drugs);
        for number in 0..drugs {
            let partner = (number > 0).then(|| draw.below(number));
            entries.push(Drug {
                name: names.next(),
                class: classes[draw.below(CLASSES)].clone(),
                dose: 10 + draw.below(90),
                partner,
                partner_name: partner.map_or_else(|| outside.clone(), |partner| entries[partner].name.clone()),
                condition: conditions[draw.below(CONDITIONS)].clone(),
            });
        }
        Self { seed, edition, drugs: entries }
    }

    /// A document for each drug, under the ids that a corpus gives them.
    pub fn documents(&self) -> Vec<Document> {
        (0..self.len()).map(|number| self.document(number)).collect()
    }

    /// How many drugs it has.
    pub(super) fn len(&self) -> usize {
        self.drugs.len()
    }

    /// The document of the drug with this number.
    pub(super) fn document(&self, number: usize) -> Document {
        let drug = &self.drugs[number];
        let facts = Relation::ALL
            .map(|relation| format!("The {} of {} is {}.", relation.word(), drug.name, drug.value(relation)));
        Document::plain(DocumentId::new(SOURCE, &number.to_string()), &format!("Drug {}", drug.name), &facts.join(" "))
    }

    /// Facts of the drug with this number, without its name.
    pub(super) fn retold(&self, number: usize, relations: &[Relation]) -> String {
        let tell = |relation: &Relation| format!("The {} is {}.", relation.word(), self.drugs[number].value(*relation));
        relations.iter().map(tell).collect::<Vec<_>>().join(" ")
    }

    /// Questions to train on and to measure by, at most so many of each, one of four over a single document;
    /// no drug is asked about in both.
    pub fn split(&self, train: usize, heldout: usize) -> (Vec<Question>, Vec<Question>) {
        let mut draw = Draw::new(self.seed, Purpose::Split, self.edition);
        let mut order: Vec<usize> = (0..self.drugs.len()).collect();
        draw.shuffle(&mut order);
        let (held, learnt) = order.split_at(self.drugs.len() * HELD_OUT / 10);
        let mut take = |drugs: &[usize], count: usize| {
            let mut questions = self.asked(drugs);
            draw.shuffle(&mut questions);
            let mut single = 0..count / SINGLE;
            questions.retain(|asked| asked.hops > 1 || single.next().is_some());
            questions.truncate(count);
            questions.into_iter().map(|asked| self.question(asked)).collect()
        };
        (take(learnt, train), take(held, heldout))
    }

    /// So many questions over `hops` documents, no two alike, each with the facts that lead to its answer, the answer
    /// last. Relations take turns, from one edition to the next: what few demonstrations leave out is never tried.
    pub(super) fn sample(&self, hops: u8, count: usize) -> Vec<(Question, Vec<String>)> {
        let mut draw = Draw::new(self.seed, Purpose::Demonstrations, self.edition << 2 | u32::from(hops));
        let all: Vec<_> = (0..self.drugs.len()).collect();
        let mut questions = self.asked(&all);
        questions.retain(|asked| asked.hops == hops);
        draw.shuffle(&mut questions);
        let turns = Relation::ALL;
        let begin = self.edition as usize * count;
        let mut sample = Vec::with_capacity(count);
        for turn in begin..begin + count {
            if questions.is_empty() {
                break;
            }
            let place = questions.iter().position(|asked| asked.relation == turns[turn % turns.len()]);
            let asked = questions.remove(place.unwrap_or(0));
            sample.push((self.question(asked), self.steps(asked)));
        }
        sample
    }

    /// What is to be read off each document that a question takes.
    fn steps(&self, Asked { drug, relation, hops }: Asked) -> Vec<String> {
        match self.drugs[drug].partner.filter(|_| hops == 2) {
            Some(partner) => vec![self.retold(drug, &[Relation::Interaction]), self.retold(partner, &[relation])],
            None => vec![self.retold(drug, &[relation])],
        }
    }

    /// What can be asked about these drugs.
    fn asked(&self, drugs: &[usize]) -> Vec<Asked> {
        let about = |drug: &usize| {
            let hops: &[u8] = if self.drugs[*drug].partner.is_some() { &[1, 2] } else { &[1] };
            let drug = *drug;
            hops.iter().flat_map(move |hops| Relation::ALL.map(|relation| Asked { drug, relation, hops: *hops }))
        };
        drugs.iter().flat_map(about).collect()
    }

    fn question(&self, Asked { drug, relation, hops }: Asked) -> Question {
        let first = &self.drugs[drug];
        let partner = first.partner.filter(|_| hops == 2);
        let last = partner.map_or(first, |partner| &self.drugs[partner]);
        let over = if partner.is_some() { "the interaction of " } else { "" };
        let documents = std::iter::once(drug).chain(partner).map(|number| number.to_string());
        Question {
            id: format!("{}-{drug}-{}-{hops}", self.edition, relation.word()),
            question: format!("What is the {} of {over}{}?", relation.word(), first.name),
            gold: Gold::Exact(vec![last.value(relation)]),
            documents: documents.collect(),
            hops,
        }
    }

    /// The drug with this number.
    pub(super) fn drug(&self, number: usize) -> Option<&Drug> {
        self.drugs.get(number)
    }
}

impl Drug {
    fn value(&self, relation: Relation) -> String {
        match relation {
            Relation::Class => self.class.clone(),
            Relation::Dose => format!("{} mg", self.dose),
            Relation::Interaction => self.partner_name.clone(),
            Relation::Contraindication => self.condition.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use retriever::{Fixed, Query, Retrieve};

    use super::*;

    #[test]
    fn answers_stand_in_the_documents_that_are_named() {
        let formulary = Formulary::new(3, 0, 60);
        let documents = formulary.documents();
        let (train, heldout) = formulary.split(300, 100);
        assert_eq!((train.len(), heldout.len()), (239, 97));
        for question in train.iter().chain(&heldout) {
            let Gold::Exact(answers) = &question.gold else { panic!("{question:?}") };
            let last: usize = question.documents.last().unwrap().parse().unwrap();
            assert!(documents[last].text.contains(&answers[0]), "{question:?}");
            assert_eq!(question.documents.len(), usize::from(question.hops));
        }
        let subjects = |questions: &[Question]| {
            questions.iter().map(|question| question.documents[0].clone()).collect::<BTreeSet<_>>()
        };
        assert!(subjects(&train).is_disjoint(&subjects(&heldout)));
        let two = |questions: &[Question]| questions.iter().filter(|question| question.hops == 2).count();
        assert_eq!((two(&train), two(&heldout)), (164, 72));
    }

    #[test]
    fn the_first_hit_for_a_name_is_its_own_document() {
        let formulary = Formulary::new(3, 0, 60);
        let library = Fixed::of_documents(formulary.documents());
        for (number, drug) in formulary.drugs.iter().enumerate() {
            let hits = library.retrieve(&Query { k: 1, ..Query::new(drug.name.as_str()) }).unwrap();
            assert_eq!(hits[0].document.key(), number.to_string());
        }
    }

    #[test]
    fn editions_share_no_entity() {
        let entities = |edition| {
            let names = Formulary::new(3, edition, 100).drugs.into_iter();
            names.flat_map(|drug| [drug.name, drug.class, drug.partner_name, drug.condition]).collect::<BTreeSet<_>>()
        };
        assert!((1..20).all(|edition| entities(0).is_disjoint(&entities(edition))));
    }
}
