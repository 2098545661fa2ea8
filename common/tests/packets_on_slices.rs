//! The table of packets, judged on slices: the same code that the kernel runs.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot build its packets has failed"
)]

mod packets;

use std::net::{Ipv4Addr, Ipv6Addr};

use geodrop_common::{
    Class, Entry, Frame, Rule, Rules, Slot, Source, Table, class::Carried, judge,
};
use proptest::prelude::*;

/// Blocks the two blocked addresses of the table of packets.
struct TwoAddresses;

const BLOCKED: Class = Class::masked(1);
const SIX_TO_FOUR: Class = Class::masked(2);
const IPV4_AT_END: Class = Class::masked(3);

impl Table for TwoAddresses {
    fn ipv4(&self, address: Ipv4Addr) -> Class {
        Class::masked(u16::from(address == packets::BLOCKED_IPV4))
    }

    fn ipv6(&self, address: Ipv6Addr) -> Class {
        match address.segments() {
            [0x2002, ..] => SIX_TO_FOUR,
            [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0, 0xffff, ..] => IPV4_AT_END,
            _ if address == packets::BLOCKED_IPV6 => BLOCKED,
            _ => Class::DEFAULT,
        }
    }
}

impl Rules for TwoAddresses {
    fn entry(&self, class: Class) -> Entry {
        match class {
            BLOCKED => Entry::ruled(Rule::GENERAL.bit(), packets::china(), Slot::PASSED),
            SIX_TO_FOUR => Entry::carrying(Carried::AfterPrefix),
            IPV4_AT_END => Entry::carrying(Carried::AtEnd),
            _ => Entry::PASS,
        }
    }
}

#[test]
fn where_an_ip_packet_ends_its_header_says() {
    let macs = [0; 12];
    let ipv4 = [&[8, 0, 0x45, 0, 0x05, 0xdc][..], &[0; 16]].concat();
    let ipv6 = [&[0x86, 0xdd, 0x60, 0, 0, 0, 0x05, 0xb4][..], &[0; 34]].concat();
    let tag = [0x81, 0, 0, 7];
    let arp = [&[8, 6][..], &[0; 28]].concat();
    for (behind, end) in [
        (&[&ipv4[..]][..], Some(14 + 1500)),
        (&[&ipv6], Some(14 + 40 + 1460)),
        (&[&tag, &ipv4], Some(18 + 1500)),
        (&[&tag, &tag, &ipv6], Some(22 + 40 + 1460)),
        (&[&ipv4[..21]], None),
        (&[&arp], None),
    ] {
        let frame = [&macs[..], &behind.concat()].concat();
        assert_eq!(Source::of(&frame[..]).end(), end, "{frame:02x?}");
    }
}

#[test]
fn every_packet_of_the_table_meets_its_fate() {
    for case in packets::cases() {
        let judgement = judge(case.frame.as_slice(), &TwoAddresses);
        assert_eq!(
            (judgement.action, judgement.slot),
            (case.action, case.slot),
            "{}: {:02x?}",
            case.name,
            case.frame
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
        let source = Source::of(bytes.as_slice());
        let usual = bytes.len() >= 34 && ethertype == 0x0800 && first == 0x45;
        prop_assert_eq!(Source::of_usual(bytes.as_slice()), usual.then_some(source));
        match source {
            Source::Ipv4 { address, .. } => {
                let (header, _) = etherparse::Ipv4Header::from_slice(network_layer(&bytes)).unwrap();
                prop_assert_eq!(address.octets(), header.source);
            }
            Source::Ipv6 { address, .. } => {
                let (header, _) = etherparse::Ipv6Header::from_slice(network_layer(&bytes)).unwrap();
                prop_assert_eq!(address.octets(), header.source);
            }
            Source::NotIp | Source::Malformed => {
                let judgement = judge(bytes.as_slice(), &TwoAddresses);
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
