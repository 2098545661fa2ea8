//! The multibit trie: the engine that looks an address up in constant time.
//!
//! A table is one piece of memory per family. The first 16 bits of an address choose a cell of the *root*, which is
//! either a class or the [`Word`] of a node. The next 16 bits, a *segment*, choose a cell of that node by as many
//! of their upper bits as the node has been given, and the cell names a [`leaf`]: a cache line that holds all the
//! places, up to 15, at which the class changes among the addresses of that cell, and the classes between them.
//! Counting how many of these places lie before the address gives its class.
//!
//! ```text
//!  10.20.30.40   root                  node                  leaf, 64 bytes
//!  ├───┘└───┤    ┌───────────────┐     ┌───────────────┐     ┌──────────────────┬───────────────────┐
//!    │    │      │ 0.0   class 0 │  ┌─▶│ leaf of 0     │  ┌─▶│ 15 places, each  │ 16 classes: until │
//!    │    │      │ …             │  │  │ …             │  │  │ of 16 bits       │ the first place,  │
//!    └────┼─────▶│ 10.20 node ───┼──┘  │ leaf ─────────┼──┘  │                  │ the second, …     │
//!         │      │ …             │  ┌─▶│ …             │  ┌─▶│                  │                   │
//!         └──────┴───────────────┴──┴──┴───────────────┴──┴──┴──────────────────┴───────────────────┘
//! ```
//!
//! So an address costs three cache lines and no guesses: after the root a lookup takes the same steps for all
//! addresses, and what a processor cannot predict it does by arithmetic. Equal leaves and equal nodes stand once.
//! Where leaves are too small, at places where very much changes, a value of the leaf is a link: to a finer node
//! for the same bits, or to the node of the next segment. IPv4 has one segment; IPv6 has seven, and
//! [`shortcuts`] to the second and third.
//!
//! No order of bytes leads outside of the table: a lookup that would leave it ends there and finds nothing, it takes a
//! bounded number of steps, and whatever it finds is cut to a class.
//!
//! In memory, in words of 32 bits in the machine's own byte order:
//!
//! | from | what |
//! |---|---|
//! | 0 | the [`header`], 16 words |
//! | [`ROOT`] | the root's 2^16 cells |
//! | [`LEAVES`] | leaves of 16 words: one for each class that says that class alone, those with links, the others |
//! | | 16 links of two words for each leaf that has any |
//! | | the cells of the nodes, of 16 or 32 bits |
//! | | IPv6: the shortcuts |

pub mod ipv4;
pub mod ipv6;
pub mod leaf;
mod link;
pub mod shortcuts;
mod table;
mod word;

pub use link::Link;
pub use table::Multibit;
pub use word::{Found, Word};

use crate::class;

/// The memory of a table.
///
/// The kernel program reads a map, with the bounds check that the verifier wants to see; tests read bytes.
pub trait Memory {
    /// The 16 bits at an index that counts such; `None` when the table ends before.
    fn half(&self, index: u32) -> Option<u16>;

    /// The 32 bits at an index that counts such; `None` when the table ends before.
    fn word(&self, index: u32) -> Option<u32>;

    /// `N` times 64 bits from an index on that counts such; `None` when the table ends before the last.
    fn pairs<const N: usize>(&self, index: u32) -> Option<[u64; N]>;

    /// A word at an index below [`LEAST_WORDS`], which every table has: the same as [`Memory::word`], and cheaper.
    fn early_word(&self, index: u32) -> Option<u32> {
        self.word(index)
    }

    /// 64 bits at an index that counts such, among the words that every table has: as [`Memory::early_word`].
    fn early_pair(&self, index: u32) -> Option<u64> {
        self.pairs(index).map(|[pair]| pair)
    }

    /// The value of the leaf that begins at an index that counts 64 bits: `rank` says which of its 16 it is, from the
    /// places before them. The rank comes with it.
    #[inline(always)]
    fn value(&self, leaf: u32, rank: impl FnOnce([u64; 4]) -> u32) -> Option<(u32, u16)> {
        let rank = rank(self.pairs(leaf)?) & 0xf;
        // Four times as many times 16 bits, and 16 places.
        let value = self.half(leaf.wrapping_mul(4).wrapping_add(16 + rank))?;
        Some((rank, value))
    }

    /// The number of the leaf that the cell at an index names. Cells are of 16 bits, or of 32 where there are more
    /// leaves than these can count: [`header::CELL_BITS`].
    fn cell(&self, index: u32) -> Option<u32> {
        match self.early_word(header::CELL_BITS)? {
            32 => self.word(index),
            _ => self.half(index).map(u32::from),
        }
    }
}

impl Memory for [u8] {
    #[inline]
    fn half(&self, index: u32) -> Option<u16> {
        read(self, index).map(u16::from_ne_bytes)
    }

    #[inline]
    fn word(&self, index: u32) -> Option<u32> {
        read(self, index).map(u32::from_ne_bytes)
    }

    #[inline]
    fn pairs<const N: usize>(&self, index: u32) -> Option<[u64; N]> {
        let mut pairs = [0; N];
        for (place, pair) in pairs.iter_mut().enumerate() {
            *pair =
                read(self, index.checked_add(place.try_into().ok()?)?).map(u64::from_ne_bytes)?;
        }
        Some(pairs)
    }
}

/// The bytes of the thing at an index that counts things of `SIZE` bytes.
#[inline]
fn read<const SIZE: usize>(bytes: &[u8], index: u32) -> Option<[u8; SIZE]> {
    let first = (index as usize).checked_mul(SIZE)?;
    bytes.get(first..)?.first_chunk().copied()
}

/// The words of the header. Those not named are zero.
pub mod header {
    /// What marks a table of this layout: no other layout, and no other byte order, has this word here.
    pub const LAYOUT: u32 = 0;
    /// How many words the table has.
    pub const LENGTH: u32 = 1;
    /// The checksum of all words, with zero in the place of this one.
    pub const CHECKSUM: u32 = 2;
    /// How many bits a cell has: 16 or 32.
    pub const CELL_BITS: u32 = 3;
    /// Where links are: the pair at which those of leaf 0 would begin, if leaf 0 had any; the sum may wrap.
    pub const LINKS: u32 = 4;
    /// The pair that is the factor of the [`Shortcuts`](super::shortcuts::Shortcuts)' hash.
    pub const FACTOR_PAIR: u32 = 3;
    /// Where the [`Shortcuts`](super::shortcuts::Shortcuts) to IPv6's second and third segment are described.
    pub const SHORTCUTS: [u32; 2] = [8, 11];
}

/// What stands at [`header::LAYOUT`]: the engine's mark and the number of its layout.
pub const LAYOUT: u32 = u32::from_be_bytes(*b"gdm\x01");

/// Where the root's 2^16 cells begin.
pub const ROOT: u32 = 16;

/// Where the leaves begin.
pub const LEAVES: u32 = ROOT + (1 << 16);

/// The words before the leaves that are not those of a class alone. Every table has these.
#[allow(
    clippy::cast_possible_truncation,
    reason = "512 fits; const has no other conversion"
)]
pub const LEAST_WORDS: u32 = LEAVES + class::CAPACITY as u32 * leaf::WORDS;
