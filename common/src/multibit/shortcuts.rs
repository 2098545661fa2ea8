//! Shortcuts: the nodes of known prefixes, found by hashing.

use super::{Memory, header};

/// A table of prefixes of one length, each with the word of its segment.
///
/// A perfect hash: a product of the prefix gives a bucket and a slot, the bucket's displacement is added to the
/// slot, and the builder chose the factor and the displacements so that no two prefixes meet (hash, displace and
/// compress: Belazzougui, Botelho, Dietzfelbinger, ESA 2009). So whether a prefix is known takes one look at
/// one slot, which holds the prefix.
///
/// A description is three words: where the displacements begin, the number of buckets less one, and twice the number
/// of slots less one, both of which are masks. The slots begin where the displacements say: they count pairs, from the
/// table's start.
#[derive(Clone, Copy, Debug)]
pub struct Shortcuts {
    description: u32,
}

/// What a look at the shortcuts gives: a word, if the prefix is known.
///
/// Without branches: whether a prefix is known is a toss-up, and a processor that guesses wrong loses more than
/// all the arithmetic takes.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    word: u32,
    mask: u32,
}

impl Found {
    /// The word, when the prefix is known, else the other one.
    #[inline(always)]
    #[must_use]
    pub const fn or(self, other: u32) -> u32 {
        other ^ ((other ^ self.word) & self.mask)
    }
}

impl Shortcuts {
    /// Those of prefixes of 32 bits, to IPv6's second segment.
    pub const SECOND: Self = Self {
        description: header::SHORTCUTS[0],
    };
    /// Those of prefixes of 48 bits, to IPv6's third segment.
    pub const THIRD: Self = Self {
        description: header::SHORTCUTS[1],
    };

    /// How many words a slot has: a pair that is the prefix, a pair whose lower half is the word.
    pub const SLOT_WORDS: u32 = 4;

    /// What stands in an empty slot instead of a prefix: more bits than any has, and still not the highest.
    pub const EMPTY: u64 = u64::MAX >> 1;

    /// The bucket and the slot of a prefix, not cut to their numbers yet; a slot counts pairs, so its lowest bit does
    /// not count.
    ///
    /// The upper bits of a product depend on all bits of the prefix, the lower ones on few: so its bytes are read
    /// from the other end.
    #[inline(always)]
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "few bits of it are used")]
    pub const fn hash(prefix: u64, factor: u64) -> (u32, u32) {
        let product = prefix.wrapping_mul(factor).swap_bytes();
        (product as u32, (product >> 23) as u32)
    }

    /// Where the description begins.
    #[must_use]
    pub const fn description(self) -> u32 {
        self.description
    }

    /// Looks a prefix up, whose bits are the lowest of `prefix`. The factor is that of the header.
    #[inline(always)]
    #[allow(
        clippy::cast_possible_truncation,
        reason = "an index is cut to a word on purpose; memory checks it"
    )]
    pub fn find<M: Memory + ?Sized>(self, memory: &M, factor: u64, prefix: u64) -> Option<Found> {
        let (bucket, slot) = Self::hash(prefix, factor);
        let described = |index| memory.early_word(self.description + index);
        let displacement = memory.word(described(0)?.wrapping_add(bucket & described(1)?))?;
        let slot = (slot & described(2)?).wrapping_add(displacement);
        let [known, word] = memory.pairs(slot)?;
        Some(Found {
            word: word as u32,
            // Below zero only when nothing is different: neither a prefix nor an empty slot has the highest bit set.
            mask: ((known ^ prefix).wrapping_sub(1).cast_signed() >> 63).cast_unsigned() as u32,
        })
    }
}
