//! The table of packets, judged on slices: the same code that the kernel runs.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot build its packets has failed"
)]

mod packets;

use std::net::{Ipv4Addr, Ipv6Addr};

use geodrop_common::{Action, Class, Entry, Frame, Slot, Source, Table, judge};
use proptest::prelude::*;

/// Blocks the two blocked addresses of the table of packets.
struct TwoAddresses;

impl Table for TwoAddresses {
    fn ipv4(&self, address: Ipv4Addr) -> Class {
        Class::masked(u16::from(address == packets::BLOCKED_IPV4))
    }

    fn ipv6(&self, address: Ipv6Addr) -> Class {
        Class::masked(u16::from(address == packets::BLOCKED_IPV6))
    }
}

fn entry(class: Class) -> Entry {
    if class == Class::DEFAULT {
        Entry::PASS
    } else {
        Entry::new(Action::Drop, packets::china())
    }
}

#[test]
fn every_packet_of_the_table_meets_its_fate() {
    for case in packets::cases() {
        let judgement = judge(case.frame.as_slice(), &TwoAddresses, entry);
        assert_eq!(
            judgement, case.judgement,
            "{}: {:02x?}",
            case.name, case.frame
        );
    }
}

#[test]
fn a_frame_shorter_than_an_ethernet_header_is_not_ip() {
    for length in 0..14 {
        assert_eq!(Source::of(&[0x08; 14][..length]), Source::NotIp);
    }
}

#[test]
fn a_slice_is_read_within_its_bounds() {
    let bytes = [1_u8, 2, 3];
    assert_eq!(bytes[..].read(1), Some([2, 3]));
    assert_eq!(bytes[..].read::<2>(2), None);
    assert_eq!(bytes[..].read::<1>(usize::MAX), None);
    assert_eq!(bytes[..].read::<0>(3), Some([]));
}

proptest! {
    /// Whatever the bytes, there is a verdict, and it agrees with etherparse's reading of the addresses.
    #[test]
    fn any_bytes_are_judged_as_etherparse_reads_them(
        bytes in proptest::collection::vec(any::<u8>(), 0..128),
        ethertype in prop_oneof![Just(0x0800_u16), Just(0x86dd), any::<u16>()],
        first in prop_oneof![0x45..=0x4f_u8, Just(0x60), any::<u8>()],
    ) {
        let mut bytes = bytes;
        if bytes.len() > 14 {
            bytes[12..14].copy_from_slice(&ethertype.to_be_bytes());
            bytes[14] = first;
        }
        match Source::of(bytes.as_slice()) {
            Source::Ipv4(address) => {
                let (header, _) = etherparse::Ipv4Header::from_slice(network_layer(&bytes)).unwrap();
                prop_assert_eq!(address.octets(), header.source);
            }
            Source::Ipv6(address) => {
                let (header, _) = etherparse::Ipv6Header::from_slice(network_layer(&bytes)).unwrap();
                prop_assert_eq!(address.octets(), header.source);
            }
            Source::NotIp | Source::Malformed => {
                let judgement = judge(bytes.as_slice(), &TwoAddresses, entry);
                prop_assert!(matches!(judgement.slot, Slot::NON_IP | Slot::MALFORMED));
            }
        }
    }
}

/// What follows the Ethernet header and up to two tags.
fn network_layer(frame: &[u8]) -> &[u8] {
    let mut start = 14;
    for _ in 0..2 {
        if matches!(frame[start - 2..start], [0x81, 0x00] | [0x88, 0xa8]) {
            start += 4;
        }
    }
    &frame[start..]
}
