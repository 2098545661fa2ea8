//! The multibit tries as a [`Table`]: an array map of one element for each family.

use core::net::{Ipv4Addr, Ipv6Addr};

use aya_ebpf::{Global, bindings::BPF_F_MMAPABLE, macros::map, maps::Array};
use geodrop_common::{
    Class, Table,
    multibit::{self, LEAST_WORDS, Memory, leaf},
};

/// The least that an image has. The loader makes the map anew, as large as its image.
type Least = [u32; LEAST_WORDS as usize];

/// The IPv4 table's image. Memory that could be mapped begins at a page, so that a leaf is one cache line, not two.
#[map]
static IPV4_IMAGE: Array<Least> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// The IPv6 table's image, likewise.
#[map]
static IPV6_IMAGE: Array<Least> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// How many words the element of `IPV4_IMAGE` has. Set before the program is loaded.
#[unsafe(no_mangle)]
static IPV4_WORDS: Global<u32> = Global::new(LEAST_WORDS);

/// How many words the element of `IPV6_IMAGE` has. Set before the program is loaded.
#[unsafe(no_mangle)]
static IPV6_WORDS: Global<u32> = Global::new(LEAST_WORDS);

/// How many bits a cell of `IPV4_IMAGE` has: 16 or 32. Set before the program is loaded.
#[unsafe(no_mangle)]
static IPV4_CELL_BITS: Global<u32> = Global::new(16);

/// How many bits a cell of `IPV6_IMAGE` has: 16 or 32. Set before the program is loaded.
#[unsafe(no_mangle)]
static IPV6_CELL_BITS: Global<u32> = Global::new(16);

/// The image of one family in the kernel's memory.
#[derive(Clone, Copy)]
struct Image {
    first: *const u64,
    words: u32,
    cell_bits: u32,
}

impl Image {
    #[inline(always)]
    fn of(map: &Array<Least>, words: &Global<u32>, cell_bits: &Global<u32>) -> Option<Self> {
        Some(Self {
            first: map.get_ptr(0)?.cast(),
            words: words.load(),
            cell_bits: cell_bits.load(),
        })
    }
}

impl Image {
    /// The `T` at an index that counts such, which is known to be inside.
    #[inline(always)]
    fn read<T: Copy>(&self, index: u32) -> T {
        let place = self.first.cast::<T>().wrapping_add(index as usize);
        // SAFETY: `first` is the start of an array map's element, which lives as long as the program, is aligned to
        // 8 bytes and has `words` words. The callers compare what they read with these; the verifier checks that against the
        // map's real size, and refuses the program otherwise.
        unsafe { *place }
    }

    /// Whether all that is read by pairs is inside, at an index that counts such: a leaf at most. An image's end is
    /// filled up for it.
    #[inline(always)]
    const fn holds_leaf(&self, index: u32) -> bool {
        index <= self.words / 2 - leaf::PAIRS
    }
}

impl Memory for Image {
    #[inline(always)]
    fn half(&self, index: u32) -> Option<u16> {
        if index >= self.words * 2 {
            return None;
        }
        Some(self.read(index))
    }

    #[inline(always)]
    fn word(&self, index: u32) -> Option<u32> {
        if index >= self.words {
            return None;
        }
        Some(self.read(index))
    }

    #[inline(always)]
    fn pairs<const N: usize>(&self, index: u32) -> Option<[u64; N]> {
        const { assert!(N <= leaf::PAIRS as usize) };
        if !self.holds_leaf(index) {
            return None;
        }
        let pairs = self.first.wrapping_add(index as usize).cast();
        // SAFETY: as in `read`: as much as a leaf, and `N` is no more, is inside.
        Some(unsafe { *pairs })
    }

    #[inline(always)]
    fn value(&self, leaf: u32, rank: impl FnOnce([u64; 4]) -> u32) -> Option<(u32, u16)> {
        if !self.holds_leaf(leaf) {
            return None;
        }
        let leaf = self.first.wrapping_add(leaf as usize);
        // SAFETY: as in `read`: all of the leaf is inside, and its first half is its places.
        let rank = rank(unsafe { *leaf.cast() }) & 0xf;
        let value = leaf.cast::<u16>().wrapping_add(16 + rank as usize);
        // SAFETY: as in `read`: a leaf's second half is as many values as four bits of rank can count.
        Some((rank, unsafe { *value }))
    }

    // What every image has is compared with a constant, so that the compiler knows the answer.

    #[inline(always)]
    fn early_word(&self, index: u32) -> Option<u32> {
        if index >= LEAST_WORDS {
            return None;
        }
        Some(self.read(index))
    }

    #[inline(always)]
    fn early_pair(&self, index: u32) -> Option<u64> {
        if index >= LEAST_WORDS / 2 {
            return None;
        }
        Some(self.read(index))
    }

    #[inline(always)]
    fn cell(&self, index: u32) -> Option<u32> {
        // Known to the verifier, which leaves only one of the two.
        if self.cell_bits == 32 {
            self.word(index)
        } else {
            self.half(index).map(u32::from)
        }
    }
}

/// The tables of both families, `IPV4_IMAGE` and `IPV6_IMAGE`.
#[derive(Clone, Copy, Debug)]
pub struct Multibit;

impl Table for Multibit {
    #[inline(always)]
    fn ipv4(&self, address: Ipv4Addr) -> Class {
        // There is always an element 0. The verifier of older kernels wants to see the check.
        Image::of(&IPV4_IMAGE, &IPV4_WORDS, &IPV4_CELL_BITS).map_or(Class::DEFAULT, |image| {
            multibit::ipv4::look_up(&image, address)
        })
    }

    #[inline(always)]
    fn ipv6(&self, address: Ipv6Addr) -> Class {
        Image::of(&IPV6_IMAGE, &IPV6_WORDS, &IPV6_CELL_BITS).map_or(Class::DEFAULT, |image| {
            multibit::ipv6::look_up(&image, address)
        })
    }
}
