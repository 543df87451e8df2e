//! Writing a model folder: each file whole or not at all.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use candle_core::DType;
use serde_json::json;

use crate::{Error, Result};

/// A tensor that is to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout<'a> {
    /// `F32`, `F16` or `BF16`.
    pub(crate) dtype: DType,
    pub(crate) shape: &'a [usize],
}

/// Writes a file aside and renames it, so that a reader finds the old one or the new one.
pub(crate) fn replace(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>) -> Result<()> {
    let aside = path.with_added_extension("part");
    let written = File::create(&aside).and_then(|file| {
        let mut file = BufWriter::new(file);
        write(&mut file)?;
        file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()
    });
    let written = written.and_then(|()| fs::rename(&aside, path)).map_err(|source| {
        // Best effort: the fault that is told matters more.
        let _ = fs::remove_file(&aside);
        Error::Write { path: path.to_owned(), source }
    });
    written?;
    #[cfg(unix)]
    if let Some(parent) = path.parent() {
        File::open(parent)
            .and_then(|folder| folder.sync_all())
            .map_err(|source| Error::Write { path: parent.to_owned(), source })?;
    }
    Ok(())
}

/// Copies the files of these names, where they exist, from one folder to another.
pub(crate) fn copy(from: &Path, to: &Path, names: &[&str]) -> Result<()> {
    for name in names {
        let from = from.join(name);
        match fs::read(&from) {
            Ok(bytes) => {
                let to = to.join(name);
                let folder = to.parent().unwrap_or(&to);
                fs::create_dir_all(folder).map_err(|source| Error::Write { path: folder.to_owned(), source })?;
                replace(&to, |file| file.write_all(&bytes))?;
            }
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(Error::Io { path: from, source }),
        }
    }
    Ok(())
}

/// Writes a safetensors file of these tensors, whose bytes are asked for one at a time.
pub(crate) fn write_tensors(
    path: &Path,
    tensors: &BTreeMap<&str, Layout<'_>>,
    mut bytes: impl FnMut(&str) -> Result<Vec<u8>>,
) -> Result<()> {
    let mut header = BTreeMap::new();
    let mut end = 0;
    for (name, Layout { dtype, shape }) in tensors {
        let start = end;
        end += shape.iter().product::<usize>() * dtype.size_in_bytes();
        let dtype = match dtype {
            DType::F16 => "F16",
            DType::BF16 => "BF16",
            _ => "F32",
        };
        header.insert(*name, json!({ "dtype": dtype, "shape": shape, "data_offsets": [start, end] }));
    }
    header.insert("__metadata__", json!({ "format": "pt" }));
    let mut header = json!(header).to_string();
    header.push_str(&" ".repeat(header.len().next_multiple_of(8) - header.len()));
    // What cannot be read must not look like a disk that refuses.
    let mut fault = None;
    let written = replace(path, |file| {
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(header.as_bytes())?;
        for name in tensors.keys() {
            match bytes(name) {
                Ok(bytes) => file.write_all(&bytes)?,
                Err(error) => {
                    fault = Some(error);
                    return Err(std::io::Error::other("a tensor cannot be read"));
                }
            }
        }
        Ok(())
    });
    fault.map_or(written, Err)
}
