//! A classifier that learns: its passes, and its way to the disk.

use std::path::Path;

use candle_core::Tensor;
use serde_json::{Map, Value, json};

use super::Classifier;
use crate::ops::{Linear, Team};
use crate::{EncoderPass, Error, Gradients, Packed, Parameter, Recompute, Result};

/// Names of the head's parameters, in their order.
const HEAD: [&str; 4] = ["bert.pooler.dense.weight", "bert.pooler.dense.bias", "classifier.weight", "classifier.bias"];

/// The logits of a batch, and what the backward pass needs.
#[derive(Debug)]
pub struct ClassifierPass {
    /// (N, labels), to build a loss on.
    pub logits: Tensor,
    pass: EncoderPass,
}

impl Classifier {
    /// Makes all weights learn and gives them in a fixed order, the encoder's first, by the names that
    /// they are saved with. Nothing is dropped out. What learned before is given again with its values.
    ///
    /// # Errors
    /// As [`Bert::train`](crate::Bert::train).
    pub fn train(&mut self, recompute: Recompute) -> Result<Vec<Parameter>> {
        let mut parameters = self.bert.train(self.device, recompute)?;
        if self.head.is_empty() {
            let mut head = Vec::new();
            for (names, linear) in HEAD.chunks_exact(2).zip([&self.pooler, &self.output]) {
                let (outputs, inputs) = (linear.outputs(), linear.inputs());
                head.push(Parameter::new(names[0].to_owned(), linear.weight(), &[outputs, inputs])?);
                head.push(Parameter::new(names[1].to_owned(), linear.bias().to_vec(), &[outputs])?);
            }
            self.head = head;
        }
        parameters.extend_from_slice(&self.head);
        Ok(parameters)
    }

    /// The logits of each sequence of `batch`, to be learned from.
    ///
    /// # Errors
    /// [`Error::Shape`] before [`Classifier::train`], and as [`Classifier::logits_of`].
    pub fn pass(&self, batch: &Packed) -> Result<ClassifierPass> {
        let pass = self.bert.pass(batch)?;
        let [pooler, pooler_bias, output, output_bias] = self.head()?;
        let linear = |x: &Tensor, weight: &Parameter, bias: &Parameter| {
            x.matmul(&weight.var.t()?)?.broadcast_add(bias.var.as_tensor())
        };
        let pooled = linear(&pass.first_states()?, pooler, pooler_bias)?.tanh()?; // (N, D)
        let logits = linear(&pooled, output, output_bias)?; // (N, labels)
        Ok(ClassifierPass { logits, pass })
    }

    /// Adds the gradients of `loss`, a scalar made of `pass.logits`, to `gradients`.
    ///
    /// # Errors
    /// [`Error::Shape`] when the loss does not depend on the logits, or the gradients are made for other
    /// parameters.
    pub fn backward(&self, pass: ClassifierPass, loss: &Tensor, gradients: &mut Gradients) -> Result<()> {
        self.bert.backward(pass.pass, loss, &self.head, gradients)
    }

    /// Carries the present values of what learns over to what computes. To be called after each change
    /// of the variables, before the next pass.
    ///
    /// # Errors
    /// As [`Bert::refresh`](crate::Bert::refresh).
    pub fn refresh(&mut self) -> Result<()> {
        self.bert.refresh()?;
        let alone = Team::new(std::num::NonZero::<usize>::MIN);
        let set = |linear: &mut Linear, values: &[Parameter]| {
            values[0].read(|weight| linear.set_weight(&alone, weight))?;
            values[1].read(|bias| linear.set_bias(bias))
        };
        for (linear, values) in [&mut self.pooler, &mut self.output].into_iter().zip(self.head.chunks_exact(2)) {
            set(linear, values)?;
        }
        Ok(())
    }

    /// Writes the classifier with what it has learned to the folder `dir`, which is made where it is
    /// missing, as `BertForSequenceClassification` of transformers. Each file is replaced whole, the
    /// weights last.
    ///
    /// # Errors
    /// As [`Bert::save`](crate::Bert::save).
    pub fn save(&self, dir: &Path) -> Result<()> {
        let numbered = || self.labels.iter().enumerate();
        let names: Map<String, Value> = numbered().map(|(place, label)| (place.to_string(), json!(label))).collect();
        let places: Map<String, Value> = numbered().map(|(place, label)| (label.clone(), json!(place))).collect();
        let config = [
            ("architectures", json!(["BertForSequenceClassification"])),
            ("id2label", Value::Object(names)),
            ("label2id", Value::Object(places)),
        ];
        self.bert.save_with(dir, &self.head, config)
    }

    fn head(&self) -> Result<&[Parameter; 4]> {
        let head = self.head.as_array();
        head.ok_or_else(|| Error::Shape("nothing learns yet: call `train` first".to_owned()))
    }
}
