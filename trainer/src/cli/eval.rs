//! `anamnesis-train eval`: what a policy answers to the questions of published sets, with and without retrieval.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use agent::Budget;
use agent::policy::{Extractive, Local, LocalOptions, OpenAi, Policy};
use agent::protocol::Profile;
use anyhow::{Context, Result, bail};
use nn::Sampling;
use retriever::Query;
use serde_json::json;
use trainer::data::question::Question;
use trainer::evaluation::benchmark::{Arm, Item, ask, library, measures, read};
use trainer::evaluation::{Exam, evaluate};
use trainer::retrieval::Empty;
use trainer::reward::{JudgeChoice, RewardConfig, Rewards};
use trainer::{run, stages};

use super::evaluation::tell;
use crate::output::{Output, STRONG};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Question files: our own, multiple choice, PubMedQA, trials, or SQuAD; .gz is read directly
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Who answers: `extractive`, a model folder, a run of several stages, or openai:URL#MODEL
    #[arg(long, default_value = "extractive")]
    policy: String,
    /// An adapter in PEFT layout over the model
    #[arg(long, value_name = "FOLDER")]
    adapter: Option<PathBuf>,
    /// What it is given beside the question: closed, context, rag or shuffled; may be given often
    #[arg(long = "arm", value_name = "ARM", default_value = "rag")]
    arms: Vec<Arm>,
    /// A home of anamnesis whose index is searched
    #[arg(long, value_name = "DIR", conflicts_with = "documents")]
    home: Option<PathBuf>,
    /// A file of few documents that is searched instead
    #[arg(long, value_name = "FILE")]
    documents: Option<PathBuf>,
    /// A folder with a scorer that judges support; by words alone when not given
    #[arg(long, value_name = "FOLDER")]
    judge: Option<PathBuf>,
    /// How a model samples, 0 takes the likeliest token; may be given often
    #[arg(long = "temperature", value_name = "T", default_value = "0")]
    temperatures: Vec<f32>,
    /// Ask so many questions of each set at most
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
    /// Turns in which it may search
    #[arg(long, default_value_t = Budget::default().turns)]
    turns: u32,
    /// Passages of one search
    #[arg(long, default_value_t = Budget::default().hits_per_query)]
    hits: usize,
    /// Tokens of evidence in an episode
    #[arg(long, value_name = "COUNT", default_value_t = Budget::default().evidence_tokens)]
    evidence_tokens: usize,
    /// Tokens it may write in an episode
    #[arg(long, value_name = "COUNT", default_value_t = Budget::default().generated_tokens)]
    generated_tokens: usize,
    /// Episodes under way at once
    #[arg(long, value_name = "COUNT", default_value_t = 16)]
    at_once: usize,
    /// Decides what is random in a policy, and the resamples of intervals
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Sent to an endpoint as bearer token
    #[arg(long, env = "OPENAI_API_KEY", hide_env_values = true, hide = true)]
    key: Option<String>,
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<()> {
    let items = items(args, output)?;
    let library = match (&args.home, &args.documents) {
        (None, None) if args.arms.iter().any(|arm| arm.searches()) => {
            bail!("nothing to search: name a --home or --documents, or ask with --arm closed or --arm context")
        }
        (None, None) => None,
        (home, documents) => Some(library(home.as_deref(), documents.as_deref())?),
    };
    if args.arms.contains(&Arm::Context) && items.iter().all(|item| item.contexts.is_empty()) {
        bail!("no question brings its evidence along: leave out --arm context");
    }
    let judge = args.judge.clone().map_or(JudgeChoice::Lexical, JudgeChoice::Scorer);
    // Support is a measure here, not a reward: it counts for wrong answers too.
    let rewards = Rewards::open(&RewardConfig { judge, gate: 0.0, ..RewardConfig::default() }, None)?;
    let (begun, questions) = (Instant::now(), items.iter().map(|item| item.question.clone()).collect::<Vec<_>>());
    let sets: BTreeMap<&str, &str> = items.iter().map(|item| (item.question.id.as_str(), item.set.as_str())).collect();
    for temperature in &args.temperatures {
        let policy = policy(args, *temperature)?;
        let exam = Exam {
            policy: policy.as_ref(),
            retriever: library.as_deref().unwrap_or(&Empty),
            query: &Query::new(""),
            budget: budget(args),
            profile: Profile::default(),
            at_once: args.at_once.max(1),
            seed: args.seed,
            score: &|episodes| rewards.score(episodes),
            clock: &|| begun.elapsed(),
        };
        for arm in &args.arms {
            let asked = ask(&exam, *arm, &items)?;
            let label = |question: &Question| sets.get(question.id.as_str()).map(|set| (*set).to_owned());
            let evaluation = evaluate(&questions, &asked, &measures(&items), &label, args.seed);
            if output.is_json() {
                let rows = &evaluation.rows;
                output.json(&json!({
                    "policy": policy.name(), "arm": arm.as_str(), "temperature": temperature, "seed": args.seed, "rows": rows,
                }))?;
            } else {
                output.line(format!("{STRONG}{arm}, temperature {temperature}, {}{STRONG:#}", policy.name()))?;
                tell(&evaluation, output)?;
            }
        }
    }
    Ok(())
}

/// The questions of all files.
fn items(args: &Args, output: &Output) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    for file in &args.files {
        let set = read(file)?;
        let shown = file.display();
        for fault in set.faults.iter().take(3) {
            output.note(format!("{shown}: {fault}"));
        }
        if set.faults.len() > 3 {
            output.note(format!("{shown}: {} more such faults", set.faults.len() - 3));
        }
        items.extend(set.items);
    }
    if let Some(limit) = args.limit {
        let mut counts = BTreeMap::<String, usize>::new();
        items.retain(|item| {
            let count = counts.entry(item.set.clone()).or_default();
            *count += 1;
            *count <= limit
        });
    }
    Ok(items)
}

fn budget(args: &Args) -> Budget {
    Budget {
        turns: args.turns,
        hits_per_query: args.hits,
        evidence_tokens: args.evidence_tokens,
        generated_tokens: args.generated_tokens,
        ..Budget::default()
    }
}

fn policy(args: &Args, temperature: f32) -> Result<Box<dyn Policy>> {
    let name = args.policy.as_str();
    if name == "extractive" {
        return Ok(Box::new(Extractive));
    }
    if name.starts_with("openai:") {
        let mut policy = OpenAi::new(name, args.key.clone())?;
        policy.sampling.temperature = f64::from(temperature);
        return Ok(Box::new(policy));
    }
    let model = model(Path::new(name))?;
    let options = LocalOptions {
        adapter: args.adapter.clone(),
        sampling: Sampling { temperature, ..Sampling::default() },
        max_batch: args.at_once.max(1),
        ..LocalOptions::default()
    };
    Ok(Box::new(Local::open(&model, &options).with_context(|| format!("cannot ask {name}"))?))
}

/// The model of a folder: itself, or what the last stage of a run in it gave.
fn model(folder: &Path) -> Result<PathBuf> {
    if !folder.join(run::CONFIG).is_file() {
        return Ok(folder.to_owned());
    }
    let shown = folder.display();
    let last = stages::begun(folder)?.pop().map(|stage| stage.join(stages::OUTCOME)).filter(|outcome| outcome.is_dir());
    last.with_context(|| {
        format!(
            "{shown} is a run without the outcome of a stage: run `anamnesis-train export {shown} FOLDER` and ask that"
        )
    })
}
