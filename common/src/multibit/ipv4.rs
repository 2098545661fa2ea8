//! The lookup of an IPv4 address: the root, then one segment.

use core::net::Ipv4Addr;

use super::{Memory, ROOT, Word};
use crate::class::Class;

/// The bits that the levels of the segment look at.
pub const LEVELS: [u32; 4] = [4, 4, 4, 4];

/// The class of an address.
#[inline(always)]
pub fn look_up<M: Memory + ?Sized>(memory: &M, address: Ipv4Addr) -> Class {
    let bits = address.to_bits();
    let mut word = Word::from_bits(memory.word(ROOT + (bits >> 16)));
    word = word.step(memory, bits >> 12 & 0xf);
    word = word.step(memory, bits >> 8 & 0xf);
    // What is longer than /24 is rare enough to be left for last.
    if !word.is_class() {
        word = word.step(memory, bits >> 4 & 0xf);
        word = word.step(memory, bits & 0xf);
    }
    word.class()
}
