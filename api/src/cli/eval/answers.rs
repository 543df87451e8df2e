//! `anamnesis eval ask`: share of questions answered with the gold document among those cited.

use std::fs;
use std::path::PathBuf;

use agent::evaluate::{Report, evaluate};
use anyhow::{Context, Result, bail};
use corpus::starter::{self, Question, Split};

use crate::cli::Outcome;
use crate::cli::ask::ask_quietly;
use crate::home::Home;
use crate::output::{Output, STRONG};
use crate::policies::PolicyArgs;
use crate::progress::Progress;

/// What `eval ask` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Questions as JSON lines: id, question, answer, documents, hops, split
    /// [default: those of the starter corpus]
    #[arg(long, value_name = "FILE")]
    questions: Option<PathBuf>,
    /// Only this split
    #[arg(long, value_name = "dev|test")]
    split: Option<Split>,
    /// Also report each question
    #[arg(long)]
    cases: bool,
    #[command(flatten)]
    policy: PolicyArgs,
}

pub(super) fn run(home: &Home, args: &Args, output: &Output) -> Result<Outcome> {
    let questions: Vec<_> = read(args.questions.as_ref())?
        .into_iter()
        .filter(|question| args.split.is_none_or(|split| question.split == split))
        .collect();
    if questions.is_empty() {
        bail!("no question to ask: check --questions and --split");
    }
    let policy = args.policy.open(home)?;
    let retriever = home.retriever()?;
    let bar = Progress::count("asking", questions.len() as u64);
    let mut asked = 0;
    let report = evaluate(&questions, &mut |question| {
        asked += 1;
        bar.at(asked, questions.len() as u64);
        ask_quietly(&question.question, policy.as_ref(), &retriever)
    })?;
    drop(bar);
    show(&report, args.cases, output)?;
    Ok(Outcome::Done)
}

fn read(file: Option<&PathBuf>) -> Result<Vec<Question>> {
    let Some(file) = file else { return Ok(starter::questions()?) };
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let parse = |(number, line): (usize, &str)| {
        serde_json::from_str(line).with_context(|| format!("{} line {}", file.display(), number + 1))
    };
    text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(parse).collect()
}

fn show(report: &Report, cases: bool, output: &Output) -> Result<()> {
    if cases {
        for case in &report.cases {
            output.json(case)?;
        }
    }
    for row in &report.summary {
        if output.is_json() {
            output.json(row)?;
            continue;
        }
        output.line(format!(
            "{STRONG}{} {}-hop{STRONG:#}  {} questions: gold cited {:.1}%, all gold cited {:.1}%, abstained {:.1}%",
            row.split,
            row.hops,
            row.questions,
            row.cited_gold * 100.0,
            row.cited_all * 100.0,
            row.abstained * 100.0,
        ))?;
    }
    Ok(())
}
