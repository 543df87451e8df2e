//! A policy from nothing: its vocabulary, its random weights and its first lessons.

mod model;
pub(crate) mod template;

pub(crate) use self::model::{Shape, Vocabulary, write_folder};
