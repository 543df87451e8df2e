//! `anamnesis corpus`: add, look at and curate documents.

mod add;
mod curate;
mod show;

use std::path::PathBuf;

use agent::TraceId;
use anyhow::Result;
use clap::Subcommand;
use corpus::store::Listing;
use corpus::{Level, Standing, Status};

use super::Outcome;
use crate::home::Home;
use crate::output::Output;

/// What can be done with a corpus.
#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "one value lives for one run")]
pub(crate) enum Command {
    /// Add documents from files, folders and archives; .gz, .zst and .xz are read directly
    ///
    /// Adding the same file twice changes nothing. A record that cannot be read is set aside with its
    /// place and reason (see `corpus rejected`); the rest is kept. A document that reads like an instruction
    /// to whoever answers from it stands in quarantine until it is restored (see `corpus list`). A text file is
    /// known by its folder's name and its own, or by the `id` in its front matter.
    Add(add::Args),
    /// Show a document: its text, where it came from, and what was done to it
    Show {
        /// Our id (pubmed:123), a PMID, a PMC id, a DOI, or the id as it came in
        id: String,
    },
    /// List documents
    List {
        /// Only this collection
        #[arg(long, value_name = "NAME")]
        collection: Option<String>,
        /// Only this publication status: ok, corrected, concern or retracted
        #[arg(long, value_name = "STATUS")]
        status: Option<Status>,
        /// Only of this standing: active, quarantined or removed
        #[arg(long, value_name = "STANDING")]
        standing: Option<Standing>,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u32,
        /// Go on after this id
        #[arg(long, value_name = "ID")]
        after: Option<String>,
    },
    /// Count documents by collection, status, level and source
    Stats,
    /// List records that were set aside, with file, position and reason
    Rejected {
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u32,
    },
    /// Add a tag to documents, or take it off
    Tag {
        /// The tag
        tag: String,
        /// Documents
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
        /// Take the tag off
        #[arg(long)]
        off: bool,
        #[command(flatten)]
        why: Reason,
    },
    /// Set documents aside until somebody looks; they answer nothing meanwhile
    Quarantine(curate::Documents),
    /// Take documents out, at once and from every index; `restore` brings them back
    Remove(curate::Documents),
    /// Bring quarantined or removed documents back
    Restore(curate::Documents),
    /// Take back that documents are retracted or of concern: they are evidence again
    ///
    /// For a retraction that was a mistake or was itself withdrawn. It overrules what a curator, a registry or the
    /// document's own source has said so far; a registry that is read later, and a source that comes to say worse,
    /// count again.
    Reinstate {
        /// Documents
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
        /// Why, for the audit log
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Mark documents as retracted: no evidence, whatever else is done to them, until `reinstate`
    Retract {
        /// Documents
        #[arg(required_unless_present = "registry", value_name = "ID")]
        ids: Vec<String>,
        /// A registry: a list of PMIDs, a table with a pmid column, or the Retraction Watch CSV
        #[arg(long, value_name = "FILE", conflicts_with = "ids")]
        registry: Option<PathBuf>,
        #[command(flatten)]
        why: Reason,
    },
    /// Overrule the evidence level of documents
    Level {
        /// guideline, systematic-review, rct, observational, case-report, opinion, preprint,
        /// reference or unclassified
        level: Level,
        /// Documents
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
        #[command(flatten)]
        why: Reason,
    },
    /// List stored answers that cite what was retracted, removed, quarantined or called in question since
    Affected {
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u32,
        /// Go on behind this trace
        #[arg(long, value_name = "ID")]
        after: Option<TraceId>,
    },
    /// Bring a home of an older program up to date; that program does not open it afterwards
    ///
    /// Commands that write do this by themselves and say so; those that only read do not.
    Migrate,
    /// Show the audit log, newest first
    Log {
        /// Only what was done to this document
        id: Option<String>,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: u32,
    },
}

/// Why something is done; it goes into the audit log.
#[derive(Debug, clap::Args)]
pub(crate) struct Reason {
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT", default_value = "no reason given")]
    reason: String,
}

pub(crate) fn run(home: &Home, command: Command, output: &Output) -> Result<Outcome> {
    match command {
        Command::Add(args) => add::run(home, &args, output),
        Command::Show { id } => show::document(home, &id, output),
        Command::List { collection, status, standing, limit, after } => {
            let wanted = Listing { collection, status, standing, limit: Some(limit), ..Listing::default() };
            show::list(home, wanted, after.as_deref(), output)
        }
        Command::Stats => show::stats(home, output),
        Command::Migrate => curate::migrate(home, output),
        Command::Affected { limit, after } => show::affected(home, after.as_ref(), limit, output),
        Command::Rejected { limit } => show::rejected(home, limit, output),
        Command::Log { id, limit } => show::log(home, id.as_deref(), limit, output),
        Command::Tag { tag, ids, off, why } => curate::tag(home, &tag, &ids, off, &why.reason, output),
        Command::Quarantine(documents) => curate::set_standing(home, curate::Verb::Quarantine, &documents, output),
        Command::Remove(documents) => curate::set_standing(home, curate::Verb::Remove, &documents, output),
        Command::Restore(documents) => curate::set_standing(home, curate::Verb::Restore, &documents, output),
        Command::Reinstate { ids, reason } => curate::reinstate(home, &ids, &reason, output),
        Command::Retract { ids, registry: None, why } => curate::retract(home, &ids, &why.reason, output),
        Command::Retract { registry: Some(file), .. } => curate::apply_registry(home, &file, output),
        Command::Level { level, ids, why } => curate::level(home, level, &ids, &why.reason, output),
    }
}
