//! `anamnesis corpus add`: files, folders and archives into the store.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use corpus::Store;
use corpus::reader::{self, FieldMap, Format, Options};
use corpus::store::Ingested;
use serde::Serialize;

use crate::cli::Outcome;
use crate::home::Home;
use crate::output::{Output, STRONG};
use crate::progress::Progress;

/// What `corpus add` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files, folders or archives
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// auto, pubmed, jats, beir, medrag, pubmedqa, jsonl or text
    #[arg(long, default_value = "auto", value_parser = parse_format)]
    format: FormatChoice,
    /// Which fields of JSON lines are what: text=FIELD,id=FIELD,title=FIELD,… (FIELD may be a path: meta.year)
    #[arg(long, value_name = "MAP")]
    map: Option<FieldMap>,
    /// Put the documents into this collection [default: the name of the file or folder]
    #[arg(long, value_name = "NAME")]
    collection: Option<String>,
    /// Take documents as they are: none is put in quarantine because it reads like an instruction to
    /// whoever answers from it
    #[arg(long)]
    trust: bool,
}

#[derive(Clone, Debug)]
struct FormatChoice(Option<Format>);

fn parse_format(name: &str) -> Result<FormatChoice, String> {
    match name {
        "auto" => Ok(FormatChoice(None)),
        name => name.parse().map(|format| FormatChoice(Some(format))).map_err(|error: corpus::Error| error.to_string()),
    }
}

/// What became of one path.
#[derive(Debug, Serialize)]
struct Summary {
    path: PathBuf,
    collection: String,
    #[serde(flatten)]
    counts: Ingested,
    reasons: BTreeMap<String, u64>,
}

pub(super) fn run(home: &Home, args: &Args, output: &Output) -> Result<Outcome> {
    let options = Options { format: args.format.0, map: args.map.clone(), source: None };
    let mut store = home.store()?;
    let (mut kept, mut rejected) = (0, 0);
    for path in &args.paths {
        let collection = args.collection.clone().unwrap_or_else(|| collection_of(path));
        let summary = add(&mut store, path, &collection, &options, args.trust)?;
        let Ingested { added, updated, unchanged, ignored, deleted, .. } = summary.counts;
        kept += added + updated + unchanged + ignored + deleted;
        rejected += summary.counts.rejected;
        show(&summary, output)?;
    }
    if kept == 0 && rejected == 0 {
        let paths: Vec<_> = args.paths.iter().map(|path| path.display().to_string()).collect();
        bail!("no record was found in {}: name files that hold some", paths.join(", "));
    }
    if kept == 0 {
        bail!("nothing could be kept: see `anamnesis corpus rejected` for file, position and reason");
    }
    if !output.is_json() {
        output.line("next: anamnesis index build")?;
    }
    Ok(Outcome::Done)
}

fn add(store: &mut Store, path: &Path, collection: &str, options: &Options, trust: bool) -> Result<Summary> {
    let reader = RefCell::new(reader::open(path, options)?);
    let bar = Progress::bytes("adding", reader.borrow().bytes_total());
    let mut reasons = BTreeMap::new();
    let records = std::iter::from_fn(|| reader.borrow_mut().next()).inspect(|record| {
        if let Err(rejected) = record {
            *reasons.entry(rejected.reason.clone()).or_default() += 1;
        }
    });
    let mut progress = |_: &Ingested| {
        let reader = reader.borrow();
        bar.at(reader.bytes_read(), reader.bytes_total());
    };
    let counts = if trust {
        store.ingest_trusted(collection, records, &mut progress)?
    } else {
        store.ingest(collection, records, &mut progress)?
    };
    Ok(Summary { path: path.to_owned(), collection: collection.to_owned(), counts, reasons })
}

fn show(summary: &Summary, output: &Output) -> Result<()> {
    if output.is_json() {
        return output.json(summary);
    }
    let Summary { path, collection, counts, reasons } = summary;
    output.line(format!(
        "{STRONG}{}{STRONG:#} into {collection}: {} added, {} updated, {} unchanged, {} older, {} deleted, {} rejected; {} new chunks",
        path.display(),
        counts.added,
        counts.updated,
        counts.unchanged,
        counts.ignored,
        counts.deleted,
        counts.rejected,
        counts.chunks,
    ))?;
    if counts.starter_removed > 0 {
        output.note(format!(
            "the starter corpus ({} documents) left: it is used only while a home holds nothing else",
            counts.starter_removed
        ));
    }
    if counts.quarantined > 0 {
        output.note(format!(
            "{} read like instructions to whoever answers from them and stand in quarantine: look with `anamnesis corpus list \
             --standing quarantined`, then `corpus restore` what is honest",
            counts.quarantined
        ));
    }
    if counts.moved > 0 {
        output.note(format!(
            "{} replaced what another file had given under the same id: where both are works of their own, give each an id in \
             its front matter (`id: NAME` between two lines `---`) or a folder of another name, and add both again; \
             `anamnesis corpus log` names the files",
            counts.moved
        ));
    }
    for (reason, count) in reasons.iter().take(5) {
        output.note(format!("{count} x {reason}"));
    }
    if counts.rejected > 0 {
        output.note("see `anamnesis corpus rejected` for file and position of each");
    }
    Ok(())
}

/// The name of a file without its endings, or of its folder where the file's own name says nothing.
fn collection_of(path: &Path) -> String {
    let stem = |path: &Path| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        name.split('.').find(|part| !part.is_empty()).unwrap_or("documents").to_owned()
    };
    match stem(path).as_str() {
        "corpus" => path.parent().map_or_else(|| "corpus".to_owned(), stem),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collections_are_named_after_files_or_folders() {
        for (path, name) in [
            ("data/pubmed26n0001.xml.gz", "pubmed26n0001"),
            ("data/scifact/corpus.jsonl.gz", "scifact"),
            ("data/scifact/", "scifact"),
            ("notes.md", "notes"),
            ("..", "documents"),
        ] {
            assert_eq!(collection_of(Path::new(path)), name, "{path}");
        }
    }
}
