//! What was said before, in a file of the run: a line each, the last of which a kill may have cut off.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Opinion;
use crate::Result;
use crate::error::{read, write};

/// What was said of each case, by its key.
#[derive(Debug)]
pub(super) struct Remembered {
    said: BTreeMap<String, Opinion>,
    path: Option<PathBuf>,
    /// Made when there is something to write: a run that is refused leaves no folder behind.
    file: Option<File>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    key: String,
    #[serde(flatten)]
    opinion: Opinion,
}

impl Remembered {
    pub(super) fn open(path: Option<PathBuf>) -> Result<Self> {
        let mut said = BTreeMap::new();
        if let Some(path) = path.as_ref().filter(|path| path.is_file()) {
            let bytes = fs::read(path).map_err(read(path))?;
            // What is no line is asked again.
            let lines = bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Line>(line).ok());
            said.extend(lines.map(|line| (line.key, line.opinion)));
        }
        Ok(Self { said, path, file: None })
    }

    pub(super) fn get(&self, key: &str) -> Option<&Opinion> {
        self.said.get(key)
    }

    pub(super) fn keep(&mut self, key: &str, opinion: Opinion) -> Result<()> {
        if let Some(path) = &self.path {
            let file = match &mut self.file {
                Some(file) => file,
                none => {
                    let mut file = OpenOptions::new().create(true).append(true).open(path).map_err(write(path))?;
                    // After a line that was cut off.
                    file.write_all(b"\n").map_err(write(path))?;
                    none.insert(file)
                }
            };
            let line = Line { key: key.to_owned(), opinion: opinion.clone() };
            let mut line = serde_json::to_vec(&line).map_err(|error| write(path)(error.into()))?;
            line.push(b'\n');
            file.write_all(&line).map_err(write(path))?;
            // As it will be read: JSON may move the last bit of a number.
            let Line { key, opinion } = serde_json::from_slice(&line).map_err(|error| write(path)(error.into()))?;
            self.said.insert(key, opinion);
        } else {
            self.said.insert(key.to_owned(), opinion);
        }
        Ok(())
    }

    /// Carries all of it to the disk.
    pub(super) fn sync(&self) -> Result<()> {
        match (&self.file, &self.path) {
            (Some(file), Some(path)) => file.sync_data().map_err(write(path)),
            _ => Ok(()),
        }
    }
}
