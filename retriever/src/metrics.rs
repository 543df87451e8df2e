//! Retrieval metrics as `trec_eval` defines them: nDCG with linear gain, recall, reciprocal rank and
//! average precision, each averaged over the queries that have at least one relevant document.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

/// Query id to document id to grade; a grade above 0 is relevant.
pub type Qrels = BTreeMap<String, HashMap<String, u32>>;

/// Query id to document ids, best first.
pub type Run = BTreeMap<String, Vec<String>>;

/// Means over the judged queries, each in [0, 1].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Metrics {
    /// Queries that have a relevant document.
    pub queries: usize,
    /// Normalised discounted cumulative gain at 10.
    #[serde(rename = "ndcg@10")]
    pub ndcg_at_10: f64,
    /// Share of the relevant documents among the first 10.
    #[serde(rename = "recall@10")]
    pub recall_at_10: f64,
    /// Share of the relevant documents among the first 100.
    #[serde(rename = "recall@100")]
    pub recall_at_100: f64,
    /// Mean reciprocal rank of the first relevant document.
    pub mrr: f64,
    /// Mean average precision.
    pub map: f64,
}

/// Scores `run` against `qrels`. A judged query that the run lacks scores zero.
pub fn evaluate(qrels: &Qrels, run: &Run) -> Metrics {
    let mut sum = Metrics::default();
    for (query, judged) in qrels {
        let relevant = judged.values().filter(|grade| **grade > 0).count();
        if relevant == 0 {
            continue;
        }
        let ranked = run.get(query).map_or(&[][..], Vec::as_slice);
        let grades: Vec<u32> = ranked.iter().map(|document| judged.get(document).copied().unwrap_or(0)).collect();
        sum.queries += 1;
        sum.ndcg_at_10 += ndcg(&grades, judged, 10);
        sum.recall_at_10 += recall(&grades, relevant, 10);
        sum.recall_at_100 += recall(&grades, relevant, 100);
        sum.mrr += grades.iter().position(|grade| *grade > 0).map_or(0.0, |index| 1.0 / (index + 1) as f64);
        sum.map += average_precision(&grades, relevant);
    }
    let n = sum.queries.max(1) as f64;
    Metrics {
        queries: sum.queries,
        ndcg_at_10: sum.ndcg_at_10 / n,
        recall_at_10: sum.recall_at_10 / n,
        recall_at_100: sum.recall_at_100 / n,
        mrr: sum.mrr / n,
        map: sum.map / n,
    }
}

fn ndcg(grades: &[u32], judged: &HashMap<String, u32>, depth: usize) -> f64 {
    let mut ideal: Vec<u32> = judged.values().copied().collect();
    ideal.sort_unstable_by(|a, b| b.cmp(a));
    dcg(grades, depth) / dcg(&ideal, depth)
}

fn dcg(grades: &[u32], depth: usize) -> f64 {
    grades.iter().take(depth).enumerate().map(|(index, grade)| f64::from(*grade) / ((index + 2) as f64).log2()).sum()
}

fn recall(grades: &[u32], relevant: usize, depth: usize) -> f64 {
    grades.iter().take(depth).filter(|grade| **grade > 0).count() as f64 / relevant as f64
}

fn average_precision(grades: &[u32], relevant: usize) -> f64 {
    let mut found = 0;
    let mut sum = 0.0;
    for (index, grade) in grades.iter().enumerate() {
        if *grade > 0 {
            found += 1;
            sum += f64::from(found) / (index + 1) as f64;
        }
    }
    sum / relevant as f64
}

/// The `q`-th quantile of `sorted`, linear between neighbours; 0 of an empty list.
pub fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let place = q.clamp(0.0, 1.0) * last as f64;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    sorted[low] + (sorted[high] - sorted[low]) * (place - low as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn qrels() -> Qrels {
        let judged = |pairs: &[(&str, u32)]| pairs.iter().map(|(d, g)| ((*d).to_owned(), *g)).collect();
        BTreeMap::from([
            ("q1".to_owned(), judged(&[("a", 2), ("b", 1), ("z", 0)])),
            ("q2".to_owned(), judged(&[("c", 1)])),
            ("q3".to_owned(), judged(&[("d", 0)])),
        ])
    }

    fn run(pairs: &[(&str, &[&str])]) -> Run {
        pairs.iter().map(|(q, docs)| ((*q).to_owned(), docs.iter().map(|d| (*d).to_owned()).collect())).collect()
    }

    #[test]
    fn by_hand() {
        let metrics = evaluate(&qrels(), &run(&[("q1", &["b", "x", "a"]), ("q2", &["y", "c"])]));
        // q1: DCG = 1/log2(2) + 2/log2(4) = 2; ideal = 2/log2(2) + 1/log2(3) = 2.6309
        let q1 = 2.0 / (2.0 + 1.0 / 3_f64.log2());
        let q2 = 1.0 / 3_f64.log2();
        assert!((metrics.ndcg_at_10 - f64::midpoint(q1, q2)).abs() < 1e-12);
        assert_eq!(metrics.queries, 2, "a query without a relevant document is not counted");
        assert!((metrics.mrr - f64::midpoint(1.0, 0.5)).abs() < 1e-12);
        assert!((metrics.map - f64::midpoint(f64::midpoint(1.0, 2.0 / 3.0), 0.5)).abs() < 1e-12);
        assert_eq!(metrics.recall_at_10, 1.0);
    }

    #[test]
    fn a_missing_query_scores_zero() {
        let metrics = evaluate(&qrels(), &run(&[("q2", &["c"])]));
        assert_eq!((metrics.queries, metrics.mrr), (2, 0.5));
    }

    #[test]
    fn depth_is_respected() {
        let far: Vec<String> = (0..10).map(|i| format!("x{i}")).chain(["c".to_owned()]).collect();
        let metrics = evaluate(&qrels(), &Run::from([("q2".to_owned(), far)]));
        assert_eq!((metrics.ndcg_at_10, metrics.recall_at_10, metrics.recall_at_100), (0.0, 0.0, 0.5));
    }

    #[test]
    fn quantiles() {
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0], 0.5), 2.5);
        assert_eq!(quantile(&[5.0], 0.99), 5.0);
        assert_eq!(quantile(&[], 0.5), 0.0);
    }
}
