//! A link: what a leaf has instead of a class.

use super::Word;
use crate::class::Class;

/// Where a lookup goes on, and under which condition.
///
/// The lower 32 bits are the [`Word`] of a node; it is [flagged](Word::is_flagged) when the node is not a finer one for the
/// same bits but one of a later segment. Bits 48-63 say how many bits before that segment must be zero; if any of them is not, the
/// address is of the class in bits 32-47. For hosts are often numbered in the last of their 64 bits only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Link(u64);

impl Link {
    /// A link to a finer node.
    #[must_use]
    pub const fn to_finer(node: Word) -> Self {
        Self(node.bits() as u64)
    }

    /// A link to the node of the segment after `zeros` bits that must be zero, fewer than 64, or else the class is
    /// `otherwise`.
    #[must_use]
    pub const fn to_segment(node: Word, zeros: u32, otherwise: Class) -> Self {
        Self(
            (zeros as u64 & 63) << 48
                | (otherwise.number() as u64) << 32
                | node.flagged().bits() as u64,
        )
    }

    /// The link that is this number, whatever it is.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The number that this link is.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The node, flagged when it is one of a later segment.
    #[must_use]
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "the lower half is meant")]
    pub const fn node(self) -> Word {
        Word::from_bits(self.0 as u32)
    }

    /// The same link, to another node.
    #[must_use]
    pub const fn with_node(self, node: Word) -> Self {
        Self(self.0 >> 32 << 32 | node.bits() as u64)
    }

    /// How many bits must be zero, less than 64.
    #[must_use]
    #[inline(always)]
    pub const fn zeros(self) -> u64 {
        self.0 >> 48 & 63
    }

    /// The class where they are not.
    #[must_use]
    #[inline(always)]
    pub const fn otherwise(self) -> Class {
        let [_, _, _, _, low, high, _, _] = self.0.to_le_bytes();
        Class::masked(u16::from_le_bytes([low, high]))
    }
}
