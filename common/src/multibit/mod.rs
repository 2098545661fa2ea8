//! The multibit trie: the engine that looks an address up in constant time.
//!
//! A table is one array of 32-bit words per family. A [`Word`] names a node: where its cells begin, and how
//! many of the bits at hand choose one of them. The cell is the next word. A class is a word as well, one that
//! names a node of one cell, and that cell holds the same word again: whoever steps on from a class stays there.
//! So a lookup takes the same steps for every address and asks only at the end whether it has arrived, which is
//! what a processor likes best.
//!
//! ```text
//! word    0        512       528          66064
//!         ┌────────┬────────┬────────────┬────────────────────────────────┬────────────────┐
//!         │classes │ header │ root, 2^16 │ nodes, each of 2 to 2^8 cells  │ IPv6: shortcuts│
//!         └────────┴────────┴────────────┴────────────────────────────────┴────────────────┘
//! ```
//!
//! The root is indexed by an address's first 16 bits. All below it is *segments* of 16 bits each, of which a few
//! levels of nodes decide: IPv4 has one segment, IPv6 seven. A node that needs fewer bits than its level has takes
//! fewer cells, and nodes that are equal stand once.
//!
//! No order of bytes leads outside of the table: what is out of its bounds reads as zero, a lookup takes a bounded
//! number of steps, and whatever it finds is cut to a class.

pub mod ipv4;
pub mod ipv6;
pub mod shortcuts;
mod table;
mod word;

pub use table::Multibit;
pub use word::Word;

use crate::class;

/// The memory of a table, read word by word.
///
/// The kernel program reads a map, with the bounds check that the verifier wants to see; tests read a slice.
pub trait Memory {
    /// The word at an index; zero when the table ends before it.
    fn word(&self, index: u32) -> u32;
}

impl Memory for [u32] {
    #[inline]
    fn word(&self, index: u32) -> u32 {
        self.get(index as usize).copied().unwrap_or(0)
    }
}

impl<M: Memory + ?Sized> Memory for &M {
    #[inline(always)]
    fn word(&self, index: u32) -> u32 {
        (**self).word(index)
    }
}

/// Where the header begins, after a word for each class.
#[allow(
    clippy::cast_possible_truncation,
    reason = "512 fits; const has no other conversion"
)]
pub const HEADER: u32 = class::CAPACITY as u32;

/// The words of the header. Those not named are zero.
pub mod header {
    use super::HEADER;

    /// What marks a table of this layout: no other layout, and no other byte order, has this word here.
    pub const LAYOUT: u32 = HEADER;
    /// How many words the table has, from the classes to its end.
    pub const LENGTH: u32 = HEADER + 1;
    /// The checksum of all words, with zero in the place of this one.
    pub const CHECKSUM: u32 = HEADER + 2;
    /// Where the [`Shortcuts`](crate::multibit::shortcuts::Shortcuts) of IPv6's second and third segment are described.
    pub const SHORTCUTS: [u32; 2] = [HEADER + 4, HEADER + 9];
    /// How many words the header has.
    pub const SIZE: u32 = 16;
}

/// What stands at [`header::LAYOUT`]: the engine's mark and the number of its layout.
pub const LAYOUT: u32 = u32::from_be_bytes(*b"gdm\x01");

/// Where the root's 2^16 cells begin.
pub const ROOT: u32 = HEADER + header::SIZE;

/// The words before the first node. Every table has these.
pub const LEAST_WORDS: u32 = ROOT + (1 << 16);
