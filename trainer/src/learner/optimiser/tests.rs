//! AdamW against torch, against an oracle in `f64`, and against itself after a save.

use candle_core::Device;

use super::*;

type Parameter = (&'static str, Var);

fn parameter(name: &'static str, values: &[f32], shape: &[usize]) -> Parameter {
    let tensor = Tensor::from_slice(values, shape, &Device::Cpu).unwrap();
    (name, Var::from_tensor(&tensor).unwrap())
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn tensor(values: &serde_json::Value) -> Tensor {
    let floats = |row: &serde_json::Value| -> Vec<f32> { serde_json::from_value(row.clone()).unwrap() };
    if values[0].is_array() {
        let rows: Vec<Vec<f32>> = values.as_array().unwrap().iter().map(floats).collect();
        return Tensor::new(rows, &Device::Cpu).unwrap();
    }
    Tensor::new(floats(values), &Device::Cpu).unwrap()
}

/// The norm of gradients and one step with them.
fn step(optimiser: &mut Optimiser, gradients: &[Vec<f32>], rate: f64) -> f64 {
    let norm = gradients.iter().flatten().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    optimiser.step(gradients.iter().map(Vec::as_slice), norm, rate).unwrap();
    norm
}

fn close(left: &Tensor, right: &Tensor, tolerance: f32) {
    for (left, right) in values(left).iter().zip(values(right)) {
        assert!((left - right).abs() <= tolerance * right.abs().max(1e-3), "{left} {right}");
    }
}

/// On the processor and, when asked, by the composites that an accelerator runs.
fn optimiser(config: AdamW, parameters: &[Parameter], composed: bool) -> Optimiser {
    let mut optimiser = Optimiser::new(config, parameters.iter().map(|(name, var)| (*name, var))).unwrap();
    if composed {
        for slot in &mut optimiser.slots {
            slot.moments = Moments::device(&slot.var).unwrap();
        }
    }
    optimiser
}

#[test]
fn five_clipped_steps_are_those_of_torch() {
    let fixture = include_str!("../../../tests/fixtures/adamw.json");
    let fixture: serde_json::Value = serde_json::from_str(fixture).unwrap();
    for composed in [false, true] {
        let parameters: Vec<Parameter> = ["matrix", "gain"]
            .into_iter()
            .enumerate()
            .map(|(at, name)| {
                let start = tensor(&fixture["start"][at]);
                parameter(name, &values(&start), start.dims())
            })
            .collect();
        let config = AdamW { beta2: 0.95, weight_decay: 0.1, ..AdamW::default() };
        let mut optimiser = optimiser(config, &parameters, composed);
        for number in 0..5 {
            let gradients: Vec<_> = (0..2).map(|at| values(&tensor(&fixture["gradients"][number][at]))).collect();
            let norm = step(&mut optimiser, &gradients, fixture["rates"][number].as_f64().unwrap());
            assert!((norm - fixture["norms"][number].as_f64().unwrap()).abs() < 1e-5 * norm);
        }
        for (at, parameter) in parameters.iter().enumerate() {
            close(&parameter.1, &tensor(&fixture["end"][at]), 1e-5);
        }
        let (first, second) = match &optimiser.slots[0].moments {
            Moments::Host { first, second } => (first.clone(), second.clone()),
            Moments::Device { first, second } => (values(first), values(second)),
        };
        let read = |moments: Vec<f32>| Tensor::from_vec(moments, (3, 4), &Device::Cpu).unwrap();
        close(&read(first), &tensor(&fixture["first"]), 1e-5);
        close(&read(second), &tensor(&fixture["second"]), 1e-5);
    }
}

#[test]
fn many_values_are_updated_as_in_f64() {
    let count = 40_000;
    let start: Vec<f32> = (0..count).map(|at| ((at * 37 % 101) as f32 - 50.0) / 30.0).collect();
    let gradient =
        |step: usize| -> Vec<f32> { (0..count).map(|at| ((at * 53 + step * 17) % 97) as f32 / 40.0 - 1.2).collect() };
    let parameters = [parameter("w", &start, &[200, 200])];
    let config = AdamW { clip_norm: 0.0, weight_decay: 0.2, ..AdamW::default() };
    let mut optimiser = optimiser(config, &parameters, false);
    let mut expected: Vec<(f64, f64, f64)> = start.iter().map(|value| (f64::from(*value), 0.0, 0.0)).collect();
    for number in 1..=4 {
        let gradients = [gradient(number)];
        for ((value, first, second), gradient) in expected.iter_mut().zip(&gradients[0]) {
            let gradient = f64::from(*gradient);
            *first = 0.9 * *first + 0.1 * gradient;
            *second = 0.999 * *second + 0.001 * gradient * gradient;
            let bias = |beta: f64| 1.0 - beta.powf(number as f64);
            *value -= 0.01 * 0.2 * *value;
            *value -= 0.01 * (*first / bias(0.9)) / ((*second / bias(0.999)).sqrt() + 1e-8);
        }
        step(&mut optimiser, &gradients, 0.01);
    }
    for (value, (expected, ..)) in values(&parameters[0].1).iter().zip(&expected) {
        assert!((f64::from(*value) - expected).abs() < 1e-5, "{value} {expected}");
    }
}

#[test]
fn gains_do_not_decay_and_matrices_do() {
    let parameters = [parameter("gain", &[1.0, 2.0], &[2]), parameter("matrix", &[1.0, 2.0], &[1, 2])];
    let mut optimiser = optimiser(AdamW { weight_decay: 0.5, ..AdamW::default() }, &parameters, false);
    step(&mut optimiser, &[vec![0.0; 2], vec![0.0; 2]], 0.1);
    assert_eq!(values(&parameters[0].1), [1.0, 2.0]);
    assert_eq!(values(&parameters[1].1), [0.95, 1.9]);
}

#[test]
fn saved_moments_go_on_to_the_bit() {
    let gradient = |number: f32| [vec![0.3 * number, -1.0, 0.01, 2.0, number, 1e-4]];
    let start = [0.1, -0.2, 0.3, 4.0, 5.0, -6.0];
    let whole = [parameter("w", &start, &[2, 3])];
    let mut through = optimiser(AdamW::default(), &whole, false);
    let halves = [parameter("w", &start, &[2, 3])];
    let mut first = optimiser(AdamW::default(), &halves, false);
    let run = |optimiser: &mut Optimiser, steps: std::ops::Range<u8>| {
        for number in steps {
            step(optimiser, &gradient(f32::from(number)), 0.05);
        }
    };
    run(&mut through, 0..6);
    run(&mut first, 0..3);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("optimiser.safetensors");
    first.save(&path).unwrap();
    let mut second = optimiser(AdamW::default(), &halves, false);
    second.load(&path, 3).unwrap();
    run(&mut second, 3..6);
    assert_eq!(values(&whole[0].1), values(&halves[0].1));
    let other = [parameter("another", &start, &[2, 3])];
    let error = optimiser(AdamW::default(), &other, false).load(&path, 3).unwrap_err().to_string();
    assert!(error.contains("first.another"), "{error}");
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let parameters = [parameter("w", &[1.0, 2.0], &[2])];
    let mut optimiser = optimiser(AdamW::default(), &parameters, false);
    let wide: [&[f32]; 1] = [&[0.0; 3]];
    let error = optimiser.step(wide.into_iter(), 0.0, 0.1).unwrap_err().to_string();
    assert!(error.contains("`w`"), "{error}");
    assert!(optimiser.step([].into_iter(), 0.0, 0.1).is_err());
}
