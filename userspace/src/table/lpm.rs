//! Prefixes for the kernel's own `BPF_MAP_TYPE_LPM_TRIE`, where the longest prefix that holds an address
//! gives its class, and an address that no prefix holds is of [`Class::DEFAULT`].
//!
//! [`Class::DEFAULT`]: geodrop_common::Class::DEFAULT

use geodrop_common::Class;

use crate::{
    policy::Classified,
    range::{Address, Prefix},
};

/// An entry of a trie: a prefix and the class of its addresses, unless a longer prefix says otherwise.
///
/// The kernel's key is the prefix's length as a `u32` in native byte order, then the network's octets in
/// network byte order (`struct bpf_lpm_trie_key` in the kernel's `bpf.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<A> {
    /// The prefix.
    pub prefix: Prefix<A>,
    /// The class.
    pub class: Class,
}

/// The entries that say of every address what `ranges`, which are sorted and disjoint, say of it.
#[must_use]
pub fn prefixes<A: Address>(ranges: &[Classified<A>]) -> Vec<Entry<A>> {
    let entries = ranges.iter().flat_map(|classified| {
        let class = classified.label;
        classified
            .range
            .prefixes()
            .map(move |prefix| Entry { prefix, class })
    });
    entries.collect()
}
