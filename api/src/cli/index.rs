//! `anamnesis index`: build, list, verify and switch snapshots.

use std::sync::Arc;

use anyhow::Result;
use clap::Subcommand;
use indexes::{Manifest, SnapshotId, VectorIndex, VectorKind};
use serde_json::json;

use super::Outcome;
use crate::building::Building;
use crate::home::Home;
use crate::output::{FAINT, LABEL, Output, STRONG};
use crate::progress::Progress;
use crate::server::wire;

/// What can be done with an index.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build a new snapshot of everything in the corpus and make it the current one
    ///
    /// The old snapshot serves until the new one is written, verified and swapped in; it is kept for
    /// `index rollback`.
    Build {
        /// `static` (bundled), `none` (words only), or a folder with a sentence encoder
        #[arg(long, value_name = "static|none|PATH", default_value = "static")]
        encoder: String,
        /// The vector index: exact under 50,000 chunks and a graph above, or the one named
        #[arg(long, value_enum, default_value_t = wire::VectorKind::Auto)]
        vectors: wire::VectorKind,
    },
    /// Bring the index up to date with the corpus, with the encoder it was built with
    ///
    /// A sentence encoder embeds only chunks that are new. The vector index is chosen as by `--vectors
    /// auto`. Does nothing when nothing changed.
    Add,
    /// List snapshots, newest first
    List,
    /// Check a snapshot's files against its manifest [default: the current one]
    Verify {
        /// The snapshot
        id: Option<String>,
    },
    /// Make an older snapshot the current one [default: the one before]
    Rollback {
        /// The snapshot
        id: Option<String>,
    },
    /// Delete snapshots that are neither current nor among the newest
    Gc {
        /// How many of the newest to keep; the current one is kept besides
        #[arg(long, value_name = "N", default_value_t = 2)]
        keep: usize,
    },
}

pub(crate) fn run(home: &Home, command: Command, output: &Output) -> Result<Outcome> {
    match command {
        Command::Build { encoder, vectors } => {
            let manifest = build(home, &encoder, vectors.into(), output)?;
            report(&manifest, output)
        }
        Command::Add => add(home, output),
        Command::List => list(home, output),
        Command::Verify { id } => verify(home, id, output),
        Command::Rollback { id } => {
            let id = home.snapshots().rollback(id.as_deref().map(parse_id).transpose()?)?;
            say(output, &json!({ "current": id }), format!("current snapshot: {LABEL}{id}{LABEL:#}"))
        }
        Command::Gc { keep } => {
            let removed = home.snapshots().gc(keep)?;
            say(output, &json!({ "removed": removed }), format!("{} snapshots removed", removed.len()))
        }
    }
}

/// Builds with a progress bar; `encoder` as typed.
pub(crate) fn build(home: &Home, encoder: &str, vectors: VectorKind, output: &Output) -> Result<Manifest> {
    let building = Building::of(home, encoder)?;
    let chunks = building.chunks();
    if chunks >= LARGE {
        let (disk, memory) = estimate(chunks, building.dimension());
        output.note(format!("{chunks} chunks: about {disk} MB on disk, and {memory} MB of memory while building"));
    }
    let bar = Progress::count("indexing", chunks);
    let manifest = building.run(vectors, &Arc::default(), &mut |step| {
        bar.label(step.stage);
        if let Some((done, total)) = step.count {
            bar.at(done, total);
        }
    })?;
    Ok(manifest)
}

/// From so many chunks on, a build tells beforehand what it will take.
const LARGE: u64 = 20_000;

/// Megabytes on disk and of memory that a build of `chunks` vectors of `dimension` numbers takes (0:
/// words only), graph included; fitted to builds of 151,361 chunks.
fn estimate(chunks: u64, dimension: usize) -> (u64, u64) {
    let (words, links, working) = (245, 160, 1_300);
    let vectors = dimension as u64;
    let linked = |bytes: u64| if vectors == 0 { 0 } else { bytes };
    let disk = chunks * (words + linked(5 * vectors + links));
    let memory = 250_000_000 + chunks * linked(8 * vectors + working);
    (disk.div_ceil(1_000_000), memory.div_ceil(1_000_000))
}

fn add(home: &Home, output: &Output) -> Result<Outcome> {
    let snapshots = home.snapshots();
    let manifest = snapshots.open_current()?.manifest().clone();
    if manifest.corpus_fingerprint == home.read_store()?.fingerprint()? {
        output.note("nothing changed since the snapshot was built");
        return report(&manifest, output);
    }
    let encoder = manifest.encoder.as_ref().map_or("none", |card| card.name.as_str());
    let manifest = build(home, encoder, VectorKind::Auto, output)?;
    report(&manifest, output)
}

fn list(home: &Home, output: &Output) -> Result<Outcome> {
    let snapshots = home.snapshots();
    let listed = snapshots.list()?;
    for entry in listed.iter().rev() {
        let is_current = entry.current;
        match &entry.manifest {
            Ok(manifest) if output.is_json() => output.json(&json!({ "current": is_current, "manifest": manifest }))?,
            Err(error) if output.is_json() => {
                output.json(&json!({ "id": entry.id, "current": is_current, "error": error.to_string() }))?;
            }
            Ok(manifest) => output.line(format!(
                "{} {LABEL}{}{LABEL:#}  {} documents, {} chunks, {}",
                if is_current { "*" } else { " " },
                entry.id,
                manifest.documents,
                manifest.chunks,
                describe_vectors(manifest),
            ))?,
            Err(error) => {
                output.line(format!("{} {LABEL}{}{LABEL:#}  {error}", if is_current { "*" } else { " " }, entry.id))?;
            }
        }
    }
    Ok(if listed.is_empty() { Outcome::Nothing } else { Outcome::Done })
}

fn verify(home: &Home, id: Option<String>, output: &Output) -> Result<Outcome> {
    let snapshots = home.snapshots();
    let id = match id {
        Some(id) => parse_id(&id)?,
        None => snapshots.current()?.ok_or_else(|| anyhow::anyhow!("no index yet: run `anamnesis index build`"))?,
    };
    let report = snapshots.verify(&id)?;
    let line = format!(
        "{LABEL}{id}{LABEL:#} is whole: {} files, {} bytes, {} chunks",
        report.files, report.bytes, report.chunks
    );
    say(output, &json!({ "id": id, "files": report.files, "bytes": report.bytes, "chunks": report.chunks }), line)
}

fn parse_id(id: &str) -> Result<SnapshotId> {
    SnapshotId::parse(id).ok_or_else(|| anyhow::anyhow!("`{id}` is no snapshot id: see `anamnesis index list`"))
}

fn report(manifest: &Manifest, output: &Output) -> Result<Outcome> {
    say(
        output,
        manifest,
        format!(
            "{STRONG}{}{STRONG:#} is current: {} documents, {} chunks, {}",
            manifest.id,
            manifest.documents,
            manifest.chunks,
            describe_vectors(manifest),
        ),
    )
}

fn describe_vectors(manifest: &Manifest) -> String {
    let Some(encoder) = &manifest.encoder else { return "words only".to_owned() };
    let recall = manifest.vectors.recall_at_10.map(|recall| format!(", recall@10 {recall:.3}")).unwrap_or_default();
    let kind = match manifest.vectors.kind {
        VectorIndex::None => "none",
        VectorIndex::Flat => "flat",
        VectorIndex::Hnsw => "hnsw",
    };
    format!("{} {FAINT}({kind}, {} numbers{recall}){FAINT:#}", encoder.name, encoder.dimension)
}

/// One result, in the form asked for.
fn say(output: &Output, json: &impl serde::Serialize, line: String) -> Result<Outcome> {
    if output.is_json() {
        output.json(json)?;
    } else {
        output.line(line)?;
    }
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_are_near_what_was_measured() {
        // 151,361 chunks with 256 numbers: 255 MB on disk, 761 MB of memory; words only: 260 MB
        let (disk, memory) = estimate(151_361, 256);
        assert!((240..280).contains(&disk) && (700..820).contains(&memory), "{disk} {memory}");
        assert_eq!(estimate(151_361, 0).1, 250);
    }
}
