//! What the tests of this crate build snapshots from.

use std::path::Path;

use corpus::{ChunkId, DocumentId, Level, PartialDate, Status};

use crate::{Build, BuildOptions, EncoderCard, Entry, Facets, Manifest, Result, VectorKind};

/// A chunk of a test: document key, title and text.
pub(crate) type Row = (&'static str, &'static str, &'static str);

pub(crate) const ROWS: [Row; 5] = [
    ("1", "Metformin", "Metformin lowers HbA1c and is first-line in type 2 diabetes."),
    ("1", "Metformin", "Metformin must be avoided when eGFR is under 30 mL/min/1.73 m²."),
    ("2", "Tocilizumab", "Tocilizumab blocks the IL-6 receptor."),
    ("3", "Atenolol", "Atenolol is a β-blocker; β-blockers lower blood pressure."),
    ("4", "Insulin", "Insulin lowers blood glucose in type 1 diabetes."),
];

pub(crate) fn facets(key: &str) -> Facets {
    Facets {
        document: DocumentId::new("note", key),
        date: PartialDate::parse(&format!("202{}", key.len())),
        level: Level::Rct,
        status: Status::Ok,
        types: vec!["Randomized Controlled Trial".to_owned()],
        source: "note".to_owned(),
        collections: vec![if key == "1" { "drugs" } else { "others" }.to_owned()],
        mesh: Vec::new(),
    }
}

pub(crate) fn chunk_id(at: usize) -> ChunkId {
    ChunkId::of(&DocumentId::new("note", "x"), at, "")
}

/// Options of a build `second` seconds into a certain minute.
pub(crate) fn options(second: i64) -> BuildOptions {
    BuildOptions::at(jiff::Timestamp::from_second(1_795_267_320 + second).unwrap())
}

pub(crate) fn with_vectors(second: i64, vectors: VectorKind, dimension: usize) -> BuildOptions {
    let encoder = EncoderCard {
        name: "test".to_owned(),
        fingerprint: "f".to_owned(),
        dimension,
        pooling: "mean".to_owned(),
        query_prefix: String::new(),
        passage_prefix: String::new(),
    };
    BuildOptions { vectors, encoder: Some(encoder), ..options(second) }
}

/// A build with `rows` pushed.
pub(crate) fn pushed(dir: &Path, options: BuildOptions, rows: &[Row]) -> Result<Build> {
    let dimension = options.encoder.as_ref().map(|encoder| encoder.dimension);
    let mut build = Build::begin(dir, options)?;
    for (at, (key, title, text)) in rows.iter().enumerate() {
        let vector = dimension.map(|dimension| {
            let mut vector = vec![0.1; dimension];
            vector[at % dimension] = 1.0;
            vector
        });
        let entry = Entry { chunk: chunk_id(at), title, heading: "", text, facets: &facets(key) };
        build.push(&entry, vector.as_deref())?;
    }
    Ok(build)
}

pub(crate) fn build(dir: &Path, options: BuildOptions, rows: &[Row]) -> Result<Manifest> {
    pushed(dir, options, rows)?.finish(&mut |_| {})
}
