//! [`Gradients`]: one buffer for the gradients of all parameters, in which micro-batches add up.

use std::ops::Range;

use crate::Parameter;

/// Sums that go on side by side: one alone would wait for itself.
const LANES: usize = 16;

/// Gradients of parameters, in the parameters' order.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradients {
    values: Vec<f32>,
    /// Where each parameter's begin, and where the last one's end.
    edges: Vec<usize>,
}

impl Gradients {
    /// Zeros for all of `parameters`.
    pub fn new(parameters: &[Parameter]) -> Self {
        let mut edges = vec![0];
        for parameter in parameters {
            edges.push(edges[edges.len() - 1] + parameter.var.elem_count());
        }
        Self { values: vec![0.0; edges[parameters.len()]], edges }
    }

    /// Makes all zero again.
    pub fn clear(&mut self) {
        self.values.fill(0.0);
    }

    /// How many parameters there are.
    pub fn len(&self) -> usize {
        self.edges.len() - 1
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Of one parameter, row-major. Panics when there is none of this number.
    pub fn get(&self, parameter: usize) -> &[f32] {
        &self.values[self.edges[parameter]..self.edges[parameter + 1]]
    }

    /// As [`Gradients::get`], to be changed.
    pub fn get_mut(&mut self, parameter: usize) -> &mut [f32] {
        self.range(parameter..parameter + 1)
    }

    /// Of each parameter.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        (0..self.len()).map(|parameter| self.get(parameter))
    }

    /// The length of all gradients as one vector; not finite where one of them is not.
    pub fn norm(&self) -> f64 {
        let (chunks, rest) = self.values.as_chunks::<LANES>();
        let mut sums = [0.0; LANES];
        for chunk in chunks {
            for (sum, value) in sums.iter_mut().zip(chunk) {
                *sum += f64::from(*value) * f64::from(*value);
            }
        }
        let rest: f64 = rest.iter().map(|value| f64::from(*value).powi(2)).sum();
        (sums.iter().sum::<f64>() + rest).sqrt()
    }

    /// Of several parameters, end to end.
    pub(crate) fn range(&mut self, parameters: Range<usize>) -> &mut [f32] {
        &mut self.values[self.edges[parameters.start]..self.edges[parameters.end]]
    }

    /// Whether this is made for parameters of these sizes.
    pub(crate) fn fits(&self, parameters: &[Parameter]) -> bool {
        let sizes = parameters.iter().map(|parameter| parameter.var.elem_count());
        self.edges.windows(2).map(|edge| edge[1] - edge[0]).eq(sizes)
    }
}
