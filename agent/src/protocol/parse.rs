//! [`Parser`]: the text of one turn, piece by piece, to its first complete action.
//!
//! Total: any input gives a [`Turn`]. It holds at most [`Parser::MAX_BYTES`] of text and looks at each
//! byte a bounded number of times. It is given what the policy wrote in one turn and nothing else, so
//! no tag in a question or in evidence can ever reach it.

use retriever::evidence::Label;

use super::profile::{Kind, Marks};
use super::{AbstainCode, Action, Cited, Fault, Profile, SearchQuery, single_spaced};

/// Whether a turn goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More text may come.
    More,
    /// The turn is decided; what follows is ignored.
    Done,
}

/// One turn, parsed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Turn {
    /// The first complete action, unless a fault voids it.
    pub action: Option<Action>,
    /// Everything wrong with it, in the order met.
    pub faults: Vec<Fault>,
    /// Bytes of the turn that count: up to and including the mark that completed the action, or up to
    /// the fault that cut it.
    pub end: usize,
}

/// Reads one turn.
#[derive(Clone, Debug)]
pub struct Parser {
    profile: Profile,
    queries: usize,
    text: String,
    /// Everything before it has been looked at.
    cursor: usize,
    /// The action that is open, and where its body begins.
    open: Option<(Marks, usize)>,
    turn: Option<Turn>,
}

/// The whole of a turn at once.
pub fn parse(profile: Profile, queries: usize, text: &str) -> Turn {
    let mut parser = Parser::new(profile, queries);
    parser.push(text);
    parser.finish()
}

impl Parser {
    /// Bytes of a turn that are read.
    pub const MAX_BYTES: usize = 64 * 1_024;

    /// A parser for one turn of at most `queries` queries.
    pub fn new(profile: Profile, queries: usize) -> Self {
        Self { profile, queries, text: String::new(), cursor: 0, open: None, turn: None }
    }

    /// Takes the next piece of the turn.
    pub fn push(&mut self, piece: &str) -> Progress {
        if self.turn.is_none() {
            let room = piece.floor_char_boundary(Self::MAX_BYTES - self.text.len());
            self.text.push_str(&piece[..room]);
            self.scan(false);
            if self.turn.is_none() && room < piece.len() {
                self.void(Fault::LongTurn, self.text.len());
            }
        }
        if self.turn.is_some() { Progress::Done } else { Progress::More }
    }

    /// The turn, now that no more text comes.
    pub fn finish(mut self) -> Turn {
        if self.turn.is_none() {
            self.scan(true);
        }
        self.turn.unwrap_or_else(|| {
            let fault = if self.open.is_some() { Fault::MalformedTag } else { Fault::NoAction };
            Turn { action: None, faults: vec![fault], end: self.text.len() }
        })
    }

    /// The text read so far.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn void(&mut self, fault: Fault, end: usize) {
        self.turn = Some(Turn { action: None, faults: vec![fault], end });
    }

    /// Looks for marks from the cursor on; `last` when no more text will come.
    fn scan(&mut self, last: bool) {
        let marks = self.profile.marks();
        while self.turn.is_none() && self.cursor < self.text.len() {
            let rest = &self.text[self.cursor..];
            let close = self.open.map(|(mark, _)| mark.close);
            if !last && could_begin_mark(rest, marks, close) {
                return;
            }
            if let Some((mark, body)) = self.open
                && rest.starts_with(mark.close)
            {
                let end = self.cursor + mark.close.len();
                self.complete(mark, body, self.cursor, end);
                return;
            }
            if !self.profile.by_line() || self.at_line_start() {
                if let Some(mark) = marks.iter().find(|mark| rest.starts_with(mark.open)) {
                    match (mark.kind, self.open) {
                        (Kind::Information, _) => self.void(Fault::EnvironmentTag, self.cursor),
                        (_, Some(_)) => self.void(Fault::MalformedTag, self.cursor),
                        (_, None) => {
                            self.cursor += mark.open.len();
                            self.open = Some((*mark, self.cursor));
                        }
                    }
                    continue;
                }
                if !self.profile.by_line()
                    && let Some(mark) = marks.iter().find(|mark| rest.starts_with(mark.close))
                {
                    let fault =
                        if mark.kind == Kind::Information { Fault::EnvironmentTag } else { Fault::MalformedTag };
                    self.void(fault, self.cursor);
                    continue;
                }
            }
            self.cursor += self.step(rest, close);
        }
        if last && self.turn.is_none() && self.profile.by_line() {
            // The end of the turn ends its line.
            if let Some((mark, body)) = self.open {
                self.complete(mark, body, self.text.len(), self.text.len());
            }
        }
    }

    /// Bytes to the next place where a mark could begin.
    fn step(&self, rest: &str, close: Option<&str>) -> usize {
        let first = rest.chars().next().map_or(1, char::len_utf8);
        let next = if self.profile.by_line() && close.is_none() {
            rest.find('\n').map(|at| at + 1)
        } else {
            rest[first..].find(if self.profile.by_line() { '\n' } else { '<' }).map(|at| first + at)
        };
        next.unwrap_or(rest.len())
    }

    fn at_line_start(&self) -> bool {
        self.cursor == 0 || self.text.as_bytes()[self.cursor - 1] == b'\n'
    }

    /// The action whose body is `text[body..close]` is complete at `end`.
    fn complete(&mut self, mark: Marks, body: usize, close: usize, end: usize) {
        let mut faults = Vec::new();
        let body = &self.text[body..close];
        let action = match mark.kind {
            Kind::Search => self.search(body, &mut faults),
            Kind::Answer => answer(body, &mut faults),
            Kind::Abstain => Some(abstain(self.profile, body, &mut faults)),
            Kind::Information => None,
        };
        self.turn = Some(Turn { action, faults, end });
    }

    fn search(&self, body: &str, faults: &mut Vec<Fault>) -> Option<Action> {
        let mut queries = Vec::new();
        for line in body.lines().filter(|line| !line.trim().is_empty()) {
            if queries.len() == self.queries {
                faults.push(Fault::TooManyQueries);
                break;
            }
            match SearchQuery::read(line, faults) {
                Some(query) => queries.push(query),
                None => faults.push(Fault::EmptyQuery),
            }
        }
        if queries.is_empty() {
            faults.push(Fault::EmptyQuery);
            faults.dedup();
            return None;
        }
        Some(Action::Search(queries))
    }
}

/// Whether `rest`, all there is so far, is a proper beginning of a mark: then more text decides.
fn could_begin_mark(rest: &str, marks: &[Marks], close: Option<&str>) -> bool {
    let begins = |mark: &str| rest.len() < mark.len() && mark.starts_with(rest);
    marks.iter().any(|mark| begins(mark.open) || begins(mark.close)) || close.is_some_and(begins)
}

fn answer(body: &str, faults: &mut Vec<Fault>) -> Option<Action> {
    let cited = cited(body);
    if cited.is_empty() {
        faults.push(Fault::EmptyAnswer);
        return None;
    }
    Some(Action::Answer(cited))
}

fn abstain(profile: Profile, body: &str, faults: &mut Vec<Fault>) -> Action {
    // The body begins inside the opening: ` reason="code">text`, or `code): text`.
    let (head, text) = body.split_once(if profile.by_line() { ')' } else { '>' }).unwrap_or((body, ""));
    let code = if profile.by_line() {
        head
    } else {
        head.trim().strip_prefix("reason=").unwrap_or_default().trim_matches(['"', '\''])
    };
    let code = code.trim().parse().unwrap_or_else(|fault| {
        faults.push(fault);
        AbstainCode::Insufficient
    });
    let text = if profile.by_line() { text.strip_prefix(':').unwrap_or(text) } else { text };
    Action::Abstain { code, text: single_spaced(text) }
}

/// Splits an answer after each run of cites. Punctuation that follows a run belongs before it.
fn cited(body: &str) -> Vec<Cited> {
    let mut out: Vec<Cited> = Vec::new();
    let (mut start, mut at) = (0, 0);
    while let Some(found) = body[at..].find('[') {
        let open = at + found;
        let Some((labels, end)) = cites(body, open) else {
            at = open + 1;
            continue;
        };
        push_cited(&mut out, &body[start..open], labels);
        (start, at) = (end, end);
    }
    push_cited(&mut out, &body[start..], Vec::new());
    out
}

fn push_cited(out: &mut Vec<Cited>, text: &str, cites: Vec<Label>) {
    let mut text = text.trim_start();
    if let Some(last) = out.last_mut() {
        let rest = text.trim_start_matches(['.', ',', ';', ':', '!', '?']);
        last.text.push_str(&text[..text.len() - rest.len()]);
        text = rest;
    }
    let text = single_spaced(text);
    match (text.is_empty(), out.last_mut()) {
        (false, _) => out.push(Cited { text, cites }),
        (true, Some(last)) => {
            let new = cites.into_iter().filter(|label| !last.cites.contains(label)).collect::<Vec<_>>();
            last.cites.extend(new);
        }
        (true, None) => {}
    }
}

/// The run of cites that begins with the bracket at `open`, and where it ends. `[E1][E2]` as the grammar
/// has it, and `[E1, E2]` as models write it. A number too large to be a label is one nobody gave out.
fn cites(text: &str, open: usize) -> Option<(Vec<Label>, usize)> {
    let mut labels = Vec::new();
    let mut end = open;
    while let Some(inner) = text[end..].trim_start_matches([' ', '\t']).strip_prefix('[') {
        let Some((list, rest)) = inner.split_once(']') else {
            break;
        };
        let Some(run) = list.split([',', ';']).map(label).collect::<Option<Vec<_>>>() else {
            break;
        };
        for label in run {
            if !labels.contains(&label) {
                labels.push(label);
            }
        }
        end = text.len() - rest.len();
    }
    (!labels.is_empty()).then_some((labels, end))
}

fn label(text: &str) -> Option<Label> {
    let digits = text.trim().strip_prefix('E')?;
    let digits = (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(digits)?;
    Some(Label(digits.parse().unwrap_or(u32::MAX)))
}

#[cfg(test)]
mod tests;
