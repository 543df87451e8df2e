//! Damaged files: each a fault that names the file and the tensor.

use std::fs;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tiny/model.safetensors");

fn folder(bytes: &[u8]) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("model.safetensors"), bytes).unwrap();
    home
}

fn file(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

/// Opens a file of this header and `data` zero bytes; the message of the fault.
#[track_caller]
fn refused(header: &str, data: usize, expect: &str) {
    let home = folder(&file(header, data));
    let message = Weights::open(home.path()).unwrap_err().to_string();
    assert!(message.contains("model.safetensors") && message.contains(expect), "{message}");
}

#[test]
fn headers_that_lie_are_refused_by_tensor() {
    let tensor = |start: usize, end: usize, shape: &str| {
        format!(r#"{{"dtype":"F32","shape":{shape},"data_offsets":[{start},{end}]}}"#)
    };
    refused(&format!(r#"{{"a":{}}}"#, tensor(0, 16, "[2,2]")), 8, "`a`: bytes 0..16 lie outside the 8");
    refused(&format!(r#"{{"a":{}}}"#, tensor(8, 0, "[2]")), 8, "`a`: bytes 8..0");
    refused(&format!(r#"{{"a":{}}}"#, tensor(0, 8, "[3]")), 8, "`a`: F32 of [3] cannot have 8 bytes");
    let huge = "[4294967296,4294967296,4294967296]";
    refused(&format!(r#"{{"a":{}}}"#, tensor(0, 8, huge)), 8, "`a`: F32 of");
    let overlap = format!(r#"{{"a":{},"b":{}}}"#, tensor(0, 8, "[2]"), tensor(4, 12, "[2]"));
    refused(&overlap, 12, "`b`: shares bytes with `a`");
    refused(r#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, 4, "`a`");
    refused(r#"{"a":7}"#, 4, "`a`");
    refused("[]", 0, "`header`");
    refused("{", 0, "`header`");
}

#[test]
fn lengths_that_lie_are_refused() {
    for (bytes, expect) in [
        (vec![], "only 0 bytes"),
        (vec![1, 2, 3], "only 3 bytes"),
        (u64::MAX.to_le_bytes().to_vec(), "claims 18446744073709551615 bytes"),
        (file("{}", 0)[..9].to_vec(), "claims 2 bytes of a file of 9"),
    ] {
        let message = Weights::open(folder(&bytes).path()).unwrap_err().to_string();
        assert!(message.contains("`header`") && message.contains(expect), "{message}");
    }
}

#[test]
fn a_file_cut_short_is_refused() {
    let whole = fs::read(TINY).unwrap();
    for length in [7, 8, 100, whole.len() / 2, whole.len() - 1] {
        let home = folder(&whole[..length]);
        assert!(matches!(Weights::open(home.path()), Err(Error::Weights { .. })), "{length} bytes");
    }
}

#[test]
fn tensors_are_read_with_the_shape_that_is_expected() {
    let header = r#"{"__metadata__":{"format":"pt"},
        "half":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},
        "brain":{"dtype":"BF16","shape":[1,2],"data_offsets":[4,8]},
        "whole":{"dtype":"I64","shape":[1],"data_offsets":[8,16]},
        "none":{"dtype":"F32","shape":[0],"data_offsets":[16,16]},
        "nan":{"dtype":"F32","shape":[1],"data_offsets":[16,20]}}"#;
    let mut bytes = file(header, 0);
    bytes.extend([f16::from_f32(1.5), f16::from_f32(-2.0)].iter().flat_map(|value| value.to_le_bytes()));
    bytes.extend([bf16::from_f32(3.0), bf16::from_f32(0.25)].iter().flat_map(|value| value.to_le_bytes()));
    bytes.extend(1_i64.to_le_bytes());
    bytes.extend(f32::NAN.to_le_bytes());
    let home = folder(&bytes);
    let weights = Weights::open(home.path()).unwrap();
    assert_eq!(weights.floats("half", &[2]).unwrap(), [1.5, -2.0]);
    assert_eq!(weights.get("brain", &[1, 2]).unwrap().to_vec2::<f32>().unwrap(), [[3.0, 0.25]]);
    assert_eq!(weights.floats("none", &[0]).unwrap(), [0.0; 0]);
    assert_eq!(weights.shape("brain"), Some([1, 2].as_slice()));
    for (name, shape, expect) in [
        ("half", vec![1, 2], "has shape [2], expected [1, 2]"),
        ("whole", vec![1], "has type I64"),
        ("nan", vec![1], "not finite"),
        ("lost", vec![1], "is missing"),
    ] {
        let message = weights.floats(name, &shape).unwrap_err().to_string();
        assert!(message.contains(&format!("`{name}`")) && message.contains(expect), "{message}");
    }
}

#[test]
fn shards_are_one_set_of_tensors() {
    let home = tempfile::tempdir().unwrap();
    let one = |name: &str| format!(r#"{{"{name}":{{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}}}"#);
    let write = |name: &str, bytes: &[u8]| fs::write(home.path().join(name), bytes).unwrap();
    let index = "model.safetensors.index.json";
    write("1.safetensors", &file(&one("a"), 4));
    write("2.safetensors", &file(&one("b"), 4));
    write(index, br#"{"weight_map":{"a":"1.safetensors","b":"2.safetensors"}}"#);
    let weights = Weights::open(home.path()).unwrap();
    assert!(weights.contains("a") && weights.floats("b", &[1]).is_ok());

    let check = |text: &str, expect: &str| {
        write(index, text.as_bytes());
        let message = Weights::open(home.path()).unwrap_err().to_string();
        assert!(message.contains(expect), "{message}");
    };
    check(r#"{"weight_map":{"a":"2.safetensors"}}"#, "`a`: listed in the index");
    check(r#"{"weight_map":{"a":"../1.safetensors"}}"#, "is no plain file name");
    check(r#"{"weight_map":{"a":".."}}"#, "is no plain file name");
    check(r#"{"weight_map":{"a":"3.safetensors"}}"#, "3.safetensors");
    check("{}", "weight_map");
    write("2.safetensors", &file(&one("a"), 4));
    check(r#"{"weight_map":{"a":"1.safetensors","b":"2.safetensors"}}"#, "`a`: also stands in another shard");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever happens to the header, opening and reading end in tensors or in a fault.
    #[test]
    fn no_damage_makes_it_panic(flips in prop::collection::vec((0..6000_usize, any::<u8>()), 1..4), cut in 0..200_000_usize) {
        let mut bytes = fs::read(TINY).unwrap();
        for (place, value) in flips {
            bytes[place] = value;
        }
        bytes.truncate(cut.max(1));
        let home = folder(&bytes);
        if let Ok(weights) = Weights::open(home.path()) {
            for name in weights.tensors.keys() {
                let shape = weights.shape(name).unwrap().to_vec();
                if let Ok(values) = weights.floats(name, &shape) {
                    prop_assert_eq!(values.len(), shape.iter().product::<usize>());
                }
            }
        }
    }
}
