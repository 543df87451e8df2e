//! An answer on a terminal: sentences with what to look at, references with their quotes, and what a reader should know.

use agent::review::Review;
use agent::{Citation, NOTICE, Trace};
use anyhow::Result;

use crate::output::{FAINT, HEADING, LABEL, Output, STRONG, WARNING};

/// The answer, its references and the notice.
pub(super) fn show_answer(trace: &Trace, output: &Output) -> Result<()> {
    let answer = &trace.answer;
    let review = answer.review.as_deref().cloned().unwrap_or_default();
    output.line("")?;
    for risk in review.risks.iter().filter(|risk| risk.is_urgent()) {
        output.line(format!("{WARNING}{}{WARNING:#}", risk.line()))?;
    }
    match answer.outcome {
        agent::Outcome::Answered => {
            let part = if answer.is_partial() { " (in part)" } else { "" };
            output.line(format!("{HEADING}Answer{part}{HEADING:#}"))?;
            for sentence in &answer.sentences {
                let cites: Vec<_> = sentence.cites.iter().map(|label| format!("[{label}]")).collect();
                output.line(format!("{} {LABEL}{}{LABEL:#}", sentence.text, cites.concat()))?;
                if !sentence.is_supported() {
                    output.line(format!("  {WARNING}check this: {}{WARNING:#}", sentence.concern()))?;
                }
            }
        }
        agent::Outcome::Abstained(code) => {
            output.line(format!("{WARNING}No answer ({code}).{WARNING:#} {}", answer.text))?;
        }
    }
    show_struck(&review, output)?;
    if let Some(question) = &review.suggestion {
        output.line(format!("{STRONG}{question}{STRONG:#}"))?;
    }
    for risk in review.risks.iter().filter(|risk| !risk.is_urgent()) {
        output.line(format!("{WARNING}{}{WARNING:#}", risk.line()))?;
    }
    show_references("References", &answer.citations, output)?;
    show_references("Nearest evidence", &review.nearest, output)?;
    show_review(&review, &answer.citations, output)?;
    output.line(format!("\n{FAINT}trace {} · snapshot {}{FAINT:#}", trace.id, trace.snapshot))?;
    output.line(NOTICE)
}

fn show_struck(review: &Review, output: &Output) -> Result<()> {
    if !review.risks.is_empty() && !review.struck.is_empty() {
        // Where an error would do harm it is not said again.
        let count = review.struck.len();
        let line = format!("  {FAINT}struck: {count} of the draft, which its evidence does not bear out{FAINT:#}");
        return output.line(line);
    }
    for struck in &review.struck {
        output.line(format!("  {FAINT}struck: {} ({}){FAINT:#}", struck.text, struck.why))?;
    }
    Ok(())
}

fn show_references(heading: &str, citations: &[Citation], output: &Output) -> Result<()> {
    if !citations.is_empty() {
        output.line(format!("\n{HEADING}{heading}{HEADING:#}"))?;
    }
    for citation in citations {
        let mut facts = vec![citation.title.clone()];
        facts.extend(citation.pmid.as_ref().map(|pmid| format!("PMID {pmid}")));
        facts.extend(citation.journal.clone());
        facts.extend(citation.year.map(|year| year.to_string()));
        facts.push(citation.level.label().to_owned());
        facts.push(citation.status.to_string());
        output.line(format!("{LABEL}[{}]{LABEL:#} {}", citation.label, facts.join(" · ")))?;
        output.line(format!("     {FAINT}\"{}\"{FAINT:#}", citation.quote))?;
    }
    Ok(())
}

fn show_review(review: &Review, citations: &[Citation], output: &Output) -> Result<()> {
    for conflict in &review.conflicts {
        output.line(format!("\n{WARNING}Evidence disagrees:{WARNING:#} {}", conflict.text(citations)))?;
        for citation in &conflict.against {
            output.line(format!("     {FAINT}{}: \"{}\"{FAINT:#}", citation.label, citation.quote))?;
        }
    }
    if let Some(marks) = &review.marks {
        let strength = marks.strength.name().replace('_', " ");
        output.line(format!(
            "\nEvidence: {STRONG}{strength}{STRONG:#} {FAINT}({}){FAINT:#}",
            marks.strength_reasons.join("; ")
        ))?;
        output.line(format!(
            "Support:  {STRONG}{}{STRONG:#} {FAINT}({}){FAINT:#}",
            marks.support.name(),
            marks.support_reasons.join("; ")
        ))?;
    }
    for question in &review.wider {
        output.line(format!("{FAINT}wider: {question}{FAINT:#}"))?;
    }
    Ok(())
}
