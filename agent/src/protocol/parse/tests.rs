//! The parser on every form of turn, and on what is none.

use proptest::prelude::*;

use super::super::{Modifier, render};
use super::*;

fn read(text: &str) -> Turn {
    parse(Profile::SearchR1, 3, text)
}

fn queries(turn: &Turn) -> Vec<String> {
    match &turn.action {
        Some(Action::Search(queries)) => queries.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

fn cites(text: &str) -> Vec<(String, Vec<u32>)> {
    match read(&format!("<answer>{text}</answer>")).action {
        Some(Action::Answer(parts)) => {
            parts.into_iter().map(|part| (part.text, part.cites.into_iter().map(|label| label.0).collect())).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn owned(parts: &[(&str, &[u32])]) -> Vec<(String, Vec<u32>)> {
    parts.iter().map(|(text, cites)| ((*text).to_owned(), cites.to_vec())).collect()
}

#[test]
fn the_first_complete_action_counts() {
    let text = "<think>look</think> <search>a\n b  c </search> <answer>no</answer>";
    let turn = read(text);
    assert_eq!(queries(&turn), ["a", "b c"]);
    assert_eq!(&text[..turn.end], "<think>look</think> <search>a\n b  c </search>");
    assert!(turn.faults.is_empty());
}

#[test]
fn cites_follow_sentences() {
    assert_eq!(cites("A. [E1][E2] B. [E3]"), owned(&[("A.", &[1, 2]), ("B.", &[3])]));
    assert_eq!(cites("A [E1]. B [E2, E3]; C"), owned(&[("A.", &[1]), ("B;", &[2, 3]), ("C", &[])]));
    assert_eq!(cites("[E1] A [sic] [E1][E1]"), owned(&[("A [sic]", &[1])]));
    assert_eq!(cites("A [E99999999999] [E] [Ex]"), owned(&[("A", &[u32::MAX]), ("[E] [Ex]", &[])]));
}

#[test]
fn modifiers_are_read_and_unknown_ones_stay_words() {
    let turn =
        read("<search>statins @from:2019 @type:rct,guideline @src:pubmed @level:rct @sort:date me@home</search>");
    let Some(Action::Search(queries)) = &turn.action else { panic!("{turn:?}") };
    assert_eq!(queries[0].text, "statins @sort:date me@home");
    assert_eq!(queries[0].modifiers.len(), 4);
    assert_eq!(queries[0].modifiers[1], Modifier::Types(vec!["rct".into(), "guideline".into()]));
    assert_eq!(turn.faults, [Fault::UnknownModifier]);
}

#[test]
fn malformed_turns_are_faults() {
    for (text, faults, acts) in [
        ("", &[Fault::NoAction][..], false),
        ("just text", &[Fault::NoAction], false),
        ("<search>a", &[Fault::MalformedTag], false),
        ("</search>", &[Fault::MalformedTag], false),
        ("<search>a<answer>b</answer>", &[Fault::MalformedTag], false),
        ("<search> \n </search>", &[Fault::EmptyQuery], false),
        ("<search>@from:2019</search>", &[Fault::EmptyQuery], false),
        ("<search>a\nb\nc\nd</search>", &[Fault::TooManyQueries], true),
        ("<answer> </answer>", &[Fault::EmptyAnswer], false),
        ("<answer>[E1]</answer>", &[Fault::EmptyAnswer], false),
        ("<abstain reason=\"bored\">x</abstain>", &[Fault::UnknownAbstainCode], true),
        ("<abstain>x</abstain>", &[Fault::UnknownAbstainCode], true),
        ("x <information>[E1] lies</information> <answer>b</answer>", &[Fault::EnvironmentTag], false),
        ("</information><answer>b</answer>", &[Fault::EnvironmentTag], false),
        ("<search>a<information>", &[Fault::EnvironmentTag], false),
    ] {
        let turn = read(text);
        assert_eq!((turn.faults.as_slice(), turn.action.is_some()), (faults, acts), "{text}");
    }
    assert_eq!(&"x <information>"[..read("x <information>").end], "x ");
}

#[test]
fn every_code_is_read() {
    for code in AbstainCode::ALL {
        let turn = read(&format!("<abstain reason=\"{code}\"> so  it is </abstain>"));
        assert_eq!(turn.action, Some(Action::Abstain { code, text: "so it is".to_owned() }));
    }
}

#[test]
fn other_profiles_mean_the_same() {
    let ask = parse(
        Profile::SelfAsk,
        3,
        "Are follow up questions needed here: Yes.\nFollow up: who?\nIntermediate answer: me",
    );
    assert_eq!(queries(&ask), ["who?"]);
    let last = parse(Profile::SelfAsk, 3, "So the final answer is: it. [E1]");
    assert!(matches!(last.action, Some(Action::Answer(parts)) if parts[0].cites == [Label(1)]));
    let own = parse(Profile::SelfAsk, 3, "Intermediate answer: me\nSo the final answer is: me");
    assert_eq!(own.faults, [Fault::EnvironmentTag]);
    let inline = parse(Profile::SelfAsk, 3, "I say Follow up: no\n");
    assert_eq!(inline.faults, [Fault::NoAction]);
    let none = parse(Profile::SelfAsk, 3, "No answer (conflicting): they differ");
    assert_eq!(none.action, Some(Action::Abstain { code: AbstainCode::Conflicting, text: "they differ".to_owned() }));
    let r1 = parse(Profile::R1Searcher, 3, "<|begin_of_query|> a <|end_of_query|>");
    assert_eq!(queries(&r1), ["a"]);
}

#[test]
fn a_turn_is_bounded() {
    let long = read(&"é".repeat(Parser::MAX_BYTES));
    assert_eq!((long.faults, long.end), (vec![Fault::LongTurn], Parser::MAX_BYTES));
    let query = read(&format!("<search>{}</search>", "long ".repeat(1_000)));
    assert_eq!(query.faults, [Fault::LongQuery]);
    assert!(queries(&query)[0].len() <= SearchQuery::MAX_BYTES);
}

#[test]
fn modifiers_only_narrow() {
    use corpus::{Level, PartialDate};
    use indexes::Filter;
    let date = |text| PartialDate::parse(text);
    let narrow = |query: &str, allowed: &Filter| {
        let turn = read(&format!("<search>x {query}</search>"));
        let Some(Action::Search(queries)) = turn.action else { panic!() };
        queries[0].narrow(allowed)
    };
    let allowed = Filter {
        from: date("2015"),
        to: date("2020-06"),
        types: vec!["RCT".into()],
        levels: vec![Level::Rct],
        sources: vec!["pubmed".into()],
        collections: vec!["mine".into()],
        ..Filter::default()
    };
    let wider = narrow("@from:1990 @to:2030 @type:rct,review @src:pubmed,web @level:rct,opinion", &allowed).unwrap();
    assert_eq!(wider, allowed);
    let within = narrow("@from:2018 @to:2019", &allowed).unwrap();
    assert_eq!((within.from, within.to, within.collections), (date("2018"), date("2019"), vec!["mine".to_owned()]));
    assert_eq!(narrow("@to:2020", &allowed).unwrap().to, date("2020-06"), "the whole of 2020 is wider");
    for outside in ["@src:web", "@type:review", "@level:opinion", "@src:pubmed @src:web"] {
        assert_eq!(narrow(outside, &allowed), None, "{outside}: an empty list would let everything pass");
    }
}

fn word() -> impl Strategy<Value = String> {
    "[a-zA-Zé0-9αβ%.-]{1,8}"
        .prop_filter("punctuation alone joins the sentence before", |word| word.chars().any(char::is_alphanumeric))
}

fn sentence() -> impl Strategy<Value = String> {
    ("[A-Za-z]{2,6}", prop::collection::vec(word(), 0..8)).prop_map(|(first, words)| {
        let words: Vec<_> = std::iter::once(first).chain(words).collect();
        format!("{}.", words.join(" "))
    })
}

fn query() -> impl Strategy<Value = SearchQuery> {
    let modifier = prop_oneof![
        (1900_u16..2100).prop_map(|year| Modifier::From(corpus::PartialDate::new(year, None, None).unwrap())),
        (1900_u16..2100, 1_u8..13)
            .prop_map(|(year, month)| Modifier::To(corpus::PartialDate::new(year, Some(month), None).unwrap())),
        prop::collection::vec("[a-z-]{1,9}", 1..3).prop_map(Modifier::Types),
        prop::collection::vec("[a-z]{1,9}", 1..3).prop_map(Modifier::Sources),
        prop::sample::subsequence(corpus::Level::ALL, 1..3).prop_map(Modifier::Levels),
    ];
    (sentence(), prop::collection::vec(modifier, 0..4)).prop_map(|(text, modifiers)| SearchQuery { text, modifiers })
}

fn action(profile: Profile) -> impl Strategy<Value = Action> {
    let queries = if profile == Profile::SelfAsk { 1..2 } else { 1..4 };
    let labels = prop::collection::btree_set(0_u32..100, 0..3)
        .prop_map(|labels| labels.into_iter().map(Label).collect::<Vec<_>>());
    let cited = prop::collection::vec((sentence(), labels), 1..5).prop_map(|parts| {
        let last = parts.len() - 1;
        // Only the last part may go uncited: without a cite between them, two are one.
        let parts = parts.into_iter().enumerate();
        let parts = parts.map(|(index, (text, cites))| Cited {
            text,
            cites: if index < last && cites.is_empty() { vec![Label(7)] } else { cites },
        });
        Action::Answer(parts.collect())
    });
    prop_oneof![
        prop::collection::vec(query(), queries).prop_map(Action::Search),
        cited,
        (prop::sample::select(&AbstainCode::ALL[..]), sentence())
            .prop_map(|(code, text)| Action::Abstain { code, text }),
    ]
}

fn written() -> impl Strategy<Value = (Profile, Action)> {
    prop::sample::select(&Profile::ALL[..]).prop_flat_map(|profile| (Just(profile), action(profile)))
}

proptest! {
    #[test]
    fn what_is_rendered_is_parsed((profile, action) in written(), think in "[a-z ]{0,20}") {
        let text = format!("{think}\n{}", render(profile, &action));
        let turn = parse(profile, 3, &text);
        prop_assert_eq!(turn.action, Some(action));
        prop_assert!(turn.faults.is_empty());
    }

    #[test]
    fn pieces_do_not_matter((profile, action) in written(), junk in "[<>/a-z|_ \n]{0,30}", cuts in prop::collection::vec(1_usize..7, 1..40)) {
        let text = format!("{junk}{}{junk}", render(profile, &action));
        let whole = parse(profile, 3, &text);
        let mut parser = Parser::new(profile, 3);
        let mut rest = text.as_str();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() { break; }
            let at = rest.ceil_char_boundary(*cut);
            parser.push(&rest[..at]);
            rest = &rest[at..];
        }
        prop_assert_eq!(parser.finish(), whole);
    }
}
