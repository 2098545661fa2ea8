//! What the table consists of.

use super::Memory;
use crate::class::Class;

/// A node of a multibit trie, or a class: a word of the table.
///
/// Bits 4-31 are the index of the node's first cell. Bits 0-3 say how many of the bits that a level looks at
/// the node leaves out, the lowest first: all of them for a class, whose only cell is the word itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Word(u32);

impl Word {
    /// No level looks at so many bits.
    const CLASS: u32 = 15;
    const SHIFT: u32 = 4;

    /// The greatest index that a word can name.
    pub const LAST_INDEX: u32 = u32::MAX >> Self::SHIFT;

    /// The word of a class.
    #[must_use]
    pub const fn of_class(class: Class) -> Self {
        Self((class.number() as u32) << Self::SHIFT | Self::CLASS)
    }

    /// A node whose cells begin at `index` and which leaves out the lowest `unused` bits of its level, at most
    /// 14 of them; `None` when `index` is greater than [`Word::LAST_INDEX`], or `unused` than that.
    #[must_use]
    pub const fn of_node(index: u32, unused: u32) -> Option<Self> {
        if index > Self::LAST_INDEX || unused >= Self::CLASS {
            return None;
        }
        Some(Self(index << Self::SHIFT | unused))
    }

    /// The same word, but if it is a class a node with that class's cell, for a level of `bits` bits.
    #[must_use]
    pub const fn as_node(self, bits: u32) -> Self {
        if self.is_class() && bits < Self::CLASS {
            Self(self.0 & !Self::CLASS | bits)
        } else {
            self
        }
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

    /// Whether this is a class.
    #[must_use]
    #[inline(always)]
    pub const fn is_class(self) -> bool {
        self.0 & Self::CLASS == Self::CLASS
    }

    /// The class that this word is, or some class if it is a node.
    #[must_use]
    #[inline(always)]
    pub const fn class(self) -> Class {
        let [low, high, _, _] = (self.0 >> Self::SHIFT).to_le_bytes();
        Class::masked(u16::from_le_bytes([low, high]))
    }

    /// The cell that `bits` choose, which are those that the node's level looks at.
    #[must_use]
    #[inline(always)]
    pub fn step<M: Memory + ?Sized>(self, memory: &M, bits: u32) -> Self {
        let cell = bits >> (self.0 & Self::CLASS);
        Self(memory.word((self.0 >> Self::SHIFT).wrapping_add(cell)))
    }
}
