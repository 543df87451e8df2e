//! [`SentenceEncoder`]: texts in, unit vectors out, from a model folder in sentence-transformers layout.

mod learning;

use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::bert::Memory;
use crate::error::{read_json, read_optional};
use crate::{Bert, BertConfig, Device, Error, Packed, Pooling, Result, Tokenizer, Weights};

/// Tokens of one pack: the unit that a thread takes at a time. Enough to use each weight often,
/// few enough that a pack's rows stay in the caches and that threads end together.
const PACK: usize = 768;
/// Fewer tokens are not worth a thread: every pack reads all weights.
const LEAST: usize = 64;
/// Texts that a thread tokenizes at a time.
const TEXTS: usize = 16;

/// A sentence encoder: tokenizer, BERT, pooling, and how much of a text is read.
#[derive(Debug)]
pub struct SentenceEncoder {
    tokenizer: Tokenizer,
    bert: Bert,
    pooling: Pooling,
    prompts: Prompts,
    max_tokens: usize,
    device: Device,
    name: String,
    fingerprint: String,
}

/// Prefixes that a model was trained with; empty for most. The caller puts them before a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prompts {
    /// Before a query.
    pub query: String,
    /// Before a passage.
    pub passage: String,
}

impl SentenceEncoder {
    /// Opens the model folder `dir` to run on `device`.
    ///
    /// # Errors
    /// An [`Error`] that names the file at fault: one that is missing, damaged, or asks for what
    /// this encoder does not do.
    pub fn open(dir: &Path, device: Device) -> Result<Self> {
        check_modules(dir)?;
        let config = BertConfig::open(dir)?;
        let weights = Weights::open(dir)?;
        let tokenizer = Tokenizer::open(dir)?;
        tokenizer.check_vocabulary(config.vocab_size)?;
        let pooling = Pooling::open(dir)?;
        let prompts = Prompts::open(dir)?;
        let max_tokens = max_tokens(dir, &config)?;
        let fingerprint = fingerprint(dir, &weights, &format!("{pooling:?} {max_tokens}"))?;
        let bert = Bert::from_weights(dir, &config, &weights)?;
        let name = fs::canonicalize(dir).ok();
        let name = name.as_deref().unwrap_or(dir).file_name().map(|name| name.to_string_lossy().into_owned());
        tracing::debug!(
            dimension = config.hidden_size,
            max_tokens,
            threads = device.threads(),
            "sentence encoder opened"
        );
        Ok(Self { tokenizer, bert, pooling, prompts, max_tokens, device, name: name.unwrap_or_default(), fingerprint })
    }

    /// One unit vector for each text, in order. A text longer than [`SentenceEncoder::max_tokens`]
    /// is cut there; an empty one has a vector too.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] when a text cannot be tokenized.
    pub fn encode(&self, texts: &[impl AsRef<str> + Sync]) -> Result<Vec<Vec<f32>>> {
        self.encode_windowed(texts, self.max_tokens)
    }

    /// As [`SentenceEncoder::encode`], reading at most `max_tokens` of each text.
    ///
    /// # Errors
    /// As [`SentenceEncoder::encode`], and [`Error::Shape`] when `max_tokens` leaves no room beside
    /// the special tokens.
    pub fn encode_windowed(&self, texts: &[impl AsRef<str> + Sync], max_tokens: usize) -> Result<Vec<Vec<f32>>> {
        let ids = self.tokenize(texts, max_tokens)?;
        // Longest first: the packs that end last are then the small ones.
        let mut order: Vec<usize> = (0..ids.len()).collect();
        order.sort_by_key(|text| std::cmp::Reverse(ids[*text].len()));
        let packs = packs(&order, self.device.threads(), |text| ids[text].len());
        let vectors = self.device.spread(packs.len(), |(batch, memory): &mut (Packed, Memory), pack| {
            batch.clear();
            for text in packs[pack] {
                batch.push(&ids[*text]);
            }
            let width = self.dimension();
            let hidden = self.bert.hidden(batch, memory)?;
            let rows = batch.sequences().map(|rows| &hidden[rows.start * width..rows.end * width]);
            Ok(rows.map(|rows| self.pooling.pool(rows, width)).collect::<Vec<_>>())
        })?;

        let mut placed = vec![Vec::new(); texts.len()];
        for (text, vector) in order.iter().zip(vectors.into_iter().flatten()) {
            placed[*text] = vector;
        }
        Ok(placed)
    }

    fn tokenize(&self, texts: &[impl AsRef<str> + Sync], max_tokens: usize) -> Result<Vec<Vec<u32>>> {
        let max_tokens = max_tokens.min(self.bert.config().max_position_embeddings);
        let ids = self.device.spread(texts.len().div_ceil(TEXTS), |(): &mut (), job| {
            let texts = &texts[job * TEXTS..texts.len().min((job + 1) * TEXTS)];
            texts.iter().map(|text| self.tokenizer.encode(text.as_ref(), max_tokens)).collect::<Result<Vec<_>>>()
        })?;
        Ok(ids.into_iter().flatten().collect())
    }

    /// Length of a vector.
    pub fn dimension(&self) -> usize {
        self.bert.config().hidden_size
    }

    /// The most tokens that [`SentenceEncoder::encode`] reads of a text.
    pub fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// Name of the model folder.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// BLAKE3, in hex, of all that decides a vector: weights, configuration, tokenizer, pooling,
    /// window and prompts.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Prefixes for queries and passages.
    pub fn prompts(&self) -> &Prompts {
        &self.prompts
    }

    /// How token rows become one vector.
    pub fn pooling(&self) -> Pooling {
        self.pooling
    }

    /// Its tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }
}

/// Cuts `order` where the next text would exceed [`PACK`] tokens, or the share of one of `threads` where there is less to do than
/// that; a longer text has its own pack.
pub(crate) fn packs(order: &[usize], threads: usize, tokens: impl Fn(usize) -> usize) -> Vec<&[usize]> {
    let all: usize = order.iter().map(|text| tokens(*text)).sum();
    let most = all.div_ceil(threads).clamp(LEAST, PACK);
    let mut packs = Vec::new();
    let mut start = 0;
    let mut size = 0;
    for (end, text) in order.iter().enumerate() {
        let tokens = tokens(*text);
        if end > start && size + tokens > most {
            packs.push(&order[start..end]);
            (start, size) = (end, 0);
        }
        size += tokens;
    }
    if start < order.len() {
        packs.push(&order[start..]);
    }
    packs
}

/// A model may end in layers that this encoder would silently leave out.
fn check_modules(dir: &Path) -> Result<()> {
    #[derive(Deserialize)]
    struct Module {
        r#type: String,
    }
    let file = dir.join("modules.json");
    let modules: Vec<Module> = read_json(&file)?.unwrap_or_default();
    match modules
        .iter()
        .find(|module| !["Transformer", "Pooling", "Normalize"].iter().any(|known| module.r#type.ends_with(known)))
    {
        Some(Module { r#type }) => Err(Error::Config { file, reason: format!("module `{type}` is not supported") }),
        None => Ok(()),
    }
}

/// `max_seq_length` of `sentence_bert_config.json`, at most what the encoder has positions for.
fn max_tokens(dir: &Path, config: &BertConfig) -> Result<usize> {
    #[derive(Default, Deserialize)]
    struct Window {
        max_seq_length: Option<usize>,
        #[serde(default)]
        do_lower_case: bool,
    }
    let file = dir.join("sentence_bert_config.json");
    let window: Window = read_json(&file)?.unwrap_or_default();
    let fault = |reason: &str| Error::Config { file: file.clone(), reason: reason.to_owned() };
    if window.do_lower_case {
        return Err(fault("do_lower_case is not supported: let tokenizer.json lower the case"));
    }
    let positions = config.max_position_embeddings;
    match window.max_seq_length {
        Some(length) if length < 3 => Err(fault("max_seq_length leaves no room for a text")),
        length => Ok(length.map_or(positions, |length| length.min(positions))),
    }
}

impl Prompts {
    fn open(dir: &Path) -> Result<Self> {
        #[derive(Default, Deserialize)]
        struct File {
            #[serde(default)]
            prompts: std::collections::BTreeMap<String, String>,
        }
        let mut file: File = read_json(&dir.join("config_sentence_transformers.json"))?.unwrap_or_default();
        let mut take = |names: [&str; 2]| names.iter().find_map(|name| file.prompts.remove(*name)).unwrap_or_default();
        Ok(Self { query: take(["query", "search_query"]), passage: take(["passage", "document"]) })
    }
}

/// BLAKE3, in hex, of a folder's weights, configuration and tokenizer, and of what else decides a result.
pub(crate) fn fingerprint(dir: &Path, weights: &Weights, more: &str) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    weights.hash_into(&mut hasher);
    let optional = |name: &str| Ok(read_optional(&dir.join(name))?.unwrap_or_default());
    for bytes in [optional("config.json"), Tokenizer::source(dir), optional("config_sentence_transformers.json")] {
        let bytes: Vec<u8> = bytes?;
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(&bytes);
    }
    hasher.update(more.as_bytes());
    Ok(hasher.finalize().to_hex().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packs_hold_everything_and_little_is_shared_among_threads() {
        let cut = |lengths: &[usize], threads: usize| {
            let order: Vec<usize> = (0..lengths.len()).collect();
            let packs = packs(&order, threads, |text| lengths[text]);
            assert_eq!(packs.concat(), order);
            packs.iter().map(|pack| pack.iter().map(|text| lengths[*text]).sum()).collect::<Vec<usize>>()
        };
        assert_eq!(cut(&[80, 80, 40, 40], 1), [240]);
        assert_eq!(cut(&[80, 80, 40, 40], 2), [80, 120, 40]);
        assert_eq!(cut(&[20, 20, 20], 2), [60], "too little to share");
        assert_eq!(cut(&[PACK, PACK, 1], 1), [PACK, PACK, 1]);
        assert_eq!(cut(&[2 * PACK], 4), [2 * PACK]);
        assert!(cut(&[], 2).is_empty());
    }
}
