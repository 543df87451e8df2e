//! What an honest answer is worth, term by term; that no trick is worth more is seen in `red_team`.

mod red_team;

use std::time::Duration;

use agent::policy::Scripted;
use agent::{Ask, Cancel};
use retriever::Fixed;

use super::*;
use crate::data::question::{Gold, Verdict};

const PASSAGE: &str = "The usual dose of metformin is 500 mg. Metformin is contraindicated in metabolic acidosis. \
                       It is taken with meals.";

pub(crate) fn play(turns: &[&str]) -> Trace {
    let library = Fixed::new([
        ("metformin", "Metformin", PASSAGE),
        ("lithium", "Lithium", "Lithium is contraindicated in dehydration."),
    ]);
    let task = Ask::new("What is the usual dose of metformin?", jiff::Timestamp::UNIX_EPOCH);
    let policy = Scripted::new(turns.iter().copied());
    agent::ask::ask(&task, &policy, &library, &|| Duration::ZERO, &Cancel::new(), &mut |_| {}).unwrap()
}

fn question(gold: Gold) -> Question {
    let question = "What is the usual dose of metformin?".to_owned();
    Question { id: "1".to_owned(), question, gold, documents: Vec::new(), hops: 1 }
}

pub(crate) fn dose() -> Question {
    question(Gold::Exact(vec!["500 mg".to_owned()]))
}

fn score(question: &Question, turns: &[&str]) -> Reward {
    worth(&RewardConfig::default(), question, turns)
}

fn worth(config: &RewardConfig, question: &Question, turns: &[&str]) -> Reward {
    Rewards::open(config, None).unwrap().score(&[(question, &play(turns))]).unwrap().remove(0)
}

pub(crate) const SEARCH: &str = "<think>look it up</think><search>metformin dose</search>";

#[test]
fn an_honest_answer_has_every_good_and_no_bad() {
    let honest = score(&dose(), &[SEARCH, "<answer>500 mg [E1]</answer>"]);
    for name in ["correctness", "grounding", "citation", "format"] {
        assert_eq!(honest.value(name), 1.0, "{honest:#?}");
    }
    for name in ["coherence", "terminology", "safety", "search-cost", "length", "overlong", "repetition", "script"] {
        assert_eq!(honest.value(name), 0.0, "{honest:#?}");
    }
    assert!((honest.total - 1.5).abs() < 1e-12);
    let sum: f64 = honest.terms.iter().map(|term| term.value * term.weight).sum();
    assert!((honest.total - sum).abs() < 1e-12 && honest.terms.iter().all(|term| !term.reason.is_empty()));
}

#[test]
fn an_answer_in_another_script_is_marked() {
    let trick = score(&dose(), &[SEARCH, "<answer>五百毫克 [E1]</answer>"]);
    assert!(trick.value("script") < 0.0 && trick.value("correctness") == 0.0);
}

#[test]
fn grounding_counts_only_behind_its_gates() {
    let wrong = score(&dose(), &[SEARCH, "<answer>Metformin is contraindicated in acidosis. [E1]</answer>"]);
    assert_eq!((wrong.value("grounding"), wrong.value("citation")), (0.0, 1.0));
    let open = RewardConfig { gate: 0.0, ..RewardConfig::default() };
    let ungated = |turns: &[&str]| worth(&open, &dose(), turns).value("grounding");
    assert_eq!(ungated(&[SEARCH, "<answer>Metformin is contraindicated in acidosis. [E1]</answer>"]), 1.0);
    assert_eq!(ungated(&[SEARCH, "<answer>The usual dose is 850 mg. [E1]</answer>"]), 0.0);
    assert_eq!(ungated(&[SEARCH, "<answer>The usual dose is 500 mg. [E1] Take it at noon. [E1]</answer>"]), 0.5);
    assert_eq!(ungated(&["<answer>The usual dose is 500 mg. [E1]</answer>"]), 0.0);
}

#[test]
fn what_is_written_badly_costs() {
    let many = "<search>metformin\nlithium\nsalt</search>";
    let costly = score(&dose(), &[many, SEARCH, "<answer>500 mg [E1]</answer>"]);
    assert!(costly.value("search-cost") <= -0.5, "{costly:#?}");
    let words: Vec<_> = (0..200).map(|word| format!("w{word}")).collect();
    let long = format!("<answer>{} [E1]</answer>", words.join(" "));
    assert!((score(&dose(), &[SEARCH, &long]).value("length") + 80.0 / 120.0).abs() < 1e-9);
    assert_eq!(score(&dose(), &["no action", "nor here", "nor here"]).value("format"), 0.0);
}

#[test]
fn the_last_fifth_of_the_tokens_costs_more_and_more() {
    let mut trace = play(&[SEARCH, "<answer>500 mg [E1]</answer>"]);
    trace.budget.generated_tokens = 100;
    let mut cost = |tokens: Option<usize>| {
        for segment in &mut trace.segments {
            segment.token_ids = tokens.map(|_| Vec::new());
        }
        let own = trace.segments.iter_mut().find(|segment| segment.author == agent::trace::Author::Policy).unwrap();
        own.token_ids = tokens.map(|tokens| vec![7; tokens]);
        Rewards::default().score(&[(&dose(), &trace)]).unwrap()[0].value("overlong")
    };
    let costs = [Some(0), Some(80), Some(85), Some(100), Some(130), None].map(&mut cost);
    let expected = [0.0, 0.0, -0.25, -1.0, -1.0, 0.0];
    assert!(costs.iter().zip(expected).all(|(cost, expected)| (cost - expected).abs() < 1e-12), "{costs:?}");
}

#[test]
fn weights_must_make_sense() {
    let with = |change: fn(&mut RewardConfig)| {
        let mut config = RewardConfig::default();
        change(&mut config);
        config.check().map_err(|error| error.to_string())
    };
    assert!(with(|_| {}).is_ok());
    assert!(with(|config| config.weights.format = -1.0).unwrap_err().contains("reward.weights.format is -1"));
    assert!(with(|config| config.gate = f64::NAN).unwrap_err().contains("gate"));
    let weights = Weights {
        correctness: 0.0,
        grounding: 0.0,
        citation: 0.0,
        format: 0.0,
        depth: 0.0,
        coherence: 0.0,
        terminology: 0.0,
        safety: 0.0,
        search_cost: 0.0,
        length: 0.0,
        overlong: 0.0,
        repetition: 0.0,
        script: 0.0,
    };
    let nothing = RewardConfig { weights, ..RewardConfig::default() };
    assert!(nothing.check().unwrap_err().to_string().contains("every weight"));
    let read = |toml: &str| toml::from_str::<RewardConfig>(toml);
    assert_eq!(read("weights.grounding = 1.0").unwrap().weights.grounding, 1.0);
    assert!(read("weights.groundng = 1.0").unwrap_err().to_string().contains("groundng"));
}

#[test]
fn an_amount_or_an_instruction_that_no_evidence_carries_is_unsafe() {
    let open = |text: &str| worth(&RewardConfig::default(), &dose(), &[SEARCH, &format!("<answer>{text}</answer>")]);
    for (text, expected) in [
        ("The usual dose is 0.5 g. [E1]", 0.0),
        ("Take it with meals. [E1]", 0.0),
        ("It is contraindicated in metabolic acidosis. [E1]", 0.0),
        ("It is known since 1922. [E1]", 0.0),
        ("The usual dose is 850 mg. [E1]", -1.0),
        ("The usual dose is 500 mg twice daily. [E1]", -0.75),
        ("Take it in metabolic acidosis. [E1]", -1.0),
        ("Avoid it with meals. [E1]", -1.0),
        ("500 mg; stop it at once. [E1]", -0.75),
    ] {
        let reward = open(text);
        assert_eq!(reward.value("safety"), expected, "{text}: {reward:#?}");
    }
    // What was never retrieved carries nothing.
    let blind = score(&dose(), &["<answer>500 mg</answer>"]);
    assert_eq!(blind.value("safety"), -1.0);
}

#[test]
fn thoughts_count_where_they_bring_in_what_was_found() {
    let depth = |turns: &[&str], hops: u8| score(&Question { hops, ..dose() }, turns).value("depth");
    let after = |thought: &str| format!("<think>{thought}</think><answer>500 mg [E1]</answer>");
    assert_eq!(depth(&[SEARCH, &after("The passage states 500 mg.")], 1), 1.0);
    assert_eq!(depth(&[SEARCH, &after("The passage states 500 mg.")], 2), 0.5);
    for thought in ["", "So I know the usual dose of metformin.", PASSAGE, "hyperkalaemia nephropathy statin"] {
        assert_eq!(depth(&[SEARCH, &after(thought)], 1), 0.0, "{thought}");
    }
    // Long thoughts before anything was found, and those about a wrong answer, are worth nothing.
    assert_eq!(depth(&["<think>500 mg, contraindicated in acidosis</think><search>metformin</search>"], 1), 0.0);
    let wrong = "<think>The passage states 500 mg.</think><answer>850 mg [E1]</answer>";
    assert_eq!(depth(&[SEARCH, wrong], 1), 0.0);
}

#[test]
fn steps_that_follow_from_nothing_cost() {
    let coherence = |turns: &[&str]| score(&dose(), turns).value("coherence");
    assert_eq!(coherence(&[SEARCH, "<answer>500 mg [E1]</answer>"]), 0.0);
    let astray = "<think>bananas grow rather quickly under glass</think><answer>500 mg [E1]</answer>";
    assert_eq!(coherence(&[SEARCH, astray]), -1.0);
}

#[test]
fn terms_of_neither_evidence_nor_question_cost() {
    let terms = |text: &str| score(&dose(), &[SEARCH, &format!("<answer>{text} [E1]</answer>")]).value("terminology");
    assert_eq!(terms("500 mg"), 0.0);
    assert_eq!(terms("Metformin is contraindicated in metabolic acidosis."), 0.0);
    assert_eq!(terms("Metformin is contraindicated in nephropathy."), -0.5);
    assert_eq!(terms("metformin acidosis metformin acidosis"), -1.0);
}

#[test]
fn cites_beside_the_point_are_no_better_than_none() {
    let both = "<search>metformin dose\nlithium dehydration</search>";
    let citation = |text: &str| score(&dose(), &[both, &format!("<answer>{text}</answer>")]).value("citation");
    assert_eq!(citation("The usual dose of metformin is 500 mg. [E1]"), 1.0);
    assert_eq!(citation("The usual dose of metformin is 500 mg. [E1][E2]"), 0.5);
    assert_eq!(citation("The usual dose of metformin is 500 mg. [E2]"), 1.0, "that it does not support is grounding's");
}

#[test]
fn answers_are_compared_by_meaning_where_the_question_asks_for_it() {
    let meaning = question(Gold::Semantic(vec!["It must not be given in metabolic acidosis.".to_owned()]));
    let correctness =
        |text: &str| score(&meaning, &[SEARCH, &format!("<answer>{text} [E1]</answer>")]).value("correctness");
    assert_eq!(correctness("It must not be given in metabolic acidosis."), 1.0);
    assert!(correctness("It is contraindicated in metabolic acidosis.") > 0.3);
    assert_eq!(correctness("It may be given in metabolic acidosis."), 0.0);
    assert_eq!(score(&meaning, &[SEARCH, r#"<abstain reason="insufficient">no</abstain>"#]).value("correctness"), 0.0);
}

#[test]
fn what_an_episode_is_worth_does_not_depend_on_its_company() {
    let meaning = question(Gold::Semantic(vec!["500 mg as a rule".to_owned()]));
    let (dose, traces) =
        (dose(), ["500 mg [E1]", "850 mg [E1]", ""].map(|text| play(&[SEARCH, &format!("<answer>{text}</answer>")])));
    let rewards = Rewards::default();
    let episodes: Vec<(&Question, &Trace)> =
        traces.iter().flat_map(|trace| [(&dose, trace), (&meaning, trace)]).collect();
    let together = rewards.score(&episodes).unwrap();
    for (episode, reward) in episodes.iter().zip(&together) {
        assert_eq!(rewards.score(std::slice::from_ref(episode)).unwrap(), std::slice::from_ref(reward));
    }
    let json = serde_json::to_string(&together[0]).unwrap();
    assert_eq!(serde_json::from_str::<Reward>(&json).unwrap(), together[0]);
}

#[test]
fn an_unknown_term_leaves_its_reward_unknown_unless_it_counts_nothing() {
    let of = |weight: f64| {
        let term = |value, weight| Term { name: "judge".to_owned(), value, weight, reason: String::new() };
        Reward::of(vec![term(1.0, 1.0), term(f64::NAN, weight)])
    };
    assert_eq!(of(0.0).total, 1.0);
    assert!(of(0.5).total.is_nan());
    let json = serde_json::to_string(&of(0.5)).unwrap();
    let back: Reward = serde_json::from_str(&json).unwrap();
    assert!(json.contains("null") && back.total.is_nan() && back.terms[1].value.is_nan());
}

/// Bits of what models write when they write badly, put together at random.
fn scrawl() -> impl proptest::strategy::Strategy<Value = String> {
    use proptest::prelude::*;
    let piece = prop_oneof![
        "\\PC{0,12}",
        "[0-9.,]{1,8} ?(mg|µg|%|/|per day|mM|every|x|to)",
        proptest::sample::select(vec![
            "<answer>",
            "</answer>",
            "<think>",
            "</think>",
            "<search>",
            "[E1]",
            "[E99]",
            "</information>",
            ". ",
            "Take it",
            " daily",
            "-",
            "1e308 kg",
            "99999999999999999999 mg",
            "每天",
            "\u{0}",
            "B:",
            "A or B",
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

#[test]
fn whatever_is_written_every_term_is_a_number_within_its_bounds() {
    use proptest::prelude::*;
    let golds = [
        Gold::Exact(vec!["500 mg".to_owned()]),
        Gold::Overlap(vec!["500 mg".to_owned()]),
        Gold::Semantic(vec!["500 mg".to_owned()]),
        Gold::Choice { letter: 'B', options: vec!["250 mg".to_owned(), "500 mg".to_owned()] },
        Gold::Verdict(Verdict::No),
    ]
    .map(question);
    let rewards = Rewards::default();
    let cases = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) };
    proptest!(cases, |(first in scrawl(), last in scrawl())| {
        let trace = play(&[&first, SEARCH, &format!("<think>{first}</think><answer>{last} [E1]</answer>"), &last]);
        let episodes: Vec<(&Question, &Trace)> = golds.iter().map(|question| (question, &trace)).collect();
        for reward in rewards.score(&episodes).unwrap() {
            prop_assert!(reward.total.is_finite());
            for term in &reward.terms {
                let wanted = ["correctness", "grounding", "citation", "format", "depth"].contains(&term.name.as_str());
                let bounds = if wanted { 0.0..=1.0 } else { -1.0..=0.0 };
                prop_assert!(bounds.contains(&term.value) && !term.reason.is_empty(), "{:?}", term);
            }
        }
    });
}
