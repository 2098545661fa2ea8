//! Segments: how many bits a node takes, and how many it leaves to its leaves.

use geodrop_common::{
    Class,
    multibit::{Link, Word, leaf},
};

use super::{
    TooLarge,
    cells::Cells,
    leaves::{Content, Leaves},
    runs::SEGMENT,
};

/// What a segment says of some of its cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// A class.
    Class(Class),
    /// A link to another node. Words of nodes count cells from the first node's on until all is laid out.
    Link(Link),
}

/// The most bits that a leaf can decide.
const LEAF_BITS: u32 = 15;

/// The most bits that a node takes: fewer than 16 addresses to a leaf always fit.
const NODE_BITS: u32 = 12;

/// What it is worth to reach a change of class without a link, in bytes of memory.
///
/// A link is a wrong guess of the processor and three cache lines more. The larger this is, the fewer links and the
/// larger the nodes: docs/tables.md has the figures.
const CHANGE_BEHIND_LINK: usize = 256;

/// More bytes than any node of a segment can take.
const NOT_ALLOWED: usize = 1 << 24;

/// The nodes and leaves of all segments.
#[derive(Debug, Default)]
pub(super) struct Segments {
    pub(super) cells: Cells,
    pub(super) leaves: Leaves,
}

impl Segments {
    /// The node of a segment. Each entry says where cells of the segment begin that have this value; the first
    /// at 0, no two neighbours the same, and links for one cell each.
    pub(super) fn node(&mut self, entries: &[(u32, Value)]) -> Result<Word, TooLarge> {
        self.part(entries, 0, SEGMENT, Some(CHANGE_BEHIND_LINK))
    }

    /// The node of 2^`bits` cells from `start` on. Where links to finer nodes are allowed, `behind_link` says what
    /// a change that needs one costs.
    fn part(
        &mut self,
        entries: &[(u32, Value)],
        start: u32,
        bits: u32,
        behind_link: Option<usize>,
    ) -> Result<Word, TooLarge> {
        let left = best(&entries[1..], start, bits, behind_link);
        let mut cells = Vec::with_capacity(1 << (bits - left));
        let mut rest = entries;
        for cell in 0..1 << (bits - left) {
            let first = start + (cell << left);
            while rest.get(1).is_some_and(|entry| entry.0 <= first) {
                rest = &rest[1..];
            }
            let end = first + (1 << left);
            let inside = rest[1..].iter().take_while(|entry| entry.0 < end).count();
            let inner = &rest[..=inside];
            cells.push(if inside <= leaf::PLACES {
                self.leaves.leaf(inner, first)?
            } else {
                let finer = Value::Link(Link::to_finer(self.part(inner, first, left, None)?));
                self.leaves.leaf(&[(first, finer)], first)?
            });
        }
        let index = self.cells.node(&cells)?;
        Word::of_node(index, left).ok_or(TooLarge)
    }
}

/// How many of the `bits` to leave to the leaves, so that node and leaves together cost least.
fn best(changes: &[(u32, Value)], start: u32, bits: u32, behind_link: Option<usize>) -> u32 {
    // A segment is one bit more than a leaf can decide; what comes from an overfull leaf is not to come back to it.
    let most = LEAF_BITS.min(bits - 1);
    let least = bits.saturating_sub(NODE_BITS);
    let price = |changes: usize| match changes {
        0 => 0,
        1..=leaf::PLACES => size_of::<Content>(),
        _ => changes * behind_link.unwrap_or(NOT_ALLOWED),
    };
    let cost = |left: u32| {
        let mut cost = size_of::<u16>() << (bits - left);
        let (mut leaf, mut inside) = (0, 0);
        for (first, _) in changes {
            let at = first - start;
            if at >> left != leaf {
                cost += price(inside);
                (leaf, inside) = (at >> left, 0);
            }
            inside += usize::from(at & ((1 << left) - 1) != 0);
        }
        cost + price(inside)
    };
    (least..=most)
        .min_by_key(|&left| cost(left))
        .unwrap_or(most)
}
