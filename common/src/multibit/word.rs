//! The words that lead from root to node, and from node to leaf.

use super::{LEAVES, Link, Memory, header, leaf};
use crate::class::Class;

/// Where a node is, or in the root a class instead.
///
/// Bits 6-31 are the index of the node's first cell, counted in cells, or the class's number. Bits 4 and 5 are both
/// set for a class; in a link they say instead that the node is one of a later segment. Otherwise they say how many
/// bits of the address's first half follow the node's segment: 0, 16 or 32. Bits 0-3 say how many of the segment's bits
/// are left to the leaf; the others choose the cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Word(u32);

impl Word {
    const SHIFT: u32 = 6;
    const FLAG: u32 = 3 << 4;
    const LEFT: u32 = 0xf;

    /// The greatest index that a word can say.
    pub const LAST_INDEX: u32 = u32::MAX >> Self::SHIFT;

    /// The word of a class, for a root.
    #[must_use]
    pub const fn of_class(class: Class) -> Self {
        Self((class.number() as u32) << Self::SHIFT | Self::FLAG)
    }

    /// The word of a node whose cells begin at `index` and which leaves `left` bits to the leaf; `None` when the
    /// index is greater than [`Word::LAST_INDEX`], or these bits are more than 15.
    #[must_use]
    pub const fn of_node(index: u32, left: u32) -> Option<Self> {
        if index > Self::LAST_INDEX || left > Self::LEFT {
            return None;
        }
        Some(Self(index << Self::SHIFT | left))
    }

    /// The same, flagged.
    #[must_use]
    pub const fn flagged(self) -> Self {
        Self(self.0 | Self::FLAG)
    }

    /// The same, of a node whose segment `segments` others follow in the address's first half, at most 2.
    #[must_use]
    pub const fn before(self, segments: u32) -> Self {
        Self(self.0 & !Self::FLAG | (segments << 4) & Self::FLAG)
    }

    /// How many bits of the address's first half follow the node's segment.
    #[must_use]
    #[inline(always)]
    pub const fn following(self) -> u32 {
        self.0 & Self::FLAG
    }

    /// The word that is this number, whatever it is.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The number that this word is.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// In a root: whether this is a class. In a link: whether it leads to a later segment.
    #[must_use]
    #[inline(always)]
    pub const fn is_flagged(self) -> bool {
        self.0 & Self::FLAG == Self::FLAG
    }

    /// The class that this word is, or some class if it is a node.
    #[must_use]
    #[inline(always)]
    pub const fn class(self) -> Class {
        let [low, high, _, _] = (self.0 >> Self::SHIFT).to_le_bytes();
        Class::masked(u16::from_le_bytes([low, high]))
    }

    /// The same node, its cells `distance` further on; of a class the class.
    #[must_use]
    pub const fn moved(self, distance: u32) -> Option<Self> {
        match (self.0 >> Self::SHIFT).checked_add(distance) {
            Some(index) if index <= Self::LAST_INDEX => Some(Self(
                index << Self::SHIFT | self.0 & !(u32::MAX << Self::SHIFT),
            )),
            _ => None,
        }
    }

    /// What this node says of an address of which `bits` are at hand, at most 16.
    #[inline(always)]
    pub fn find<M: Memory + ?Sized>(self, memory: &M, bits: u32) -> Option<Found> {
        let left = self.0 & Self::LEFT;
        let cell = bits >> left;
        let leaf = memory.cell((self.0 >> Self::SHIFT).wrapping_add(cell))?;
        let rest = bits.wrapping_sub(cell << left);
        let pair = (LEAVES / 2).wrapping_add(leaf.wrapping_mul(leaf::PAIRS));
        let (rank, value) = memory.value(pair, |places| leaf::rank(places, rest))?;
        Some(Found {
            value,
            leaf,
            rank,
            rest,
        })
    }
}

/// What a leaf says of an address.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    value: u16,
    leaf: u32,
    rank: u32,
    rest: u32,
}

impl Found {
    /// What a leaf of one class says.
    #[inline(always)]
    pub(super) const fn of_class(class: Class) -> Self {
        Self {
            value: class.number(),
            leaf: 0,
            rank: 0,
            rest: 0,
        }
    }

    /// The class, unless there is a link.
    #[must_use]
    #[inline(always)]
    pub fn class(self) -> Option<Class> {
        (self.value != leaf::LINK).then_some(Class::masked(self.value))
    }

    /// The link that stands instead of the class.
    #[inline(always)]
    pub fn link<M: Memory + ?Sized>(self, memory: &M) -> Option<Link> {
        let links = memory.early_word(header::LINKS)?;
        let first = links.wrapping_add(self.leaf.wrapping_mul(16));
        let [link] = memory.pairs(first.wrapping_add(self.rank))?;
        Some(Link::from_bits(link))
    }

    /// The bits of the address that the node left to the leaf.
    #[must_use]
    #[inline(always)]
    pub const fn rest(self) -> u32 {
        self.rest
    }
}
