//! `anamnesis verify`: any text against the corpus, sentence by sentence.

use std::io::Read;

use agent::judge::Label;
use agent::phi::Admitted;
use agent::review::{Verified, verify};
use agent::{Cancel, NOTICE};
use anyhow::{Context, Result, bail};
use retriever::{Query, Retrieve};

use super::Outcome;
use super::ask::prepare_starter;
use super::filter::FilterArgs;
use crate::home::Home;
use crate::output::{FAINT, LABEL, Output, STRONG, WARNING};
use crate::privacy::PhiArgs;
use crate::review::JudgeArgs;
use crate::server::wire;

/// What `verify` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The text; `-` reads it from standard input
    text: String,
    /// Hits that are read for each sentence
    #[arg(long, value_name = "N", default_value_t = 5)]
    hits: usize,
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    judge: JudgeArgs,
    #[command(flatten)]
    phi: PhiArgs,
}

pub(crate) fn run(home: &Home, args: &Args, output: &Output) -> Result<Outcome> {
    let mut text = args.text.clone();
    if text == "-" {
        text.clear();
        std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
    }
    if text.trim().is_empty() {
        bail!("the text is empty: anamnesis verify \"Metformin is contraindicated in acidosis.\"");
    }
    let Admitted { text, warning } = args.phi.handling.admit(&text, false)?;
    if let Some(message) = &warning {
        output.note(message);
    }
    let judge = args.judge.open(home)?;
    if home.is_empty()? {
        prepare_starter(home, output)?;
    }
    let retriever = home.retriever()?;
    let query = Query { filter: args.filter.to_filter(home, output)?, k: args.hits, ..Query::new("") };
    let verified = verify(&text, &query, &retriever, judge.as_deref(), &Cancel::new())?;
    let supported =
        verified.iter().filter(|one| one.finding.as_ref().is_some_and(agent::check::Finding::is_support)).count();
    if output.is_json() {
        let sentences = verified.iter().map(wire::Verified::from).collect();
        output.json(&wire::VerifyResponse::new(retriever.snapshot().to_owned(), sentences, Vec::from_iter(warning)))?;
    } else {
        for one in &verified {
            show(one, output)?;
        }
        output.line(format!("\n{supported} of {} sentences are borne out by this corpus", verified.len()))?;
        output.line(NOTICE)?;
    }
    Ok(if supported == verified.len() { Outcome::Done } else { Outcome::Nothing })
}

fn show(one: &Verified, output: &Output) -> Result<()> {
    output.line(&one.text)?;
    let Some(finding) = &one.finding else {
        return output.line(format!("  {WARNING}nothing found{WARNING:#}"));
    };
    match finding.label {
        Label::Support => output.line(format!("  {STRONG}supported{STRONG:#}"))?,
        label => {
            let concern = finding.concern().unwrap_or_default();
            output.line(format!("  {WARNING}{}: {concern}{WARNING:#}", label.name()))?;
        }
    }
    let Some(citation) = &one.citation else { return Ok(()) };
    let year = citation.year.map(|year| format!(" · {year}")).unwrap_or_default();
    output.line(format!(
        "  {LABEL}{}{LABEL:#}{FAINT}{year} · {}: \"{}\"{FAINT:#}",
        citation.title,
        citation.level.label(),
        citation.quote
    ))
}
