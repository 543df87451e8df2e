//! `anamnesis ask`: the self-ask loop at work, then the answer, its references and the notice.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use agent::ask::ask;
use agent::phi::{Admitted, storable};
use agent::{Ask, Budget, Cancel, Earlier, Event, Trace, TraceId};
use anyhow::{Context, Result, bail};
use corpus::starter;
use corpus::store::LOCAL;
use indexes::VectorKind;
use retriever::{Query, Retrieve};

use super::Outcome;
use super::answer::show_answer;
use super::filter::FilterArgs;
use super::index::build;
use crate::home::Home;
use crate::keeping;
use crate::output::{FAINT, LABEL, Output, STRONG};
use crate::policies::PolicyArgs;
use crate::privacy::PhiArgs;
use crate::review::ReviewArgs;
use crate::server::wire;

/// What `ask` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The question
    question: String,
    /// Search turns before the final one; 0 answers a follow-up from the evidence it has
    #[arg(long, value_name = "N", default_value_t = Budget::default().turns)]
    turns: u32,
    /// Seed of a policy that samples
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The trace of the answer that this question goes on from: its evidence keeps its labels
    #[arg(long, value_name = "TRACE")]
    follow: Option<TraceId>,
    /// Do not keep the trace of this episode
    #[arg(long)]
    no_trace: bool,
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    review: ReviewArgs,
    #[command(flatten)]
    policy: PolicyArgs,
    #[command(flatten)]
    phi: PhiArgs,
}

pub(crate) fn run(home: &Home, args: &Args, output: &Output) -> Result<Outcome> {
    if args.question.trim().is_empty() {
        bail!("the question is empty: anamnesis ask \"Which drug is first-line for gout?\"");
    }
    if args.turns == 0 && args.follow.is_none() {
        bail!("--turns 0 searches nothing: give it a turn, or evidence to go on from with --follow TRACE");
    }
    let policy = args.policy.open(home)?;
    let review = args.review.open(home, args.policy.is_model())?;
    let Admitted { text: question, warning } = args.phi.handling.admit(&args.question, policy.is_remote())?;
    if let Some(message) = &warning {
        output.note(message);
    }
    if !args.no_trace {
        home.migrate()?;
    }
    if home.is_empty()? {
        prepare_starter(home, output)?;
    }
    let retriever = home.retriever()?;
    let earlier = args.follow.as_ref().map(|id| earlier(home, id)).transpose()?;
    let task = Ask {
        earlier,
        query: Query { filter: args.filter.to_filter(home, output)?, ..Query::new("") },
        budget: Budget { turns: args.turns, ..Budget::default() },
        seed: args.seed,
        salt: std::process::id().to_le_bytes().to_vec(),
        review: Some(review),
        ..Ask::new(question, jiff::Timestamp::now())
    };
    let mut steps = Steps { output, shows_text: args.policy.is_model(), mid_line: false };
    let cancel = Cancel::new();
    let mut shown = Ok(());
    let mut warnings = Vec::from_iter(warning);
    let mut show = |event: Event| {
        if let Event::Warning { message } = &event {
            output.note(message);
            warnings.push(message.clone());
        } else if shown.is_ok() && !output.is_json() {
            shown = steps.show(&event);
            if shown.is_err() {
                // nobody reads any more: a model need not write on
                cancel.cancel();
            }
        }
    };
    let asked = ask(&task, policy.as_ref(), &retriever, &clock, &cancel, &mut show);
    shown.and_then(|()| steps.end_line())?;
    let trace = asked?;
    if !args.no_trace
        && let Err(error) = store(home, &trace)
    {
        output.note(format!("this episode was not kept: {error:#}"));
    }
    if output.is_json() {
        output.json(&wire::Answer::of(&trace).with_warnings(warnings))?;
    } else {
        show_answer(&trace, output)?;
    }
    Ok(if trace.answer.is_answered() { Outcome::Done } else { Outcome::Nothing })
}

fn earlier(home: &Home, id: &TraceId) -> Result<Earlier> {
    let stored = home.read_store()?.trace(id.as_str())?;
    let stored = stored.with_context(|| format!("no trace {id} in this home: see `anamnesis trace list`"))?;
    let (_, json) = stored;
    Ok(Earlier::of(&Trace::from_json(&json)?))
}

/// Time since the first call in this process.
pub(crate) fn clock() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// An empty home answers from the starter corpus, which leaves as soon as real documents come.
pub(crate) fn prepare_starter(home: &Home, output: &Output) -> Result<()> {
    output.note("this home is empty: indexing the starter corpus (written for this project; add your own with `anamnesis corpus add`)");
    let records = starter::documents()
        .map(|document| document.map(|document| corpus::reader::Record::Document(Box::new(document))));
    home.store()?.ingest(starter::COLLECTION, records, &mut |_| {})?;
    build(home, retriever::embed::BUNDLED, VectorKind::Auto, output)?;
    Ok(())
}

fn store(home: &Home, trace: &Trace) -> Result<()> {
    let trace = storable(trace)?;
    // whoever asks at the machine itself erases what is not to stay: see `anamnesis trace erase`
    home.store()?.put_trace(&keeping::entry(&trace, LOCAL, None, None), &trace.to_json()?)?;
    Ok(())
}

/// The episode as it happens.
struct Steps<'a> {
    output: &'a Output,
    /// Whether what the policy writes is shown, its thoughts too.
    shows_text: bool,
    /// Whether a line of it is open.
    mid_line: bool,
}

impl Steps<'_> {
    fn show(&mut self, event: &Event) -> Result<()> {
        match event {
            Event::Text { text, .. } if self.shows_text => {
                let indent = if self.mid_line { "" } else { "  " };
                self.mid_line = true;
                self.output.faint_part(&format!("{indent}{}", text.replace('\n', "\n  ")))
            }
            Event::Text { .. } => Ok(()),
            _ => {
                self.end_line()?;
                show_step(event, self.output)
            }
        }
    }

    fn end_line(&mut self) -> Result<()> {
        if std::mem::take(&mut self.mid_line) { self.output.line("") } else { Ok(()) }
    }
}

fn show_step(event: &Event, output: &Output) -> Result<()> {
    match event {
        Event::Turn { turn, may_search } => {
            let what = if *may_search { "" } else { " (final)" };
            output.line(format!("{FAINT}turn {turn}{what}{FAINT:#}"))
        }
        Event::Query { query, .. } => output.line(format!("  {STRONG}? {query}{STRONG:#}")),
        Event::Evidence { evidence, known, .. } => {
            for found in evidence {
                let year = found.year.map(|year| format!(" · {year}")).unwrap_or_default();
                output.line(format!(
                    "      {LABEL}{:<4}{LABEL:#} {}{FAINT}{year} · {}{FAINT:#}",
                    found.label.to_string(),
                    found.title,
                    found.level.label()
                ))?;
            }
            if !known.is_empty() {
                let labels: Vec<_> = known.iter().map(ToString::to_string).collect();
                output.line(format!("      {FAINT}again: {}{FAINT:#}", labels.join(" ")))?;
            }
            if evidence.is_empty() && known.is_empty() {
                output.line(format!("      {FAINT}nothing{FAINT:#}"))?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Asks one question of an evaluation, on the default terms, without keeping a trace.
pub(crate) fn ask_quietly(
    question: &str,
    policy: &dyn agent::Policy,
    retriever: &dyn Retrieve,
) -> agent::Result<Trace> {
    let task = Ask::new(question, jiff::Timestamp::now());
    ask(&task, policy, retriever, &clock, &Cancel::new(), &mut |_| {})
}
