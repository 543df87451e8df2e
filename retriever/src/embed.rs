//! [`Embed`]: texts to unit vectors. [`open`] finds the right encoder for a name or a path.
//!
//! * [`StaticEncoder`]: a fitted token table; one is bundled ([`bundled`]), others come of [`fit`];
//! * [`Bert`]: a sentence encoder of `nn` in the Hugging Face layout;
//! * `Onnx` (feature `onnx`): a user's ONNX model on the ONNX Runtime.

use std::path::Path;
use std::sync::Arc;

use indexes::EncoderCard;

use crate::{Error, Result};

mod bag;
mod bert;
pub mod fit;
#[cfg(feature = "onnx")]
pub mod onnx;
mod static_encoder;
mod sum;
pub mod wordpiece;

pub use bert::Bert;
#[cfg(feature = "onnx")]
pub use onnx::Onnx;
pub use static_encoder::{Origin, StaticEncoder, Table};
pub use wordpiece::{TokenId, WordPiece};

/// The bundled encoder's name.
pub const BUNDLED: &str = "static";

/// What a text is for. Some encoders put another prefix before each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It asks.
    Query,
    /// It is to be found.
    Passage,
}

/// Gives texts places in one space, where near means alike.
pub trait Embed: Send + Sync {
    /// One vector of unit length and of [`Card::dimension`] numbers for each text, in order. Any
    /// text has one, the empty text too; what exceeds the encoder's window is not read.
    ///
    /// # Errors
    /// When the encoder fails; never because of what a text says.
    fn embed(&self, role: Role, texts: &[&str]) -> Result<Vec<Vec<f32>>>;

    /// Who it is.
    fn card(&self) -> &Card;
}

/// Who an encoder is: vectors of two encoders may be compared if and only if fingerprints are equal.
#[derive(Clone, Debug, PartialEq)]
pub struct Card {
    /// What people call it.
    pub name: String,
    /// Hash of all that decides its vectors, in hexadecimal.
    pub fingerprint: String,
    /// Numbers in a vector.
    pub dimension: usize,
    /// How token vectors become one.
    pub pooling: String,
    /// Put before a query by the encoder itself.
    pub query_prefix: String,
    /// Put before a passage by the encoder itself.
    pub passage_prefix: String,
    /// The vector arm's share in min-max fusion, tuned away from the test sets.
    pub weight: f64,
}

impl From<&Card> for EncoderCard {
    fn from(card: &Card) -> Self {
        Self {
            name: card.name.clone(),
            fingerprint: card.fingerprint.clone(),
            dimension: card.dimension,
            pooling: card.pooling.clone(),
            query_prefix: card.query_prefix.clone(),
            passage_prefix: card.passage_prefix.clone(),
        }
    }
}

/// The encoder that comes with the project: opens in milliseconds, needs no download.
///
/// # Errors
/// [`Error::Encoder`] if the build embedded a damaged file.
pub fn bundled() -> Result<StaticEncoder> {
    let bytes: &[u8] = include_bytes!("../assets/static-encoder.bin");
    StaticEncoder::from_bytes(bytes.into(), Path::new(BUNDLED))
}

/// Opens the encoder called `name`: [`BUNDLED`]; the file of a fitted static encoder, or a folder
/// with one; a folder in the Hugging Face BERT layout; with feature `onnx`, a folder with an ONNX
/// model and its tokenizer.
///
/// # Errors
/// [`Error::Encoder`] when there is no encoder at `name` or its files cannot be used, [`Error::Nn`]
/// when the tensor layer refuses them.
pub fn open(name: &str) -> Result<Arc<dyn Embed>> {
    if name == BUNDLED {
        return Ok(Arc::new(bundled()?));
    }
    let path = Path::new(name);
    if path.is_file() {
        return Ok(Arc::new(StaticEncoder::open(path)?));
    }
    let file = path.join("static-encoder.bin");
    if file.is_file() {
        return Ok(Arc::new(StaticEncoder::open(&file)?));
    }
    if path.join("config.json").is_file() && has_safetensors(path) {
        return Ok(Arc::new(Bert::open(path)?));
    }
    open_onnx(path)
}

#[cfg(feature = "onnx")]
fn open_onnx(path: &Path) -> Result<Arc<dyn Embed>> {
    match Onnx::model_in(path) {
        Some(_) => Ok(Arc::new(Onnx::open(path)?)),
        None => Err(no_encoder(path)),
    }
}

#[cfg(not(feature = "onnx"))]
fn open_onnx(path: &Path) -> Result<Arc<dyn Embed>> {
    let onnx = [path.join("model.onnx"), path.join("onnx/model.onnx")];
    if onnx.iter().any(|file| file.is_file()) {
        let reason = "holds an ONNX model: build with `cargo build --release --features onnx`".to_owned();
        return Err(Error::Encoder { path: path.into(), reason });
    }
    Err(no_encoder(path))
}

fn has_safetensors(folder: &Path) -> bool {
    ["model.safetensors", "model.safetensors.index.json"].iter().any(|file| folder.join(file).is_file())
}

fn no_encoder(path: &Path) -> Error {
    let reason = format!(
        "is no encoder: pass `{BUNDLED}`, a file written by `anamnesis encoder fit`, or a folder with config.json, \
         tokenizer.json and model.safetensors"
    );
    Error::Encoder { path: path.into(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundled_encoder_opens_and_names_itself() {
        let encoder = open(BUNDLED).unwrap();
        let card = encoder.card();
        assert_eq!((card.name.as_str(), card.dimension, card.fingerprint.len()), (BUNDLED, 256, 64));
        assert!(include_bytes!("../assets/static-encoder.bin").len() <= 9_000_000);
    }

    #[test]
    fn the_bundled_encoder_knows_what_is_alike() {
        let texts = ["heart attack", "myocardial infarction", "knee replacement surgery", "acute coronary syndrome"];
        let vectors = bundled().unwrap().embed(Role::Query, &texts).unwrap();
        let near = |a: usize, b: usize| vectors[a].iter().zip(&vectors[b]).map(|(x, y)| x * y).sum::<f32>();
        assert!(near(0, 1) > near(0, 2) + 0.1, "{} {}", near(0, 1), near(0, 2));
        assert!(near(1, 3) > near(1, 2) + 0.1, "{} {}", near(1, 3), near(1, 2));
    }

    #[test]
    fn a_name_tells_more_than_a_common_word_and_is_like_what_means_the_same() {
        let encoder = bundled().unwrap();
        let length = |word: &str| encoder.word(word).iter().map(|x| x * x).sum::<f32>().sqrt();
        let cosine = |one: &str, other: &str| {
            let product: f32 =
                encoder.word(one).iter().zip(encoder.word(other)).map(|(left, right)| left * right).sum();
            product / (length(one) * length(other))
        };
        for (name, common) in [("warfarin", "usually"), ("osteoporosis", "patients"), ("spirometry", "recommended")] {
            assert!(length(name) > 2.0 * length(common), "{name} {}, {common} {}", length(name), length(common));
        }
        assert!(cosine("kidney", "renal") > 0.8 && cosine("warfarin", "apixaban") < 0.4);
        assert!(encoder.word("").iter().all(|x| *x == 0.0));
    }

    #[test]
    fn what_is_no_encoder_says_what_would_be() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().to_owned(), folder.path().join("missing")] {
            let error = open(path.to_str().unwrap()).err().unwrap().to_string();
            assert!(error.contains("is no encoder: pass `static`"), "{error}");
        }
    }
}
