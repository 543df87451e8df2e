//! What questions name, and which sentences are about it.

use super::*;
use crate::policy::extractive::aspect::spaced;
use retriever::evidence::Label;

fn line(title: &str, before: &str, text: &str) -> Line {
    Line {
        label: Label(1),
        document: 0,
        position: 0,
        text: text.to_owned(),
        canonical: text.to_owned(),
        spaced: spaced(text),
        over: String::new(),
        before: stems(before),
        stems: stems(text),
        title: stems(title),
        heading: BTreeSet::new(),
    }
}

fn is_about(question: &str, title: &str, text: &str) -> bool {
    Subjects::required(question).are_named_by(&line(title, "", text), false)
}

#[test]
fn what_a_question_names_is_left_when_what_asks_is_taken_away() {
    for (question, names) in [
        ("Is valproate safe in pregnancy?", "valproate pregnancy"),
        ("What is the recommended dose of adrenaline in cardiac arrest?", "adrenaline cardiac arrest"),
        ("Which antibiotic is first-line for type 2 diabetes?", "type 2 diabetes"),
        ("What platelet count rules out alteplase?", "alteplase"),
        ("How often is vitamin D given?", "vitamin D"),
        ("Which antibiotics?", "antibiotics"),
        ("My patient has migraine. When is sumatriptan contraindicated?", "sumatriptan"),
        ("My patient is pregnant. Is lithium safe?", "pregnant lithium"),
        ("A patient with gout has fever. What must be done?", "gout fever"),
        ("Patient [name], MRN [number], born [date]: when is metformin contraindicated?", "metformin"),
    ] {
        assert_eq!(Subjects::required(question).text(), names, "{question}");
    }
    assert!(Subjects::of("in children and in pregnancy").is_only_matters());
    assert!(Subjects::required("how much").is_empty());
}

#[test]
fn a_sentence_about_another_drug_is_not_about_this_one() {
    let question = "Is valproate safe in pregnancy?";
    assert!(is_about(question, "Valproate", "Valproate is contraindicated in pregnancy."));
    assert!(is_about(question, "Valproate", "It is contraindicated in the first trimester."));
    assert!(
        !is_about(question, "Valproate in the treatment of mania", "It is contraindicated in pregnancy."),
        "a study"
    );
    assert!(!is_about(question, "Levothyroxine", "Levothyroxine is safe in pregnancy."));
    assert!(
        !is_about(question, "Valproate", "Lamotrigine is preferred in pregnancy."),
        "the title speaks for it, it does not"
    );
    assert!(!is_about(question, "Valproate", "Valproate can cause tremor."));
    assert!(
        !is_about("How is warfarin monitored?", "Amoxicillin", "Amoxicillin needs checks with warfarin."),
        "in passing"
    );
    assert!(is_about(
        "Does amoxicillin interact with warfarin?",
        "Amoxicillin",
        "Amoxicillin needs checks with warfarin."
    ));
    assert!(!is_about(
        "Does vasopressin reduce mortality in sepsis?",
        "Sepsis",
        "Hydrocortisone reduced mortality in sepsis."
    ));
}

#[test]
fn the_sentence_before_may_say_what_a_dose_is_for_and_never_for_whom() {
    let told = |question: &str, before: &str, text: &str| {
        Subjects::required(question).are_named_by(&line("Naloxone", before, text), true)
    };
    let question = "How many mg of naloxone for opioid overdose?";
    let before = "Naloxone is used for opioid overdose.";
    assert!(told(question, before, "Naloxone 0.4 to 2 mg is given."));
    assert!(!told(question, before, "Naloxone 0.04 mg is given in opioid-dependent patients with cancer."));
    assert!(!told(question, "", "Naloxone 0.4 to 2 mg is given."));
    let question = "How many mg of naloxone in pregnancy?";
    assert!(!told(question, "Naloxone is used in pregnancy.", "Naloxone 0.4 to 2 mg is given."));
}

#[test]
fn a_dose_is_that_of_the_drug_that_comes_first() {
    let told = |text: &str| {
        Subjects::required("What is the dose of amlodipine?").are_named_by(&line("Amlodipine", "", text), true)
    };
    assert!(told("The usual dose of amlodipine is 5 mg once daily."));
    assert!(!told("The dose of simvastatin should not exceed 20 mg daily in patients taking amlodipine."));
}

#[test]
fn tables_hold_lower_case_words() {
    for word in ["dose", "safe", "treated", "mortality", "which", "patients", "contraindicated"] {
        assert!(is_generic(word) || is_stop_word(word), "{word}");
    }
    for word in ["valproate", "pregnancy", "sepsis", "imatinib", "aorta", "iron"] {
        assert!(!is_generic(word), "{word}");
    }
}
