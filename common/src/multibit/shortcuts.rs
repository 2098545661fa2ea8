//! Shortcuts: the nodes of known prefixes, found by hashing.

use super::{Memory, header};

/// A table of prefixes of one length, each with the word of its segment.
///
/// A perfect hash: a product of the prefix gives a bucket and a slot, the bucket's displacement is added to the
/// slot by exclusive or, and the builder chose displacements so that no two prefixes meet (hash, displace and
/// compress: Belazzougui, Botelho, Dietzfelbinger, ESA 2009). So whether a prefix is known takes one look at
/// one slot, which holds the prefix.
///
/// A description is five words: where the displacements begin, the pair at which the slots begin, the shift that makes the
/// product a bucket, the shift that makes it a slot, and the number of slots less one, which is a mask.
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
    /// All bits one when the prefix is known, else zero.
    #[inline(always)]
    #[must_use]
    pub const fn mask(self) -> u32 {
        self.mask
    }

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

    /// The product of a prefix: an odd factor near the golden ratio of 2^64 spreads neighbours (Knuth, The Art
    /// of Computer Programming 3, 6.4).
    #[inline(always)]
    #[must_use]
    pub const fn product(prefix: u64) -> u64 {
        prefix.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    /// Where the description begins.
    #[must_use]
    pub const fn description(self) -> u32 {
        self.description
    }

    /// Looks a prefix up, whose bits are the lowest of `prefix`.
    #[inline(always)]
    #[allow(
        clippy::cast_possible_truncation,
        reason = "an index is cut to a word on purpose; memory checks it"
    )]
    pub fn find<M: Memory + ?Sized>(self, memory: &M, prefix: u64) -> Option<Found> {
        let product = Self::product(prefix);
        let described = |index| memory.early_word(self.description + index);
        let bucket = product >> (described(2)? & 63);
        let slot = (product >> (described(3)? & 63)) as u32 & described(4)?;
        let displacement = memory.word(described(0)?.wrapping_add(bucket as u32))?;
        let slot = described(1)?.wrapping_add((slot ^ displacement).wrapping_mul(2));
        let [known, word] = memory.pairs(slot)?;
        Some(Found {
            word: word as u32,
            // Below zero only when nothing is different: neither a prefix nor an empty slot has the highest bit set.
            mask: ((known ^ prefix).wrapping_sub(1).cast_signed() >> 63).cast_unsigned() as u32,
        })
    }
}
