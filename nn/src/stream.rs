//! [`Stream`]: random numbers by their place, not by their order.
//!
//! A number is a function of (seed, step, prompt, sample, position) and of nothing else, so a
//! sequence draws the same numbers whatever else is in its batch, on whichever thread, before or
//! after an interruption. The function is Philox4x32 with ten rounds (Salmon et al., Parallel random
//! numbers: as easy as 1, 2, 3, SC11): the seed is its key, the rest its counter.

use serde::{Deserialize, Serialize};

/// The random numbers of one sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stream {
    /// Seed of the run or of the request.
    pub seed: u64,
    /// Optimiser step, or zero.
    pub step: u32,
    /// Which prompt of the step.
    pub prompt: u32,
    /// Which of the samples of one prompt.
    pub sample: u32,
}

impl Stream {
    /// 128 random bits for one position.
    pub fn words(&self, position: u32) -> [u32; 4] {
        philox([position, self.sample, self.prompt, self.step], [self.seed as u32, (self.seed >> 32) as u32])
    }

    /// A number in [0, 1) for one position, in steps of 2^-53.
    pub fn uniform(&self, position: u32) -> f64 {
        let [low, high, ..] = self.words(position);
        let bits = (u64::from(high) << 32 | u64::from(low)) >> 11;
        bits as f64 / (1_u64 << 53) as f64
    }
}

fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let first = u64::from(counter[0]) * 0xd251_1f53;
        let second = u64::from(counter[2]) * 0xcd9e_8d57;
        counter = [
            (second >> 32) as u32 ^ counter[1] ^ key[0],
            second as u32,
            (first >> 32) as u32 ^ counter[3] ^ key[1],
            first as u32,
        ];
        key = [key[0].wrapping_add(0x9e37_79b9), key[1].wrapping_add(0xbb67_ae85)];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers published with the paper's code.
    #[test]
    fn philox_gives_the_published_numbers() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            philox([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn every_part_of_the_place_matters() {
        let base = Stream { seed: 1, step: 2, prompt: 3, sample: 4 };
        let others = [
            Stream { seed: 2, ..base },
            Stream { seed: 1 | 1 << 32, ..base },
            Stream { step: 3, ..base },
            Stream { prompt: 4, ..base },
            Stream { sample: 5, ..base },
        ];
        for other in others {
            assert_ne!(base.words(7), other.words(7));
        }
        assert_ne!(base.words(7), base.words(8));
    }

    #[test]
    fn uniform_numbers_fill_the_unit_interval_evenly() {
        let stream = Stream { seed: 9, ..Stream::default() };
        let mut counts = [0_u32; 50];
        for position in 0..100_000 {
            let number = stream.uniform(position);
            assert!((0.0..1.0).contains(&number));
            counts[(number * 50.0) as usize] += 1;
        }
        let expected = 100_000.0 / 50.0;
        let chi: f64 = counts.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum();
        assert!(chi < 85.4, "chi-square {chi} with 49 degrees of freedom has p < 0.001");
    }
}
