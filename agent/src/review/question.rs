//! [`Understood`]: a question as population, intervention, comparator and outcome, and what else could be asked.
//!
//! By rule, from the words that such questions are put in. What is not found is left out: a reader sees what was understood and
//! can put it right by asking again. Nothing here decides what is searched.

use serde::{Deserialize, Serialize};

use crate::matching::{is_stop_word, stems, words};

/// The parts of a clinical question (PICO; Richardson et al. 1995), in the question's own words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Understood {
    /// Whom it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub population: Option<String>,
    /// What is done, taken or measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intervention: Option<String>,
    /// In place of what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparator: Option<String>,
    /// What is to come of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
}

/// What parts an intervention from its comparator.
const VERSUS: [&str; 8] =
    [" versus ", " vs. ", " vs ", " compared with ", " compared to ", " rather than ", " instead of ", " or "];
/// What an outcome follows.
const OUTCOMES: [&str; 22] = [
    " reduce ",
    " reduces ",
    " lower ",
    " lowers ",
    " increase ",
    " increases ",
    " improve ",
    " improves ",
    " prevent ",
    " prevents ",
    " cause ",
    " causes ",
    " affect ",
    " affects ",
    " relieve ",
    " delay ",
    " raise ",
    " worsen ",
    " shorten ",
    " treat ",
    " cure ",
    " predict ",
];
/// What a population follows.
const WHOM: [&str; 7] = [" in ", " among ", " for ", " during ", " with ", " after ", " while "];
/// What people and their conditions are called.
const PEOPLE: [&str; 33] = [
    "patient",
    "people",
    "adult",
    "child",
    "infant",
    "neonat",
    "newborn",
    "women",
    "woman",
    "men",
    "man",
    "elderly",
    "older",
    "pregnan",
    "breastfe",
    "breast-fe",
    "lactat",
    "smoker",
    "adolescent",
    "person",
    "those",
    "survivor",
    "athlete",
    "veteran",
    "preterm",
    "disease",
    "syndrome",
    "cancer",
    "failure",
    "impairment",
    "insufficiency",
    "dialysis",
    "injury",
];
/// What a question may begin with before it comes to what it is about, the longest first.
const OPENINGS: [&str; 26] = [
    "what is the effect of",
    "what are the effects of",
    "what is the role of",
    "what is the dose of",
    "what is the evidence for",
    "what are the side effects of",
    "what is known about",
    "how effective is",
    "how effective are",
    "how safe is",
    "how well does",
    "is there evidence that",
    "which is better,",
    "which is better",
    "how does",
    "how do",
    "should",
    "does",
    "do",
    "can",
    "could",
    "is",
    "are",
    "will",
    "did",
    "has",
];

/// The parts of `question` that its wording shows.
pub fn understand(question: &str) -> Understood {
    let asked = question.trim().trim_end_matches(['?', '.', '!']).split_whitespace().collect::<Vec<_>>().join(" ");
    let lower = asked.to_ascii_lowercase();
    let opening =
        OPENINGS.iter().find(|opening| lower.strip_prefix(*opening).is_some_and(|rest| rest.starts_with(' ')));
    let start = opening.map_or(0, |opening| opening.len() + 1);
    let is_fragment = is_fragment(question);
    if opening.is_none() && !is_fragment {
        // Who, when, which: their subject is what is looked for, not a part of the question.
        let population = population(&asked, &lower).map(|(_, whom)| whom);
        return Understood { population, ..Understood::default() };
    }
    let mut rest = unspoken(&asked[start..]);
    let mut found = Understood::default();
    if let Some((at, whom)) = population(rest, &rest.to_ascii_lowercase()) {
        found.population = Some(whom);
        rest = &rest[..at];
    }
    let lower = rest.to_ascii_lowercase();
    let effect_on = opening.is_some_and(|opening| opening.contains("effect")).then(|| lower.find(" on ")).flatten();
    let outcome = effect_on
        .map(|at| (at, 4))
        .or_else(|| OUTCOMES.iter().filter_map(|mark| Some((lower.find(mark)?, mark.len()))).min());
    if let Some((at, length)) = outcome {
        found.outcome = part(&rest[at + length..]);
        rest = &rest[..at];
    }
    let lower = rest.to_ascii_lowercase();
    let versus = VERSUS.iter().filter_map(|mark| Some((lower.find(mark)?, mark.len()))).min();
    if let Some((at, length)) = versus {
        let other = &rest[at + length..];
        let other = [" better", " safer", " preferred", " more effective"]
            .iter()
            .find_map(|end| other.strip_suffix(end))
            .unwrap_or(other);
        found.comparator = part(other);
        rest = &rest[..at];
    }
    // what is asked about it is no part of its name
    let asked = [
        " safe",
        " effective",
        " useful",
        " indicated",
        " contraindicated",
        " recommended",
        " used",
        " given",
        " taken",
        " stopped",
        " started",
        " continued",
        " avoided",
    ];
    let name = asked.iter().find_map(|end| rest.trim_end().strip_suffix(end)).unwrap_or(rest);
    found.intervention = part(name.strip_suffix(" be").unwrap_or(name));
    found
}

/// What a question is about when it is put by somebody who takes or gives it: `I take ibuprofen if I have …` is about ibuprofen.
fn unspoken(text: &str) -> &str {
    const SPEAKERS: [&str; 6] = ["i ", "we ", "you ", "one ", "someone ", "a patient "];
    const VERBS: [&str; 8] = ["be given ", "continue ", "get ", "give ", "have ", "stop ", "take ", "use "];
    const CASES: [&str; 4] = [" if ", " when ", " because ", " although "];
    let lower = text.to_ascii_lowercase();
    let after = |marks: &[&str], from: usize| {
        marks.iter().find(|mark| lower[from..].starts_with(**mark)).map_or(from, |mark| from + mark.len())
    };
    let speaker = after(&SPEAKERS, 0);
    let start = if speaker > 0 { after(&VERBS, speaker) } else { 0 };
    let end = CASES.iter().filter_map(|case| lower[start..].find(case)).min().map_or(text.len(), |at| start + at);
    &text[start..end]
}

/// Where the population begins in `text`, and what it is: after a preposition, as far as the end.
fn population(text: &str, lower: &str) -> Option<(usize, String)> {
    let mut places: Vec<(usize, usize)> =
        WHOM.iter().flat_map(|mark| lower.match_indices(mark).map(|(at, _)| (at, mark.len()))).collect();
    places.sort_unstable();
    // each preposition speaks for what stands before the next: `fluids in DKA for children` is about children
    let segment = |number: usize| {
        let (at, length) = places[number];
        let end = places.get(number + 1).map_or(lower.len(), |(next, _)| (*next).max(at + length));
        at + length..end
    };
    let is_people = |number: &usize| {
        words(&lower[segment(*number)]).take(3).any(|word| PEOPLE.iter().any(|mark| word.starts_with(mark)))
    };
    // an abbreviation of a disease, as in `immunotherapy in TNBC`
    let is_short = |number: &usize| {
        words(&text[segment(*number)])
            .next()
            .is_some_and(|word| word.len() >= 2 && word.bytes().filter(u8::is_ascii_uppercase).count() >= 2)
    };
    let numbers = || 0..places.len();
    let number = numbers().find(is_people).or_else(|| numbers().find(is_short))?;
    let (at, length) = places[number];
    Some((at, part(&text[at + length..])?))
}

fn part(text: &str) -> Option<String> {
    let text = text.trim().trim_matches([',', ';']).trim();
    let text = ["the use of ", "treatment with ", "the ", "a ", "an "]
        .iter()
        .find_map(|opening| text.get(..opening.len())?.eq_ignore_ascii_case(opening).then(|| &text[opening.len()..]))
        .unwrap_or(text)
        .trim();
    let says = words(text).any(|word| !is_stop_word(&word.to_lowercase()));
    says.then(|| text.to_owned())
}

/// Whether a question is a topic without a question: few words, none of which asks or tells.
pub fn is_fragment(question: &str) -> bool {
    let count = words(question).count();
    (1..=6).contains(&count) && !question.contains('?') && !words(question).any(|word| says_more(&word.to_lowercase()))
}

/// Whether a word asks, or is of a sentence that somebody says: a name has no such word.
fn says_more(word: &str) -> bool {
    const MORE: [&str; 54] = [
        "am", "are", "be", "because", "been", "can", "could", "did", "do", "does", "give", "given", "had", "has",
        "have", "he", "how", "i", "if", "is", "it", "may", "me", "my", "our", "she", "should", "take", "taken",
        "taking", "tell", "that", "they", "this", "use", "used", "was", "we", "were", "what", "when", "where", "which",
        "while", "who", "whom", "whose", "why", "will", "work", "works", "would", "you", "your",
    ];
    MORE.contains(&word)
}

/// Whether a part is a name that can stand in another question: few words, no measure, and nothing that is asked of it.
fn is_name(text: &str) -> bool {
    const ASKED: [&str; 18] = [
        "adult",
        "adults",
        "child",
        "children",
        "dosage",
        "dose",
        "doses",
        "dosing",
        "effect",
        "effects",
        "elderly",
        "overdose",
        "pregnancy",
        "prevention",
        "safe",
        "safety",
        "side",
        "treatment",
    ];
    let is_plain = |word: &str| {
        let word = word.to_lowercase();
        !says_more(&word) && !ASKED.contains(&word.as_str()) && word.bytes().any(|byte| byte.is_ascii_alphabetic())
    };
    (1..=3).contains(&words(text).count()) && words(text).all(is_plain)
}

impl Understood {
    /// A question that would settle what a topic leaves open; none where the topic is no plain name.
    pub fn suggestion(&self) -> Option<String> {
        let topic = self.intervention.as_ref().filter(|topic| is_name(topic))?;
        let whom = self.population.as_ref().map(|whom| format!(" in {whom}")).unwrap_or_default();
        Some(format!("Do you ask how well {topic} works{whom}, how safe it is, or how it is given?"))
    }

    /// Wider questions, the nearest first: without the population, without the comparator, about the intervention alone.
    pub fn wider(&self, question: &str) -> Vec<String> {
        let Some(intervention) = &self.intervention else {
            let asked = question.trim().trim_end_matches('?');
            let cut = self.population.as_ref().and_then(|whom| {
                let at = asked.find(whom.as_str())?;
                let rest = asked[..at].rsplit_once(' ')?.0.rsplit_once(' ')?.0;
                (!stems(rest).is_empty()).then(|| rest.to_owned() + "?")
            });
            return cut.into_iter().collect();
        };
        if !is_name(intervention) {
            return Vec::new();
        }
        let outcome = self.outcome.as_ref().map(|outcome| format!(" on {outcome}")).unwrap_or_default();
        let mut wider = Vec::new();
        if self.population.is_some() && (self.comparator.is_some() || self.outcome.is_some()) {
            let other = self.comparator.as_ref().map(|other| format!(" compared with {other}")).unwrap_or_default();
            wider.push(format!("What is the effect of {intervention}{other}{outcome}?"));
        }
        if self.comparator.is_some() {
            let whom = self.population.as_ref().map(|whom| format!(" in {whom}")).unwrap_or_default();
            wider.push(format!("What is the effect of {intervention}{outcome}{whom}?"));
        }
        if self.population.is_some() || self.outcome.is_some() {
            wider.push(format!("What is known about {intervention}?"));
        }
        wider
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_where_the_wording_shows_them() {
        for (question, expect) in [
            (
                "Does metformin reduce mortality in adults with type 2 diabetes?",
                [Some("adults with type 2 diabetes"), Some("metformin"), None, Some("mortality")],
            ),
            (
                "What is the effect of apixaban compared with warfarin on stroke in patients with atrial fibrillation?",
                [Some("patients with atrial fibrillation"), Some("apixaban"), Some("warfarin"), Some("stroke")],
            ),
            ("Is lithium safe in children?", [Some("children"), Some("lithium"), None, None]),
            (
                "What is the dose of metformin in renal impairment?",
                [Some("renal impairment"), Some("metformin"), None, None],
            ),
            ("immunotherapy in TNBC", [Some("TNBC"), Some("immunotherapy"), None, None]),
            ("Is aspirin or clopidogrel better?", [None, Some("aspirin"), Some("clopidogrel"), None]),
            ("Which drug is first-line for people with gout?", [Some("people with gout"), None, None, None]),
            ("Can valproate be taken while breastfeeding?", [Some("breastfeeding"), Some("valproate"), None, None]),
            ("Can I take ibuprofen if I have high blood pressure?", [None, Some("ibuprofen"), None, None]),
            ("fluids in DKA for children", [Some("children"), Some("fluids in DKA"), None, None]),
            ("", [None; 4]),
            ("???", [None; 4]),
        ] {
            let found = understand(question);
            let parts = [&found.population, &found.intervention, &found.comparator, &found.outcome];
            assert_eq!(parts.map(Option::as_deref), expect, "{question}");
        }
    }

    #[test]
    fn a_topic_is_told_from_a_question() {
        for topic in ["immunotherapy in TNBC", "metformin", "tranexamic acid"] {
            assert!(is_fragment(topic), "{topic}");
            assert!(understand(topic).suggestion().is_some(), "{topic}");
        }
        for topic in
            ["aspirin primary prevention elderly", "epinephrine dose anaphylaxis child 20 kg", "metformin dose"]
        {
            assert_eq!(understand(topic).suggestion(), None, "no name to ask about: {topic}");
        }
        for question in [
            "metformin?",
            "Is metformin safe",
            "what is gout",
            "",
            "Tell me all that is known of it and of them",
            "I take ibuprofen",
            "aspirin works well",
            "a list of very many words about gout",
        ] {
            assert!(!is_fragment(question), "{question}");
        }
    }

    #[test]
    fn wider_questions_leave_parts_out_and_keep_the_rest() {
        let wider = |question: &str| understand(question).wider(question);
        assert_eq!(
            wider("Does metformin reduce mortality in adults with type 2 diabetes?"),
            ["What is the effect of metformin on mortality?", "What is known about metformin?"]
        );
        assert_eq!(wider("Which drug is first-line for people with gout?"), ["Which drug is first-line?"]);
        assert!(wider("What is gout?").is_empty());
        assert!(wider("Can I give my child of 20 kg half a tablet with food in pregnancy?").is_empty());
    }
}
