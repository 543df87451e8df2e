//! Angles as transformers computes them, for heads of 16.

use super::*;

#[track_caller]
fn check(theta: f64, scaling: &str, positions: usize, amplitude: f32, expected: [f32; 8]) {
    let scaling = serde_json::from_str(scaling).expect("a scaling");
    let rope = Rope::new(Some(theta), scaling, positions).expect("a sound scaling");
    assert!((rope.amplitude() - amplitude).abs() < 1e-6, "{}", rope.amplitude());
    for (found, expected) in rope.frequencies(16).into_iter().zip(expected) {
        assert!((found - expected).abs() <= 2e-7 * expected, "{found}, expected {expected}");
    }
}

#[test]
fn frequencies_are_those_of_transformers() {
    let linear = [0.5, 0.158_113_88, 0.05, 0.015_811_39, 0.005, 0.001_581_138_9, 0.000_5, 0.000_158_113_9];
    check(1e4, r#"{"rope_type":"linear","factor":2.0}"#, 4096, 1.0, linear);
    let llama =
        [1.0, 0.193_922_76, 0.037_606_03, 0.007_292_665, 0.000_524_846, 3.428_102_4e-5, 6.647_869_7e-6, 1.289_173_2e-6];
    let scaling = r#"{"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,
        "original_max_position_embeddings":8192}"#;
    check(5e5, scaling, 131_072, 1.0, llama);
    let yarn = [1.0, 0.177_827_94, 0.031_622_78, 0.004_217_56, 0.000_5, 4.445_698_5e-5, 7.905_694e-6, 1.405_853_4e-6];
    let scaling = r#"{"type":"yarn","factor":4.0,"original_max_position_embeddings":32768}"#;
    check(1e6, scaling, 131_072, 1.138_629_4, yarn);
    let deep = [1.0, 0.316_227_76, 0.1, 0.027_710_859, 0.005_524_062_6, 0.000_722_638_16, 2.5e-5, 7.905_694_5e-6];
    let scaling = r#"{"rope_type":"yarn","factor":40.0,"original_max_position_embeddings":4096,
        "mscale":0.707,"mscale_all_dim":1.0,"truncate":false}"#;
    check(1e4, scaling, 131_072, 0.921_042_4, deep);
}

#[test]
fn angles_are_position_times_frequency() {
    let (mut cos, mut sin) = (vec![7.0; 3], Vec::new());
    angles([0, 3].into_iter(), &[1.0, 0.5], 2.0, &mut cos, &mut sin);
    let expected = [0.0_f32, 0.0, 3.0, 1.5];
    assert_eq!(cos, expected.map(|angle| 2.0 * angle.cos()));
    assert_eq!(sin, expected.map(|angle| 2.0 * angle.sin()));
}
