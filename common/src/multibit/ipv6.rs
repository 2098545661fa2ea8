//! The lookup of an IPv6 address: the root, the shortcuts, and the segment that decides.
//!
//! What data says of IPv6 it says of prefixes of some 20 to 64 bits. Going there segment by segment would cost
//! twice two cache lines more. So the prefixes of 32 and of 48 bits inside of which not all addresses are of one
//! class stand in tables of [`Shortcuts`]. Root and shortcuts are read at once, none waits for another; the longest
//! prefix that is known says which segment decides, and where its node is.
//!
//! What 64 bits do not decide goes on from segment to segment.

use core::net::Ipv6Addr;

use super::{Memory, ROOT, Word, header, shortcuts::Shortcuts};
use crate::class::Class;

/// The bits of a segment.
const SEGMENT: u32 = 16;

/// How many links a lookup follows: from the third segment on each of five may have a finer node, and all but the
/// last lead to the next.
const LINKS: usize = 9;

/// The class of an address; [`Class::DEFAULT`] where the table is not one that geodrop made.
#[inline(always)]
pub fn look_up<M: Memory + ?Sized>(memory: &M, address: Ipv6Addr) -> Class {
    find(memory, address).unwrap_or(Class::DEFAULT)
}

#[inline(always)]
#[allow(
    clippy::cast_possible_truncation,
    reason = "halves, and what is left of them, are cut out on purpose"
)]
fn find<M: Memory + ?Sized>(memory: &M, address: Ipv6Addr) -> Option<Class> {
    let bits = address.to_bits();
    let (high, low) = ((bits >> 64) as u64, bits as u64);
    let root = Word::from_bits(memory.early_word(ROOT + (high >> 48) as u32)?);
    // Most of the address space is nobody's.
    if root.is_flagged() {
        return Some(root.class());
    }
    let factor = memory.early_pair(header::FACTOR_PAIR)?;
    let second = Shortcuts::SECOND.find(memory, factor, high >> 32)?;
    let third = Shortcuts::THIRD.find(memory, factor, high >> 16)?;
    let start = Word::from_bits(third.or(second.or(root.bits())));
    let mut found = start.find(memory, (high >> start.following()) as u32 & 0xffff)?;
    // Only the third segment has others after it.
    let mut next = low;
    for _ in 0..LINKS {
        if let Some(class) = found.class() {
            return Some(class);
        }
        let link = found.link(memory)?;
        let node = link.node();
        let bits = if node.is_flagged() {
            // In two steps, for there may be none to shift.
            if next >> 1 >> (63 - link.zeros()) != 0 {
                return Some(link.otherwise());
            }
            next <<= link.zeros();
            let bits = (next >> 48) as u32;
            next <<= SEGMENT;
            bits
        } else {
            found.rest()
        };
        found = node.find(memory, bits)?;
    }
    found.class()
}
