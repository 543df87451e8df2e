//! `anamnesis search`: one query for a person, or a file of queries for an evaluation.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use agent::phi::Admitted;
use anyhow::{Context, Result};
use corpus::store::ChunkInContext;
use retriever::trec::{best_per_document, read_topics, write_run};
use retriever::{Arm, Fusion, Hit, Hybrid, Query, Retrieve};
use serde_json::json;

use super::Outcome;
use super::filter::FilterArgs;
use crate::home::Home;
use crate::output::{FAINT, LABEL, Output, STRONG};
use crate::privacy::PhiArgs;
use crate::progress::Progress;

/// What `search` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The words to look for
    #[arg(required_unless_present = "queries", conflicts_with = "queries")]
    query: Option<String>,
    /// How many hits
    #[arg(short, default_value_t = 10)]
    k: usize,
    #[command(flatten)]
    arms: ArmArgs,
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    phi: PhiArgs,
    /// Show where each score came from
    #[arg(long)]
    explain: bool,
    /// Search for every query of this BEIR queries.jsonl[.gz]
    #[arg(long, value_name = "FILE", requires = "trec")]
    queries: Option<PathBuf>,
    /// Write the rankings as a TREC run; a document's score is its best chunk's
    #[arg(long, value_name = "OUT", requires = "queries")]
    trec: Option<PathBuf>,
}

/// Which arms look, and how they are fused; shared with `eval`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct ArmArgs {
    /// Which arms look: lexical, vector or hybrid
    #[arg(long, default_value_t = Arm::Hybrid)]
    pub(crate) arm: Arm,
    /// How two arms become one list: minmax or rrf
    #[arg(long, default_value = "minmax")]
    pub(crate) fusion: Fusion,
    /// The vector arm's share under minmax, 0 to 1 [default: the encoder's own]
    #[arg(long, value_name = "SHARE")]
    pub(crate) vector_weight: Option<f64>,
}

impl ArmArgs {
    /// Opens the current snapshot, with these settings.
    pub(crate) fn open(self, home: &Home) -> Result<Hybrid> {
        let retriever = home.retriever()?;
        Ok(match self.vector_weight {
            Some(weight) => retriever.with_vector_weight(weight),
            None => retriever,
        })
    }
}

pub(crate) fn run(home: &Home, args: &Args, output: &Output) -> Result<Outcome> {
    let retriever = args.arms.open(home)?;
    let text = args.query.as_deref().unwrap_or_default();
    // encoders run on this machine
    let Admitted { text, warning } = args.phi.handling.admit(text, false)?;
    if let Some(message) = warning {
        output.note(message);
    }
    let query = Query {
        k: args.k,
        arm: args.arms.arm,
        fusion: args.arms.fusion,
        filter: args.filter.to_filter(home, output)?,
        ..Query::new(text)
    };
    match (&args.queries, &args.trec) {
        (Some(queries), Some(trec)) => run_file(&retriever, &query, queries, trec, output),
        _ => run_one(&retriever, &query, args.explain, output),
    }
}

fn run_one(retriever: &Hybrid, query: &Query, explain: bool, output: &Output) -> Result<Outcome> {
    let hits = retriever.retrieve(query)?;
    let ids: Vec<_> = hits.iter().map(|hit| hit.chunk).collect();
    for (hit, found) in hits.iter().zip(retriever.read(&ids)?) {
        let Some(found) = found else { continue };
        if output.is_json() { show_json(hit, &found, output)? } else { show(hit, &found, explain, output)? }
    }
    if hits.is_empty() && !output.is_json() {
        output.note("nothing found: use other words or fewer filters");
    }
    Ok(if hits.is_empty() { Outcome::Nothing } else { Outcome::Done })
}

fn show_json(hit: &Hit, found: &ChunkInContext, output: &Output) -> Result<()> {
    output.json(&json!({
        "rank": hit.rank,
        "score": hit.score,
        "chunk": hit.chunk,
        "document": hit.document,
        "external_id": hit.document.key(),
        "identifiers": found.document.identifiers,
        "title": found.document.title,
        "heading": found.chunk.heading,
        "date": found.document.date,
        "journal": found.document.journal,
        "level": found.document.level,
        "status": found.document.status,
        "span": [found.chunk.span.start, found.chunk.span.end],
        "text": found.chunk.text,
        "contributions": hit.contributions,
    }))
}

fn show(hit: &Hit, found: &ChunkInContext, explain: bool, output: &Output) -> Result<()> {
    let year = found.document.date.map(|date| format!(" · {}", date.year)).unwrap_or_default();
    output.line(format!(
        "{:>3}. {STRONG}{}{STRONG:#}\n     {LABEL}{}{LABEL:#}{year} · {} · {} {FAINT}· {:.4}{FAINT:#}",
        hit.rank,
        found.document.title,
        hit.document,
        found.document.level.label(),
        found.document.status,
        hit.score,
    ))?;
    output.line(format!("     {}", beginning(&found.chunk.text, 240)))?;
    if explain {
        for contribution in &hit.contributions {
            output.line(format!("     {FAINT}{contribution}{FAINT:#}"))?;
        }
    }
    Ok(())
}

/// The first `limit` characters on one line.
fn beginning(text: &str, limit: usize) -> String {
    let line = text.replace('\n', " ");
    match line.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", line[..end].trim_end()),
        None => line,
    }
}

fn run_file(retriever: &Hybrid, query: &Query, queries: &Path, trec: &Path, output: &Output) -> Result<Outcome> {
    let topics = read_topics(queries)?;
    let file = File::create(trec).with_context(|| format!("cannot write {}", trec.display()))?;
    let mut out = BufWriter::new(file);
    let bar = Progress::count("searching", topics.len() as u64);
    for (done, topic) in topics.iter().enumerate() {
        write_run(&mut out, &topic.id, &rank_documents(retriever, query, &topic.text)?)?;
        bar.at(done as u64 + 1, topics.len() as u64);
    }
    out.flush().with_context(|| format!("cannot write {}", trec.display()))?;
    drop(bar);
    if output.is_json() {
        output.json(&json!({ "queries": topics.len(), "run": trec }))?;
    } else {
        output.line(format!("{} queries ranked in {}", topics.len(), trec.display()))?;
    }
    Ok(Outcome::Done)
}

/// Documents for `text`, best first, by their names as they came in.
pub(crate) fn rank_documents(retriever: &Hybrid, query: &Query, text: &str) -> Result<Vec<(String, f64)>> {
    let query = Query { text: text.to_owned(), per_document: 1, ..query.clone() };
    let hits = retriever.retrieve(&query)?;
    Ok(best_per_document(hits.into_iter().map(|hit| (hit.document.key().to_owned(), hit.score))))
}
