//! [`Build`]: chunks, facets and vectors in, a verified snapshot out, or nothing at all.
//!
//! Everything is written into a folder of its own beside the snapshots, verified there by opening it
//! as a reader would, synced, renamed, and only then named by `CURRENT`. A kill at any byte leaves
//! what was there before; the abandoned folder is removed by the next build or by `gc`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use corpus::ChunkId;
use jiff::{SignedDuration, Timestamp};

use crate::chunks::ChunkTable;
use crate::facets::{FacetBuilder, Facets};
use crate::lexical::LexicalWriter;
use crate::manifest::{FORMAT_VERSION, MANIFEST};
use crate::mapped::{digest, map, sync_folder, write_synced};
use crate::snapshot::{CHUNKS, FACETS, LEXICAL, Snapshot};
use crate::snapshots::{Lock, Snapshots};
use crate::vectors::{GRAPH, MATRIX, Vectors, build_graph};
use crate::{EncoderCard, Error, FileCard, Manifest, Result, Slot, SnapshotId, VectorCard, VectorIndex, analyzer};

/// Slots are numbered below tantivy's end mark.
const MAX_CHUNKS: usize = (1 << 31) - 2;

/// A vector shorter or longer than one by more than this is normalised.
const UNIT_TOLERANCE: f32 = 1e-3;

/// Which index of vectors to build.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VectorKind {
    /// `Flat` under 50,000 chunks, else `Hnsw` if the graph finds enough, else `Flat` again.
    #[default]
    Auto,
    /// An exact scan.
    Flat,
    /// A graph.
    Hnsw,
}

/// What a build is told beside its chunks.
#[derive(Clone, Debug)]
pub struct BuildOptions {
    /// The time of the build.
    pub created: Timestamp,
    /// Which index of vectors to build, if there are vectors.
    pub vectors: VectorKind,
    /// Which encoder makes the vectors; none without vectors.
    pub encoder: Option<EncoderCard>,
    /// What the corpus is, to tell later whether the snapshot is stale.
    pub corpus_fingerprint: String,
    /// The least share of true neighbours among the ten found that a graph must reach.
    pub recall_threshold: f64,
    /// From so many chunks on, `Auto` builds a graph.
    pub graph_from: usize,
    /// Links of a graph's node above its ground layer, 2 to 64; twice as many on it.
    pub m: usize,
    /// Candidates kept while a node is linked, at least `m`.
    pub ef_construction: usize,
    /// Once it is set the build ends with [`Error::Stopped`]: at the next chunk, or between two stages.
    pub stop: Arc<AtomicBool>,
}

impl BuildOptions {
    /// The defaults, at a given time: no encoder, `Auto` from 50,000, recall 0.95, m 16, ef_construction 200.
    pub fn at(created: Timestamp) -> Self {
        Self {
            created,
            vectors: VectorKind::Auto,
            encoder: None,
            corpus_fingerprint: String::new(),
            recall_threshold: 0.95,
            graph_from: 50_000,
            m: 16,
            ef_construction: 200,
            stop: Arc::default(),
        }
    }
}

/// One chunk, as an index sees it.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Its id.
    pub chunk: ChunkId,
    /// The title of its document; may be empty.
    pub title: &'a str,
    /// Its breadcrumb; may be empty.
    pub heading: &'a str,
    /// Its text.
    pub text: &'a str,
    /// What filters can ask of it.
    pub facets: &'a Facets,
}

/// What [`Build::finish`] is doing, for a progress bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Postings are written and merged.
    Lexical,
    /// Vectors are linked into a graph.
    Graph {
        /// Vectors linked.
        done: usize,
        /// Vectors in all.
        total: usize,
    },
    /// Recall is measured against an exact scan.
    Recall,
    /// Everything is opened as a reader would.
    Verify,
    /// Files are synced, the folder is renamed, `CURRENT` is swapped.
    Publish,
}

/// A snapshot in the making. Dropped before [`Build::finish`], it leaves nothing behind.
pub struct Build {
    options: BuildOptions,
    snapshots: Snapshots,
    folder: PathBuf,
    ids: Vec<ChunkId>,
    documents: Vec<u32>,
    facets: FacetBuilder,
    lexical: Option<LexicalWriter>,
    /// Vectors go straight to disk: memory does not grow with them.
    matrix: Option<BufWriter<File>>,
    content: String,
    row: Vec<f32>,
    _lock: Lock,
}

impl std::fmt::Debug for Build {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Build").field("folder", &self.folder).field("chunks", &self.ids.len()).finish_non_exhaustive()
    }
}

impl Build {
    /// Starts a build in `snapshots_dir`, which is made if it is missing. Only one build can run at
    /// a time.
    ///
    /// # Errors
    /// [`Error::Busy`] beside another build, [`Error::Input`] on options that cannot be.
    pub fn begin(snapshots_dir: &Path, options: BuildOptions) -> Result<Self> {
        if !(2..=64).contains(&options.m) || options.ef_construction < options.m {
            return Err(Error::Input("m must be 2 to 64, and ef_construction at least m".to_owned()));
        }
        if options.encoder.as_ref().is_some_and(|encoder| encoder.dimension == 0) {
            return Err(Error::Input("an encoder's vectors need at least one number".to_owned()));
        }
        fs::create_dir_all(snapshots_dir).map_err(Error::io("create", snapshots_dir))?;
        let snapshots = Snapshots::new(snapshots_dir);
        let lock = Lock::acquire(snapshots_dir)?;
        snapshots.remove_abandoned(&lock)?;
        let folder = snapshots_dir.join(format!(".building-{}", SnapshotId::new(options.created, "")));
        for folder in [&folder.join(LEXICAL), &folder.join("vectors")] {
            fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        }
        let matrix = folder.join(MATRIX);
        let matrix = match options.encoder {
            Some(_) => {
                Some(BufWriter::with_capacity(1 << 20, File::create(&matrix).map_err(Error::io("create", &matrix))?))
            }
            None => None,
        };
        Ok(Self {
            lexical: Some(LexicalWriter::create(&folder.join(LEXICAL))?),
            options,
            snapshots,
            folder,
            ids: Vec::new(),
            documents: Vec::new(),
            facets: FacetBuilder::default(),
            matrix,
            content: String::new(),
            row: Vec::new(),
            _lock: lock,
        })
    }

    /// Adds a chunk, which gets the next slot. With an encoder each chunk needs its vector, without
    /// one none may have any. A vector that is not of unit length is normalised.
    ///
    /// # Errors
    /// [`Error::Input`] or [`Error::Mismatch`] on a vector that is missing, unexpected, zero, not finite or
    /// of another length; [`Error::Io`] when the disk refuses; [`Error::Stopped`].
    pub fn push(&mut self, entry: &Entry<'_>, vector: Option<&[f32]>) -> Result<()> {
        self.go_on()?;
        if self.ids.len() >= MAX_CHUNKS {
            return Err(Error::Input(format!("one snapshot holds at most {MAX_CHUNKS} chunks: split the home")));
        }
        self.push_vector(&entry.chunk, vector)?;
        let slot = self.ids.len() as Slot;
        self.documents.push(self.facets.push(slot, entry.facets)?);
        self.ids.push(entry.chunk);
        self.content.clear();
        let heading =
            if entry.text.contains(entry.heading) || entry.title.contains(entry.heading) { "" } else { entry.heading };
        for part in [entry.title, heading, entry.text] {
            if !part.is_empty() {
                self.content.push_str(part);
                self.content.push('\n');
            }
        }
        match &mut self.lexical {
            Some(lexical) => lexical.push(&self.content, &entry.facets.mesh),
            None => Ok(()),
        }
    }

    fn push_vector(&mut self, chunk: &ChunkId, vector: Option<&[f32]>) -> Result<()> {
        let (vector, matrix, encoder) = match (vector, &mut self.matrix, &self.options.encoder) {
            (None, None, _) => return Ok(()),
            (Some(vector), Some(matrix), Some(encoder)) => (vector, matrix, encoder),
            (None, ..) => {
                return Err(Error::Input(format!("chunk {chunk} has no vector, but an encoder is named")));
            }
            (Some(_), ..) => {
                return Err(Error::Input(format!("chunk {chunk} has a vector, but no encoder is named")));
            }
        };
        if vector.len() != encoder.dimension {
            let numbers = |count| format!("{count} numbers");
            return Err(Error::Mismatch {
                what: "a chunk's vector",
                expected: numbers(encoder.dimension),
                found: numbers(vector.len()),
            });
        }
        let length = vector.iter().map(|&number| f64::from(number).powi(2)).sum::<f64>().sqrt() as f32;
        if !length.is_finite() || length == 0.0 {
            return Err(Error::Input(format!("the vector of chunk {chunk} is zero or not finite")));
        }
        let row = if (length - 1.0).abs() > UNIT_TOLERANCE {
            self.row.clear();
            self.row.extend(vector.iter().map(|number| number / length));
            &self.row
        } else {
            vector
        };
        matrix.write_all(bytemuck::cast_slice(row)).map_err(Error::io("write", &self.folder.join(MATRIX)))
    }

    /// Writes, verifies and publishes; `progress` hears of each stage. On error nothing changes.
    ///
    /// # Errors
    /// [`Error::Input`] on a chunk pushed twice, [`Error::Recall`] on a graph that finds too little,
    /// [`Error::Io`] when the disk refuses, [`Error::Stopped`] until it is published.
    pub fn finish(mut self, progress: &mut dyn FnMut(Stage)) -> Result<Manifest> {
        self.go_on()?;
        progress(Stage::Lexical);
        if let Some(lexical) = self.lexical.take() {
            lexical.finish()?;
        }
        self.go_on()?;
        let vectors = self.finish_vectors(progress)?;
        self.go_on()?;
        let facets = std::mem::take(&mut self.facets).finish();
        write_synced(&self.folder.join(FACETS), &facets.to_bytes())?;
        write_synced(&self.folder.join(CHUNKS), &ChunkTable::to_bytes(&self.ids, &self.documents)?)?;
        let mut files = BTreeMap::new();
        seal_files(&self.folder, "", &mut files)?;

        let fingerprint = digest(files.values().map(|card| card.blake3.as_str()).collect::<String>().as_bytes());
        let created = self.snapshots.after_newest(self.options.created)?;
        let mut manifest = Manifest {
            format_version: FORMAT_VERSION,
            id: SnapshotId::new(created, &fingerprint),
            created,
            documents: facets.documents(),
            chunks: self.ids.len(),
            corpus_fingerprint: std::mem::take(&mut self.options.corpus_fingerprint),
            analyzer: analyzer::NAME.to_owned(),
            encoder: self.options.encoder.take(),
            vectors,
            files,
            seal: String::new(),
        };
        progress(Stage::Recall);
        self.measure(&mut manifest)?;
        let sealed = manifest.seal()?;

        progress(Stage::Verify);
        Snapshot::open_files(&self.folder, manifest.clone())?;

        self.go_on()?;
        progress(Stage::Publish);
        write_synced(&self.folder.join(MANIFEST), &sealed)?;
        sync_folder(&self.folder)?;
        let home = self.snapshots.folder(&manifest.id);
        fs::rename(&self.folder, &home).map_err(Error::io("rename", &self.folder))?;
        sync_folder(self.snapshots.dir())?;
        self.snapshots.swap_current(&manifest.id)?;
        Ok(manifest)
    }

    fn go_on(&self) -> Result<()> {
        if self.options.stop.load(Ordering::Relaxed) { Err(Error::Stopped) } else { Ok(()) }
    }

    fn finish_vectors(&mut self, progress: &mut dyn FnMut(Stage)) -> Result<VectorCard> {
        let mut card = VectorCard {
            kind: VectorIndex::None,
            dimension: 0,
            metric: "inner product, unit vectors".to_owned(),
            m: self.options.m,
            ef_construction: self.options.ef_construction,
            recall_at_10: None,
            sample: 0,
        };
        let (Some(mut matrix), Some(encoder)) = (self.matrix.take(), &self.options.encoder) else {
            return Ok(card);
        };
        matrix.flush().map_err(Error::io("write", &self.folder.join(MATRIX)))?;
        drop(matrix);
        card.dimension = encoder.dimension;
        let total = self.ids.len();
        card.kind = match self.options.vectors {
            VectorKind::Auto if total < self.options.graph_from => VectorIndex::Flat,
            VectorKind::Flat => VectorIndex::Flat,
            VectorKind::Auto | VectorKind::Hnsw => VectorIndex::Hnsw,
        };
        if card.kind == VectorIndex::Hnsw {
            progress(Stage::Graph { done: 0, total });
            build_graph(&self.folder, &card, total, &mut |done| {
                progress(Stage::Graph { done: done / 2, total });
            })?;
        }
        Ok(card)
    }

    /// Measures what the default search finds. A graph that finds too little is refused where it was
    /// asked for by name; where the choice was ours, the exact scan takes its place.
    fn measure(&self, manifest: &mut Manifest) -> Result<()> {
        if manifest.vectors.kind != VectorIndex::Hnsw {
            return Ok(());
        }
        let (measured, sample) = Vectors::open(&self.folder, manifest)?.recall_at_10()?;
        let threshold = self.options.recall_threshold;
        if measured >= threshold {
            (manifest.vectors.recall_at_10, manifest.vectors.sample) = (Some(measured), sample);
            return Ok(());
        }
        if self.options.vectors == VectorKind::Hnsw {
            return Err(Error::Recall { measured, threshold });
        }
        tracing::warn!(measured, threshold, "the vector graph finds too little: vectors will be scanned exactly");
        let graph = self.folder.join(GRAPH);
        fs::remove_file(&graph).map_err(Error::io("remove", &graph))?;
        manifest.files.remove(GRAPH);
        manifest.vectors.kind = VectorIndex::Flat;
        Ok(())
    }
}

impl Drop for Build {
    fn drop(&mut self) {
        // The writer's threads end first: they would write into a folder that is going.
        self.lexical = None;
        self.matrix = None;
        // After a rename there is nothing of that name left; a failure leaves it to the next build.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Syncs every file under `folder` and writes its card; folders are synced after what they hold.
fn seal_files(folder: &Path, prefix: &str, files: &mut BTreeMap<String, FileCard>) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(Error::io("list", folder))? {
        let path = entry.map_err(Error::io("list", folder))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        if path.is_dir() {
            seal_files(&path, &format!("{prefix}{name}/"), files)?;
        } else if name.starts_with(".tantivy") {
            fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        } else {
            File::open(&path).and_then(|file| file.sync_all()).map_err(Error::io("sync", &path))?;
            let bytes = map(&path)?;
            files.insert(format!("{prefix}{name}"), FileCard { bytes: bytes.len() as u64, blake3: digest(&bytes) });
        }
    }
    sync_folder(folder)
}

/// One millisecond, the resolution of a snapshot's name.
pub(crate) const TICK: SignedDuration = SignedDuration::from_millis(1);
