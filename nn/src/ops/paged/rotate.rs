//! Rotary positions (arXiv 2104.09864) on queries and keys, after their norm where there is one;
//! keys and values then go to their places.
#![expect(clippy::inline_always, reason = "must be compiled with the features of their caller")]

use super::pages::Places;
use super::{BLOCK, HeadNorms, Heads, Span};
use crate::ops::isa::{Isa, for_each_isa};
use crate::ops::math::fma;
use crate::ops::rms_norm::scale;
use crate::ops::split::Split;

/// All rows of one key head and its query heads. Queries leave with the factor 1 / sqrt(size).
#[expect(clippy::too_many_arguments, reason = "what attention takes, each once")]
pub(super) fn rotate(
    isa: Isa,
    heads: Heads,
    norms: Option<HeadNorms<'_>>,
    cos: &[f32],
    sin: &[f32],
    spans: &[Span<'_>],
    head: usize,
    qkv: &Split<'_, f32>,
    places: &Places<'_>,
) {
    let Heads { query, key, size, .. } = heads;
    let (group, half) = (heads.group(), size / 2);
    let factor = 1.0 / (size as f32).sqrt();
    for span in spans {
        if let Some(parent) = span.parent.filter(|_| !span.past.is_multiple_of(BLOCK)) {
            let block = span.past / BLOCK;
            #[expect(unsafe_code, reason = "jobs have different heads of the same blocks")]
            // SAFETY: no other job has this head.
            unsafe {
                places.copy(spans[parent].blocks[block], span.blocks[block], head);
            }
        }
        for (position, row) in (span.past..).zip(span.rows.clone()) {
            let turn = Turn { cos: &cos[row * half..][..half], sin: &sin[row * half..][..half] };
            #[expect(unsafe_code, reason = "jobs have different columns of the same rows")]
            // SAFETY: no other job has this head's columns, and this one's parts are different heads.
            let part = |first: usize, count: usize| unsafe {
                let start = row * heads.width() + first * size;
                qkv.part(start..start + count * size)
            };
            let epsilon = norms.map_or(0.0, |norms| norms.epsilon);
            turn_heads(isa, part(head * group, group), turn, norms.map(|norms| norms.query), epsilon, factor);
            let own = part(query + head, 1);
            turn_heads(isa, own, turn, norms.map(|norms| norms.key), epsilon, 1.0);
            let block = span.blocks[position / BLOCK];
            #[expect(unsafe_code, reason = "jobs have different heads of the same blocks")]
            // SAFETY: no other job has this head.
            unsafe {
                places.write(block, head, position % BLOCK, own, part(query + key + head, 1));
            };
        }
    }
}

/// Cosines and sines of one position, (size / 2) each.
#[derive(Clone, Copy)]
struct Turn<'a> {
    cos: &'a [f32],
    sin: &'a [f32],
}

for_each_isa! {
    /// Normalises, rotates and scales each head of `row` in place.
    fn turn_heads(row: &mut [f32], turn: Turn<'_>, gain: Option<&[f32]>, epsilon: f32, factor: f32) = body
}

#[inline(always)]
fn body<const FMA: bool>(row: &mut [f32], turn: Turn<'_>, gain: Option<&[f32]>, epsilon: f32, factor: f32) {
    let half = turn.cos.len();
    for head in row.chunks_exact_mut(2 * half) {
        if let Some(gain) = gain {
            let scale = scale::<FMA>(head, epsilon);
            for (value, gain) in head.iter_mut().zip(gain) {
                *value = *value * scale * gain;
            }
        }
        let (left, right) = head.split_at_mut(half);
        for (((left, right), cos), sin) in left.iter_mut().zip(right).zip(turn.cos).zip(turn.sin) {
            let (x, y) = (*left, *right);
            *left = fma::<FMA>(x, *cos, -(y * sin)) * factor;
            *right = fma::<FMA>(y, *cos, x * sin) * factor;
        }
    }
}
