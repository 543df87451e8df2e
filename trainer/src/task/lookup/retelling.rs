//! The second lesson: a document, and some of its facts told again, shorter and in any order.
//!
//! To answer is to find the fact that is asked for among others of its kind. Demonstrations are too few to teach that:
//! a policy of this size knows them by heart before it has understood what they have in common.

use nn::Tokenizer;

use super::formulary::{Formulary, Relation};
use crate::draw::{Draw, Purpose};
use crate::task::scratch::template::Marks;
use crate::{Result, Sample};

/// At most so many retellings of documents of `editions`, no two alike; what the assistant tells is learnt.
pub(super) fn samples(tokenizer: &Tokenizer, seed: u64, editions: &[Formulary], count: usize) -> Result<Vec<Sample>> {
    let marks = Marks::of(tokenizer)?;
    let (orders, mut draw) = (orders(), Draw::new(seed, Purpose::Retelling, 0));
    let drugs = editions.iter().flat_map(|edition| (0..edition.len()).map(move |drug| (edition, drug)));
    let mut all: Vec<_> =
        drugs.flat_map(|(edition, drug)| orders.iter().map(move |order| (edition, drug, order))).collect();
    draw.shuffle(&mut all);
    all.truncate(count);
    all.into_iter().map(|(edition, drug, order)| sample(tokenizer, marks, edition, drug, order)).collect()
}

fn sample(tokenizer: &Tokenizer, marks: Marks, edition: &Formulary, drug: usize, order: &[Relation]) -> Result<Sample> {
    let document = edition.document(drug);
    let said = tokenizer.encode_text(&format!("\n{}\n{}\n", document.title, document.text))?;
    Ok(marks.lesson(&said, &tokenizer.encode_text(&edition.retold(drug, order))?))
}

/// Every choice of at least one fact, in every order.
fn orders() -> Vec<Vec<Relation>> {
    let (mut orders, mut longest) = (Vec::new(), vec![Vec::new()]);
    for _ in Relation::ALL {
        let longer = |order: &Vec<Relation>| {
            let rest = Relation::ALL.into_iter().filter(|relation| !order.contains(relation));
            rest.map(|relation| [order.as_slice(), &[relation]].concat()).collect::<Vec<_>>()
        };
        longest = longest.iter().flat_map(longer).collect();
        orders.extend_from_slice(&longest);
    }
    orders
}
