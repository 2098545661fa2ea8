//! Addresses that are nobody's in particular: private, link-local, documentation, and the like.
//!
//! They pass whatever the country rule says, for two reasons. Data does give some of them a country (a
//! private network at home would be blocked with Australia), and a policy that admits only some countries
//! must not lock out the local network.
//!
//! Which addresses these are is IANA's to say, in the IPv4 and IPv6 Special-Purpose Address Registries
//! (RFC 6890, RFC 8190), here as of 2025-10-09: those whose block is not globally reachable. The registries
//! nest, and the longest block decides: 192.0.0.9 is reachable inside of 192.0.0.0/24, which is not. Where
//! they say "not applicable" (Teredo, 6to4), an address is as good as the one that it carries, and not
//! special. Blocks whose assignment has ended (`192.88.99.0/24`, `2001:10::/28`) are left out, as if they had
//! never been there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::range::{Address, Labelled, Range, flatten};

/// A block of the registries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its addresses.
    pub prefix: IpNet,
    /// The registry's name for it.
    pub name: &'static str,
    /// The number of the RFC that reserves it.
    pub rfc: u16,
    /// Whether the registry says "Globally Reachable: False".
    pub special: bool,
}

/// The blocks of both registries that are in force.
#[rustfmt::skip]
pub const BLOCKS: &[Block] = &[
    special(v4([0, 0, 0, 0], 8), "\"This network\"", 791),
    special(v4([0, 0, 0, 0], 32), "\"This host on this network\"", 1122),
    special(v4([10, 0, 0, 0], 8), "Private-Use", 1918),
    special(v4([100, 64, 0, 0], 10), "Shared Address Space", 6598),
    special(v4([127, 0, 0, 0], 8), "Loopback", 1122),
    special(v4([169, 254, 0, 0], 16), "Link Local", 3927),
    special(v4([172, 16, 0, 0], 12), "Private-Use", 1918),
    special(v4([192, 0, 0, 0], 24), "IETF Protocol Assignments", 6890),
    special(v4([192, 0, 0, 0], 29), "IPv4 Service Continuity Prefix", 7335),
    special(v4([192, 0, 0, 8], 32), "IPv4 dummy address", 7600),
    ordinary(v4([192, 0, 0, 9], 32), "Port Control Protocol Anycast", 7723),
    ordinary(v4([192, 0, 0, 10], 32), "Traversal Using Relays around NAT Anycast", 8155),
    special(v4([192, 0, 0, 170], 32), "NAT64/DNS64 Discovery", 8880),
    special(v4([192, 0, 0, 171], 32), "NAT64/DNS64 Discovery", 8880),
    special(v4([192, 0, 2, 0], 24), "Documentation (TEST-NET-1)", 5737),
    ordinary(v4([192, 31, 196, 0], 24), "AS112-v4", 7535),
    ordinary(v4([192, 52, 193, 0], 24), "AMT", 7450),
    special(v4([192, 88, 99, 2], 32), "6a44-relay anycast address", 6751),
    special(v4([192, 168, 0, 0], 16), "Private-Use", 1918),
    ordinary(v4([192, 175, 48, 0], 24), "Direct Delegation AS112 Service", 7534),
    special(v4([198, 18, 0, 0], 15), "Benchmarking", 2544),
    special(v4([198, 51, 100, 0], 24), "Documentation (TEST-NET-2)", 5737),
    special(v4([203, 0, 113, 0], 24), "Documentation (TEST-NET-3)", 5737),
    special(v4([240, 0, 0, 0], 4), "Reserved", 1112),
    special(v4([255, 255, 255, 255], 32), "Limited Broadcast", 8190),

    special(v6([0, 0, 0, 0, 0, 0, 0, 1], 128), "Loopback Address", 4291),
    special(v6([0, 0, 0, 0, 0, 0, 0, 0], 128), "Unspecified Address", 4291),
    special(v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96), "IPv4-mapped Address", 4291),
    ordinary(v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96), "IPv4-IPv6 Translat.", 6052),
    special(v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48), "IPv4-IPv6 Translat.", 8215),
    special(v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64), "Discard-Only Address Block", 6666),
    special(v6([0x100, 0, 0, 1, 0, 0, 0, 0], 64), "Dummy IPv6 Prefix", 9780),
    special(v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), "IETF Protocol Assignments", 2928),
    ordinary(v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32), "TEREDO", 4380),
    ordinary(v6([0x2001, 1, 0, 0, 0, 0, 0, 1], 128), "Port Control Protocol Anycast", 7723),
    ordinary(v6([0x2001, 1, 0, 0, 0, 0, 0, 2], 128), "Traversal Using Relays around NAT Anycast", 8155),
    ordinary(v6([0x2001, 1, 0, 0, 0, 0, 0, 3], 128), "DNS-SD Service Registration Protocol Anycast", 9665),
    special(v6([0x2001, 2, 0, 0, 0, 0, 0, 0], 48), "Benchmarking", 5180),
    ordinary(v6([0x2001, 3, 0, 0, 0, 0, 0, 0], 32), "AMT", 7450),
    ordinary(v6([0x2001, 4, 0x112, 0, 0, 0, 0, 0], 48), "AS112-v6", 7535),
    ordinary(v6([0x2001, 0x20, 0, 0, 0, 0, 0, 0], 28), "ORCHIDv2", 7343),
    ordinary(v6([0x2001, 0x30, 0, 0, 0, 0, 0, 0], 28), "Drone Remote ID Protocol Entity Tags (DETs) Prefix", 9374),
    special(v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), "Documentation", 3849),
    ordinary(v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), "6to4", 3056),
    ordinary(v6([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48), "Direct Delegation AS112 Service", 7534),
    special(v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), "Documentation", 9637),
    special(v6([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16), "Segment Routing (SRv6) SIDs", 9602),
    special(v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), "Unique-Local", 4193),
    special(v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), "Link-Local Unicast", 4291),
];

/// The block that makes an address special: the longest that holds it, if that is not globally reachable.
#[must_use]
pub fn block_of(address: IpAddr) -> Option<&'static Block> {
    let around = BLOCKS
        .iter()
        .filter(|block| block.prefix.contains(&address));
    around
        .max_by_key(|block| block.prefix.prefix_len())
        .filter(|block| block.special)
}

/// The special-purpose addresses of a family: sorted, disjoint ranges.
#[must_use]
pub fn ranges<A: Address>() -> Vec<Range<A>> {
    let blocks = BLOCKS.iter().filter_map(|block| {
        Some(Labelled::new(
            Range::of_prefix(block.prefix)?,
            block.special,
        ))
    });
    flatten(blocks.collect())
        .into_iter()
        .filter(|piece| piece.label)
        .map(|piece| piece.range)
        .collect()
}

const fn special(prefix: IpNet, name: &'static str, rfc: u16) -> Block {
    Block {
        prefix,
        name,
        rfc,
        special: true,
    }
}

const fn ordinary(prefix: IpNet, name: &'static str, rfc: u16) -> Block {
    Block {
        prefix,
        name,
        rfc,
        special: false,
    }
}

const fn v4(octets: [u8; 4], length: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::from_octets(octets), length))
}

const fn v6(segments: [u16; 8], length: u8) -> IpNet {
    IpNet::V6(Ipv6Net::new_assert(
        Ipv6Addr::from_segments(segments),
        length,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_is_what_the_registries_say() {
        for (address, name) in [
            ("0.0.0.0", Some("\"This host on this network\"")),
            ("10.1.2.3", Some("Private-Use")),
            ("172.31.255.255", Some("Private-Use")),
            ("172.32.0.0", None),
            ("100.127.255.255", Some("Shared Address Space")),
            ("100.128.0.0", None),
            ("192.0.0.7", Some("IPv4 Service Continuity Prefix")),
            ("192.0.0.9", None),
            ("192.0.0.10", None),
            ("192.0.0.11", Some("IETF Protocol Assignments")),
            ("192.88.99.1", None),
            ("192.88.99.2", Some("6a44-relay anycast address")),
            ("198.20.0.0", None),
            ("224.0.0.1", None),
            ("255.255.255.255", Some("Limited Broadcast")),
            ("8.8.8.8", None),
            ("::", Some("Unspecified Address")),
            ("::2", None),
            ("::ffff:8.8.8.8", Some("IPv4-mapped Address")),
            ("64:ff9b::808:808", None),
            ("64:ff9b:1::1", Some("IPv4-IPv6 Translat.")),
            ("100::1", Some("Discard-Only Address Block")),
            ("100:0:0:1::1", Some("Dummy IPv6 Prefix")),
            ("100:0:0:2::1", None),
            ("2001::1", None),
            ("2001:1::", Some("IETF Protocol Assignments")),
            ("2001:1::3", None),
            ("2001:1::4", Some("IETF Protocol Assignments")),
            ("2001:10::1", Some("IETF Protocol Assignments")),
            ("2001:20::1", None),
            ("2001:db8::1", Some("Documentation")),
            ("2002:808:808::1", None),
            ("3fff:fff::1", Some("Documentation")),
            ("3fff:1000::1", None),
            ("fd00::1", Some("Unique-Local")),
            ("fe80::1", Some("Link-Local Unicast")),
            ("ff02::1", None),
        ] {
            let found = block_of(address.parse().unwrap()).map(|block| block.name);
            assert_eq!(found, name, "{address}");
        }
    }

    #[test]
    fn no_block_has_host_bits_or_stands_there_twice() {
        for (index, block) in BLOCKS.iter().enumerate() {
            assert_eq!(block.prefix, block.prefix.trunc(), "{}", block.name);
            assert!(
                BLOCKS[..index]
                    .iter()
                    .all(|other| other.prefix != block.prefix),
                "{}",
                block.name
            );
        }
    }

    #[test]
    fn ranges_say_the_same_as_blocks() {
        fn check<A: Address>() {
            let ranges = ranges::<A>();
            let is_special = |address: A| ranges.iter().any(|range| range.contains(address));
            for block in BLOCKS
                .iter()
                .filter_map(|block| Range::<A>::of_prefix(block.prefix))
            {
                let (first, last) = (block.first(), block.last());
                let edges = [
                    first.predecessor(),
                    Some(first),
                    Some(last),
                    last.successor(),
                ];
                for address in edges.into_iter().flatten() {
                    assert_eq!(
                        is_special(address),
                        block_of(address.into()).is_some(),
                        "{address}"
                    );
                }
            }
        }
        check::<Ipv4Addr>();
        check::<Ipv6Addr>();
    }
}
