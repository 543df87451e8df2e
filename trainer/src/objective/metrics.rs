//! [`Metrics`]: named figures of a loss that merge over micro-batches as if there had been but one.

use std::collections::BTreeMap;

/// How a figure merges.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Statistic {
    Sum(f64),
    Mean { sum: f64, count: f64 },
    Min(f64),
    Max(f64),
}

/// Named figures, in the order of their names. A mean over nothing is left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    statistics: BTreeMap<&'static str, Statistic>,
}

impl Metrics {
    /// Adds to a total.
    pub fn sum(&mut self, name: &'static str, value: f64) {
        self.join(name, Statistic::Sum(value));
    }

    /// Adds values to a mean.
    pub fn mean(&mut self, name: &'static str, values: impl IntoIterator<Item = f64>) {
        let (sum, count) = values.into_iter().fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
        if count > 0.0 {
            self.join(name, Statistic::Mean { sum, count });
        }
    }

    /// Adds the share of `flags` that are set to a mean.
    pub fn share(&mut self, name: &'static str, flags: impl IntoIterator<Item = bool>) {
        self.mean(name, flags.into_iter().map(f64::from));
    }

    /// Adds values to a minimum.
    pub fn min(&mut self, name: &'static str, values: impl IntoIterator<Item = f64>) {
        if let Some(value) = values.into_iter().reduce(f64::min) {
            self.join(name, Statistic::Min(value));
        }
    }

    /// Adds values to a maximum.
    pub fn max(&mut self, name: &'static str, values: impl IntoIterator<Item = f64>) {
        if let Some(value) = values.into_iter().reduce(f64::max) {
            self.join(name, Statistic::Max(value));
        }
    }

    /// Takes the figures of another micro-batch of the same objective into these.
    pub fn merge(&mut self, other: &Self) {
        for (name, statistic) in &other.statistics {
            self.join(name, *statistic);
        }
    }

    /// These with one figure under another name.
    #[must_use]
    pub fn renamed(mut self, from: &str, to: &'static str) -> Self {
        if let Some(statistic) = self.statistics.remove(from) {
            self.statistics.insert(to, statistic);
        }
        self
    }

    /// A figure by its name.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.statistics.get(name).map(Statistic::value)
    }

    /// Every figure.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, f64)> {
        self.statistics.iter().map(|(name, statistic)| (*name, statistic.value()))
    }

    fn join(&mut self, name: &'static str, new: Statistic) {
        let joined = match (self.statistics.get(name), new) {
            (Some(Statistic::Sum(a)), Statistic::Sum(b)) => Statistic::Sum(a + b),
            (Some(Statistic::Mean { sum: a, count: n }), Statistic::Mean { sum: b, count: m }) => {
                Statistic::Mean { sum: a + b, count: n + m }
            }
            (Some(Statistic::Min(a)), Statistic::Min(b)) => Statistic::Min(a.min(b)),
            (Some(Statistic::Max(a)), Statistic::Max(b)) => Statistic::Max(a.max(b)),
            // a name has one kind in one objective
            (_, new) => new,
        };
        self.statistics.insert(name, joined);
    }
}

impl Statistic {
    fn value(&self) -> f64 {
        match *self {
            Self::Sum(value) | Self::Min(value) | Self::Max(value) => value,
            Self::Mean { sum, count } => sum / count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_merge_to_the_whole() {
        let of = |values: &[f64]| {
            let mut metrics = Metrics::default();
            metrics.sum("sum", values.iter().sum());
            metrics.mean("mean", values.iter().copied());
            metrics.share("share", values.iter().map(|value| *value > 2.0));
            metrics.min("min", values.iter().copied());
            metrics.max("max", values.iter().copied());
            metrics
        };
        let mut parts = of(&[1.0]);
        parts.merge(&of(&[]));
        parts.merge(&of(&[2.0, 6.0]));
        assert_eq!(parts, of(&[1.0, 2.0, 6.0]));
        let figures: Vec<_> = parts.iter().collect();
        assert_eq!(figures, [("max", 6.0), ("mean", 3.0), ("min", 1.0), ("share", 1.0 / 3.0), ("sum", 9.0)]);
        assert_eq!((of(&[]).get("mean"), of(&[]).get("max"), of(&[]).get("sum")), (None, None, Some(0.0)));
    }
}
