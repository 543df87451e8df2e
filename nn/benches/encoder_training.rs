//! Pairs a second of a classifier of three labels on MiniLM: learning (forward, cross-entropy, backward, and
//! the new weights' layout), and serving; pairs of equal lengths, and of lengths from half of that on.
//!
//! The tiny fixture by default; set `ANAMNESIS_MINILM` to a model folder. `encoder_training.py` measures the
//! same on transformers. Allowed one core, as by `taskset -c 0`, it counts the time that it had that core,
//! which others on the machine do not lengthen.
#![expect(clippy::print_stdout, reason = "a bench prints")]

use std::path::{Path, PathBuf};
use std::time::Instant;

use candle_core::{D, Device as CandleDevice, Result, Tensor};
use nn::{Classifier, Device, Gradients, Packed, Parameter, Recompute, Tokens};

const STEPS: usize = 4;

fn main() {
    let tiny = || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny");
    let folder = std::env::var_os("ANAMNESIS_MINILM").map_or_else(tiny, PathBuf::from);
    let device = Device::cpu();
    let labels = ["support", "contradict", "neutral"];
    let mut classifier = Classifier::new_head(&folder, &labels, 1, device).expect("a model folder");
    let config = classifier.config().clone();
    let (width, wide) = (config.hidden_size, config.intermediate_size);
    let products = (config.num_hidden_layers * (4 * width * width + 2 * width * wide)) as f64;
    println!("{} layers of {width}, threads {}", config.num_hidden_layers, device.threads());
    let most = classifier.max_tokens();
    for (count, length, mixed) in [(32, 128, false), (16, 256, false), (32, 128, true), (16, 256, true)] {
        let pairs = pairs(count, length.min(most), mixed, config.vocab_size);
        let tokens: usize = pairs.iter().map(|pair| pair.ids.len()).sum();
        let served = best(|| _ = classifier.logits_of(&pairs).expect("fitting pairs"));
        let parameters = classifier.train(Recompute::Auto).expect("an encoder on the processor");
        let [forward, backward, refresh] = learn(&mut classifier, &parameters, &pairs);
        let rate = |seconds: f64| count as f64 / seconds;
        let learned = forward + backward + refresh;
        println!(
            "{count} pairs of {}{length}: learning {:.1} pairs/s ({:.0} ms forward, {:.0} backward, {:.0} refresh; {:.0} GFLOP/s in its products), serving {:.1} pairs/s",
            if mixed { "up to " } else { "" },
            rate(learned),
            forward * 1e3,
            backward * 1e3,
            refresh * 1e3,
            6.0 * products * tokens as f64 / learned / 1e9,
            rate(served),
        );
    }
}

/// Wall time; on one core, where the system tells it, the time that this thread had it.
struct Clock(Instant, Option<u64>);

impl Clock {
    fn start() -> Self {
        Self(Instant::now(), Self::own())
    }

    /// Nanoseconds so far.
    fn own() -> Option<u64> {
        let alone = Device::cpu().threads() == 1;
        let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok().filter(|_| alone)?;
        told.split_whitespace().next()?.parse().ok()
    }

    fn seconds(&self) -> f64 {
        match (self.1, Self::own()) {
            (Some(before), Some(now)) => (now - before) as f64 / 1e9,
            _ => self.0.elapsed().as_secs_f64(),
        }
    }
}

fn best(mut work: impl FnMut()) -> f64 {
    let time = |_| {
        let start = Clock::start();
        work();
        start.seconds()
    };
    (0..STEPS).map(time).fold(f64::INFINITY, f64::min)
}

/// Pairs whose second text begins in the middle.
fn pairs(count: usize, length: usize, mixed: bool, vocabulary: usize) -> Vec<Tokens> {
    let pair = |number: usize| {
        let length = if mixed { length / 2 + number * 37 % (length / 2 + 1) } else { length };
        let ids = (0..length).map(|token| ((token * 7919 + number * 104_729) % vocabulary) as u32);
        Tokens { ids: ids.collect(), types: (0..length).map(|token| u32::from(token * 2 >= length)).collect() }
    };
    (0..count).map(pair).collect()
}

/// The best seconds of forward, backward and refresh.
fn learn(classifier: &mut Classifier, parameters: &[Parameter], pairs: &[Tokens]) -> [f64; 3] {
    let mut gradients = Gradients::new(parameters);
    let mut batch = Packed::default();
    for pair in pairs {
        batch.push_typed(&pair.ids, &pair.types);
    }
    let mut best = [f64::INFINITY; 3];
    for _ in 0..STEPS {
        gradients.clear();
        let start = Clock::start();
        let pass = classifier.pass(&batch).expect("a fitting batch");
        let loss = cross_entropy(&pass.logits).expect("logits");
        let forward = start.seconds();
        classifier.backward(pass, &loss, &mut gradients).expect("gradients of these parameters");
        let backward = start.seconds() - forward;
        classifier.refresh().expect("the same variables");
        let refresh = start.seconds() - forward - backward;
        for (best, seconds) in best.iter_mut().zip([forward, backward, refresh]) {
            *best = best.min(seconds);
        }
    }
    best
}

/// Mean cross-entropy where the classes follow each other.
fn cross_entropy(logits: &Tensor) -> Result<Tensor> {
    let (count, labels) = logits.dims2()?;
    let targets: Vec<u32> = (0..count).map(|pair| (pair % labels) as u32).collect();
    let targets = Tensor::new(targets, &CandleDevice::Cpu)?.unsqueeze(1)?;
    let sums = logits.exp()?.sum_keepdim(D::Minus1)?.log()?;
    (sums - logits.gather(&targets, 1)?)?.mean_all()
}
