//! The lookup of an IPv6 address: the root, a shortcut, and the segment that decides.
//!
//! What data says of IPv6 it says of prefixes of some 20 to 64 bits. Going there level by level would cost a
//! step for each level. So the prefixes at which most addresses turn out to need a closer look, those of 32 and
//! of 48 bits inside of which not all addresses are of one class, stand in tables of [`Shortcuts`]. Root and
//! shortcuts are read at once, none waits for another; the longest prefix that is known says where its segment
//! is, and the levels of that segment decide.
//!
//! What 64 bits do not decide goes on from segment to segment.

use core::net::Ipv6Addr;

use super::{Memory, ROOT, Word, shortcuts::Shortcuts};
use crate::class::Class;

/// The bits that the levels of a segment look at.
pub const LEVELS: [u32; 3] = [6, 5, 5];

/// The bits of a segment.
const SEGMENT: u32 = 16;

/// The class of an address.
#[inline(always)]
pub fn look_up<M: Memory + ?Sized>(memory: &M, address: Ipv6Addr) -> Class {
    let (high, low) = halves(address);
    let root = Word::from_bits(memory.word(ROOT + (high >> 48) as u32));
    // Most of the address space is nobody's.
    if root.is_class() {
        return root.class();
    }
    let second = Shortcuts::SECOND.find(memory, high >> 32);
    let third = Shortcuts::THIRD.find(memory, high >> 16);
    let start = third.or(second.or(root.bits()));
    // The third segment's shortcut is known only where the second's is.
    let shift = 32 - (second.mask() & SEGMENT) - (third.mask() & SEGMENT);
    let mut word = segment(memory, Word::from_bits(start), high >> shift);
    if !word.is_class() {
        word = follow(memory, word, high, low, shift);
    }
    word.class()
}

/// The two halves of an address, each in host order.
#[inline(always)]
#[allow(
    clippy::cast_possible_truncation,
    reason = "each half is cut out on purpose"
)]
const fn halves(address: Ipv6Addr) -> (u64, u64) {
    let bits = address.to_bits();
    ((bits >> 64) as u64, bits as u64)
}

/// Goes through a segment, whose 16 bits are the lowest of `bits`.
#[inline(always)]
#[allow(
    clippy::cast_possible_truncation,
    reason = "only the lowest 16 bits are looked at"
)]
fn segment<M: Memory + ?Sized>(memory: &M, word: Word, bits: u64) -> Word {
    let bits = bits as u32;
    word.step(memory, bits >> 10 & 0x3f)
        .step(memory, bits >> 5 & 0x1f)
        .step(memory, bits & 0x1f)
}

/// Goes on through the segments after the one that was `shift` bits above the end of the first half.
#[inline(always)]
fn follow<M: Memory + ?Sized>(
    memory: &M,
    mut word: Word,
    high: u64,
    low: u64,
    mut shift: u32,
) -> Word {
    // From the first segment: two more in this half.
    for _ in 0..2 {
        if shift == 0 {
            break;
        }
        shift -= SEGMENT;
        word = segment(memory, word, high >> (shift & 63));
        if word.is_class() {
            return word;
        }
    }
    for shift in [48, 32, 16, 0] {
        word = segment(memory, word, low >> shift);
        if word.is_class() {
            return word;
        }
    }
    word
}
