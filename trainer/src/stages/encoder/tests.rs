//! An encoder that learns what is relevant, goes on to the bit, and is the same however it is batched.

use nn::Device;

use super::*;
use crate::Kind;
use crate::recipe::{Duplicates, Learn, Recipe};
use crate::testing::{Trial, assert_same, copied_after};

const DRUGS: [&str; 6] = ["metformin", "insulin", "aspirin", "glucose", "heart", "renal"];

fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

fn write_file(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A BEIR folder of 36 documents, one for each two drugs, and a query for each; every sixth is held out.
fn fixture() -> Trial {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join("set").join(name);
    let (mut corpus, mut queries, mut train, mut test) = (String::new(), String::new(), String::new(), String::new());
    for number in 0..36 {
        let (first, second) = (DRUGS[number / 6], DRUGS[number % 6]);
        let text = format!("the dose of {first} with {second} is {} mg", number * 3);
        corpus += &(serde_json::json!({ "_id": format!("d{number}"), "title": "", "text": text }).to_string() + "\n");
        let query = format!("{second} and {first} ?");
        queries += &(serde_json::json!({ "_id": format!("q{number}"), "text": query }).to_string() + "\n");
        let judgment = format!("q{number}\td{number}\t1\n");
        if number % 6 == 1 { &mut test } else { &mut train }.push_str(&judgment);
    }
    train += "q0\tgone\t1\n";
    write_file(&path("corpus.jsonl"), &corpus);
    write_file(&path("queries.jsonl"), &queries);
    write_file(&path("qrels/train.tsv"), &train);
    write_file(&path("qrels/test.tsv"), &test);
    let mut recipe = Recipe::parse(Path::new("a.toml"), crate::recipe::TEMPLATE, &[]).unwrap();
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../nn/tests/fixtures/tiny");
    (recipe.model.path, recipe.model.learn) = (model, Learn::All);
    (recipe.data.train, recipe.data.heldout) = (vec![path("qrels/train.tsv")], vec![path("qrels/test.tsv")]);
    recipe.encoder = EncoderSection { epochs: 12, queries: 6, negatives: 1, depth: 5, ..EncoderSection::default() };
    recipe.optimiser.learning_rate = Some(3e-3);
    recipe.optimiser.warmup_steps = 2;
    (recipe.run.evaluate_every, recipe.run.checkpoint_every) = (10, 4);
    Trial { folder, recipe }
}

#[test]
fn what_is_relevant_is_found_better_and_by_whoever_opens_the_folder() {
    let fixture = fixture();
    let state = fixture.run(Kind::Encoder, "run", false).unwrap();
    let out = fixture.out("run");
    let summary = crate::Summary::read(&out).unwrap();
    let ndcg = |phase: &str| summary.heldout[phase]["ndcg@10"];
    assert!(ndcg("after_encoder") > ndcg("before") + 0.1, "{:?}", summary.heldout);
    assert!(summary.is_done && summary.last_loss.unwrap() < 0.7 * summary.first_loss.unwrap(), "{summary:?}");
    // The folder measures as the best step did.
    let mut again = Trial { recipe: fixture.recipe.clone(), folder: tempfile::tempdir().unwrap() };
    again.recipe.model.path = out.join(STAGE);
    again.recipe.encoder.max_steps = Some(1);
    again.run(Kind::Encoder, "run", false).unwrap();
    let measured = crate::Summary::read(&again.out("run")).unwrap().heldout["before"]["ndcg@10"];
    assert!((measured - 1.0 - state.best.unwrap().score).abs() < 1e-9, "{measured} {state:?}");
    let opened = retriever::embed::open(out.join(STAGE).to_str().unwrap()).unwrap();
    assert_eq!(opened.card().dimension, 32);
}

#[test]
fn a_resumed_run_ends_in_the_same_bytes() {
    let mut fixture = fixture();
    fixture.recipe.encoder.epochs = 2;
    let (whole, half) = (fixture.out("whole"), fixture.out("half"));
    let copy_at_six = &mut copied_after(6, &whole, &half);
    let state = encoder(&fixture.plan(), &whole, false, &now, copy_at_six).unwrap();
    assert!(state.step >= 10, "{state:?}");
    assert_eq!(fixture.run(Kind::Encoder, "half", true).unwrap(), state);
    for part in ["checkpoints", STAGE] {
        assert_same(&whole.join(part), &half.join(part));
    }
}

#[test]
fn negatives_are_never_relevant_and_micro_batches_change_nothing() {
    let mut fixture = fixture();
    fixture.recipe.encoder.queries = 20;
    let mut learnt = |micro_tokens: usize| {
        fixture.recipe.encoder.micro_tokens = micro_tokens;
        fixture.recipe.encoder.passage_tokens = 20;
        let plan = fixture.plan();
        let mut model = SentenceEncoder::open(&plan.recipe().model.path, Device::cpu()).unwrap();
        let prepared = Prepared::new(&plan, &fixture.out("prepared"), now()).unwrap();
        assert_eq!(
            (prepared.judged.passages.len(), prepared.judged.lessons.len(), prepared.judged.missing),
            (36, 30, 1)
        );
        for query in &prepared.judged.queries {
            assert!(!query.negatives.is_empty() && query.negatives.len() <= 5);
            let document = |number: &usize| &prepared.judged.passages[*number].document;
            assert!(query.negatives.iter().all(|number| !query.relevant.contains(document(number))));
        }
        let parameters = model.train(nn::Recompute::Off).unwrap();
        let mut gradients = Gradients::new(&parameters);
        let place = Cursor { epoch: 3, pack: 0 };
        let batch = prepared.batch(&model, place).unwrap();
        // A mined passage that is another query's own is excluded where it is relevant, and only there.
        for (query, passage) in &batch.excluded {
            assert!(*query < 20 && *passage < 40 && query != passage);
        }
        let micro = prepared.micro(&batch).len();
        let learnt = prepared.learn(&model, place, &mut gradients).unwrap();
        (micro, learnt.loss, gradients)
    };
    let (one, loss, of_whole) = learnt(100_000);
    let (many, of_many, of_parts) = learnt(64);
    assert!(one == 1 && many > 5 && (loss - of_many).abs() < 1e-6, "{one} {many} {loss} {of_many}");
    let scale = of_whole.norm();
    for (left, right) in of_whole.iter().flatten().zip(of_parts.iter().flatten()) {
        assert!((f64::from(*left) - f64::from(*right)).abs() < 1e-5 * scale, "{left} {right}");
    }
}

#[test]
fn judgments_of_nothing_are_refused() {
    let refused = |change: &dyn Fn(&mut Recipe, &Path)| {
        let mut fixture = fixture();
        change(&mut fixture.recipe, &fixture.folder.path().join("set"));
        fixture.run(Kind::Encoder, "run", false).unwrap_err().to_string()
    };
    assert!(refused(&|_, set| fs::remove_file(set.join("corpus.jsonl")).unwrap()).contains("data.home"));
    assert!(refused(&|_, set| fs::remove_file(set.join("queries.jsonl")).unwrap()).contains("queries.jsonl"));
    assert!(
        refused(&|_, set| fs::write(set.join("qrels/train.tsv"), "q0\tnone\t1\n").unwrap()).contains("36 passages")
    );
    assert!(refused(&|_, set| fs::write(set.join("qrels/train.tsv"), "qq\td1\t1\n").unwrap()).contains("query qq"));
    assert!(
        refused(&|_, set| fs::write(set.join("qrels/train.tsv"), "q1\td1\t1\n").unwrap()).contains("data.heldout too")
    );
    assert!(refused(&|recipe, _| recipe.model.learn = Learn::Adapter).contains("model.learn"));
}

#[test]
fn a_query_that_is_measured_by_is_left_out_where_a_recipe_drops() {
    let mut fixture = fixture();
    let train = fixture.folder.path().join("set/qrels/train.tsv");
    let queries = |fixture: &Trial| {
        let plan = fixture.plan();
        Prepared::new(&plan, &fixture.out("prepared"), now()).map(|prepared| prepared.judged.queries.len())
    };
    let before = queries(&fixture).unwrap();
    fs::write(&train, fs::read_to_string(&train).unwrap() + "q1\td1\t1\n").unwrap();
    assert!(queries(&fixture).is_err());
    fixture.recipe.data.duplicates = Duplicates::Drop;
    assert_eq!(queries(&fixture).unwrap(), before);
}

#[test]
fn a_pool_keeps_what_is_relevant() {
    let mut fixture = fixture();
    fixture.recipe.encoder.pool = 10;
    let plan = fixture.plan();
    let prepared = Prepared::new(&plan, &fixture.out("prepared"), now()).unwrap();
    let pool = prepared.pool();
    assert!(pool.len() == 10 && pool.is_sorted());
    for number in [1, 7, 13, 19, 25, 31] {
        let document = format!("d{number}");
        assert!(pool.iter().any(|at| prepared.judged.passages[*at].document == document), "{document}");
    }
}
