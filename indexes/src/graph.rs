//! The frozen graph: a navigable small world as one mapped file, searched by [`search`].
//!
//! Nodes are numbered by level, highest first, so that the nodes of each upper layer are the first
//! ones and need no directory. On the ground layer a node's 8-bit code, its links and its slot lie
//! in one record of whole cache lines.
//!
//! ```text
//! magic [8]  version u32  nodes u32  dimension u32  links u32  upper_links u32  levels u32  zeros to 64
//! nodes of level >= l, for l in 0..16: u32 each (64 bytes)
//! nodes x record: code [i8; dimension padded to 64]  scale f32  bias i32  slot u32  degree u32
//!                 neighbours [u32; links]  zeros to a multiple of 64
//! for l in 1..levels: nodes of level >= l x (degree u32, neighbours [u32; upper_links])
//! ```

pub(crate) mod code;
pub(crate) mod link;
pub(crate) mod search;

use std::path::Path;

use memmap2::Mmap;

use crate::simd::CODE_BLOCK;
use crate::{Error, Result, Slot};
use code::Code;

const MAGIC: [u8; 8] = *b"ANMGRAPH";
const VERSION: u32 = 1;
const HEADER: usize = 128;

/// hnsw_rs has at most this many layers, and so does the file.
pub(crate) const MAX_LEVELS: usize = 16;

/// A graph before it is frozen. Nodes are numbered by level, highest first.
#[derive(Debug, Default)]
pub(crate) struct Links {
    /// The slot of each node.
    pub(crate) slots: Vec<Slot>,
    /// Per layer from the ground: the neighbours of each of its nodes.
    pub(crate) layers: Vec<Vec<Vec<u32>>>,
}

/// The numbers that fix where everything lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    nodes: usize,
    dimension: usize,
    links: usize,
    upper_links: usize,
    /// Nodes of at least that level; zero past the highest.
    counts: [usize; MAX_LEVELS],
}

impl Shape {
    /// Bytes of a code.
    fn width(&self) -> usize {
        self.dimension.next_multiple_of(CODE_BLOCK)
    }

    /// Bytes of a record.
    fn stride(&self) -> usize {
        (self.width() + 16 + 4 * self.links).next_multiple_of(CODE_BLOCK)
    }

    /// Where an upper layer begins; of one past the last: the length of the file.
    fn layer(&self, level: usize) -> usize {
        let below: usize = self.counts[1..level].iter().sum();
        HEADER + self.nodes * self.stride() + below * 4 * (1 + self.upper_links)
    }

    fn levels(&self) -> usize {
        self.counts.iter().take_while(|&&count| count > 0).count()
    }

    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        let head = [VERSION as usize, self.nodes, self.dimension, self.links, self.upper_links, self.levels()];
        for number in head {
            bytes.extend((number as u32).to_le_bytes());
        }
        bytes.resize(64, 0);
        self.counts.iter().for_each(|&count| bytes.extend((count as u32).to_le_bytes()));
        bytes
    }

    /// The shape that a header states, if a file of `length` bytes can have it.
    fn from_bytes(bytes: &[u8]) -> Result<Self, &'static str> {
        let head = bytes.get(..HEADER).ok_or("it is shorter than its header")?;
        let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]) as usize;
        if head[..8] != MAGIC || number(8) != VERSION as usize {
            return Err("it is no graph of this version");
        }
        let shape = Self {
            nodes: number(12),
            dimension: number(16),
            links: number(20),
            upper_links: number(24),
            counts: std::array::from_fn(|level| number(64 + 4 * level)),
        };
        // Small enough that no product below can overflow.
        let sane = shape.nodes < 1 << 31
            && shape.dimension <= 1 << 16
            && shape.links <= 1 << 12
            && shape.upper_links <= 1 << 12
            && shape.counts[0] == shape.nodes
            && shape.counts.is_sorted_by(|above, below| above >= below)
            && shape.levels() == number(28);
        if sane && shape.layer(MAX_LEVELS) == bytes.len() {
            Ok(shape)
        } else {
            Err("its header does not fit its length")
        }
    }
}

/// Writes a graph over the rows of `matrix`, `dimension` numbers each.
pub(crate) fn freeze(
    graph: &Links,
    matrix: &[f32],
    dimension: usize,
    m: usize,
    out: &mut dyn std::io::Write,
) -> std::io::Result<()> {
    let mut counts = [0; MAX_LEVELS];
    for (count, layer) in counts.iter_mut().zip(&graph.layers) {
        *count = layer.len();
    }
    let shape = Shape { nodes: graph.slots.len(), dimension, links: 2 * m, upper_links: m, counts };
    out.write_all(&shape.to_bytes())?;
    let mut record = Vec::with_capacity(shape.stride());
    for (node, &slot) in graph.slots.iter().enumerate() {
        let code = Code::passage(&matrix[slot as usize * dimension..][..dimension], shape.width());
        let neighbours = &graph.layers[0][node];
        record.clear();
        record.extend_from_slice(&code.bytes);
        record.extend_from_slice(&code.scale.to_le_bytes());
        for number in [code.bias as u32, slot, neighbours.len() as u32].iter().chain(neighbours) {
            record.extend_from_slice(&number.to_le_bytes());
        }
        record.resize(shape.stride(), 0);
        out.write_all(&record)?;
    }
    for neighbours in graph.layers.iter().skip(1).flatten() {
        record.clear();
        record.extend((neighbours.len() as u32).to_le_bytes());
        for node in neighbours {
            record.extend(node.to_le_bytes());
        }
        record.resize(4 * (1 + m), 0);
        out.write_all(&record)?;
    }
    Ok(())
}

/// A frozen graph, open for searching.
#[derive(Debug)]
pub(crate) struct Graph {
    bytes: Mmap,
    shape: Shape,
}

impl Graph {
    /// Takes a mapping whose checksum has been verified, and checks every number in it once, so that
    /// a search need not.
    pub(crate) fn open(path: &Path, bytes: Mmap, chunks: usize, dimension: usize) -> Result<Self> {
        let corrupt = |reason: &str| Error::corrupt(path, reason);
        let shape = Shape::from_bytes(&bytes).map_err(corrupt)?;
        if shape.nodes != chunks || shape.dimension != dimension {
            return Err(corrupt("it does not hold the vectors that the manifest counts"));
        }
        let graph = Self { bytes, shape };
        let mut seen = vec![false; chunks];
        for node in 0..chunks as u32 {
            let links_are_sound = graph.degree(node) <= shape.links
                && graph.neighbours(node).iter().all(|&other| (other as usize) < chunks);
            let seen = seen
                .get_mut(graph.slot(node) as usize)
                .filter(|seen| !**seen)
                .ok_or_else(|| corrupt("a slot in it is wrong"))?;
            *seen = true;
            if !links_are_sound || !graph.scale(node).is_finite() {
                return Err(corrupt("a node in it is wrong"));
            }
        }
        for (level, &count) in shape.counts.iter().enumerate().skip(1) {
            for node in 0..count as u32 {
                let links = graph.upper_list(level, node);
                let degree = links.first().map_or(usize::MAX, |&degree| degree as usize);
                if degree > shape.upper_links || links[1..=degree].iter().any(|&other| other as usize >= count) {
                    return Err(corrupt("a node of an upper layer is wrong"));
                }
            }
        }
        Ok(graph)
    }

    /// The records, for [`crate::simd::Kernel::dots`].
    #[inline]
    fn records(&self) -> &[u8] {
        &self.bytes[HEADER..HEADER + self.shape.nodes * self.shape.stride()]
    }

    /// The numbers behind a node's code: scale, bias, slot, degree, neighbours.
    #[inline]
    fn tail(&self, node: u32) -> &[u32] {
        let start = HEADER + node as usize * self.shape.stride() + self.shape.width();
        // Mappings begin at a page and records at a cache line, so the cast cannot fail.
        bytemuck::cast_slice(&self.bytes[start..start + 16 + 4 * self.shape.links])
    }

    #[inline]
    fn scale(&self, node: u32) -> f32 {
        f32::from_bits(self.tail(node)[0])
    }

    #[inline]
    fn slot(&self, node: u32) -> Slot {
        self.tail(node)[2]
    }

    fn degree(&self, node: u32) -> usize {
        self.tail(node)[3] as usize
    }

    /// Neighbours on the ground layer.
    #[inline]
    fn neighbours(&self, node: u32) -> &[u32] {
        let tail = self.tail(node);
        &tail[4..][..(tail[3] as usize).min(self.shape.links)]
    }

    /// Degree and room for neighbours on an upper layer.
    fn upper_list(&self, level: usize, node: u32) -> &[u32] {
        let width = 4 * (1 + self.shape.upper_links);
        let start = self.shape.layer(level) + node as usize * width;
        bytemuck::cast_slice(&self.bytes[start..start + width])
    }

    /// Neighbours on an upper layer.
    fn upper(&self, level: usize, node: u32) -> &[u32] {
        let links = self.upper_list(level, node);
        &links[1..=links[0] as usize]
    }
}
