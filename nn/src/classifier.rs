//! [`Classifier`]: to which class a pair of texts belongs, both read together.
//!
//! The layout of `BertForSequenceClassification`: logits = C tanh(P h + p) + c, where h is the hidden state
//! of the first token. It serves and learns.

mod learning;

pub use learning::ClassifierPass;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::bert::Memory;
use crate::encoder::{fingerprint, packs};
use crate::error::read_json;
use crate::init::normal;
use crate::ops::{After, Linear};
use crate::{Bert, BertConfig, Device, Error, Packed, Parameter, Result, Tokenizer, Tokens, Weights};

/// The most classes of a model.
const MOST_LABELS: usize = 1024;
/// Pairs that a thread tokenizes at a time.
const PAIRS: usize = 16;

/// A BERT with a pooler and a classifier.
///
/// ```
/// # use std::path::Path;
/// use nn::{Classifier, Device, Gradients, Packed, Recompute};
///
/// # let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tiny"));
/// let mut classifier = Classifier::new_head(folder, &["support", "contradict", "neutral"], 1, Device::cpu())?;
/// let parameters = classifier.train(Recompute::Auto)?;
/// let mut gradients = Gradients::new(&parameters);
/// let pair = classifier.tokenizer().encode_pair("aspirin helps", "aspirin lowers the dose", 32)?;
/// let mut batch = Packed::default();
/// batch.push_typed(&pair.ids, &pair.types);
/// let pass = classifier.pass(&batch)?;
/// let loss = pass.logits.sqr()?.sum_all()?;
/// classifier.backward(pass, &loss, &mut gradients)?;
/// assert!(gradients.norm() > 0.0);
/// // An optimiser changes the variables of `parameters`; then:
/// classifier.refresh()?;
/// assert_eq!(classifier.logits(&[("aspirin helps", "aspirin lowers the dose")])?[0].len(), 3);
/// # Ok::<(), nn::Error>(())
/// ```
#[derive(Debug)]
pub struct Classifier {
    tokenizer: Tokenizer,
    bert: Bert,
    /// (D) to (D)
    pooler: Linear,
    /// (D) to (labels)
    output: Linear,
    labels: Vec<String>,
    device: Device,
    fingerprint: String,
    /// Variables of pooler and classifier, once they learn.
    head: Vec<Parameter>,
}

impl Classifier {
    /// Opens the model folder `dir` to run on `device`.
    ///
    /// # Errors
    /// An [`Error`] that names the file at fault, and in it the tensor.
    pub fn open(dir: &Path, device: Device) -> Result<Self> {
        let config = BertConfig::open(dir)?;
        let weights = Weights::open(dir)?;
        let width = config.hidden_size;
        let pooler = read(&weights, "bert.pooler.dense", width, width)?;
        let rows = weights.shape("classifier.weight").and_then(<[usize]>::first).copied().unwrap_or(1);
        let classifier = read(&weights, "classifier", rows.clamp(1, MOST_LABELS), width)?;
        Self::assemble(dir, device, &config, &weights, (pooler, classifier), labels(dir, rows)?)
    }

    /// Takes the encoder of the model folder `dir`, whatever it was trained for, and gives it a new
    /// classifier of these labels, drawn from `seed` (normal, deviation 0.02, biases zero). A pooler that
    /// the folder has is kept, one that it lacks is drawn too.
    ///
    /// # Errors
    /// As [`Classifier::open`], and [`Error::Shape`] for labels that are none, too many, or alike.
    pub fn new_head(dir: &Path, labels: &[&str], seed: u64, device: Device) -> Result<Self> {
        let alike = |place: usize| labels[..place].contains(&labels[place]);
        if labels.is_empty() || labels.len() > MOST_LABELS || (0..labels.len()).any(alike) {
            return Err(Error::Shape(format!("a classifier has 1 to {MOST_LABELS} different labels: {labels:?}")));
        }
        let config = BertConfig::open(dir)?;
        let weights = Weights::open(dir)?;
        let width = config.hidden_size;
        let drawn = |name: &str, outputs: usize| {
            let weight = normal::numbers(normal::key(seed, name), outputs * width);
            Linear::new(&weight, &vec![0.0; outputs], width)
        };
        let mut names = ["bert.pooler.dense", "pooler.dense"].into_iter();
        let pooler = names.find(|name| weights.contains(&format!("{name}.weight")));
        let pooler = pooler.map(|name| read(&weights, name, width, width)).transpose()?;
        let head = (pooler.unwrap_or_else(|| drawn("pooler", width)), drawn("classifier", labels.len()));
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        Self::assemble(dir, device, &config, &weights, head, labels)
    }

    fn assemble(
        dir: &Path,
        device: Device,
        config: &BertConfig,
        weights: &Weights,
        (pooler, output): (Linear, Linear),
        labels: Vec<String>,
    ) -> Result<Self> {
        let tokenizer = Tokenizer::open(dir)?;
        tokenizer.check_vocabulary(config.vocab_size)?;
        let fingerprint = fingerprint(dir, weights, &format!("{labels:?}"))?;
        let mut bert = Bert::from_weights(dir, config, weights)?;
        bert.stand_beside_a_head();
        Ok(Self { tokenizer, bert, pooler, output, labels, device, fingerprint, head: Vec::new() })
    }

    /// What the classes are called, in the order of their logits.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// Its tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// What the encoder was built from.
    pub fn config(&self) -> &BertConfig {
        self.bert.config()
    }

    /// The most tokens of a pair, special ones included.
    pub fn max_tokens(&self) -> usize {
        self.bert.config().max_position_embeddings
    }

    /// BLAKE3, in hex, of all that decided a logit when the folder was opened: weights, configuration,
    /// tokenizer and labels.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The logits of each pair, (N) of (labels), in order. A pair that is longer than the encoder has
    /// positions is cut, the longer of both first.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] when a text cannot be tokenized.
    pub fn logits(&self, pairs: &[(&str, &str)]) -> Result<Vec<Vec<f32>>> {
        let most = self.max_tokens();
        let tokens = self.device.spread(pairs.len().div_ceil(PAIRS), |(): &mut (), job| {
            let pairs = &pairs[job * PAIRS..pairs.len().min((job + 1) * PAIRS)];
            pairs
                .iter()
                .map(|(first, second)| self.tokenizer.encode_pair(first, second, most))
                .collect::<Result<Vec<_>>>()
        })?;
        self.logits_of(&tokens.into_iter().flatten().collect::<Vec<_>>())
    }

    /// As [`Classifier::logits`], of pairs that are tokens already. A pair's logits do not depend on what
    /// else is asked.
    ///
    /// # Errors
    /// [`Error::Shape`] for a pair of no tokens, or of what the encoder has no embedding for.
    pub fn logits_of(&self, pairs: &[Tokens]) -> Result<Vec<Vec<f32>>> {
        // Longest first: the packs that end last are then the small ones.
        let mut order: Vec<usize> = (0..pairs.len()).collect();
        order.sort_by_key(|pair| std::cmp::Reverse(pairs[*pair].ids.len()));
        let packs = packs(&order, self.device.threads(), |pair| pairs[pair].ids.len());
        let logits = self.device.spread(packs.len(), |(batch, memory): &mut (Packed, Memory), pack| {
            batch.clear();
            for pair in packs[pack] {
                batch.push_typed(&pairs[*pair].ids, &pairs[*pair].types);
            }
            self.serve(batch, memory)
        })?;

        let mut placed = vec![Vec::new(); pairs.len()];
        for (pair, logits) in order.iter().zip(logits.into_iter().flatten()) {
            placed[*pair] = logits;
        }
        Ok(placed)
    }

    fn serve(&self, batch: &Packed, memory: &mut Memory) -> Result<Vec<Vec<f32>>> {
        if batch.sequences().any(|rows| rows.is_empty()) {
            return Err(Error::Shape("a pair of no tokens has no first one".to_owned()));
        }
        let width = self.bert.config().hidden_size;
        let hidden = self.bert.hidden(batch, memory)?; // (T, D)
        let starts = batch.sequences().map(|rows| &hidden[rows.start * width..][..width]);
        let first = starts.collect::<Vec<_>>().concat(); // (N, D)
        let mut pooled = vec![0.0; first.len()];
        self.pooler.forward(self.bert.isa(), &first, &mut pooled, After::Nothing);
        for value in &mut pooled {
            *value = value.tanh();
        }
        let mut logits = vec![0.0; batch.sequences().len() * self.labels.len()]; // (N, labels)
        self.output.forward(self.bert.isa(), &pooled, &mut logits, After::Nothing);
        Ok(logits.chunks_exact(self.labels.len()).map(<[f32]>::to_vec).collect())
    }
}

/// A linear layer by its name in the folder.
fn read(weights: &Weights, name: &str, outputs: usize, inputs: usize) -> Result<Linear> {
    let weight = weights.floats(&format!("{name}.weight"), &[outputs, inputs])?;
    Ok(Linear::new(&weight, &weights.floats(&format!("{name}.bias"), &[outputs])?, inputs))
}

/// What `config.json` of the folder calls its `count` classes; numbered ones where it is silent.
fn labels(dir: &Path, count: usize) -> Result<Vec<String>> {
    #[derive(Default, Deserialize)]
    struct File {
        #[serde(default)]
        id2label: BTreeMap<String, String>,
    }
    let file = dir.join("config.json");
    let File { mut id2label } = read_json(&file)?.unwrap_or_default();
    if id2label.is_empty() {
        return Ok((0..count).map(|label| format!("LABEL_{label}")).collect());
    }
    let named = id2label.len();
    let labels = (0..count).map_while(|label| id2label.remove(&label.to_string())).collect::<Vec<_>>();
    if named != count || labels.len() != count {
        let reason = format!("id2label names {named} classes, the classifier has {count}, numbered from 0");
        return Err(Error::Config { file, reason });
    }
    Ok(labels)
}
