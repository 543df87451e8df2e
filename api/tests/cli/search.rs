//! Hits, filters, explanations, TREC runs and evaluation.

use std::fs;

use crate::harness::{Home, path};

fn keys(home: &Home, args: &[&str]) -> Vec<String> {
    let output = home.run(&[&["search"], args, &["--json"]].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    let key = |line: &str| {
        serde_json::from_str::<serde_json::Value>(line).unwrap()["external_id"].as_str().unwrap().to_owned()
    };
    text.lines().map(key).collect()
}

#[test]
fn filters_reach_both_arms() {
    let home = Home::with_trials();
    for arm in ["lexical", "vector", "hybrid"] {
        let with = |extra: &[&str]| {
            let mut found = keys(&home, &[&["migraine zolmarin", "--arm", arm], extra].concat());
            found.sort();
            found
        };
        assert_eq!(with(&["--from", "2019"]), ["t1", "t2"], "{arm}");
        assert_eq!(with(&["--to", "2010"]), ["t3"], "{arm}");
        assert_eq!(with(&["--from", "2020", "--to", "2021"]), ["t2"], "{arm}");
        assert_eq!(with(&["--collection", "trials", "--level", "unclassified"]).len(), 3, "{arm}");
        assert!(with(&["--collection", "other"]).is_empty(), "{arm}");
        assert!(with(&["--source", "pubmed"]).is_empty(), "{arm}");
    }
    assert!(home.fail(&["search", "x", "--from", "2021", "--to", "2020"]).contains("--from"));
}

#[test]
fn every_score_explains_itself() {
    let home = Home::with_trials();
    let hits = home.json(&["search", "zolmarin migraine", "--explain"]);
    for hit in &hits {
        let sum: f64 = hit["contributions"].as_array().unwrap().iter().map(|c| c["value"].as_f64().unwrap()).sum();
        assert!((sum - hit["score"].as_f64().unwrap()).abs() < 1e-9, "{hit}");
    }
    let text = home.succeed(&["search", "zolmarin migraine", "--explain"]);
    assert!(text.contains("lexical #1") && text.contains("vector #"), "{text}");
}

#[test]
fn odd_queries_are_answered() {
    let home = Home::with_trials();
    home.expect(&["search", ""], 1);
    home.expect(&["search", "the of and", "--arm", "lexical"], 1);
    assert_eq!(keys(&home, &["migraine", "-k", "1000000", "--arm", "vector"]).len(), 3);
    let long = "zolmarin migraine ".repeat(100 * 1024 / 18);
    assert_eq!(keys(&home, &[&long])[0], "t1");
}

#[test]
fn a_run_file_and_its_evaluation() {
    let home = Home::with_trials();
    let queries = home.write(
        "queries.jsonl",
        "{\"_id\":\"q1\",\"text\":\"zolmarin for migraine\"}\n{\"_id\":\"q2\",\"text\":\"feverfew\"}\n",
    );
    let qrels = home.write("qrels.tsv", "query-id\tcorpus-id\tscore\nq1\tt1\t1\nq2\tt3\t1\n");
    let run = home.path().join("run.trec");
    home.succeed(&["search", "--queries", path(&queries), "-k", "100", "--trec", path(&run)]);
    let text = fs::read_to_string(&run).unwrap();
    let first: Vec<_> = text.lines().next().unwrap().split(' ').collect();
    assert_eq!((first[0], first[1], first[2], first[3]), ("q1", "Q0", "t1", "1"));
    let report = &home.json(&["eval", "retrieval", "--queries", path(&queries), "--qrels", path(&qrels)])[0];
    for metric in ["ndcg@10", "recall@10", "recall@100", "mrr", "map"] {
        assert_eq!(report[metric], 1.0, "{metric} in {report}");
    }
    assert!(report["ms"]["p99"].as_f64().unwrap() > 0.0);
}
