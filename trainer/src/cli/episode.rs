//! `anamnesis-train show RUN --episode N`: one episode as a person reads it.

use std::path::Path;

use agent::trace::{Author, Search, Segment};
use anstyle::{AnsiColor, Style};
use anyhow::Result;
use retriever::Evidence;
use trainer::Episode;
use trainer::reward::Term;

use crate::output::{FAINT, Output, STRONG};

/// What the policy wrote, and is learnt.
const LEARNT: Style = AnsiColor::Green.on_default();
/// What the environment wrote, and is masked.
const MASKED: Style = AnsiColor::Blue.on_default();
/// What was taken away.
const LOST: Style = AnsiColor::Red.on_default();
/// Characters of a piece of evidence that are shown.
const SHOWN: usize = 600;

pub(crate) fn run(run: &Path, step: Option<u64>, number: usize, output: &Output) -> Result<()> {
    let (episode, count) = Episode::read(run, step, number)?;
    if output.is_json() {
        return output.json(&episode);
    }
    let Episode { step, question, is_masked, advantage, reward, trace } = &episode;
    let head = format!("episode {number} of {count}, step {step}, question {}", plain(question));
    output.line(format!("{STRONG}{head}{STRONG:#}"))?;
    let learnt = match (is_masked, advantage) {
        (true, _) => "not learnt from: its time was over".to_owned(),
        (false, None) => "not learnt from: its group did not differ, or it has no reward".to_owned(),
        (false, Some(advantage)) => format!("advantage {advantage:+.4}"),
    };
    output.line(format!("reward {:.4}, {learnt}, {}", reward.total, stop(trace.stop)))?;
    output.line(format!("\n{}", plain(&trace.question)))?;

    let is_learnt = advantage.is_some();
    for segment in &trace.segments {
        output.line(format!("\n{}", told(segment, is_learnt)))?;
        let is_last_of_turn = segment.author == Author::Policy;
        let found = trace.searches.iter().filter(|search| is_last_of_turn && search.turn == segment.turn);
        found.flat_map(searched).try_for_each(|line| output.line(line))?;
    }

    output.line(format!("\n{STRONG}evidence{STRONG:#}"))?;
    let cited = |one: &Evidence| trace.answer.citations.iter().any(|citation| citation.label == one.label);
    for one in trace.ledger.entries() {
        let mark = if cited(one) { ", cited" } else { "" };
        let (key, title) = (plain(one.document.key()), plain(&one.title));
        output.line(format!("  [{}] {title} {FAINT}{key}{mark}{FAINT:#}", one.label))?;
        output.line(format!("    {FAINT}{}{FAINT:#}", indent(&cut(&plain(&one.text)))))?;
    }
    output.line(format!("\n{STRONG}answer{STRONG:#}"))?;
    for sentence in &trace.answer.sentences {
        let cites: Vec<String> = sentence.cites.iter().map(|label| format!("[{label}]")).collect();
        let cites = cites.join(" ");
        output.line(format!("  {} {FAINT}{cites}{FAINT:#}", indent(&plain(&sentence.text))))?;
    }
    if trace.answer.sentences.is_empty() {
        output.line(format!("  {}", indent(&plain(&trace.answer.text))))?;
    }
    for (turn, fault) in &trace.faults {
        output.line(format!("  {LOST}turn {turn}: {}{LOST:#}", fault.advice()))?;
    }

    output.line(format!("\n{STRONG}reward{STRONG:#}"))?;
    let widest = reward.terms.iter().map(|term| term.name.chars().count()).max().unwrap_or_default();
    reward.terms.iter().try_for_each(|term| output.line(term_line(term, widest)))
}

/// A segment with who wrote it, what it counts, and its text in their colour.
fn told(segment: &Segment, is_learnt: bool) -> String {
    let Segment { turn, author, text, token_ids, logprobs, version } = segment;
    let tokens = token_ids.as_ref().map_or_else(String::new, |ids| format!(", {} tokens", ids.len()));
    let (style, who) = match author {
        Author::Policy if is_learnt => (LEARNT, "policy, learnt"),
        Author::Policy => (MASKED, "policy, not learnt"),
        Author::Environment => (MASKED, "environment, masked"),
    };
    let mean = logprobs.as_ref().filter(|own| !own.is_empty()).map_or_else(String::new, |own| {
        let mean = own.iter().map(|one| f64::from(*one)).sum::<f64>() / own.len() as f64;
        format!(", mean log-probability {mean:.3}")
    });
    let version = version.map_or_else(String::new, |version| format!(", weights {version}"));
    let text = indent(&plain(text.trim()));
    format!("{STRONG}turn {turn}{STRONG:#} {FAINT}{who}{tokens}{mean}{version}{FAINT:#}\n  {style}{text}{style:#}")
}

/// A search and where each of its hits came from.
fn searched(search: &Search) -> Vec<String> {
    let mut lines = vec![format!("  {STRONG}search{STRONG:#} {}: {} hits", plain(&search.query), search.hits.len())];
    for hit in &search.hits {
        let parts: Vec<String> = hit.contributions.iter().map(ToString::to_string).collect();
        let key = plain(hit.document.key());
        lines.push(format!("    {} {key} {FAINT}{:.4} = {}{FAINT:#}", hit.rank, hit.score, parts.join(" + ")));
    }
    let labels: Vec<String> = search.evidence.iter().map(|label| format!("[{label}]")).collect();
    lines.push(format!(
        "    {FAINT}read as {}{FAINT:#}",
        if labels.is_empty() { "nothing".into() } else { labels.join(" ") }
    ));
    lines
}

fn term_line(term: &Term, widest: usize) -> String {
    let Term { name, value, weight, reason } = term;
    let style = if *value < 0.0 { LOST } else { Style::new() };
    let number = if value.is_nan() { "unknown".to_owned() } else { format!("{value:+.3}") };
    let name = format!("{:<widest$}", plain(name));
    format!("  {name}  {style}{number:>7}{style:#} x {weight:<5} {FAINT}{}{FAINT:#}", plain(reason))
}

fn stop(stop: agent::trace::StopReason) -> &'static str {
    use agent::trace::StopReason::{Abstained, Answered, NoFinal, Time, Tokens};
    match stop {
        Answered => "answered",
        Abstained => "abstained",
        NoFinal => "ended without an answer",
        Tokens => "ran out of tokens",
        Time => "ran out of time",
    }
}

/// Text of a model, of a document or of a server, without what could steer a terminal.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || *c == '\n').collect()
}

fn indent(text: &str) -> String {
    text.replace('\n', "\n  ")
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_shown_can_steer_a_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\u{7}\nc\u{9b}d"), "a[2Jb\ncd");
        assert_eq!(cut(&"é".repeat(700)).chars().count(), SHOWN + 1);
        let term =
            Term { name: "judge".into(), value: f64::NAN, weight: 0.3, reason: "could not be had\u{1b}c".into() };
        let line = term_line(&term, 8);
        assert!(line.contains("unknown") && !line.contains("\u{1b}c"));
    }
}
