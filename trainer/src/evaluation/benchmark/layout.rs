//! The layouts of published sets, row by row.

use corpus::{Document, DocumentId};
use serde_json::Value;

use super::{Item, Set};
use crate::data::question::{Gold, Question, Verdict};
use crate::task::evidence::Trial;

/// How a row is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Our own.
    Own,
    /// Options by letter.
    Choice,
    /// PubMedQA.
    PubMed,
    /// A question on a trial.
    Trial,
}

/// The layout that a row's fields tell.
pub(super) fn of(row: &Value) -> Option<Layout> {
    let has = |field: &str| row.get(field).is_some();
    match () {
        () if has("gold") => Some(Layout::Own),
        () if has("options") => Some(Layout::Choice),
        () if has("final_decision") => Some(Layout::PubMed),
        () if has("intervention") => Some(Layout::Trial),
        () => None,
    }
}

/// The question of a row; or why it cannot be asked.
pub(super) fn item(layout: Layout, row: &Value, file: &str) -> Result<Item, String> {
    let text = |field: &str| row.get(field).and_then(Value::as_str).unwrap_or_default().trim().to_owned();
    let set = Some(text("dataset")).filter(|name| !name.is_empty()).unwrap_or_else(|| file.to_owned());
    let of = |id: &str, question: String, gold: Gold| {
        let question = Question { id: format!("{set}:{id}"), question, gold, documents: Vec::new(), hops: 1 };
        match question.fault() {
            Some(fault) => Err(fault),
            None => Ok(Item { question, set: set.clone(), reference: None, contexts: Vec::new() }),
        }
    };
    match layout {
        Layout::Own => {
            let question: Question = serde_json::from_value(row.clone()).map_err(|error| error.to_string())?;
            let (documents, hops) = (question.documents, question.hops);
            let mut item = of(&question.id, question.question, question.gold)?;
            (item.question.documents, item.question.hops) = (documents, hops);
            Ok(item)
        }
        Layout::Choice => {
            let options = row.get("options").and_then(Value::as_object).ok_or("`options` is no table")?;
            let mut options: Vec<_> =
                options.iter().map(|(letter, said)| (letter.as_str(), said.as_str().unwrap_or_default())).collect();
            options.sort_unstable();
            if options
                .iter()
                .zip('A'..='Z')
                .any(|((letter, said), wanted)| *letter != wanted.to_string() || said.is_empty())
            {
                return Err("the options are not A, B, C and so on, each with a text".to_owned());
            }
            let letter = text("answer").chars().next().ok_or("there is no `answer`")?;
            let listed: Vec<_> = options.iter().map(|(letter, said)| format!("{letter}: {said}")).collect();
            let options = options.into_iter().map(|(_, said)| said.to_owned()).collect();
            let question = format!("{}\n{}", text("question"), listed.join("\n"));
            of(&text("id"), question, Gold::Choice { letter, options })
        }
        Layout::PubMed => {
            let decision = text("final_decision");
            let verdict = Verdict::ALL.into_iter().find(|verdict| verdict.as_str() == decision);
            let verdict = verdict.ok_or_else(|| format!("`{decision}` is neither yes, no nor maybe"))?;
            let id = text("pmid");
            let mut item = of(&id, text("question"), Gold::Verdict(verdict))?;
            let parts = row.get("contexts").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let parts: Vec<_> = parts.iter().filter_map(|part| part.get("text")?.as_str()).collect();
            if !parts.is_empty() {
                let document = Document::plain(DocumentId::new(&set, &id), "", &parts.join("\n\n"));
                item.contexts.push(document);
            }
            item.reference = Some(text("long_answer")).filter(|answer| !answer.is_empty());
            item.question.documents.push(id);
            Ok(item)
        }
        Layout::Trial => {
            let trial: Trial = serde_json::from_value(row.clone()).map_err(|error| error.to_string())?;
            let question = trial.question();
            let mut item = of(&question.id, question.question, question.gold)?;
            item.question.documents = question.documents;
            let spans = trial.evidence.iter().enumerate().map(|(number, span)| {
                let own = || format!("{}-{number}", trial.id);
                let key = span.passages.first().cloned().unwrap_or_else(own);
                Document::plain(DocumentId::new(&set, &key), &trial.intervention, &span.text)
            });
            item.contexts = spans.collect();
            Ok(item)
        }
    }
}

/// Questions whose answers are stretches of a text.
pub(super) fn squad(whole: &Value, file: &str, set: &mut Set) {
    let list = |value: &Value, field: &str| value.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
    for (number, paragraph) in list(whole, "data").iter().flat_map(|entry| list(entry, "paragraphs")).enumerate() {
        let context = paragraph.get("context").and_then(Value::as_str).unwrap_or_default();
        let key = paragraph.get("document_id").map_or_else(|| number.to_string(), plain);
        let document = Document::plain(DocumentId::new(file, &key), "", context);
        for asked in list(&paragraph, "qas") {
            let id = asked.get("id").map(plain).unwrap_or_default();
            let mut answers = Vec::new();
            for answer in list(&asked, "answers") {
                let text = answer.get("text").and_then(Value::as_str).unwrap_or_default().trim();
                let at = answer.get("answer_start").and_then(Value::as_u64).unwrap_or(u64::MAX);
                if !stands(context, text, at) {
                    set.faults.push(format!("question `{id}`: the answer does not stand at {at}"));
                }
                answers.push(text.to_owned());
            }
            let text = asked.get("question").and_then(Value::as_str).unwrap_or_default().trim().to_owned();
            let reference = answers.first().cloned();
            let question = Question {
                id: format!("{file}:{id}"),
                question: text,
                gold: Gold::Overlap(answers),
                documents: vec![key.clone()],
                hops: 1,
            };
            match question.fault() {
                Some(fault) => set.faults.push(format!("question `{id}`: {fault}")),
                None => {
                    set.items.push(Item {
                        question,
                        set: file.to_owned(),
                        reference,
                        contexts: vec![document.clone()],
                    });
                }
            }
        }
    }
}

/// A name that may be written as a number.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Whether `text` stands in `context` from character `at` on, but for white space around it.
fn stands(context: &str, text: &str, at: u64) -> bool {
    let from = context.char_indices().nth(usize::try_from(at).unwrap_or(usize::MAX)).map(|(byte, _)| byte);
    from.is_some_and(|byte| context[byte..].trim_start().starts_with(text))
}
