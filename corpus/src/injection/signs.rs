//! The signs themselves: patterns over folded text, each with its kind and how much it says by itself.
//!
//! They stand in `signs.tsv`, a sign a line. A text is read once for cues, words without which a sign
//! cannot occur; only signs whose cues were met are looked for, and most texts have none.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::Kind;
use super::cues::Cues;

const SIGNS: &str = include_str!("signs.tsv");

/// A line of the table.
#[derive(Debug)]
struct Row {
    kind: Kind,
    weight: f64,
    cues: Vec<String>,
    pattern: Regex,
}

/// All signs.
#[derive(Debug)]
pub(super) struct Signs {
    rows: Vec<Row>,
    cues: Cues,
    /// Per cue, the rows it belongs to.
    of_cue: Vec<Vec<usize>>,
}

pub(super) static ALL: LazyLock<Signs> =
    LazyLock::new(|| Signs::read(SIGNS).expect("the table is constant, and a test reads it"));

impl Signs {
    fn read(table: &str) -> Option<Self> {
        let lines = table.lines().filter(|line| !line.starts_with('#'));
        let rows: Vec<_> = lines.map(Row::read).collect::<Option<_>>()?;
        let mut cues: Vec<_> = rows.iter().flat_map(|row| row.cues.iter().cloned()).collect();
        cues.sort_unstable();
        cues.dedup();
        let of = |cue| (0..rows.len()).filter(|row| rows[*row].cues.contains(cue)).collect();
        let of_cue = cues.iter().map(of).collect();
        Some(Self { rows, cues: Cues::new(cues), of_cue })
    }

    /// Kind, weight and place of the first of each sign that occurs in the folded `text`.
    pub(super) fn find(&self, text: &str) -> impl Iterator<Item = (Kind, f64, Range<usize>)> {
        let mut wanted = vec![false; self.rows.len()];
        self.cues.find(text, |cue| {
            for row in &self.of_cue[cue] {
                wanted[*row] = true;
            }
        });
        let rows = self.rows.iter().zip(wanted).filter(|(_, wanted)| *wanted);
        rows.filter_map(move |(row, _)| Some((row.kind, row.weight, row.pattern.find(text)?.range())))
    }

    /// The same without looking for cues first.
    #[cfg(test)]
    pub(super) fn find_slowly(&self, text: &str) -> impl Iterator<Item = (Kind, f64, Range<usize>)> {
        self.rows.iter().filter_map(move |row| Some((row.kind, row.weight, row.pattern.find(text)?.range())))
    }
}

impl Row {
    fn read(line: &str) -> Option<Self> {
        let [kind, weight, cues, pattern] = line.split('\t').collect::<Vec<_>>().try_into().ok()?;
        let cues: Vec<_> = cues.split('¦').map(|cue| cue.replace("\\n", "\n")).collect();
        if cues.iter().any(String::is_empty) {
            return None;
        }
        Some(Self {
            kind: Kind::ALL.into_iter().find(|known| known.name() == kind)?,
            weight: weight.parse().ok()?,
            cues,
            pattern: Regex::new(&expand(pattern)).ok()?,
        })
    }
}

/// A pattern as the engine takes it: `\b` between ASCII letters and others, which needs no tables; a blank
/// that may be a line's end; and `~` for up to four words of the same sentence.
fn expand(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() * 2);
    let (mut class, mut escaped) = (false, false);
    for c in pattern.chars() {
        if escaped {
            if c == 'b' && !class {
                out.push_str(r"(?-u:\b)");
            } else {
                out.extend(['\\', c]);
            }
            escaped = false;
            continue;
        }
        match c {
            '\\' => escaped = true,
            '[' | ']' => {
                class = c == '[';
                out.push(c);
            }
            '~' if !class => out.push_str(r"(?:[^ \n.!?;]+[ \n]){0,4}"),
            ' ' if !class => out.push_str(r"[ \n]"),
            _ => out.push(c),
        }
    }
    out
}
