//! Questions and the needs they are made of.

use super::*;

fn needs(question: &str) -> Vec<Need> {
    decompose(question, &Vocabulary::default())
}

fn via(question: &str) -> Option<String> {
    needs(question).remove(0).via.map(|via| via.description)
}

#[test]
fn a_plain_question_is_one_need() {
    for question in [
        "What is the first-line treatment of low-risk localized prostate cancer?",
        "Why should denosumab for osteoporosis not be stopped?",
        "What is the radiographic sign of croup called?",
    ] {
        let needs = needs(question);
        assert_eq!((needs.len(), &needs[0].via, &needs[0].side), (1, &None, &None), "{question}");
    }
}

#[test]
fn descriptions_are_found_where_they_end() {
    for (question, description) in [
        (
            "What must be monitored in a patient taking the first-line drug for bipolar disorder?",
            "first-line drug for bipolar disorder",
        ),
        (
            "Is the anticoagulant of choice for AF with mitral stenosis safe in pregnancy?",
            "anticoagulant of choice for atrial fibrillation with mitral stenosis",
        ),
        ("On the key test for epilepsy, how long must a seizure last?", "key test for epilepsy"),
        (
            "What fasting glucose is diagnostic on the test used to diagnose gestational diabetes?",
            "test used to diagnose gestational diabetes",
        ),
        (
            "How large a rise is acceptable after starting the ACE inhibitor that is first-line in kidney disease?",
            "ACE inhibitor that is first-line in kidney disease",
        ),
        (
            "Can the first-line drug for moderate to severe asthma cause thrush?",
            "first-line drug for moderate to severe asthma",
        ),
        (
            "A patient on the first-line drug for Graves disease develops fever. What must be done?",
            "first-line drug for Graves disease",
        ),
    ] {
        assert_eq!(via(question).as_deref(), Some(description), "{question}");
    }
    let possessive = via("What result confirms COPD on its confirmatory test?").unwrap();
    assert!(possessive.starts_with("confirmatory test") && possessive.contains("pulmonary"), "{possessive}");
}

#[test]
fn a_pronoun_stands_for_what_was_asked_for() {
    let needs = needs("Which drug is first-line for type 2 diabetes, and when must it be avoided?");
    assert_eq!(needs.len(), 1);
    let via = needs[0].via.clone().unwrap();
    assert_eq!(via.description, "Which drug is first-line for type 2 diabetes");
    assert_eq!((via.before.as_str(), via.after.as_str(), via.asked), ("when must", "be avoided", true));
    let plain = super::decompose("What is gout and how is it treated?", &Vocabulary::default());
    assert_eq!(
        plain.iter().map(|need| need.text.as_str()).collect::<Vec<_>>(),
        ["What is gout", "gout how is it treated"]
    );
    assert!(plain.iter().all(|need| need.via.is_none()));
}

#[test]
fn a_part_without_a_subject_keeps_the_one_before() {
    for (question, texts) in [
        (
            "What is the mechanism of action of imatinib, and how is response monitored?",
            &["What is the mechanism of action of imatinib", "imatinib how is response monitored"][..],
        ),
        (
            "What is type 2 diabetes and when is it treated?",
            &["What is type 2 diabetes", "type 2 diabetes when is it treated"],
        ),
        ("How is gout treated and how is asthma diagnosed?", &["How is gout treated", "how is asthma diagnosed"]),
        ("What is lithium for, and what in pregnancy?", &["What is lithium for", "lithium what in pregnancy"]),
    ] {
        assert_eq!(needs(question).iter().map(|need| need.text.as_str()).collect::<Vec<_>>(), texts, "{question}");
    }
    let amount = needs("What is the first-line treatment of anaphylaxis in an adult and how much?").remove(0);
    let via = amount.via.unwrap();
    assert_eq!((amount.asked.as_str(), via.before.as_str(), via.after.as_str()), ("how much", "how much", ""));
}

#[test]
fn comparisons_have_two_sides() {
    for (question, left, right) in [
        ("How do apixaban and warfarin differ in monitoring?", "apixaban monitoring", "warfarin monitoring"),
        (
            "Apixaban versus warfarin for atrial fibrillation",
            "Apixaban atrial fibrillation",
            "warfarin atrial fibrillation",
        ),
        ("Is apixaban safer than warfarin in pregnancy?", "apixaban safer pregnancy", "warfarin safer pregnancy"),
        ("What is the difference between lithium and valproate?", "lithium", "valproate"),
    ] {
        let needs = needs(question);
        let texts: Vec<_> = needs.iter().map(|need| need.text.as_str()).collect();
        assert_eq!(texts, [left, right], "{question}");
        assert!(needs.iter().all(|need| need.side.is_some()));
    }
}

#[test]
fn nothing_comes_of_nothing() {
    for question in ["", "   ", "what is the of?", "?!…", "\u{200b}", "How much?", "Is that true?", "Thanks!"] {
        assert!(needs(question).is_empty(), "{question}");
    }
}

#[test]
fn any_question_is_taken_apart_in_bounds() {
    let long = "which drug is first-line for gout, and when must it be avoided? ".repeat(2_000);
    for question in [
        long.as_str(),
        "and and and",
        "versus",
        "than than",
        "between and",
        "differ",
        "the test for",
        ", and when",
        "é vs ü",
    ] {
        assert!(needs(question).len() <= MAX_NEEDS, "{}", &question[..question.floor_char_boundary(40)]);
    }
}
