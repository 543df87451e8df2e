//! How an episode is written: its form, its searches, its length, its repetitions, its script.

use std::collections::BTreeSet;

use agent::Trace;
use agent::protocol::{Profile, escape};
use agent::trace::{Author, StopReason};

use agent::check::words::words;

/// What one fault or one tag too many costs of the form.
const FAULT: f64 = 0.25;
/// Searches beyond those needed that cost the whole term.
const SEARCHES: f64 = 4.0;
/// Share of the tokens that may be written, from the end, that cost more and more.
const BUFFER: f64 = 0.2;
/// Runs of three words below which a text is too short to repeat itself.
const RUNS: usize = 8;
/// Share of repeated runs that is ordinary.
const ORDINARY: f64 = 0.1;

/// 1 for an episode that came to an end without a fault and without tags that do nothing.
pub(super) fn format(trace: &Trace) -> (f64, String) {
    if !matches!(trace.stop, StopReason::Answered | StopReason::Abstained) {
        return (0.0, "came to no end of its own".to_owned());
    }
    let (faults, stuffed) =
        (trace.faults.len(), written(trace).map(|text| stuffed(trace.profile, text)).sum::<usize>());
    let value = (1.0 - FAULT * (faults + stuffed) as f64).max(0.0);
    (value, format!("{faults} faults, {stuffed} tags too many"))
}

/// Marks of the protocol in one turn beyond those of a thought and an action.
fn stuffed(profile: Profile, text: &str) -> usize {
    let escaped = escape(profile, text);
    let marks = text.chars().zip(escaped.chars()).filter(|(own, other)| own != other && matches!(own, '<' | ':' | '('));
    let thought = [text.contains("<think>"), text.contains("</think>")].into_iter().filter(|there| *there).count();
    let action = if profile == Profile::SelfAsk { 1 } else { 2 };
    marks.count().saturating_sub(action + thought)
}

/// Below 0 for searches beyond one for each document that must be read.
pub(super) fn search_cost(trace: &Trace, hops: u8) -> (f64, String) {
    let (searches, free) = (trace.searches.len(), usize::from(hops));
    let beyond = searches.saturating_sub(free);
    (0.0 - (beyond as f64 / SEARCHES).min(1.0), format!("{searches} searches, {free} of them free"))
}

/// Below 0 for an answer of more than `limit` words; -1 at twice as many.
pub(super) fn length(trace: &Trace, limit: usize) -> (f64, String) {
    let words = trace.answer.text.split_whitespace().count();
    let over = words.saturating_sub(limit) as f64 / limit.max(1) as f64;
    (0.0 - over.min(1.0), format!("{words} words, {limit} are free"))
}

/// Below 0 for an episode that uses up the last [`BUFFER`] of the tokens it may write; -1 at all of them. The soft
/// punishment of DAPO (arXiv 2503.14476, equation 13), its longest the budget.
pub(super) fn overlong(trace: &Trace) -> (f64, String) {
    let most = trace.budget.generated_tokens;
    let Some(tokens) = trace.written_tokens() else { return (0.0, "the policy tells no tokens".to_owned()) };
    let (buffer, left) = (BUFFER * most as f64, most.saturating_sub(tokens) as f64);
    (0.0 - ((buffer - left) / buffer).clamp(0.0, 1.0), format!("{tokens} of {most} tokens"))
}

/// Below 0 for turns that repeat their own runs of three words.
pub(super) fn repetition(trace: &Trace) -> (f64, String) {
    let share = written(trace).map(repeated).fold(0.0, f64::max);
    let value = 0.0 - ((share - ORDINARY) / (1.0 - ORDINARY)).max(0.0);
    (value, format!("{:.0}% of a turn's runs of three words are repeated", share * 100.0))
}

fn repeated(text: &str) -> f64 {
    let words = words(text);
    let runs: Vec<_> = words.windows(3).collect();
    if runs.len() < RUNS {
        return 0.0;
    }
    let distinct: BTreeSet<_> = runs.iter().collect();
    1.0 - distinct.len() as f64 / runs.len() as f64
}

/// Below 0 for letters of scripts that neither the question nor the evidence uses.
pub(super) fn script(trace: &Trace) -> (f64, String) {
    let evidence =
        trace.ledger.entries().iter().flat_map(|evidence| evidence.text.chars().chain(evidence.title.chars()));
    let known: BTreeSet<u32> = trace.question.chars().chain(evidence).filter_map(block).collect();
    let (mut letters, mut foreign) = (0_u32, 0_u32);
    for block in written(trace).flat_map(str::chars).filter_map(block) {
        letters += 1;
        foreign += u32::from(!known.contains(&block));
    }
    let share = if letters == 0 { 0.0 } else { f64::from(foreign) / f64::from(letters) };
    (0.0 - share, format!("{:.0}% of the letters are of another script", share * 100.0))
}

/// A stretch of Unicode that one script fills: all of Latin and its diacritics, Greek, Cyrillic, the
/// scripts of East Asia, 256 code points elsewhere. None for what is no letter.
fn block(c: char) -> Option<u32> {
    let code = u32::from(c);
    c.is_alphabetic().then_some(match code {
        0..0x370 | 0x1e00..0x1f00 => 0,
        0x370..0x400 | 0x1f00..0x2000 => 1,
        0x400..0x530 => 2,
        0x2e80..0xd800 | 0xf900..0xfb00 | 0x2_0000.. => 3,
        _ => 4 + code / 256,
    })
}

/// What the policy wrote, turn by turn.
fn written(trace: &Trace) -> impl Iterator<Item = &str> {
    let own = trace.segments.iter().filter(|segment| segment.author == Author::Policy);
    own.map(|segment| segment.text.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_beyond_a_thought_and_an_action_are_counted() {
        for (profile, text, expected) in [
            (Profile::SearchR1, "<think>a < b</think><search>x</search>", 0),
            (Profile::SearchR1, "a</think><answer>x [E1]</answer>", 0),
            (Profile::SearchR1, "<answer>x</answer>", 0),
            (Profile::SearchR1, "<think></think><think></think><answer>x</answer>", 2),
            (Profile::SearchR1, "</information></search><answer>x</answer>", 2),
            (Profile::R1Searcher, "<|begin_of_query|>x<|end_of_query|>", 0),
            (Profile::SelfAsk, "Follow up: x\n", 0),
            (Profile::SelfAsk, "Follow up: x\nFollow up: y\n", 1),
        ] {
            assert_eq!(stuffed(profile, text), expected, "{text}");
        }
    }

    #[test]
    fn repetition_is_of_runs_and_not_of_words() {
        assert_eq!(repeated("no run is long"), 0.0);
        assert!(repeated("the dose of one is two and the class of one is three and so on it goes") < ORDINARY);
        assert!(repeated(&"take it daily ".repeat(10)) > 0.8);
    }

    #[test]
    fn scripts_are_told_apart() {
        let one = |text: &str| text.chars().filter_map(block).collect::<BTreeSet<_>>().len();
        assert_eq!(one("Sjögren 5 mg — naïve"), 1);
        assert_eq!(one("β-blocker"), 2);
        assert_eq!(one("剂量 доза dose"), 3);
    }
}
