//! `anamnesis eval`: retrieval against judgments, answers against gold.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Subcommand;
use retriever::Query;
use retriever::metrics::{Metrics, Run, evaluate, quantile};
use retriever::trec::{read_qrels, read_topics};
use serde::Serialize;

use super::Outcome;
use super::search::{ArmArgs, rank_documents};
use crate::home::Home;
use crate::output::{Output, STRONG};
use crate::progress::Progress;

mod answers;
mod judge;

/// What can be measured.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// nDCG@10, recall, MRR and MAP of the current snapshot, with milliseconds a query
    Retrieval(RetrievalArgs),
    /// Share of questions answered with the gold document among those cited
    Ask(answers::Args),
    /// How often verdicts on claims and evidence are those that people gave
    Judge(judge::Args),
}

/// What `eval retrieval` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct RetrievalArgs {
    /// BEIR queries.jsonl[.gz]
    #[arg(long, value_name = "FILE")]
    queries: PathBuf,
    /// BEIR or TREC qrels
    #[arg(long, value_name = "FILE")]
    qrels: PathBuf,
    /// How deep each ranking goes
    #[arg(short, default_value_t = 100)]
    k: usize,
    #[command(flatten)]
    arms: ArmArgs,
}

#[derive(Debug, Serialize)]
struct Report {
    #[serde(flatten)]
    metrics: Metrics,
    k: usize,
    ms: Milliseconds,
    snapshot: String,
}

#[derive(Debug, Serialize)]
struct Milliseconds {
    p50: f64,
    p95: f64,
    p99: f64,
}

pub(crate) fn run(home: &Home, command: Command, output: &Output) -> Result<Outcome> {
    match command {
        Command::Retrieval(args) => retrieval(home, &args, output),
        Command::Ask(args) => answers::run(home, &args, output),
        Command::Judge(args) => judge::run(home, &args, output),
    }
}

fn retrieval(home: &Home, args: &RetrievalArgs, output: &Output) -> Result<Outcome> {
    let qrels = read_qrels(&args.qrels)?;
    let topics: Vec<_> =
        read_topics(&args.queries)?.into_iter().filter(|topic| qrels.contains_key(&topic.id)).collect();
    if topics.is_empty() {
        bail!("no query of {} is judged in {}", args.queries.display(), args.qrels.display());
    }
    let retriever = args.arms.open(home)?;
    let query = Query { k: args.k, arm: args.arms.arm, fusion: args.arms.fusion, ..Query::new("") };
    let bar = Progress::count("searching", topics.len() as u64);
    let mut run = Run::new();
    let mut ms = Vec::with_capacity(topics.len());
    for topic in &topics {
        let start = Instant::now();
        let ranked = rank_documents(&retriever, &query, &topic.text)?;
        ms.push(start.elapsed().as_secs_f64() * 1e3);
        run.insert(topic.id.clone(), ranked.into_iter().map(|(document, _)| document).collect());
        bar.at(ms.len() as u64, topics.len() as u64);
    }
    drop(bar);
    ms.sort_unstable_by(f64::total_cmp);
    let report = Report {
        metrics: evaluate(&qrels, &run),
        k: args.k,
        ms: Milliseconds { p50: quantile(&ms, 0.5), p95: quantile(&ms, 0.95), p99: quantile(&ms, 0.99) },
        snapshot: retriever::Retrieve::snapshot(&retriever).to_owned(),
    };
    show(&report, output)?;
    Ok(Outcome::Done)
}

fn show(report: &Report, output: &Output) -> Result<()> {
    if output.is_json() {
        return output.json(report);
    }
    let Report { metrics, k, ms, snapshot } = report;
    output.line(format!(
        "{STRONG}nDCG@10 {:.4}{STRONG:#}  recall@10 {:.4}  recall@100 {:.4}  MRR {:.4}  MAP {:.4}",
        metrics.ndcg_at_10, metrics.recall_at_10, metrics.recall_at_100, metrics.mrr, metrics.map
    ))?;
    output.line(format!(
        "{} queries, k = {k}, ms a query: p50 {:.2}  p95 {:.2}  p99 {:.2}  (snapshot {snapshot})",
        metrics.queries, ms.p50, ms.p95, ms.p99
    ))
}
