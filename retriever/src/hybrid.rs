//! [`Hybrid`]: words and vectors of one pinned snapshot, fused, read back from the store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use corpus::store::ChunkInContext;
use corpus::{ChunkId, DocumentId, Standing, Status, Store};
use indexes::{Mask, Scored, Slot, Snapshot};

use crate::fuse::{Fused, fuse, single};
use crate::{Arm, Embed, Error, Fusion, Hit, Query, Result, Retrieve, Role, STAGE};

/// How deep each arm looks before fusion, at least.
const POOL: usize = 112;

/// The embedded retriever. One snapshot is pinned for its whole life; what curators withdraw after
/// the snapshot was built is withdrawn here at the next query.
pub struct Hybrid {
    snapshot: Arc<Snapshot>,
    id: String,
    encoder: Option<Arc<dyn Embed>>,
    vector_weight: f64,
    store: Mutex<Store>,
    withdrawn: Mutex<Withdrawn>,
}

/// Slots that may not be hits although the snapshot holds them, as of a version of the store.
#[derive(Default)]
struct Withdrawn {
    version: Option<i64>,
    allowed: Option<Arc<Mask>>,
}

impl std::fmt::Debug for Hybrid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let encoder = self.encoder.as_ref().map(|encoder| &encoder.card().name);
        f.debug_struct("Hybrid").field("snapshot", &self.id).field("encoder", &encoder).finish_non_exhaustive()
    }
}

impl Hybrid {
    /// A retriever over `snapshot`, whose chunks are read from `store`. `encoder` must be the one the
    /// snapshot was built with, and `None` if it was built without.
    ///
    /// # Errors
    /// [`Error::EncoderMismatch`] when it is another one.
    pub fn new(snapshot: Arc<Snapshot>, store: Store, encoder: Option<Arc<dyn Embed>>) -> Result<Self> {
        let manifest = snapshot.manifest();
        let id = manifest.id.to_string();
        let built = manifest.encoder.as_ref().map(|card| (card.name.as_str(), card.fingerprint.as_str()));
        let loaded =
            encoder.as_ref().map(|encoder| (encoder.card().name.as_str(), encoder.card().fingerprint.as_str()));
        if built.map(|(_, fingerprint)| fingerprint) != loaded.map(|(_, fingerprint)| fingerprint) {
            return Err(Error::EncoderMismatch {
                snapshot: id,
                built: describe(built),
                loaded: describe(loaded),
                hint: loaded.map_or("static", |(name, _)| name).to_owned(),
            });
        }
        let vector_weight = encoder.as_ref().map_or(0.0, |encoder| encoder.card().weight);
        Ok(Self { snapshot, id, encoder, vector_weight, store: Mutex::new(store), withdrawn: Mutex::default() })
    }

    /// The pinned snapshot.
    pub fn pinned(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The encoder of the pinned snapshot; none if it was built without.
    pub fn encoder(&self) -> Option<&Arc<dyn Embed>> {
        self.encoder.as_ref()
    }

    /// Overrides the vector arm's share in min-max fusion, 0 to 1 (default: the encoder's own).
    #[must_use]
    pub fn with_vector_weight(mut self, weight: f64) -> Self {
        self.vector_weight = weight.clamp(0.0, 1.0);
        self
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        // reading leaves nothing half done, so a poisoned lock guards good data
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What may be a hit at all: the filter, less what was withdrawn since the snapshot.
    fn mask(&self, query: &Query) -> Result<Option<Mask>> {
        let allowed = self.allowed()?;
        if query.filter.is_unrestricted() {
            return Ok(allowed.map(|mask| mask.as_ref().clone()));
        }
        let mut mask = self.snapshot.mask(&query.filter);
        if let Some(allowed) = allowed {
            mask.and(&allowed);
        }
        Ok(Some(mask))
    }

    fn allowed(&self) -> Result<Option<Arc<Mask>>> {
        let store = self.store();
        let version = store.data_version()?;
        let mut withdrawn = self.withdrawn.lock().unwrap_or_else(PoisonError::into_inner);
        if withdrawn.version != Some(version) {
            let mut mask = Mask::full(self.snapshot.len());
            let mut any = false;
            for document in store.withdrawn()? {
                for slot in self.snapshot.slots_of(&document) {
                    mask.remove(*slot);
                    any = true;
                }
            }
            *withdrawn = Withdrawn { version: Some(version), allowed: any.then(|| Arc::new(mask)) };
        }
        Ok(withdrawn.allowed.clone())
    }

    /// Both arms' lists, `depth` deep.
    fn search(
        &self,
        query: &Query,
        vector: Option<&[f32]>,
        mask: Option<&Mask>,
        depth: usize,
    ) -> Result<(Vec<Fused>, bool)> {
        let lexical = match query.arm {
            Arm::Lexical | Arm::Hybrid => {
                let _stage = tracing::info_span!(target: STAGE, "search.lexical", depth).entered();
                self.snapshot.lexical(&query.text, depth, mask)?
            }
            Arm::Vector => Vec::new(),
        };
        let mut nearest = match vector {
            Some(vector) => {
                let _stage = tracing::info_span!(target: STAGE, "search.vectors", depth).entered();
                self.snapshot.vectors(vector, depth, mask, None)?
            }
            None => Vec::new(),
        };
        let _stage = tracing::info_span!(target: STAGE, "fuse").entered();
        let exhausted = lexical.len() < depth && nearest.len() < depth;
        if let (Arm::Hybrid, Fusion::MinMax, Some(vector)) = (query.arm, query.fusion, vector) {
            self.complete(&mut nearest, &lexical, vector)?;
        }
        let fused = match query.arm {
            Arm::Lexical => single(Arm::Lexical, &lexical),
            Arm::Vector => single(Arm::Vector, &nearest),
            Arm::Hybrid => self.fuse(query, &lexical, &nearest),
        };
        Ok((fused, exhausted))
    }

    /// Adds the similarity of what only the words found: under min-max, a chunk just beyond the depth of
    /// the vector arm must not count as if it were the farthest of all.
    fn complete(&self, nearest: &mut Vec<Scored>, lexical: &[Scored], vector: &[f32]) -> Result<()> {
        let mut missing = Mask::empty(self.snapshot.len());
        for found in lexical {
            missing.insert(found.slot);
        }
        for found in nearest.iter() {
            missing.remove(found.slot);
        }
        nearest.extend(self.snapshot.vectors_exact(vector, lexical.len(), Some(&missing))?);
        nearest.sort_unstable_by(Scored::best_first);
        Ok(())
    }

    fn fuse(&self, query: &Query, lexical: &[Scored], nearest: &[Scored]) -> Vec<Fused> {
        // without one arm there is nothing to fuse, and weights would only shrink the other
        if nearest.is_empty() && self.encoder.is_none() {
            return single(Arm::Lexical, lexical);
        }
        fuse(lexical, nearest, query.fusion, self.vector_weight)
    }

    fn vector_of(&self, query: &Query) -> Result<Option<Vec<f32>>> {
        match (query.arm, &self.encoder) {
            (Arm::Lexical, _) | (Arm::Hybrid, None) => Ok(None),
            (Arm::Vector, None) => Err(Error::Input(format!(
                "snapshot {} has no vectors: run `anamnesis index build --encoder static`, or search with --arm lexical",
                self.id
            ))),
            _ if query.text.trim().is_empty() => Ok(None),
            (Arm::Vector | Arm::Hybrid, Some(encoder)) => {
                let _stage = tracing::info_span!(target: STAGE, "embed").entered();
                Ok(encoder.embed(Role::Query, &[&query.text])?.pop())
            }
        }
    }
}

impl Retrieve for Hybrid {
    fn retrieve(&self, query: &Query) -> Result<Vec<Hit>> {
        if query.k == 0 || self.snapshot.is_empty() {
            return Ok(Vec::new());
        }
        let _stage = tracing::info_span!(target: STAGE, "search", k = query.k).entered();
        let mask = self.mask(query)?;
        let vector = self.vector_of(query)?;
        let k = query.k.min(self.snapshot.len());
        // a few more than asked for, so that one document with several chunks costs no second search
        let mut depth = (k + k / 8).max(POOL);
        loop {
            let (fused, exhausted) = self.search(query, vector.as_deref(), mask.as_ref(), depth)?;
            let kept = self.limit_per_document(fused, query.per_document, k);
            // a list cut short by the limit per document is dug deeper, never filled with the limited
            if kept.len() == k || exhausted || depth >= self.snapshot.len() {
                return Ok(self.hits(kept));
            }
            depth = (depth * 4).min(self.snapshot.len());
        }
    }

    fn read(&self, chunks: &[ChunkId]) -> Result<Vec<Option<ChunkInContext>>> {
        let shown = |found: &ChunkInContext| {
            found.document.status != Status::Retracted && found.document.standing == Standing::Active
        };
        let found = self.store().chunks(chunks)?;
        Ok(found.into_iter().map(|found| found.filter(shown)).collect())
    }

    fn snapshot(&self) -> &str {
        &self.id
    }
}

impl Hybrid {
    fn limit_per_document(&self, fused: Vec<Fused>, limit: usize, k: usize) -> Vec<Fused> {
        let limit = if limit == 0 { usize::MAX } else { limit };
        let mut seen: HashMap<u32, usize> = HashMap::new();
        let admit = |found: &Fused| {
            let count = seen.entry(self.snapshot.document_number(found.slot)).or_default();
            *count += 1;
            *count <= limit
        };
        fused.into_iter().filter(admit).take(k).collect()
    }

    fn document(&self, slot: Slot) -> DocumentId {
        DocumentId::parse(self.snapshot.document(slot))
            .expect("a verified snapshot holds ids that were ids when it was built")
    }

    fn hits(&self, fused: Vec<Fused>) -> Vec<Hit> {
        let hit = |(index, found): (usize, Fused)| Hit {
            chunk: self.snapshot.chunk(found.slot),
            document: self.document(found.slot),
            rank: index + 1,
            score: found.score,
            contributions: found.contributions,
        };
        fused.into_iter().enumerate().map(hit).collect()
    }
}

fn describe(encoder: Option<(&str, &str)>) -> String {
    encoder.map_or_else(
        || "none".to_owned(),
        |(name, fingerprint)| format!("{name} ({})", fingerprint.get(..12).unwrap_or(fingerprint)),
    )
}
