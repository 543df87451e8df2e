//! Decoder folders that do not hold together: each refused with the file and the tensor at fault, none
//! with a panic or with more memory than its own size bears out.

mod decoders;
#[path = "decoders/peak.rs"]
mod peak;

use std::fs;
use std::num::NonZero;
use std::path::Path;
use std::time::{Duration, Instant};

use decoders::fixture;
use nn::{Adapter, Batch, Decoder, Device, Error, KvCache, Pass, Stream, Wanted};
use tempfile::TempDir;

#[global_allocator]
static ALLOCATOR: peak::Peak = peak::Peak;

/// More than any of these models takes, far less than a size that a file made up.
const MOST: usize = 16 << 20;

fn copy(family: &str) -> TempDir {
    let home = tempfile::tempdir().expect("a temporary folder");
    for entry in fs::read_dir(fixture(family)).expect("a committed model") {
        let path = entry.expect("a readable folder").path();
        fs::copy(&path, home.path().join(path.file_name().expect("a file"))).expect("a writable copy");
    }
    home
}

fn open(folder: &Path) -> Result<Decoder, Error> {
    let device = Device::Cpu { threads: NonZero::<usize>::MIN };
    let (result, peak) = peak::of(|| Decoder::load(folder, device));
    assert!(peak < MOST, "opening took {peak} bytes");
    result
}

/// Replaces `from` by `to` in a file of the model; the message must name the file and `expect`.
#[track_caller]
fn refused(family: &str, file: &str, from: &str, to: &str, blamed: &str, expect: &str) {
    let home = copy(family);
    let path = home.path().join(file);
    let bytes = fs::read(&path).expect("a copied file");
    let place = bytes.windows(from.len()).position(|window| window == from.as_bytes()).expect("what is replaced");
    let changed = [&bytes[..place], to.as_bytes(), &bytes[place + from.len()..]].concat();
    fs::write(&path, changed).expect("a writable copy");
    let message = open(home.path()).expect_err("a damaged model").to_string();
    assert!(message.contains(blamed) && message.contains(expect), "{message}");
}

#[test]
fn weights_that_do_not_fit_the_config_are_refused() {
    let weights = |from: &str, to: &str, expect: &str| {
        refused("llama", "config.json", from, to, "model.safetensors", expect);
    };
    weights("\"vocab_size\": 128", "\"vocab_size\": 4000000", "`model.embed_tokens.weight`: has shape [128, 32]");
    weights(
        "\"num_hidden_layers\": 2",
        "\"num_hidden_layers\": 3",
        "`model.layers.2.input_layernorm.weight`: is missing",
    );
    weights("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1000", "`model.layers.2.input_layernorm.weight`");
    weights("\"intermediate_size\": 40", "\"intermediate_size\": 500000", "`model.layers.0.mlp.gate_proj.weight`");
    weights("\"head_dim\": 8", "\"head_dim\": 10", "`model.layers.0.self_attn.q_proj.weight`");
    weights("\"num_key_value_heads\": 2", "\"num_key_value_heads\": 1", "`model.layers.0.self_attn.k_proj.weight`");
    let tied = "`model.embed_tokens.weight`";
    refused("qwen2", "config.json", "\"hidden_size\": 32", "\"hidden_size\": 64", "model.safetensors", tied);
    let biases = "`model.layers.0.self_attn.q_proj.bias`: is missing";
    refused(
        "llama",
        "config.json",
        "\"attention_bias\": false",
        "\"attention_bias\": true",
        "model.safetensors",
        biases,
    );
    let untied = ("\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false");
    refused("qwen2", "config.json", untied.0, untied.1, "model.safetensors", "`lm_head.weight`: is missing");
}

#[test]
fn other_architectures_are_refused() {
    let known = "expected one of llama, mistral, qwen2, qwen3";
    refused("llama", "config.json", "\"llama\"", "\"gemma\"", "config.json", known);
    let message = open(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tiny"))).unwrap_err().to_string();
    assert!(message.contains("`bert`") && message.contains(known), "{message}");
    assert!(open(Path::new("nowhere")).unwrap_err().to_string().contains("config.json: is missing"));
}

#[test]
fn headers_that_lie_are_refused_by_tensor() {
    let file = "model.safetensors";
    let header = |from: &str, to: &str, expect: &str| refused("llama", file, from, to, file, expect);
    header("layers.1.mlp.up_proj", "layers.1.mlp.op_proj", "`model.layers.1.mlp.up_proj.weight`: is missing");
    header("[128,32]", "[128,33]", "cannot have 16384 bytes");
    header("[128,32]", "[999999]", "cannot have 16384 bytes");
    header("\"F32\"", "\"I32\"", "has type I32, expected F32, F16 or BF16");
    header("\"data_offsets\":[0,", "\"data_offsets\":[9,", "cannot have");
    let home = copy("llama");
    let path = home.path().join(file);
    let bytes = fs::read(&path).unwrap();
    for (length, expect) in [(u64::MAX, "claims"), (1 << 40, "claims"), (bytes.len() as u64, "claims"), (7, "`header`")]
    {
        fs::write(&path, [&length.to_le_bytes(), &bytes[8..]].concat()).unwrap();
        let message = open(home.path()).unwrap_err().to_string();
        assert!(message.contains(file) && message.contains(expect), "{message}");
    }
    for length in [0, 7, 8, 500, bytes.len() / 2, bytes.len() - 1] {
        fs::write(&path, &bytes[..length]).unwrap();
        assert!(matches!(open(home.path()), Err(Error::Weights { .. })), "{length} bytes");
    }
    fs::remove_file(&path).unwrap();
    assert!(open(home.path()).unwrap_err().to_string().contains(file));
}

#[test]
fn values_that_are_not_finite_are_refused() {
    for (family, not_finite) in [
        ("llama", &f32::NAN.to_le_bytes()[..]),
        ("llama", &f32::NEG_INFINITY.to_le_bytes()),
        ("qwen3", &[0x80, 0x7f]),
        ("qwen2_window", &[0x00, 0xfc]),
    ] {
        let home = copy(family);
        let path = home.path().join("model.safetensors");
        let mut bytes = fs::read(&path).unwrap();
        let end = bytes.len() - 64;
        bytes[end..end + not_finite.len()].copy_from_slice(not_finite);
        fs::write(&path, bytes).unwrap();
        let message = open(home.path()).unwrap_err().to_string();
        assert!(message.contains("model.safetensors: tensor `") && message.contains("not finite"), "{message}");
    }
}

#[test]
fn a_decoder_without_the_prefix_and_in_shards_is_read() {
    let home = copy("qwen2");
    let path = home.path().join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = String::from_utf8(bytes[8..8 + length].to_vec()).unwrap().replace("\"model.", "\"");
    let changed = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &bytes[8 + length..]].concat();
    fs::remove_file(&path).unwrap();
    fs::write(home.path().join("a.safetensors"), changed).unwrap();
    let index = home.path().join("model.safetensors.index.json");
    fs::write(&index, r#"{"weight_map":{"norm.weight":"a.safetensors"}}"#).unwrap();
    let ids = decoders::expected("qwen2").ids;
    let logits = |decoder: &Decoder| decoders::Run::new(decoder, 3).step(&ids, 0, &[0, 1, 2], Wanted::Last);
    assert_eq!(logits(&open(home.path()).unwrap()), logits(&decoders::load("qwen2")));
    fs::write(&index, r#"{"weight_map":{"norm.weight":"../a.safetensors"}}"#).unwrap();
    assert!(open(home.path()).unwrap_err().to_string().contains("no plain file name"));
}

/// Bytes of a file with a few changes: flips, cuts, numbers made large, pieces moved.
fn mutate(bytes: &mut Vec<u8>, draws: &Stream, most: usize) {
    let mut place = 0;
    let mut draw = |below: usize| {
        place += 1;
        (draws.uniform(place) * below.max(1) as f64) as usize
    };
    for _ in 0..=draw(3) {
        let reach = bytes.len().min(most);
        let at = draw(reach);
        match draw(6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << draw(8),
            1 if at < bytes.len() => bytes[at] = draw(256) as u8,
            2 => bytes.truncate(at),
            3 => {
                // A digit becomes many.
                let digit = (at..reach).find(|at| bytes[*at].is_ascii_digit());
                if let Some(digit) = digit {
                    let number = ["0", "-1", "1e400", "99", "4294967296", "18446744073709551615"][draw(6)];
                    bytes.splice(digit..=digit, number.bytes());
                }
            }
            4 => {
                let from = draw(reach);
                let piece = bytes[from..(from + draw(40)).min(reach)].to_vec();
                bytes.splice(at..at, piece);
            }
            _ => {
                bytes.drain(at..(at + draw(20)).min(reach));
            }
        }
    }
}

/// Whatever happens to a model's files, opening ends in a model that computes or in a fault. Runs for
/// `ANAMNESIS_FUZZ_SECONDS`, by default for three.
#[test]
fn no_damage_makes_it_panic() {
    let seconds = std::env::var("ANAMNESIS_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    let until = Instant::now() + Duration::from_secs(seconds);
    let families = ["llama", "qwen3", "qwen2_window"];
    let homes = families.map(copy);
    let adapter = copy("llama_lora");
    let (mut cases, mut sound) = (0_u32, 0_u32);
    while Instant::now() < until {
        let draws = Stream { seed: 1, sample: cases, ..Stream::default() };
        let family = cases as usize % 3;
        let (folder, file) = match cases / 3 % 5 {
            0 | 1 => (homes[family].path(), "model.safetensors"),
            2 => (homes[family].path(), "config.json"),
            3 => (adapter.path(), "adapter_model.safetensors"),
            _ => (adapter.path(), "adapter_config.json"),
        };
        let original = fs::read(folder.join(file)).expect("a copied file");
        let mut bytes = original.clone();
        mutate(&mut bytes, &draws, 3000);
        fs::write(folder.join(file), &bytes).expect("a writable copy");
        let is_sound = if folder == adapter.path() {
            let (adapter, peak) = peak::of(|| Adapter::open(folder));
            assert!(peak < MOST, "case {cases}: an adapter took {peak} bytes");
            let mut decoder = open(&fixture("llama")).expect("a committed model");
            adapter.and_then(|adapter| decoder.set_adapter(Some(adapter))).and_then(|()| run(&decoder)).is_ok()
        } else {
            open(folder).and_then(|decoder| run(&decoder)).is_ok()
        };
        sound += u32::from(is_sound);
        fs::write(folder.join(file), &original).expect("a writable copy");
        cases += 1;
    }
    assert!(cases > 20 && sound < cases, "{cases} cases, {sound} of them sound");
}

fn run(decoder: &Decoder) -> Result<(), Error> {
    let mut cache = KvCache::new(decoder, 2)?;
    let mut batch = Batch::default();
    batch.push(&[1, 2, 3], 0, &[0, 1], Wanted::All);
    let logits = decoder.forward(&batch, Pass::Infer(&mut cache))?.to_vec()?;
    assert_eq!(logits.len(), 3 * decoder.config().vocab_size);
    Ok(())
}
