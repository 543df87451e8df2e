//! What tokens are credited with.

use super::*;
use crate::Sample;
use crate::learner::Scored;
use crate::objective::Mask;

fn config(share: Option<f64>) -> GrpoConfig {
    let mask = Mask { top_entropy: share, ..Mask::default() };
    GrpoConfig { mask, ..GrpoConfig::default() }
}

#[test]
fn only_tokens_of_doubt_are_credited_where_that_is_asked_for() {
    let (sample, sampled) = (Sample::default(), vec![-1.0; 3]);
    let episode = |advantage: f64, entropies: [f32; 3]| Credited {
        sample: &sample,
        sampler: &sampled,
        worth: 0.0,
        before: Scored { entropies: entropies.to_vec(), ..Scored::default() },
        reference: Vec::new(),
        advantages: vec![advantage; 3],
        returns: Vec::new(),
    };
    let credited = |share: Option<f64>| {
        let mut episodes = vec![episode(1.0, [0.1, 2.0, 0.3]), episode(-2.0, [1.0, 0.3, 0.2])];
        let metrics = credit(&config(share), &mut episodes);
        (episodes.into_iter().flat_map(|episode| episode.advantages).collect::<Vec<_>>(), metrics.get("entropy_kept"))
    };
    assert_eq!(credited(None), (vec![1.0, 1.0, 1.0, -2.0, -2.0, -2.0], None));
    assert_eq!(credited(Some(1.0)).0, credited(None).0);
    assert_eq!(credited(Some(0.3)), (vec![0.0, 1.0, 0.0, -2.0, 0.0, 0.0], Some(2.0 / 6.0)));
    // Equal doubts stay together.
    assert_eq!(credited(Some(0.5)), (vec![0.0, 1.0, 1.0, -2.0, -2.0, 0.0], Some(4.0 / 6.0)));
    assert_eq!(credited(Some(1e-9)).1, Some(1.0 / 6.0));
    assert_eq!(credit(&config(Some(0.5)), &mut []).iter().count(), 0);
}
