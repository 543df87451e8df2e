//! Models found, listed and described; those that are damaged with a word of what is wrong.

use std::ops::ControlFlow;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::bench::Plan;
use super::generate::{Prompt, Settings};
use super::*;

/// A home's models folder with a tiny model called `tiny`.
fn models() -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let models = home.path().join("models");
    init(Shape::Tiny, 1, &place(&models, "tiny"), &mut |_, _| {}).unwrap();
    (home, models)
}

#[test]
fn a_name_is_looked_for_at_home_and_a_path_where_it_points() {
    let (home, models) = models();
    assert_eq!(find(&models, "tiny").unwrap(), models.join("tiny"));
    let path = models.join("tiny");
    assert_eq!(find(home.path(), path.to_str().unwrap()).unwrap(), path);
    assert_eq!(find(&models, "../models/tiny").ok(), None);
    let message = find(&models, "large").unwrap_err().to_string();
    assert!(message.contains("models/large or large") && message.contains("model list"), "{message}");
    let message = find(&models, "./tiny").unwrap_err().to_string();
    assert!(message.contains("at ./tiny:"), "{message}");
}

#[test]
fn new_models_belong_home_unless_they_have_a_path() {
    let models = Path::new("/home/models");
    assert_eq!(place(models, "tiny"), models.join("tiny"));
    assert_eq!(place(models, "a.b-0.5"), models.join("a.b-0.5"));
    for path in ["./tiny", "a/b", "/a", "..", ".", "tiny/"] {
        assert_eq!(place(models, path), Path::new(path));
    }
}

#[test]
fn a_card_says_what_a_folder_holds() {
    let (_home, models) = models();
    let dir = models.join("tiny");
    let adapter = dir.join("adapter");
    fs::create_dir(&adapter).unwrap();
    fs::write(adapter.join("adapter_config.json"), r#"{"r":8,"lora_alpha":16,"peft_type":"LORA"}"#).unwrap();
    let card = Card::read(&dir).unwrap();
    assert_eq!((card.name.as_str(), card.family, card.dtype.as_str()), ("tiny", "llama", "f32"));
    assert_eq!((card.parameters, card.context, card.vocabulary, card.tokens), (164_160, 8192, 512, 512));
    // At least two layers of keys and values, two heads of sixteen f32; kernels may want room besides.
    assert!((512..=1024).contains(&card.kv_bytes_per_token), "{card:?}");
    assert!(card.chat_template && card.bytes > 164_160 * 4, "{card:?}");
    assert_eq!(card.adapters, [AdapterCard { path: adapter.clone(), rank: 8, alpha: 16.0 }]);
    assert!(Card::read(&adapter).unwrap_err().to_string().contains("--adapter"));
}

#[test]
fn a_list_holds_decoders_and_tells_of_damage() {
    let (_home, models) = models();
    assert!(list(&models.join("none")).unwrap().is_empty());
    for (name, config) in [("encoder", r#"{"model_type":"bert"}"#), (".half.partial", "{}"), ("broken", "{")] {
        fs::create_dir(models.join(name)).unwrap();
        fs::write(models.join(name).join("config.json"), config).unwrap();
    }
    fs::create_dir(models.join("empty")).unwrap();
    fs::write(models.join("file"), "").unwrap();
    let listed = list(&models).unwrap();
    let names: Vec<_> = listed.iter().map(|(name, card)| (name.as_str(), card.is_ok())).collect();
    assert_eq!(names, [(".half.partial", false), ("broken", false), ("tiny", true)]);
    let message = listed[0].1.as_ref().unwrap_err().to_string();
    assert!(message.contains("killed") && message.contains("model init half"), "{message}");
    assert!(is_language_model(&models.join("tiny")) && !is_language_model(&models.join("encoder")));
    let message = listed[1].1.as_ref().unwrap_err().to_string();
    assert!(message.contains("broken/config.json"), "{message}");
}

#[test]
fn a_damaged_folder_is_told_by_file() {
    let (_home, models) = models();
    let dir = models.join("tiny");
    let whole = fs::read(dir.join("model.safetensors")).unwrap();
    fs::write(dir.join("model.safetensors"), &whole[..whole.len() - 1]).unwrap();
    let message = Card::read(&dir).unwrap_err().to_string();
    assert!(message.contains("model.safetensors"), "{message}");
    fs::write(dir.join("model.safetensors"), whole).unwrap();

    let config = fs::read_to_string(dir.join("config.json")).unwrap();
    fs::write(dir.join("config.json"), config.replace("\"vocab_size\": 512", "\"vocab_size\": 500")).unwrap();
    let message = Card::read(&dir).unwrap_err().to_string();
    assert!(message.contains("tokenizer.json") && message.contains("500 rows"), "{message}");
    fs::write(dir.join("config.json"), config.replace("\"llama\"", "\"mamba\"")).unwrap();
    let message = Card::read(&dir).unwrap_err().to_string();
    assert!(message.contains("config.json") && message.contains("`mamba`"), "{message}");
}

#[test]
fn devices_have_names() {
    assert_eq!(device("cpu", None).unwrap(), Device::cpu());
    assert_eq!(device("cpu", NonZero::new(3)).unwrap(), Device::Cpu { threads: NonZero::new(3).unwrap() });
    for name in ["gpu", "cuda:", "cuda:x", "cuda:-1", "CPU", ""] {
        let message = device(name, None).unwrap_err().to_string();
        assert!(message.contains("is no device: cpu, cuda or cuda:N"), "{message}");
    }
    if !cfg!(feature = "cuda") {
        let message = device("cuda:0", None).unwrap_err().to_string();
        assert!(message.contains("--features cuda"), "{message}");
    }
}

/// The time as tests need it.
fn clock() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

fn open(dir: &Path) -> Model {
    Model::open(dir, Device::cpu(), None).unwrap()
}

fn settings(max_tokens: usize, temperature: f32, seed: u64) -> Settings {
    Settings { max_tokens, sampling: Sampling { temperature, ..Sampling::default() }, seed }
}

#[test]
fn the_same_prompt_goes_on_the_same_way() {
    let (_home, models) = models();
    let dir = models.join("tiny");
    let prompt = Prompt::Text("<|im_start|>user\nWhat is β-thalassaemia?<|im_end|>\n".to_owned());
    let mut pieces = String::new();
    let first = generate(open(&dir), &prompt, &settings(40, 1.0, 7), clock, &mut |text| {
        pieces.push_str(text);
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!((pieces, first.ids.len()), (first.text.clone(), first.logprobs.len()));
    assert_eq!(first.prompt_ids[0], 1);
    assert!(first.logprobs.iter().all(|logprob| *logprob < 0.0 && *logprob > -20.0), "{:?}", first.logprobs);

    let go_on = |prompt: &Prompt, settings| {
        generate(open(&dir), prompt, &settings, clock, &mut |_| ControlFlow::Continue(())).unwrap()
    };
    let ids = Prompt::Ids(first.prompt_ids.clone());
    let second = go_on(&ids, settings(40, 1.0, 7));
    assert_eq!((&second.ids, &second.logprobs, &second.text), (&first.ids, &first.logprobs, &first.text));
    assert_ne!(go_on(&ids, settings(40, 1.0, 8)).ids, first.ids);
    let greedy = go_on(&ids, settings(12, 0.0, 1));
    assert_eq!(greedy.ids, go_on(&ids, settings(12, 0.0, 2)).ids);
    assert!(greedy.logprobs.iter().all(|logprob| *logprob <= 0.0));
    assert!(greedy.ids.len() <= 12 && greedy.total_s >= greedy.first_token_s);
}

#[test]
fn nobody_listening_ends_it() {
    let (_home, models) = models();
    let prompt = Prompt::Ids(vec![70; 5]);
    let generated =
        generate(open(&models.join("tiny")), &prompt, &settings(5_000, 1.0, 7), clock, &mut |_| ControlFlow::Break(()))
            .unwrap();
    assert!(generated.ids.len() < 100 && generated.finish == "stop", "{generated:?}");
}

#[test]
fn prompts_that_cannot_be_are_refused() {
    let (_home, models) = models();
    let refuse = |prompt: Prompt, settings: Settings| {
        let model = open(&models.join("tiny"));
        generate(model, &prompt, &settings, clock, &mut |_| ControlFlow::Continue(())).unwrap_err().to_string()
    };
    for (prompt, expect) in [
        (Prompt::Text(String::new()), "the prompt is empty"),
        (Prompt::Ids(Vec::new()), "the prompt is empty"),
        (Prompt::Ids(vec![3, 512]), "id 512 of the prompt is beyond the 512"),
        (Prompt::Ids(vec![3; 8192]), "8193 tokens are more than the 8192"),
    ] {
        let message = refuse(prompt, settings(8, 0.0, 0));
        assert!(message.contains(expect), "{message}");
    }
    let message = refuse(Prompt::Ids(vec![3]), settings(8, -1.0, 0));
    assert!(message.contains("temperature"), "{message}");
}

#[test]
fn the_last_position_ends_it() {
    let (_home, models) = models();
    let dir = models.join("tiny");
    let config = fs::read_to_string(dir.join("config.json")).unwrap();
    fs::write(dir.join("config.json"), config.replace("8192", "40")).unwrap();
    let prompt = Prompt::Ids((10..45).collect());
    let far = settings(usize::MAX, 0.0, 0);
    let generated = generate(open(&dir), &prompt, &far, clock, &mut |_| ControlFlow::Continue(())).unwrap();
    assert!(generated.ids.len() <= 5, "{generated:?}");
    assert!(generated.ids.len() == 5 && generated.finish == "length" || generated.finish == "end_of_sequence");
}

#[test]
fn a_bench_has_a_row_a_batch() {
    let (_home, models) = models();
    let plan = Plan { batches: vec![1, 3], prompt_tokens: 40, new_tokens: 6 };
    let mut told = Vec::new();
    let report = bench(open(&models.join("tiny")), &plan, clock, &mut |batch| told.push(batch)).unwrap();
    assert_eq!(told, [1, 3]);
    assert_eq!(report.rows.iter().map(|row| row.batch).collect::<Vec<_>>(), [1, 3]);
    for row in &report.rows {
        for rate in [row.prefill_tokens_per_s, row.decode_tokens_per_s, row.prefill_share_of_matmul] {
            assert!(rate.is_finite() && rate > 0.0, "{row:?}");
        }
    }
    assert!(report.memory.weights >= 163_840 * 4 && report.memory.kv >= 3 * 47 * 512, "{:?}", report.memory);
    assert!(serde_json::to_string(&report).is_ok());

    for (batches, prompt_tokens, expect) in
        [(vec![], 8, "at least one"), (vec![0], 8, "at least one"), (vec![1], 8186, "8193 tokens")]
    {
        let plan = Plan { batches, prompt_tokens, new_tokens: 6 };
        let message = bench(open(&models.join("tiny")), &plan, clock, &mut |_| {}).unwrap_err().to_string();
        assert!(message.contains(expect), "{message}");
    }
    if cfg!(target_os = "linux") {
        let plan = Plan { batches: vec![1 << 40], prompt_tokens: 1, new_tokens: 1 };
        let message = bench(open(&models.join("tiny")), &plan, clock, &mut |_| {}).unwrap_err().to_string();
        assert!(message.contains("fewer or shorter"), "{message}");
    }
}

#[test]
fn an_adapter_changes_what_is_written() {
    let (_home, models) = models();
    let (dir, adapter) = (models.join("tiny"), models.join("tiny/adapter"));
    let targets = nn::Target::ALL;
    nn::Adapter::new(open(&dir).config(), 4, 8.0, &targets, 1).unwrap().save(&adapter).unwrap();
    let written = |adapter: Option<&Path>| {
        let model = Model::open(&dir, Device::cpu(), adapter).unwrap();
        let prompt = Prompt::Ids((20..60).collect());
        generate(model, &prompt, &settings(16, 0.0, 0), clock, &mut |_| ControlFlow::Continue(())).unwrap().logprobs
    };
    // A new adapter adds nothing.
    assert_eq!(written(Some(&adapter)), written(None));
    let file = adapter.join("adapter_model.safetensors");
    let mut bytes = fs::read(&file).unwrap();
    let header = u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
    for (at, place) in bytes[8 + header..].as_chunks_mut().0.iter_mut().enumerate() {
        *place = ((at % 7) as f32 * 0.01 - 0.03_f32).to_le_bytes();
    }
    fs::write(&file, bytes).unwrap();
    assert_ne!(written(Some(&adapter)), written(None));
    assert_eq!(Card::read(&dir).unwrap().adapters[0].rank, 4);

    let small = models.join("small");
    init(Shape::Small, 0, &small, &mut |_, _| {}).unwrap();
    let message = Model::open(&small, Device::cpu(), Some(&adapter)).unwrap_err().to_string();
    assert!(message.contains("layers.0.self_attn.q_proj"), "{message}");
}
