//! [`Sequence`]: one request inside the engine: its tokens, how many are computed, and where.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use nn::{Sampler, Sampling, Stream};

use super::prefix::Table;
use super::request::{Finish, Reply, Request, Watch};

/// Bounds of every sequence of an engine.
#[derive(Debug)]
pub(super) struct Bounds {
    /// Positions the model has.
    pub(super) positions: usize,
    /// Ids that end a sequence.
    pub(super) end_ids: Vec<u32>,
}

/// One request.
pub(super) struct Sequence {
    /// When it came: the order of everything that must not depend on chance.
    pub(super) arrival: u64,
    /// Prompt and sampled tokens.
    pub(super) ids: Vec<u32>,
    /// So many of them are computed.
    pub(super) computed: usize,
    /// Where they lie.
    pub(super) table: Table,
    /// The sequence that is computing so many of this one's tokens now.
    pub(super) follows: Option<(u64, usize)>,
    /// Why it ends, once it does.
    pub(super) end: Option<Result<Finish, String>>,
    pub(super) reply: Reply,
    left: usize,
    sampling: Sampling,
    stream: Stream,
    watch: Box<dyn Watch>,
}

impl Sequence {
    pub(super) fn new(arrival: u64, request: Request, reply: Reply) -> Self {
        let Request { ids, max_tokens, sampling, stream, watch } = request;
        Self {
            arrival,
            ids,
            computed: 0,
            table: Table::default(),
            follows: None,
            end: None,
            reply,
            left: max_tokens,
            sampling,
            stream,
            watch,
        }
    }

    /// Tokens to compute before the next can be sampled: one while it decodes.
    pub(super) fn remaining(&self) -> usize {
        self.ids.len() - self.computed
    }

    /// Samples the next token from its logits. `end` then says why the sequence ends, if it does.
    pub(super) fn advance(&mut self, logits: &[f32], sampler: &mut Sampler, bounds: &Bounds) {
        self.end = self.sample(logits, sampler, bounds).transpose();
    }

    fn sample(&mut self, logits: &[f32], sampler: &mut Sampler, bounds: &Bounds) -> Result<Option<Finish>, String> {
        let uniform = self.stream.uniform(self.ids.len() as u32);
        let (ids, sampling, watch) = (&self.ids, &self.sampling, &mut self.watch);
        let sample = || sampler.sample(logits, sampling, ids, uniform, &mut |id| watch.forbids(id));
        let token = guard(sample)?.map_err(|error| error.to_string())?;
        self.ids.push(token.id);
        self.left = self.left.saturating_sub(1);
        self.reply.push(token);
        let flow = guard(|| self.watch.push(token))?;
        Ok(if bounds.end_ids.contains(&token.id) {
            Some(Finish::EndOfSequence)
        } else if flow.is_break() {
            Some(Finish::Stop)
        } else if self.left == 0 || self.ids.len() >= bounds.positions {
            Some(Finish::Length)
        } else {
            None
        })
    }
}

impl std::fmt::Debug for Sequence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sequence")
            .field("arrival", &self.arrival)
            .field("tokens", &self.ids.len())
            .field("computed", &self.computed)
            .finish_non_exhaustive()
    }
}

/// Runs `work`; a panic becomes its message. What `work` left half done must not be used again.
pub(super) fn guard<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| format!("internal fault: {}", message(panic.as_ref())))
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("panicked")
}
