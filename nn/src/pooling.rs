//! [`Pooling`]: from the rows of a sequence to one vector of length one.

use std::path::Path;

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use crate::error::read_json;
use crate::ops::tensor::pool;
use crate::{EncoderPass, Error, Result};

/// Which rows of a sequence make its vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// The mean of all tokens, special ones included.
    #[default]
    Mean,
    /// The first token.
    Cls,
}

/// What the sentence-transformers layout writes in `1_Pooling/config.json`.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct File {
    pooling_mode_cls_token: bool,
    pooling_mode_mean_tokens: bool,
    pooling_mode_max_tokens: bool,
    pooling_mode_mean_sqrt_len_tokens: bool,
    pooling_mode_weightedmean_tokens: bool,
    pooling_mode_lasttoken: bool,
}

impl Pooling {
    /// Reads `1_Pooling/config.json` of the model folder `dir`; the mean where there is none.
    ///
    /// # Errors
    /// [`Error::Config`] when the file is damaged or asks for another kind.
    pub fn open(dir: &Path) -> Result<Self> {
        let file = dir.join("1_Pooling").join("config.json");
        let Some(modes) = read_json::<File>(&file)? else {
            return Ok(Self::default());
        };
        let others = modes.pooling_mode_max_tokens
            || modes.pooling_mode_mean_sqrt_len_tokens
            || modes.pooling_mode_weightedmean_tokens
            || modes.pooling_mode_lasttoken;
        match (modes.pooling_mode_mean_tokens, modes.pooling_mode_cls_token, others) {
            (true, false, false) => Ok(Self::Mean),
            (false, true, false) => Ok(Self::Cls),
            _ => {
                Err(Error::Config { file, reason: "asks for a pooling that is neither mean nor cls alone".to_owned() })
            }
        }
    }

    /// The unit vectors of a pass's sequences, (N, D), to build a loss on.
    ///
    /// # Errors
    /// [`Error::Candle`] when candle refuses.
    pub fn vectors(self, pass: &EncoderPass) -> Result<Tensor> {
        Ok(pool(&pass.states, pass.batch().sequences().collect(), self)?)
    }

    /// The unit vector of a sequence from its rows, (L, D). A sequence of no rows gives zeros.
    pub(crate) fn pool(self, rows: &[f32], width: usize) -> Vec<f32> {
        let mut vector = self.sum(rows, width);
        normalise(&mut vector);
        vector
    }

    /// The gradient of each row that made a unit vector, from that of the vector: with s the rows' sum and
    /// y = s / |s|, (g - y (y . g)) / |s|.
    pub(crate) fn slope(self, rows: &[f32], vector: &[f32], g: &[f32]) -> Vec<f32> {
        let length = self.sum(rows, vector.len()).iter().map(|value| value * value).sum::<f32>().sqrt();
        if length == 0.0 {
            return vec![0.0; vector.len()];
        }
        let along: f32 = vector.iter().zip(g).map(|(value, g)| value * g).sum();
        vector.iter().zip(g).map(|(value, g)| (g - value * along) / length).collect()
    }

    /// The most rows of a sequence that make its vector.
    pub(crate) fn rows(self) -> usize {
        match self {
            Self::Mean => usize::MAX,
            Self::Cls => 1,
        }
    }

    fn sum(self, rows: &[f32], width: usize) -> Vec<f32> {
        let mut vector = vec![0.0; width];
        for row in rows.chunks_exact(width).take(self.rows()) {
            for (sum, value) in vector.iter_mut().zip(row) {
                *sum += value;
            }
        }
        vector
    }
}

/// Scales a vector to length one; the zero vector stays as it is.
pub fn normalise(vector: &mut [f32]) {
    let square: f32 = vector.iter().map(|value| value * value).sum();
    if square > 0.0 {
        let scale = 1.0 / square.sqrt();
        for value in vector {
            *value *= scale;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_have_length_one() {
        let rows = [3.0, 0.0, 3.0, 8.0];
        assert_eq!(Pooling::Mean.pool(&rows, 2), [0.6, 0.8]);
        assert_eq!(Pooling::Cls.pool(&rows, 2), [1.0, 0.0]);
        assert_eq!(Pooling::Mean.pool(&[], 2), [0.0, 0.0]);
        assert_eq!(Pooling::Cls.pool(&[], 2), [0.0, 0.0]);
    }

    #[test]
    fn only_mean_and_cls_alone() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(Pooling::open(home.path()).unwrap(), Pooling::Mean);
        let folder = home.path().join("1_Pooling");
        std::fs::create_dir(&folder).unwrap();
        let check = |text: &str| {
            std::fs::write(folder.join("config.json"), text).unwrap();
            Pooling::open(home.path())
        };
        assert_eq!(check(r#"{"pooling_mode_cls_token": true}"#).unwrap(), Pooling::Cls);
        assert_eq!(check(r#"{"pooling_mode_mean_tokens": true}"#).unwrap(), Pooling::Mean);
        let both = r#"{"pooling_mode_mean_tokens": true, "pooling_mode_max_tokens": true}"#;
        for bad in ["{}", both, "[", r#"{"pooling_mode_lasttoken": true}"#] {
            let error = check(bad).unwrap_err().to_string();
            assert!(error.contains("1_Pooling"), "{error}");
        }
    }
}
