//! [`init()`]: a model of a real shape with random weights, so that anybody can measure and test
//! without a download.
//!
//! The folder is in Hugging Face layout and loads anywhere: `config.json`, `generation_config.json`,
//! safetensors (shards and their index above 5 GB), a byte-level BPE `tokenizer.json` and a ChatML
//! template. It is written under a hidden name beside `dir` and renamed when it is whole and on disk:
//! a failure removes it, and what a killed run left is removed by the next run for the same `dir`.

mod layout;
pub(crate) mod normal;
mod safetensors;
mod text;

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde_json::Value;

use crate::{Error, Result};

/// The shapes that [`init`] can make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// Llama, 2 layers of 64, 512 tokens, f32: for tests.
    Tiny,
    /// Llama, 4 layers of 256, 4,096 tokens, f32: 5M parameters, for measures on any machine.
    Small,
    /// Qwen2.5-0.5B, bf16.
    HalfB,
    /// Llama-3.2-1B, bf16.
    OneB,
    /// Llama-3.1-8B, bf16.
    EightB,
}

impl Shape {
    /// Every shape, smallest first.
    pub const ALL: [Self; 5] = [Self::Tiny, Self::Small, Self::HalfB, Self::OneB, Self::EightB];

    /// Its name on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tiny => "tiny",
            Self::Small => "small",
            Self::HalfB => "0.5b",
            Self::OneB => "1b",
            Self::EightB => "8b",
        }
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|shape| shape.name() == text)
            .ok_or_else(|| format!("`{text}` is no shape: {}", Self::ALL.map(Self::name).join(", ")))
    }
}

/// Writes a random model of this shape to the new folder `dir`: matrices and biases normal with
/// deviation 0.02, gains 1. The same shape and seed give the same bytes on every machine. `progress`
/// is told the bytes of weights written so far and in all.
///
/// # Errors
/// [`Error::Config`] when `dir` exists, or another process is writing it; [`Error::Write`] when the disk refuses.
pub fn init(shape: Shape, seed: u64, dir: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<()> {
    let fault = |reason: &str| Error::Config { file: dir.to_owned(), reason: reason.to_owned() };
    if fs::symlink_metadata(dir).is_ok() {
        return Err(fault("exists already: remove it, or name another folder"));
    }
    let (Some(parent), Some(name)) = (dir.parent(), dir.file_name()) else {
        return Err(fault("names no folder that could be made"));
    };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    fs::create_dir_all(parent).map_err(write(parent))?;
    let aside = Aside::claim(&parent.join(format!(".{}.partial", name.to_string_lossy())), dir)?;
    fill(shape, seed, &aside.path, progress)?;
    aside.publish(parent, dir)
}

fn fill(shape: Shape, seed: u64, dir: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<()> {
    let config = layout::config(shape);
    for (name, value) in [
        ("config.json", &config),
        ("generation_config.json", &layout::generation_config()),
        ("tokenizer_config.json", &text::tokenizer_config(&config)),
    ] {
        save_json(&dir.join(name), value)?;
    }
    save(&dir.join("tokenizer.json"), text::tokenizer(&dir.join("tokenizer.json"))?.as_bytes())?;
    safetensors::write_folder(
        dir,
        &layout::tensors(&config),
        layout::is_bf16(shape),
        safetensors::SHARD,
        seed,
        progress,
    )
}

fn save_json(path: &Path, value: &Value) -> Result<()> {
    save(path, format!("{value:#}\n").as_bytes())
}

fn save(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).and_then(|()| File::open(path)?.sync_all()).map_err(write(path))
}

/// Wraps what went wrong with a file that was to be written.
fn write(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Write { path, source }
}

/// A folder that is being written under a hidden name; dropping it removes it.
struct Aside {
    path: PathBuf,
    lock: PathBuf,
    /// Held, not read: another process sees by it that this one lives.
    _held: File,
}

impl Aside {
    /// Makes `path`, after removing what a process that is no more left there.
    fn claim(path: &Path, dir: &Path) -> Result<Self> {
        let lock = path.with_extension("lock");
        let held = File::create(&lock).map_err(write(&lock))?;
        match held.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let reason = "is being written by another process: wait for it, or name another folder".to_owned();
                return Err(Error::Config { file: dir.to_owned(), reason });
            }
            Err(TryLockError::Error(source)) => return Err(Error::Write { path: lock, source }),
        }
        let aside = Self { path: path.to_owned(), lock, _held: held };
        match fs::remove_dir_all(path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => return Err(write(path)(source)),
            _ => fs::create_dir(path).map_err(write(path))?,
        }
        Ok(aside)
    }

    fn publish(self, parent: &Path, dir: &Path) -> Result<()> {
        sync_folder(&self.path)?;
        // An empty folder that came into being meanwhile would be replaced; a full one is refused.
        fs::rename(&self.path, dir).map_err(write(dir))?;
        sync_folder(parent)
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // After a rename nothing of that name is left; what cannot be removed goes with the next run.
        let _ = fs::remove_dir_all(&self.path);
        let _ = fs::remove_file(&self.lock);
    }
}

/// Only Unix can open a folder as a file; elsewhere a rename is as durable as it gets.
fn sync_folder(path: &Path) -> Result<()> {
    if cfg!(unix) {
        File::open(path).and_then(|folder| folder.sync_all()).map_err(write(path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
