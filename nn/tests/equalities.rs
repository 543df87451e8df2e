//! A decoder in `f64`, differentiated by candle: however sequences are laid out, log-probabilities and gradients
//! are one and the same, and those of the kernels.
#![expect(clippy::unwrap_used, reason = "an oracle is a test, and its definition reads better without")]

mod decoders;

use std::collections::BTreeMap;

use candle_core::{D, DType, Device, Tensor, Var};
use decoders::{expected, fixture, load};
use nn::{Adapter, Batch, DecoderConfig, Gradients, Recompute, Target, Trainable};

const TEMPERATURE: f64 = 0.8;
const RANK: usize = 3;
const ALPHA: f64 = 6.0;

/// Which token stands in each row, where in its sequence, and which rows it sees.
#[derive(Default)]
struct Layout {
    ids: Vec<u32>,
    positions: Vec<usize>,
    sees: Vec<Vec<usize>>,
    /// The rows that are asked, and the token that each is asked for.
    wanted: Vec<usize>,
    targets: Vec<u32>,
}

fn wants(ids: &[u32], token: usize) -> bool {
    token + 1 < ids.len() && (token % 5 == 1 || token > 25)
}

impl Layout {
    fn row(&mut self, id: u32, before: &[usize]) -> usize {
        let row = self.ids.len();
        self.ids.push(id);
        self.positions.push(before.len());
        self.sees.push([before, &[row]].concat());
        row
    }

    fn ask(&mut self, ids: &[u32], rows: &[usize]) {
        for token in (0..ids.len()).filter(|token| wants(ids, *token)) {
            self.wanted.push(rows[token]);
            self.targets.push(ids[token + 1]);
        }
    }

    /// One sequence after another, each filled up to `length` tokens with some that see themselves alone.
    fn padded(sequences: &[&[u32]], length: usize) -> Self {
        let mut layout = Self::default();
        for ids in sequences {
            let mut rows = Vec::new();
            for id in *ids {
                rows.push(layout.row(*id, &rows));
            }
            layout.ask(ids, &rows);
            (ids.len()..length).for_each(|_| _ = layout.row(0, &[]));
        }
        layout
    }

    /// Each beginning once.
    fn shared(sequences: &[&[u32]]) -> Self {
        let mut layout = Self::default();
        let mut known: BTreeMap<&[u32], usize> = BTreeMap::new();
        for ids in sequences {
            let mut rows = Vec::new();
            for end in 1..=ids.len() {
                let row = known.get(&ids[..end]).copied().unwrap_or_else(|| layout.row(ids[end - 1], &rows));
                known.insert(&ids[..end], row);
                rows.push(row);
            }
            layout.ask(ids, &rows);
        }
        layout
    }
}

/// A decoder as it is defined.
struct Oracle {
    config: DecoderConfig,
    weights: BTreeMap<String, Tensor>,
    /// What learns.
    variables: BTreeMap<String, Var>,
}

type Found = (Vec<f64>, BTreeMap<String, Vec<f64>>);

impl Oracle {
    fn new(family: &str, parameters: &[nn::Parameter]) -> Self {
        let file = candle_core::safetensors::load(fixture(family).join("model.safetensors"), &Device::Cpu).unwrap();
        let double = |tensor: &Tensor| tensor.to_dtype(DType::F64).unwrap();
        let weights = file.into_iter().map(|(name, tensor)| (name, double(&tensor))).collect();
        let variable = |parameter: &nn::Parameter| {
            (parameter.name.clone(), Var::from_tensor(&double(parameter.var.as_tensor())).unwrap())
        };
        let config = DecoderConfig::open(&fixture(family)).unwrap();
        Self { config, weights, variables: parameters.iter().map(variable).collect() }
    }

    fn weight(&self, name: &str) -> Option<Tensor> {
        self.variables.get(name).map(|var| var.as_tensor().clone()).or_else(|| self.weights.get(name).cloned())
    }

    fn linear(&self, x: &Tensor, name: &str) -> Tensor {
        let mut weight = self.weight(&format!("{name}.weight")).expect("a weight of the file");
        let factor = |which: &str| self.variables.get(&format!("base_model.model.{name}.lora_{which}.weight"));
        if let (Some(a), Some(b)) = (factor("A"), factor("B")) {
            weight = (weight + (b.matmul(a).unwrap() * (ALPHA / RANK as f64)).unwrap()).unwrap();
        }
        let y = x.matmul(&weight.t().unwrap()).unwrap();
        self.weight(&format!("{name}.bias")).map_or(y.clone(), |bias| y.broadcast_add(&bias).unwrap())
    }

    fn norm(&self, x: &Tensor, name: &str) -> Tensor {
        let Some(gain) = self.weight(&format!("{name}.weight")) else { return x.clone() };
        let square = x.sqr().unwrap().mean_keepdim(D::Minus1).unwrap();
        let scale = (square + f64::from(self.config.rms_norm_eps)).unwrap().sqrt().unwrap();
        x.broadcast_div(&scale).unwrap().broadcast_mul(&gain).unwrap()
    }

    fn rotate(&self, head: &Tensor, positions: &[usize]) -> Tensor {
        let half = self.config.head_dim / 2;
        let angle = |position: &usize, pair: usize| {
            *position as f64 * self.config.rope.theta.powf(-(pair as f64) / half as f64)
        };
        let all = |of: fn(f64) -> f64| {
            let angles = positions.iter().flat_map(|position| (0..half).map(move |pair| of(angle(position, pair))));
            Tensor::from_vec(angles.collect::<Vec<_>>(), (positions.len(), half), &Device::Cpu).unwrap()
        };
        let (cos, sin) = (all(f64::cos), all(f64::sin));
        let (x, y) = (head.narrow(1, 0, half).unwrap(), head.narrow(1, half, half).unwrap());
        let left = ((&x * &cos).unwrap() - (&y * &sin).unwrap()).unwrap();
        let right = ((&y * &cos).unwrap() + (&x * &sin).unwrap()).unwrap();
        Tensor::cat(&[left, right], 1).unwrap()
    }

    fn attention(&self, x: &Tensor, layout: &Layout, layer: usize) -> Tensor {
        let DecoderConfig { num_attention_heads: heads, num_key_value_heads: key_heads, head_dim: size, .. } =
            self.config;
        let name = |part: &str| format!("model.layers.{layer}.self_attn.{part}");
        let rows = layout.ids.len();
        let mut mask = vec![f64::NEG_INFINITY; rows * rows];
        for (row, seen) in layout.sees.iter().enumerate() {
            let window = self.config.windows[layer].unwrap_or(usize::MAX);
            let near = |other: &&usize| layout.positions[row] - layout.positions[**other] < window;
            seen.iter().filter(near).for_each(|other| mask[row * rows + other] = 0.0);
        }
        let mask = Tensor::from_vec(mask, (rows, rows), &Device::Cpu).unwrap();
        let [queries, keys, values] = ["q_proj", "k_proj", "v_proj"].map(|part| self.linear(x, &name(part)));
        let part = |all: &Tensor, head: usize| all.narrow(1, head * size, size).unwrap();
        let mixed = (0..heads).map(|head| {
            let of = head / (heads / key_heads);
            let query = self.rotate(&self.norm(&part(&queries, head), &name("q_norm")), &layout.positions);
            let key = self.rotate(&self.norm(&part(&keys, of), &name("k_norm")), &layout.positions);
            let scores = (query.matmul(&key.t().unwrap()).unwrap() / (size as f64).sqrt()).unwrap();
            let scores = (scores + &mask).unwrap();
            let powers = scores.broadcast_sub(&scores.max_keepdim(1).unwrap().detach()).unwrap().exp().unwrap();
            let shares = powers.broadcast_div(&powers.sum_keepdim(1).unwrap()).unwrap();
            shares.matmul(&part(&values, of)).unwrap()
        });
        self.linear(&Tensor::cat(&mixed.collect::<Vec<_>>(), 1).unwrap(), &name("o_proj"))
    }

    /// Log-probabilities, and the gradients of their sum weighted by `slopes`; the head takes so many rows at a time.
    fn learn(&self, layout: &Layout, slopes: &[f64], chunk: usize) -> Found {
        let ids = Tensor::from_slice(&layout.ids, layout.ids.len(), &Device::Cpu).unwrap();
        let mut x = self.weight("model.embed_tokens.weight").unwrap().index_select(&ids, 0).unwrap();
        for layer in 0..self.config.num_hidden_layers {
            let name = |part: &str| format!("model.layers.{layer}.{part}");
            x = (&x + self.attention(&self.norm(&x, &name("input_layernorm")), layout, layer)).unwrap();
            let y = self.norm(&x, &name("post_attention_layernorm"));
            let gate = self.linear(&y, &name("mlp.gate_proj"));
            let open = (gate.neg().unwrap().exp().unwrap() + 1.0).unwrap().recip().unwrap();
            let wide = ((gate * open).unwrap() * self.linear(&y, &name("mlp.up_proj"))).unwrap();
            x = (x + self.linear(&wide, &name("mlp.down_proj"))).unwrap();
        }
        let x = self.norm(&x, "model.norm");
        let head = if self.config.tie_word_embeddings { "model.embed_tokens" } else { "lm_head" };
        let (mut logprobs, mut loss) = (Vec::new(), Tensor::zeros((), DType::F64, &Device::Cpu).unwrap());
        let parts = layout.wanted.chunks(chunk).zip(layout.targets.chunks(chunk)).zip(slopes.chunks(chunk));
        for ((wanted, targets), slopes) in parts {
            let count = wanted.len();
            let wanted: Vec<u32> = wanted.iter().map(|row| *row as u32).collect();
            let rows = x.index_select(&Tensor::from_vec(wanted, count, &Device::Cpu).unwrap(), 0).unwrap();
            let logits = (self.linear(&rows, head) / TEMPERATURE).unwrap();
            let lower = logits.broadcast_sub(&logits.max_keepdim(1).unwrap().detach()).unwrap();
            let all = lower.exp().unwrap().sum_keepdim(1).unwrap().log().unwrap();
            let targets = Tensor::from_slice(targets, (count, 1), &Device::Cpu).unwrap();
            let own = (lower.gather(&targets, 1).unwrap() - all).unwrap().squeeze(1).unwrap();
            logprobs.extend(own.to_vec1::<f64>().unwrap());
            let slopes = Tensor::from_slice(slopes, count, &Device::Cpu).unwrap();
            loss = (loss + (own * slopes).unwrap().sum_all().unwrap()).unwrap();
        }
        let store = loss.backward().unwrap();
        let gradient = |(name, var): (&String, &Var)| {
            let gradient = store.get(var.as_tensor()).unwrap_or_else(|| panic!("{name} has no gradient"));
            (name.clone(), gradient.flatten_all().unwrap().to_vec1::<f64>().unwrap())
        };
        (logprobs, self.variables.iter().map(gradient).collect())
    }
}

fn length(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|value| value * value).sum::<f64>().sqrt()
}

/// Loss and gradients agree: log-probabilities value by value, gradients by their lengths.
#[track_caller]
fn assert_alike(found: &Found, expected: &Found, (of_values, of_gradients): (f64, f64), what: &str) {
    let worst = found.0.iter().zip(&expected.0).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(found.0.len() == expected.0.len() && worst < of_values, "{what}: log-probabilities are off by {worst}");
    for (name, gradient) in &expected.1 {
        let off = length(found.1[name].iter().zip(gradient).map(|(a, b)| a - b));
        let norm = length(gradient.iter().copied());
        // The gradient of a bias of keys is zero but for rounding.
        let floor = if name.ends_with("k_proj.bias") { 1e-6 } else { 0.0 };
        assert!(off <= of_gradients * norm + floor, "{what}, {name}: off by {off} of {norm}");
    }
}

/// Prompts with several answers each; the second begins as the first, and one answer is there twice.
fn sequences(ids: &[u32]) -> Vec<Vec<u32>> {
    let (one, other) = (&ids[..37], [&ids[..20], &ids[50..60]].concat());
    let pairs: [(&[u32], &[u32]); 5] =
        [(one, &ids[40..60]), (&other, &ids[1..4]), (one, &ids[30..33]), (&other, &ids[5..25]), (&other, &ids[1..4])];
    pairs.iter().map(|(prompt, answer)| [*prompt, *answer].concat()).collect()
}

fn check(family: &str, what: Trainable) {
    let all = sequences(&expected(family).ids);
    let all: Vec<&[u32]> = all.iter().map(Vec::as_slice).collect();
    let mut decoder = load(family);
    if what == Trainable::Adapter {
        let adapter = Adapter::new(decoder.config(), RANK, ALPHA, &Target::ALL, 9).unwrap();
        for (name, var) in adapter.variables().filter(|(name, _)| name.contains("lora_B")) {
            let values = (0..var.elem_count()).map(|place| ((place * 7 + name.len()) % 11) as f32 / 60.0 - 0.08);
            let values = Tensor::from_vec(values.collect::<Vec<_>>(), var.shape(), &Device::Cpu).unwrap();
            var.set(&values).unwrap();
        }
        decoder.set_adapter(Some(adapter)).unwrap();
    }
    let parameters = decoder.train(what, Recompute::Off).unwrap();
    let oracle = Oracle::new(family, &parameters);
    let packed = Layout::padded(&all, 0);
    let slopes: Vec<f64> = (0..packed.targets.len()).map(|place| (place * 7919 % 1009) as f64 / 1009.0 - 0.4).collect();
    let exact = oracle.learn(&packed, &slopes, usize::MAX);

    let close = (1e-10, 1e-10);
    assert_alike(&oracle.learn(&Layout::padded(&all, 64), &slopes, usize::MAX), &exact, close, "padded");
    assert_alike(&oracle.learn(&Layout::shared(&all), &slopes, usize::MAX), &exact, close, "shared");
    assert_alike(&oracle.learn(&packed, &slopes, 7), &exact, close, "the head by sevens");
    let mut alone: Found = (Vec::new(), BTreeMap::new());
    for ids in &all {
        let layout = Layout::padded(&[ids], 0);
        let slopes = &slopes[alone.0.len()..][..layout.targets.len()];
        let (logprobs, gradients) = oracle.learn(&layout, slopes, usize::MAX);
        alone.0.extend(logprobs);
        for (name, gradient) in gradients {
            let sums = alone.1.entry(name).or_insert_with(|| vec![0.0; gradient.len()]);
            sums.iter_mut().zip(gradient).for_each(|(sum, value)| *sum += value);
        }
    }
    assert_alike(&alone, &exact, close, "one by one");

    let narrow: Vec<f32> = slopes.iter().map(|slope| *slope as f32).collect();
    for recompute in [Recompute::Off, Recompute::On] {
        decoder.train(what, recompute).unwrap();
        for (how, size) in [("shared", all.len()), ("packed", all.len()), ("in twos", 2), ("one by one", 1)] {
            let mut gradients = Gradients::new(&parameters);
            let mut logprobs: Vec<f32> = Vec::new();
            for part in all.chunks(size) {
                let mut batch = Batch::default();
                if how == "packed" {
                    for ids in part {
                        batch.push_wanting(ids, |token| wants(ids, token));
                    }
                } else {
                    batch.push_sharing(part, |number, token| wants(part[number], token));
                }
                let own = logprobs.len()..logprobs.len() + batch.rows();
                let pass = decoder.logprobs(&batch, &packed.targets[own.clone()], TEMPERATURE as f32).unwrap();
                logprobs.extend(pass.logprobs.to_vec1::<f32>().unwrap());
                decoder.backward_from(pass, &narrow[own], &mut gradients).unwrap();
            }
            let wide = |values: &[f32]| values.iter().copied().map(f64::from).collect::<Vec<_>>();
            let named = parameters.iter().zip(gradients.iter());
            let found = (wide(&logprobs), named.map(|(own, values)| (own.name.clone(), wide(values))).collect());
            assert_alike(&found, &exact, (1e-5, 1e-4), &format!("{family}, {what:?}, {recompute:?}, {how}"));
        }
    }
}

#[test]
fn all_weights_learn_the_same_however_sequences_are_laid_out() {
    // A window, biases, norms of heads; tied heads and others.
    for family in ["mistral", "qwen2", "qwen3"] {
        check(family, Trainable::All);
    }
}

#[test]
fn adapters_learn_the_same_however_sequences_are_laid_out() {
    for family in ["mistral", "qwen2", "qwen3"] {
        check(family, Trainable::Adapter);
    }
}
