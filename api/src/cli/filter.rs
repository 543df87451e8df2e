//! The filter options that `ask` and `search` share.

use anyhow::Result;
use corpus::{Level, PartialDate, Status};
use indexes::Filter;

use crate::home::Home;
use crate::output::Output;

/// Restricts what may be a hit; filters are and-ed, values of one filter or-ed.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Filters")]
pub(crate) struct FilterArgs {
    /// Only this collection (repeatable)
    #[arg(long, value_name = "NAME")]
    collection: Vec<String>,
    /// Published in or after this year, month or day (2019, 2019-06)
    #[arg(long, value_name = "DATE", value_parser = parse_date)]
    from: Option<PartialDate>,
    /// Published in or before this year, month or day
    #[arg(long, value_name = "DATE", value_parser = parse_date)]
    to: Option<PartialDate>,
    /// Publication type: rct, review, guideline, meta-analysis, or words of it (repeatable)
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Evidence level: guideline, systematic-review, rct, observational, case-report, opinion,
    /// preprint, reference, unclassified (repeatable)
    #[arg(long, value_name = "LEVEL")]
    level: Vec<Level>,
    /// Source: pubmed, pmc, … (repeatable)
    #[arg(long, value_name = "SOURCE")]
    source: Vec<String>,
    /// Publication status: ok, corrected, concern (repeatable)
    #[arg(long, value_name = "STATUS")]
    status: Vec<Status>,
    /// `MeSH` heading or topic (repeatable)
    #[arg(long, value_name = "HEADING")]
    mesh: Vec<String>,
}

impl FilterArgs {
    /// The filter; a collection that is not there is told of, since nothing is found in it.
    pub(crate) fn to_filter(&self, home: &Home, output: &Output) -> Result<Filter> {
        note_unknown_collections(home, &self.collection, output);
        if let (Some(from), Some(to)) = (self.from, self.to)
            && from.year > to.year
        {
            anyhow::bail!("--from {from} is after --to {to}: nothing can match");
        }
        Ok(Filter {
            from: self.from,
            to: self.to,
            types: self.types.clone(),
            levels: self.level.clone(),
            sources: self.source.clone(),
            collections: self.collection.clone(),
            statuses: self.status.clone(),
            mesh: self.mesh.clone(),
        })
    }
}

/// Collections that are named where another was meant.
const NAMED: usize = 20;

/// Says which of `names` is no collection of the home, and which are; nothing where the home holds none to compare with.
pub(crate) fn note_unknown_collections(home: &Home, names: &[String], output: &Output) {
    if names.is_empty() {
        return;
    }
    let Ok(known) = home.read_store().and_then(|store| store.collections()) else { return };
    let known: Vec<_> = known.into_iter().map(|one| one.name).collect();
    for name in names.iter().filter(|name| !known.contains(name)) {
        let there = match known.len() {
            0 => "there is none".to_owned(),
            1..=NAMED => format!("there are: {}", known.join(", ")),
            more => format!("there are {more}: {}, …", known[..NAMED].join(", ")),
        };
        output.note(format!("no collection is called `{name}` so far; {there}"));
    }
}

fn parse_date(text: &str) -> Result<PartialDate, String> {
    PartialDate::parse(text).ok_or_else(|| format!("`{text}` is no date: write 2019, 2019-06 or 2019-06-30"))
}
