//! The image of a table: the bytes that a map holds.

use std::marker::PhantomData;

use geodrop_common::{
    Class,
    multibit::{LAYOUT, LEAST_WORDS, Memory, header, ipv4, ipv6, leaf},
};
use std::net::{Ipv4Addr, Ipv6Addr};

/// The table of one family, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image<A> {
    words: Vec<u32>,
    family: PhantomData<A>,
}

/// Bytes that are no image, or no longer the one that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Corrupt {
    /// The bytes end too early, or too late.
    #[error("it has {found} bytes where {wanted} belong")]
    Length {
        /// How many bytes there are.
        found: usize,
        /// How many the header says, or the least that a table has.
        wanted: usize,
    },
    /// The bytes have another layout.
    #[error("it is not laid out as this geodrop lays tables out")]
    Layout,
    /// The bytes are not those that were written.
    #[error("its checksum is wrong: it is not what was written")]
    Checksum,
}

impl<A> Image<A> {
    /// The image that these words are, once the header is filled in.
    pub(super) fn new(mut words: Vec<u32>) -> Self {
        // A leaf more, so that the program can read as much wherever it reads; and the kernel rounds an element of an
        // array up to 8 bytes.
        words.resize(words.len().next_multiple_of(2) + leaf::WORDS as usize, 0);
        words[header::LAYOUT as usize] = LAYOUT;
        // All that is found by an index is: `layout` saw to it.
        words[header::LENGTH as usize] = u32::try_from(words.len()).unwrap_or(u32::MAX);
        words[header::CHECKSUM as usize] = 0;
        words[header::CHECKSUM as usize] = checksum(&words);
        Self {
            words,
            family: PhantomData,
        }
    }

    /// The image that these bytes are.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] when they are not exactly what [`Image::bytes`] once gave.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Corrupt> {
        let words: Vec<u32> = bytemuck::pod_collect_to_vec(bytes);
        let length = |wanted: usize| Corrupt::Length {
            found: bytes.len(),
            wanted,
        };
        if words.len() < LEAST_WORDS as usize {
            return Err(length(4 * LEAST_WORDS as usize));
        }
        if words[header::LAYOUT as usize] != LAYOUT {
            return Err(Corrupt::Layout);
        }
        let wanted = 4 * words[header::LENGTH as usize] as usize;
        if bytes.len() != wanted {
            return Err(length(wanted));
        }
        if words[header::CHECKSUM as usize] != checksum(&words) {
            return Err(Corrupt::Checksum);
        }
        Ok(Self {
            words,
            family: PhantomData,
        })
    }

    /// The bytes that a map holds: words in the machine's own order.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        bytemuck::cast_slice(&self.words)
    }

    /// How many bits a cell has: 16 or 32.
    #[must_use]
    pub fn cell_bits(&self) -> u32 {
        self.words[header::CELL_BITS as usize]
    }

    /// The words.
    #[must_use]
    pub fn words(&self) -> &[u32] {
        &self.words
    }
}

impl<A> Memory for Image<A> {
    #[inline]
    fn half(&self, index: u32) -> Option<u16> {
        self.bytes().half(index)
    }

    #[inline]
    fn word(&self, index: u32) -> Option<u32> {
        self.bytes().word(index)
    }

    #[inline]
    fn pairs<const N: usize>(&self, index: u32) -> Option<[u64; N]> {
        self.bytes().pairs(index)
    }
}

impl Image<Ipv4Addr> {
    /// The class of an address, looked up as the kernel does.
    #[must_use]
    pub fn class(&self, address: Ipv4Addr) -> Class {
        ipv4::look_up(self, address)
    }
}

impl Image<Ipv6Addr> {
    /// The class of an address, looked up as the kernel does.
    #[must_use]
    pub fn class(&self, address: Ipv6Addr) -> Class {
        ipv6::look_up(self, address)
    }
}

/// The CRC-32 of all words but the checksum, which counts as zero.
fn checksum(words: &[u32]) -> u32 {
    let (before, rest) = words.split_at(header::CHECKSUM as usize);
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(bytemuck::cast_slice(before));
    hasher.update(&[0; 4]);
    hasher.update(bytemuck::cast_slice(&rest[1..]));
    hasher.finalize()
}
