//! The lookup of an IPv6 address: the root, the shortcuts, and the segment that decides.
//!
//! What data says of IPv6 it says of prefixes of some 20 to 64 bits. Going there segment by segment would cost
//! twice two cache lines more. So the prefixes of 32 and of 48 bits inside of which not all addresses are of one
//! class stand in tables of [`Shortcuts`]. Root and shortcuts are read at once, none waits for another; the longest
//! prefix that is known says which segment decides, and where its node is.
//!
//! What 64 bits do not decide goes on from segment to segment.

use core::net::Ipv6Addr;

use super::{Found, Memory, ROOT, Word, header, shortcuts::Shortcuts};
use crate::class::Class;

/// The bits of a segment.
const SEGMENT: u32 = 16;

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
    // From the third segment on each of five may have a finer node, and all but the last lead to the next: nine links.
    // Each in code of its own: of a loop the verifier, which without CAP_PERFMON also tries what a processor may do by
    // mistake, finds no end.
    macro_rules! follow {
        ($($link:literal)*) => {
            $(
                const _: usize = $link;
                if let Some(class) = found.class() {
                    return Some(class);
                }
                found = follow(memory, found, &mut next)?;
            )*
        };
    }
    follow!(1 2 3 4 5 6 7 8 9);
    found.class()
}

/// Follows a link. `next` are the bits of the segments to come, the first ones highest.
#[inline(always)]
fn follow<M: Memory + ?Sized>(memory: &M, found: Found, next: &mut u64) -> Option<Found> {
    let link = found.link(memory)?;
    let node = link.node();
    if !node.is_flagged() {
        return node.find(memory, found.rest());
    }
    // In two steps, for there may be none to shift.
    if *next >> 1 >> (63 - link.zeros()) != 0 {
        return Some(Found::of_class(link.otherwise()));
    }
    *next <<= link.zeros();
    let bits = (*next >> 48) as u32;
    *next <<= SEGMENT;
    node.find(memory, bits)
}
