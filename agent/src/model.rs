//! Language models in folders: found, described, made, tried and measured.
//!
//! * [`find`] and [`list`]: a model by its path, or by its name among those of a home;
//! * [`Card`]: what a folder holds, from its headers alone;
//! * [`init`]: random weights of a real shape, to measure without a download;
//! * [`Model`]: a model on the engine, which goes on from a prompt ([`generate()`]) and is measured ([`bench()`]);
//! * [`device`]: where it runs, by the name it has on a command line.

pub mod bench;
mod card;
pub mod generate;
mod memory;
mod opened;

use std::fs;
use std::num::NonZero;
use std::path::{Component, Path, PathBuf};

pub use nn::{Device, Sampling, Shape};

pub use self::bench::bench;
pub use self::card::{AdapterCard, Card, is_language_model};
pub use self::generate::generate;
pub use self::memory::Memory;
pub(crate) use self::memory::available;
pub use self::opened::Model;
use crate::{Error, Result};

/// The folder that `name` means: a path where it has more than one part, else the model of that name in
/// the folder `models`, else the folder of that name right here.
///
/// # Errors
/// [`Error::Input`] when there is none, naming where it was looked for.
pub fn find(models: &Path, name: &str) -> Result<PathBuf> {
    let places = if is_path(name) { vec![name.into()] } else { vec![models.join(name), name.into()] };
    if let Some(place) = places.iter().find(|place| place.is_dir()) {
        return Ok(place.clone());
    }
    let places: Vec<_> = places.iter().map(|place| place.display().to_string()).collect();
    Err(Error::Input(format!(
        "no model folder at {}: see `anamnesis model list`, or make one with `anamnesis model init {name}`",
        places.join(" or ")
    )))
}

/// Where a new model called `name` belongs: at that path where it has more than one part, else in the
/// folder `models`.
pub fn place(models: &Path, name: &str) -> PathBuf {
    if is_path(name) { name.into() } else { models.join(name) }
}

fn is_path(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    !(matches!(parts.next(), Some(Component::Normal(part)) if part == name) && parts.next().is_none())
}

/// The language models in the folder `models`, by name; those that cannot be read with their fault.
/// Encoders and other folders are passed over; what a killed [`init`] left is a fault. A folder that is not there holds none.
///
/// # Errors
/// [`Error::Model`] when the folder cannot be read.
pub fn list(models: &Path) -> Result<Vec<(String, Result<Card>)>> {
    let io = |source| nn::Error::Io { path: models.to_owned(), source };
    let entries = match fs::read_dir(models) {
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(io)?,
    };
    let mut cards = Vec::new();
    for entry in entries {
        let path = entry.map_err(io)?.path();
        let Some(name) = path.file_name().map(|name| name.to_string_lossy().into_owned()) else { continue };
        if let Some(model) = name.strip_prefix('.').and_then(|name| name.strip_suffix(".partial")) {
            let what = "is being written, or was left by a run that was killed: then";
            let next = format!("delete {}, or run `anamnesis model init {model}` again", path.display());
            cards.push((name.clone(), Err(Error::Input(format!("{what} {next}")))));
        } else if !name.starts_with('.') && card::model_type(&path).is_some_and(|name| name != "bert") {
            cards.push((name, Card::read(&path)));
        }
    }
    cards.sort_by(|left, right| left.0.cmp(&right.0));
    Ok(cards)
}

/// Writes a random model to the new folder `dir`; see [`nn::init()`].
///
/// # Errors
/// [`Error::Model`] when `dir` exists or cannot be written.
pub fn init(shape: Shape, seed: u64, dir: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<()> {
    Ok(nn::init(shape, seed, dir, progress)?)
}

/// The device called `cpu`, `cuda` or `cuda:N`; `threads` is for the processor, all of it when not given.
///
/// # Errors
/// [`Error::Input`] for another name, or one that this build lacks.
pub fn device(name: &str, threads: Option<NonZero<usize>>) -> Result<Device> {
    if name == "cpu" {
        return Ok(threads.map_or_else(Device::cpu, |threads| Device::Cpu { threads }));
    }
    let ordinal = if name == "cuda" { Some("0") } else { name.strip_prefix("cuda:") };
    match ordinal.and_then(|ordinal| ordinal.parse().ok()) {
        Some(ordinal) => cuda(ordinal),
        None => Err(Error::Input(format!("`{name}` is no device: cpu, cuda or cuda:N"))),
    }
}

/// What a device is called in a report.
fn describe(device: Device) -> String {
    match device {
        Device::Cpu { threads } => format!("cpu, {threads} threads"),
        #[cfg(feature = "cuda")]
        Device::Cuda { ordinal } => format!("cuda:{ordinal}"),
        other => format!("{other:?}"),
    }
}

#[cfg(feature = "cuda")]
fn cuda(ordinal: usize) -> Result<Device> {
    Ok(Device::Cuda { ordinal })
}

#[cfg(not(feature = "cuda"))]
fn cuda(_ordinal: usize) -> Result<Device> {
    Err(Error::Input("this build has no CUDA: build it with --features cuda, or use --device cpu".to_owned()))
}

#[cfg(test)]
mod tests;
