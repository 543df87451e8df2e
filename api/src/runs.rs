//! [`Runs`]: the runs of training in a home, as their folders tell of them. All reading is bounded.
//!
//! ```text
//! runs/ID/journal.jsonl                    what was done and measured
//! runs/ID/traces/step-00000001.jsonl       episodes of a step, a line each
//! runs/ID/stages/01-NAME/                  a stage, itself laid out like a run
//! ```

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use agent::journal::{self, Entry};
use serde_json::Value;

/// Bytes at either end of a journal that are looked at for a list.
const GLANCE: u64 = 64 << 10;
/// The largest journal that is read whole.
const MAX_JOURNAL: u64 = 64 << 20;
/// The longest episode, and what the episodes of one answer may come to.
const MAX_EPISODES: u64 = 32 << 20;
/// Stages of a run that are told.
const MAX_STAGES: usize = 64;
const STAGES: &str = "stages";
const TRACES: &str = "traces";

/// A folder of runs.
#[derive(Clone, Debug)]
pub(crate) struct Runs {
    dir: PathBuf,
}

/// How far a run or a stage of it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Progress {
    /// Its first line, where that is whole.
    pub(crate) start: Option<journal::Start>,
    /// Steps done.
    pub(crate) step: u64,
    /// Whether it came to its end.
    pub(crate) ended: bool,
}

/// Episodes of a step.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Episodes {
    /// The step.
    pub(crate) step: u64,
    /// All steps whose episodes are kept, rising.
    pub(crate) steps: Vec<u64>,
    /// Each with its place in the step, from 1.
    pub(crate) found: Vec<(usize, Value)>,
    /// Whether more follow.
    pub(crate) has_more: bool,
}

/// Why something of a run cannot be told.
#[derive(Debug)]
pub(crate) enum Fault {
    /// There is no such thing.
    Unknown(&'static str),
    /// It is larger than what is read at once.
    TooLarge(&'static str),
    /// It is there, and cannot be read.
    Damaged(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Damaged(error.to_string())
    }
}

impl Runs {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// The names of runs behind `after`, in order, at most `limit`.
    pub(crate) fn list(&self, after: Option<&str>, limit: usize) -> io::Result<Vec<String>> {
        let mut names = folders(&self.dir)?;
        names.retain(|name| {
            after.is_none_or(|after| name.as_str() > after) && {
                let run = self.dir.join(name);
                run.join(journal::FILE).is_file() || run.join(STAGES).is_dir()
            }
        });
        names.truncate(limit);
        Ok(names)
    }

    /// The stages that were begun in the run called `id`, in order; none in a run of one.
    pub(crate) fn stages(&self, id: &str) -> io::Result<Vec<String>> {
        let mut names = folders(&self.dir.join(id).join(STAGES))?;
        names.truncate(MAX_STAGES);
        Ok(names)
    }

    /// The folder of the run called `id`, or of a stage of it.
    ///
    /// # Errors
    /// [`Fault::Unknown`] when there is none, or when that is no name.
    pub(crate) fn folder(&self, id: &str, stage: Option<&str>) -> Result<PathBuf, Fault> {
        if !is_name(id) || !self.dir.join(id).is_dir() {
            return Err(Fault::Unknown("no run is called so"));
        }
        let run = self.dir.join(id);
        let Some(stage) = stage else { return Ok(run) };
        let folder = run.join(STAGES).join(stage);
        if is_name(stage) && folder.is_dir() {
            Ok(folder)
        } else {
            Err(Fault::Unknown("no stage of this run is called so"))
        }
    }
}

/// How far the run in `folder` is, by the ends of its journal.
pub(crate) fn progress(folder: &Path) -> io::Result<Progress> {
    let mut file = match File::open(folder.join(journal::FILE)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Progress::default()),
        Err(error) => return Err(error),
    };
    let mut head = Vec::new();
    (&mut file).take(GLANCE).read_to_end(&mut head)?;
    let length = file.metadata()?.len();
    let from = length.saturating_sub(GLANCE);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.take(GLANCE).read_to_end(&mut tail)?;
    let start = entries(&head).find_map(|entry| if let Entry::Start(start) = entry { Some(start) } else { None });
    // a line that the glance cut in two is no line, and so is passed over
    let last: Vec<Entry> = entries(&tail).filter(|entry| *entry != Entry::Unknown).collect();
    let step = last.iter().map(Entry::step).max().unwrap_or_default();
    Ok(Progress { start, step, ended: matches!(last.last(), Some(Entry::End { .. })) })
}

fn entries(bytes: &[u8]) -> impl Iterator<Item = Entry> {
    bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok())
}

/// All lines of the journal in `folder`; none where there is no journal.
///
/// # Errors
/// [`Fault::TooLarge`] and [`Fault::Damaged`].
pub(crate) fn journal(folder: &Path) -> Result<Vec<Entry>, Fault> {
    match fs::metadata(folder.join(journal::FILE)) {
        Ok(file) if file.len() > MAX_JOURNAL => {
            Err(Fault::TooLarge("this journal is larger than 64 MB: read it where it lies"))
        }
        Ok(_) => journal::read(folder).map_err(|error| Fault::Damaged(error.to_string())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// Episodes of `step` of the run in `folder`, of the last step unless one is named: at most `limit` behind the place `after`.
///
/// # Errors
/// [`Fault`].
pub(crate) fn episodes(folder: &Path, step: Option<u64>, after: usize, limit: usize) -> Result<Episodes, Fault> {
    let steps = steps(folder)?;
    let Some(last) = steps.last() else { return Err(Fault::Unknown("this run has kept no episodes")) };
    let step = step.unwrap_or(*last);
    if steps.binary_search(&step).is_err() {
        return Err(Fault::Unknown("this run has kept no episodes of that step"));
    }
    let file = File::open(folder.join(TRACES).join(file_of(step)))?;
    let (mut reader, mut page, mut left) =
        (BufReader::new(file), Episodes { step, steps, ..Episodes::default() }, MAX_EPISODES);
    let mut line = Vec::new();
    for place in 1_usize.. {
        line.clear();
        let read = reader.by_ref().take(MAX_EPISODES + 1).read_until(b'\n', &mut line)? as u64;
        // a kill may have cut off the last line
        if read == 0 || (line.last() != Some(&b'\n') && read <= MAX_EPISODES) {
            break;
        }
        if read > MAX_EPISODES {
            return Err(Fault::TooLarge("an episode is larger than 32 MB: `anamnesis-train show` prints it"));
        }
        if place <= after {
            continue;
        }
        if page.found.len() == limit || read > left {
            page.has_more = true;
            break;
        }
        left -= read;
        let episode =
            serde_json::from_slice(&line).map_err(|error| Fault::Damaged(format!("episode {place}: {error}")))?;
        page.found.push((place, episode));
    }
    Ok(page)
}

fn file_of(step: u64) -> String {
    format!("step-{step:08}.jsonl")
}

/// The steps whose episodes are kept, rising.
fn steps(folder: &Path) -> io::Result<Vec<u64>> {
    let mut steps = Vec::new();
    for name in names(&folder.join(TRACES))? {
        let number = name.strip_prefix("step-").and_then(|name| name.strip_suffix(".jsonl"));
        let step: Option<u64> = number.and_then(|number| number.parse().ok());
        // only as the trainer writes it, so that the name can be made of the number again
        let step = step.filter(|step| file_of(*step) == name);
        steps.extend(step);
    }
    steps.sort_unstable();
    Ok(steps)
}

/// Folders in `dir` whose names can be asked for, in order.
fn folders(dir: &Path) -> io::Result<Vec<String>> {
    let mut found = names(dir)?;
    found.retain(|name| is_name(name) && dir.join(name).is_dir());
    found.sort_unstable();
    Ok(found)
}

fn names(dir: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().into_string());
    }
    Ok(names)
}

/// Whether `text` can name a folder here, and nothing outside.
pub(crate) fn is_name(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !text.is_empty() && text.len() <= 128 && !text.starts_with('.') && text.bytes().all(is_plain)
}

/// At most `points` of `items`, evenly over all of them, the first and the last among them.
pub(crate) fn thin<T>(items: Vec<T>, points: usize) -> Vec<T> {
    let count = items.len();
    if count <= points {
        return items;
    }
    let mut wanted = (0..points).map(|point| point * (count - 1) / (points - 1).max(1)).peekable();
    items
        .into_iter()
        .enumerate()
        .filter(|(index, _)| wanted.next_if_eq(index).is_some())
        .map(|(_, item)| item)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_nowhere_else() {
        for name in ["first", "2026-01-01_a.b", "01-sft", "a"] {
            assert!(is_name(name), "{name}");
        }
        let long = "x".repeat(129);
        for name in ["", ".", "..", "../x", "a/b", "/etc", "a\\b", ".hidden", "a\0", "é", "a b", &long] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn thinning_keeps_both_ends_and_the_order() {
        assert_eq!(thin((0..5).collect(), 9), [0, 1, 2, 3, 4]);
        assert_eq!(thin((0..=100).collect(), 5), [0, 25, 50, 75, 100]);
        assert_eq!(thin((0..10).collect(), 2), [0, 9]);
        for count in 1..60 {
            for points in 2..20 {
                let kept = thin((0..count).collect::<Vec<_>>(), points);
                assert_eq!((kept.len(), kept[0], kept[kept.len() - 1]), (points.min(count), 0, count - 1));
            }
        }
    }

    #[test]
    fn the_ends_of_a_long_journal_tell_how_far_it_is() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(progress(folder.path()).unwrap(), Progress::default());
        let notice =
            |step: u64| format!("{{\"kind\":\"notice\",\"step\":{step},\"text\":\"{}\"}}\n", "x".repeat(1_000));
        let start = r#"{"kind":"start","at":"2026-01-01T00:00:00Z","step":0,"steps":500,"stage":"grpo","parameters":1,"samples":1,"tokens":1,"heldout":1,"forecast_bytes":1,"peak_bytes":null}"#;
        let mut text = format!("{start}\n") + &(1..=400).map(notice).collect::<String>();
        fs::write(folder.path().join(journal::FILE), text.clone() + "{\"kind\":\"end\",\"st").unwrap();
        let found = progress(folder.path()).unwrap();
        assert_eq!((found.step, found.ended, found.start.map(|start| start.steps)), (400, false, Some(500)));
        text.push_str("{\"kind\":\"end\",\"step\":400,\"seconds\":1.5}\n");
        fs::write(folder.path().join(journal::FILE), text).unwrap();
        assert!(progress(folder.path()).unwrap().ended);
    }

    #[test]
    fn episodes_come_in_pages_and_a_torn_one_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(episodes(folder.path(), None, 0, 9), Err(Fault::Unknown(_))));
        let traces = folder.path().join(TRACES);
        fs::create_dir(&traces).unwrap();
        fs::write(traces.join("step-00000009.jsonl"), "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n{\"n\"").unwrap();
        fs::write(traces.join("step-00000010.jsonl"), "no json\n").unwrap();
        for name in ["step-7.jsonl", "step-000000008.jsonl", "step-x.jsonl"] {
            fs::write(traces.join(name), "{}\n").unwrap();
        }
        let first = episodes(folder.path(), Some(9), 0, 2).unwrap();
        assert_eq!((first.steps.as_slice(), first.has_more, first.found.len()), (&[9, 10][..], true, 2));
        let second = episodes(folder.path(), Some(9), 2, 2).unwrap();
        assert_eq!((second.found, second.has_more), (vec![(3, serde_json::json!({ "n": 3 }))], false));
        assert!(matches!(episodes(folder.path(), Some(8), 0, 2), Err(Fault::Unknown(_))));
        assert!(matches!(episodes(folder.path(), None, 0, 2), Err(Fault::Damaged(_))));
    }
}
