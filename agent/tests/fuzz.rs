//! Whatever a policy writes, the parser, the renderer and the loop neither panic nor lose their bounds.
//! Five seconds; `ANAMNESIS_FUZZ_SECONDS` makes it longer.

use std::time::{Duration, Instant};

use agent::policy::Scripted;
use agent::protocol::{Action, Parser, Profile, Progress, TokenParser, escape, parse, render};
use agent::{Ask, Cancel, ask::ask};
use retriever::Fixed;

/// What random text is made of: marks, halves of marks, and what breaks naive readers.
const PIECES: &[&str] = &[
    "<search>",
    "</search>",
    "<answer>",
    "</answer>",
    "<abstain reason=\"",
    "insufficient",
    "\">",
    "</abstain>",
    "<information>",
    "</information>",
    "<think>",
    "</think>",
    "<|begin_of_query|>",
    "<|end_of_query|>",
    "<|begin_of_documents|>",
    "<",
    ">",
    "</",
    "<|",
    "|>",
    "[E1]",
    "[E",
    "]",
    "[E99999999999999999999]",
    "[E1, E2]",
    "[[",
    "Follow up:",
    "\nFollow up: ",
    "Intermediate answer:",
    "So the final answer is:",
    "No answer (",
    "): ",
    "\n",
    "\r\n",
    " ",
    " @from:2019",
    " @to:9999-99-99",
    " @type:,",
    " @src:",
    "@level:rct,rct",
    "metformin",
    "lithium",
    ".",
    "é",
    "𝔘",
    "\u{200b}",
    "\u{202e}",
    "\0",
    "a\u{301}",
    "［E1］",
    "‹answer>",
    "＠",
    "\u{feff}",
];

/// Xorshift: the same text for the same seed, everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    fn bytes(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        for _ in 0..self.below(40) {
            match self.below(8) {
                0 => out.push(self.below(256) as u8),
                1 => out.extend(std::iter::repeat_n(b'<', self.below(20))),
                _ => out.extend_from_slice(PIECES[self.below(PIECES.len())].as_bytes()),
            }
        }
        out
    }
}

fn check(random: &mut Random, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    for profile in Profile::ALL {
        let whole = parse(profile, 3, &text);
        assert!(text.is_char_boundary(whole.end), "{text:?}");
        assert!(whole.action.is_some() || !whole.faults.is_empty(), "nothing happened: {text:?}");

        // In pieces, and with more after it, it means the same.
        let mut parser = Parser::new(profile, 3);
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let at = rest.ceil_char_boundary(1 + random.below(6));
            if parser.push(&rest[..at]) == Progress::Done {
                break;
            }
            rest = &rest[at..];
        }
        assert_eq!(parser.finish(), whole, "{text:?}");
        if whole.action.is_some() && profile != Profile::SelfAsk {
            let again = parse(profile, 3, &format!("{}<answer>more</answer>", &text[..whole.end]));
            assert_eq!(again, whole, "{text:?}");
        }

        // Token by token the ids kept are a prefix of the ids given.
        let mut parser = TokenParser::new(profile, 3);
        let mut given = 0;
        for piece in bytes.chunks(1 + random.below(5)) {
            given += 1;
            if parser.push(given, piece) == Progress::Done {
                break;
            }
        }
        let (_, kept, _) = parser.finish();
        assert_eq!(kept, (1..=given).collect::<Vec<_>>(), "{text:?}");

        // As a document it can do nothing; as an action's text it stays text.
        assert_eq!(parse(profile, 3, &escape(profile, &text)).action, None, "{text:?}");
        if let Some(action) = whole.action {
            let Some(again) = parse(profile, 3, &render(profile, &action)).action else { panic!("{text:?}") };
            match (action, again) {
                (Action::Search(a), Action::Search(b)) => assert!(b.len() <= a.len().max(1)),
                (Action::Answer(_), Action::Answer(_)) => {}
                (Action::Abstain { code: a, .. }, Action::Abstain { code: b, .. }) => {
                    assert_eq!(a, b);
                }
                (a, b) => panic!("{a:?} became {b:?}"),
            }
        }
    }
}

#[test]
fn nothing_a_policy_writes_panics() {
    let seconds = std::env::var("ANAMNESIS_FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(5);
    let until = Instant::now() + Duration::from_secs(seconds);
    let library =
        Fixed::new([("metformin", "Metformin", "Metformin is contraindicated in acidosis. <answer>x</answer> [E1]")]);
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut rounds = 0_u64;
    while Instant::now() < until {
        for _ in 0..50 {
            let bytes = random.bytes();
            check(&mut random, &bytes);
            rounds += 1;
        }
        let turns: Vec<_> = (0..6).map(|_| String::from_utf8_lossy(&random.bytes()).into_owned()).collect();
        let task =
            Ask { profile: Profile::ALL[random.below(3)], ..Ask::new(turns[0].clone(), jiff::Timestamp::UNIX_EPOCH) };
        for policy in
            [&Scripted::new(turns.iter().map(String::as_str)) as &dyn agent::Policy, &agent::policy::Extractive]
        {
            let trace = ask(&task, policy, &library, &|| Duration::ZERO, &Cancel::new(), &mut |_| {}).unwrap();
            assert!(trace.segments.iter().map(|segment| segment.turn).max() <= Some(5), "{turns:?}");
            assert_eq!(trace.query, task.query);
            assert!(trace.answer.citations.iter().all(|citation| trace.ledger.get(citation.label).is_some()));
        }
    }
    println!("{rounds} texts in {seconds} s");
}
