//! How much a text reads like an instruction to whoever answers from it, and what in it does.
//!
//! A document is data. What is rendered as evidence is escaped elsewhere, whatever it says; this score is
//! the other half: it keeps texts that were written to steer a reader out of the evidence until a curator
//! has looked. It is pure, linear in the text, and names each sign with its place.

mod cues;
mod fold;
mod plain;
mod signs;

use std::fmt;
use std::ops::Range;

use self::fold::Folded;

/// From this score on a document stands in quarantine when it comes in.
pub const THRESHOLD: f64 = 0.6;

/// Digits of an encoding that could spell an instruction; shorter runs are words.
const ENCODED: usize = 24;

/// What a sign is a sign of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Earlier instructions are to be set aside.
    Override,
    /// The reader is given a role.
    Persona,
    /// A language model is addressed.
    Address,
    /// A message of a chat is imitated.
    Role,
    /// A token of a chat template.
    Template,
    /// A tag, a line or a modifier of an episode's protocol.
    Protocol,
    /// A label of evidence.
    Label,
    /// A call of a tool.
    Tool,
    /// What to answer, cite or leave out.
    Order,
    /// Something is to be sent or shown.
    Exfiltration,
    /// A budget, a limit or a filter is to change.
    Bounds,
    /// All other evidence is declared void.
    Discredit,
    /// Written so that people do not see it.
    Hidden,
    /// Letters stand in for others.
    Disguise,
    /// An instruction in an encoding.
    Encoded,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 15] = [
        Self::Override,
        Self::Persona,
        Self::Address,
        Self::Role,
        Self::Template,
        Self::Protocol,
        Self::Label,
        Self::Tool,
        Self::Order,
        Self::Exfiltration,
        Self::Bounds,
        Self::Discredit,
        Self::Hidden,
        Self::Disguise,
        Self::Encoded,
    ];

    /// The kind's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Override => "override",
            Self::Persona => "persona",
            Self::Address => "address",
            Self::Role => "role",
            Self::Template => "template",
            Self::Protocol => "protocol",
            Self::Label => "label",
            Self::Tool => "tool",
            Self::Order => "order",
            Self::Exfiltration => "exfiltration",
            Self::Bounds => "bounds",
            Self::Discredit => "discredit",
            Self::Hidden => "hidden",
            Self::Disguise => "disguise",
            Self::Encoded => "encoded",
        }
    }

    /// What a text of the kind does.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Override => "sets instructions aside",
            Self::Persona => "gives the reader a role",
            Self::Address => "addresses a language model",
            Self::Role => "imitates a message of a chat",
            Self::Template => "holds a token of a chat template",
            Self::Protocol => "holds a mark of the protocol",
            Self::Label => "forges a label of evidence",
            Self::Tool => "calls a tool",
            Self::Order => "says what to answer or cite",
            Self::Exfiltration => "asks to send or show something",
            Self::Bounds => "changes a budget or a filter",
            Self::Discredit => "declares other evidence void",
            Self::Hidden => "hides text",
            Self::Disguise => "disguises words",
            Self::Encoded => "holds an encoded instruction",
        }
    }
}

/// Something in a text that speaks for an injection.
#[derive(Clone, Debug, PartialEq)]
pub struct Sign {
    /// What it is a sign of.
    pub kind: Kind,
    /// How much it says by itself, from 0 to 1.
    pub weight: f64,
    /// Where it stands, in bytes of the text.
    pub span: Range<usize>,
}

/// What was found in a text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Score {
    /// From 0 to 1: the chance that not all signs are chance, were they independent.
    pub value: f64,
    /// Why, the heaviest first.
    pub signs: Vec<Sign>,
}

impl Score {
    fn of(mut signs: Vec<Sign>) -> Self {
        signs.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.span.start.cmp(&b.span.start)));
        let value = 1.0 - signs.iter().map(|sign| 1.0 - sign.weight).product::<f64>();
        Self { value, signs }
    }

    /// Whether a document that reads so should be looked at before it answers anything.
    pub fn is_suspicious(&self) -> bool {
        self.value >= THRESHOLD
    }

    /// The score and what was found in `text`, on one line, for the audit log.
    pub fn reason(&self, text: &str) -> String {
        let mut kinds: Vec<&Sign> = Vec::new();
        for sign in &self.signs {
            if !kinds.iter().any(|known| known.kind == sign.kind) {
                kinds.push(sign);
            }
        }
        let named = kinds.iter().take(4).map(|sign| {
            let words = text.get(sign.span.clone()).unwrap_or_default();
            let words = crate::text::normalise(words).replace('\n', " ");
            let shown: String = words.chars().take(60).collect();
            let more = if shown.len() < words.len() { "…" } else { "" };
            format!("{} (\"{shown}{more}\")", sign.kind)
        });
        format!("possible injection, score {:.2}: it {}", self.value, named.collect::<Vec<_>>().join(", "))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Scores `text`.
pub fn score(text: &str) -> Score {
    let mut signs = plain_signs(text);
    for (span, decoded) in encoded(text) {
        if plain_signs(&decoded).iter().any(|sign| sign.weight >= THRESHOLD) {
            signs.push(Sign { kind: Kind::Encoded, weight: 0.9, span });
        }
    }
    Score::of(signs)
}

/// The score of a document's title and text, of whose characters `concealed` were dropped at the door
/// because they could have hidden words (see [`crate::text::concealed`]), and if it is suspicious, why.
pub fn screen(title: &str, text: &str, concealed: usize) -> (Score, Option<String>) {
    let whole = format!("{title}\n{text}");
    let Score { mut signs, .. } = score(&whole);
    if concealed > 0 {
        signs.push(Sign { kind: Kind::Hidden, weight: 0.9, span: 0..0 });
    }
    let score = Score::of(signs);
    let reason = score.is_suspicious().then(|| score.reason(&whole));
    (score, reason)
}

fn plain_signs(text: &str) -> Vec<Sign> {
    let folded = Folded::new(text);
    let found = signs::ALL.find(&folded.text);
    let mut signs: Vec<_> =
        found.map(|(kind, weight, span)| Sign { kind, weight, span: folded.original(&span, text) }).collect();
    let everywhere = 0..text.len().min(text.ceil_char_boundary(80));
    if folded.concealed > 0 {
        signs.push(Sign { kind: Kind::Hidden, weight: 0.9, span: everywhere.clone() });
    }
    if folded.split > 8 {
        signs.push(Sign { kind: Kind::Hidden, weight: 0.3, span: everywhere.clone() });
    }
    if folded.disguised > 1 {
        signs.push(Sign { kind: Kind::Disguise, weight: 0.6, span: everywhere });
    }
    signs
}

/// Runs of base64 or hexadecimal digits that hold readable text, and the text.
fn encoded(text: &str) -> Vec<(Range<usize>, String)> {
    let mut found = Vec::new();
    for span in runs_of_digits(text.as_bytes()) {
        let run = &text.as_bytes()[span.clone()];
        if let Some(decoded) = hexadecimal(run).or_else(|| base64(run)).and_then(readable) {
            found.push((span, decoded));
        }
    }
    found
}

/// Where `ENCODED` or more digits of an encoding stand in a row. Looked at from the far end: most windows have a
/// blank near it, before which no run can begin.
fn runs_of_digits(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'=');
    let mut start = 0;
    std::iter::from_fn(move || {
        loop {
            let window = text.get(start..start + ENCODED)?;
            if let Some(last) = window.iter().rposition(|byte| !is_digit(byte)) {
                start += last + 1;
                continue;
            }
            let span = start..start + text[start..].iter().take_while(|byte| is_digit(byte)).count();
            start = span.end;
            return Some(span);
        }
    })
}

fn base64(run: &[u8]) -> Option<Vec<u8>> {
    let (mut out, mut bits, mut held) = (Vec::with_capacity(run.len() * 3 / 4), 0_u32, 0);
    for byte in run {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => break,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
        // most long words are none, which their first letters tell
        if out.len() == 12 && out.iter().any(|byte| !is_readable(*byte)) {
            return None;
        }
    }
    Some(out)
}

fn hexadecimal(run: &[u8]) -> Option<Vec<u8>> {
    let nibble = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let pair = |pair: &[u8]| Some(nibble(*pair.first()?)? << 4 | nibble(*pair.get(1)?)?);
    run.chunks(2).map(pair).collect()
}

fn is_readable(byte: u8) -> bool {
    byte >= 0x80 || (b' '..=b'~').contains(&byte) || matches!(byte, b'\n' | b'\t')
}

fn readable(bytes: Vec<u8>) -> Option<String> {
    let text = String::from_utf8(bytes).ok()?;
    (text.bytes().all(is_readable) && text.contains(' ')).then_some(text)
}

#[cfg(test)]
mod tests;
