//! The lookup of an IPv4 address: the root, then one segment.

use core::net::Ipv4Addr;

use super::{Memory, ROOT, Word};
use crate::class::Class;

/// The class of an address; [`Class::DEFAULT`] where the table is not one that geodrop made.
#[inline(always)]
pub fn look_up<M: Memory + ?Sized>(memory: &M, address: Ipv4Addr) -> Class {
    find(memory, address.to_bits()).unwrap_or(Class::DEFAULT)
}

#[inline(always)]
fn find<M: Memory + ?Sized>(memory: &M, bits: u32) -> Option<Class> {
    let root = Word::from_bits(memory.early_word(ROOT + (bits >> 16))?);
    // Easy to predict: traffic is either mostly from where nothing is told apart, or hardly ever.
    if root.is_flagged() {
        return Some(root.class());
    }
    let found = root.find(memory, bits & 0xffff)?;
    if let Some(class) = found.class() {
        return Some(class);
    }
    let finer = found.link(memory)?.node();
    finer.find(memory, found.rest())?.class()
}
