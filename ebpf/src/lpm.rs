//! The kernel's own LPM tries as a [`Table`].

use core::net::{Ipv4Addr, Ipv6Addr};

use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    macros::map,
    maps::{LpmTrie, lpm_trie::Key},
};
use geodrop_common::{Class, Table};

/// Class numbers by IPv4 prefix. The loader sets how many entries there may be.
#[map]
static IPV4: LpmTrie<[u8; 4], u16> = LpmTrie::with_max_entries(1, BPF_F_NO_PREALLOC);

/// Class numbers by IPv6 prefix. The loader sets how many entries there may be.
#[map]
static IPV6: LpmTrie<[u8; 16], u16> = LpmTrie::with_max_entries(1, BPF_F_NO_PREALLOC);

/// The tries of both families, `IPV4` and `IPV6`.
#[derive(Clone, Copy, Debug)]
pub struct LpmTries;

impl Table for LpmTries {
    #[inline(always)]
    fn ipv4(&self, address: Ipv4Addr) -> Class {
        let key = Key::new(32, address.octets());
        IPV4.get(&key)
            .copied()
            .map_or(Class::DEFAULT, Class::masked)
    }

    #[inline(always)]
    fn ipv6(&self, address: Ipv6Addr) -> Class {
        let key = Key::new(128, address.octets());
        IPV6.get(&key)
            .copied()
            .map_or(Class::DEFAULT, Class::masked)
    }
}
