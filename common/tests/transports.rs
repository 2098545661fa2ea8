//! Where the transport header of a packet is: rows of packets as etherparse writes them, and any bytes at all.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot build its packets has failed"
)]

use etherparse::{
    IpAuthHeader, IpFragOffset, IpNumber, Ipv4Header, Ipv6FlowLabel, Ipv6FragmentHeader,
    Ipv6Header, Ipv6RawExtHeader,
};
use geodrop_common::transport::{DEEPEST, Family, IpHeader, Ports, TCP, Transport, UDP};
use proptest::prelude::*;

/// As behind an Ethernet header and one VLAN tag.
const LEAD: usize = 18;
const PORTS: [u8; 8] = [0x30, 0x39, 0, 53, 0, 8, 0, 0];
const SEEN: Option<Ports> = Some(Ports {
    source: 12345,
    destination: 53,
});

const ESP: u8 = 50;
const NONE: u8 = 59;

/// Protocol, distance of the transport header from the IP header, whether it is a later fragment, the ports.
type Answer = Option<(u8, usize, bool, Option<Ports>)>;

fn answer(family: Family, frame: &[u8]) -> Answer {
    let offset = LEAD;
    let transport = Transport::of(frame, IpHeader { offset, family })?;
    Some((
        transport.protocol(),
        transport.offset() - LEAD,
        transport.is_later_fragment(),
        transport.ports(frame),
    ))
}

fn framed(parts: &[&[u8]]) -> Vec<u8> {
    [&[0; LEAD], parts.concat().as_slice()].concat()
}

fn ipv4(protocol: u8, change: impl FnOnce(&mut Ipv4Header)) -> Vec<u8> {
    let mut header =
        Ipv4Header::new(8, 64, IpNumber(protocol), [192, 0, 2, 1], [192, 0, 2, 2]).unwrap();
    change(&mut header);
    framed(&[&header.to_bytes(), &PORTS])
}

/// One extension header.
#[derive(Clone, Copy, Debug)]
enum Extension {
    /// Of this type, with so many units of 8 octets behind its first.
    Raw(u8, u8),
    /// An AH with so many words of ICV.
    Authentication(u8),
    /// A fragment header with this offset and M flag.
    Fragment(u16, bool),
}

impl Extension {
    fn kind(self) -> u8 {
        match self {
            Self::Raw(kind, _) => kind,
            Self::Authentication(_) => 51,
            Self::Fragment(..) => 44,
        }
    }

    fn bytes(self, next: u8) -> Vec<u8> {
        let next = IpNumber(next);
        match self {
            Self::Raw(_, units) => {
                let payload = vec![0xaa; 6 + 8 * usize::from(units)];
                let header = Ipv6RawExtHeader::new_raw(next, &payload).unwrap();
                header.to_bytes().to_vec()
            }
            Self::Authentication(words) => {
                let icv = vec![0xaa; 4 * usize::from(words)];
                let header = IpAuthHeader::new(next, 1, 2, &icv).unwrap();
                header.to_bytes().to_vec()
            }
            Self::Fragment(offset, more) => {
                let offset = IpFragOffset::try_new(offset).unwrap();
                let header = Ipv6FragmentHeader::new(next, offset, more, 7);
                header.to_bytes().to_vec()
            }
        }
    }
}

fn ipv6(extensions: &[Extension], protocol: u8) -> Vec<u8> {
    let mut kinds = extensions.iter().map(|extension| extension.kind());
    let header = Ipv6Header {
        traffic_class: 0,
        flow_label: Ipv6FlowLabel::ZERO,
        payload_length: 8,
        next_header: IpNumber(kinds.next().unwrap_or(protocol)),
        hop_limit: 64,
        source: [1; 16],
        destination: [2; 16],
    };
    let chain: Vec<u8> = extensions
        .iter()
        .flat_map(|extension| extension.bytes(kinds.next().unwrap_or(protocol)))
        .collect();
    framed(&[&header.to_bytes(), &chain, &PORTS])
}

#[test]
fn ipv4_packets() {
    let rows: [(&str, Vec<u8>, Answer); 11] = [
        ("TCP", ipv4(6, |_| ()), Some((6, 20, false, SEEN))),
        ("UDP", ipv4(17, |_| ()), Some((17, 20, false, SEEN))),
        ("ICMP", ipv4(1, |_| ()), Some((1, 20, false, None))),
        (
            "SCTP: ports, but not ours",
            ipv4(132, |_| ()),
            Some((132, 20, false, None)),
        ),
        (
            "DCCP: the same",
            ipv4(33, |_| ()),
            Some((33, 20, false, None)),
        ),
        (
            "UDP-Lite: the same",
            ipv4(136, |_| ()),
            Some((136, 20, false, None)),
        ),
        (
            "TCP behind 4 bytes of options",
            ipv4(6, |header| header.options = [1; 4].into()),
            Some((6, 24, false, SEEN)),
        ),
        (
            "UDP behind 40 bytes of options",
            ipv4(17, |header| header.options = [1; 40].into()),
            Some((17, 60, false, SEEN)),
        ),
        (
            "a first fragment",
            ipv4(17, |header| header.more_fragments = true),
            Some((17, 20, false, SEEN)),
        ),
        (
            "a fragment in the middle",
            ipv4(17, |header| {
                header.more_fragments = true;
                header.fragment_offset = IpFragOffset::try_new(1).unwrap();
            }),
            Some((17, 20, true, None)),
        ),
        (
            "the last fragment, as far behind as can be",
            ipv4(6, |header| {
                header.fragment_offset = IpFragOffset::try_new(8191).unwrap();
            }),
            Some((6, 20, true, None)),
        ),
    ];
    for (name, frame, expected) in rows {
        assert_eq!(answer(Family::Ipv4, &frame), expected, "{name}");
    }
}

#[test]
fn ipv6_packets() {
    use Extension::{Authentication, Fragment, Raw};
    let options = |count| vec![Raw(60, 0); count];
    let rows: [(&str, Vec<Extension>, u8, Answer); 20] = [
        ("TCP", vec![], TCP, Some((6, 40, false, SEEN))),
        ("UDP", vec![], UDP, Some((17, 40, false, SEEN))),
        ("ICMPv6", vec![], 58, Some((58, 40, false, None))),
        (
            "hop-by-hop options",
            vec![Raw(0, 0)],
            UDP,
            Some((17, 48, false, SEEN)),
        ),
        ("routing", vec![Raw(43, 2)], TCP, Some((6, 64, false, SEEN))),
        (
            "destination options of the most bytes",
            vec![Raw(60, 255)],
            TCP,
            Some((6, 2088, false, SEEN)),
        ),
        (
            "mobility",
            vec![Raw(135, 0)],
            NONE,
            Some((59, 48, false, None)),
        ),
        (
            "host identity",
            vec![Raw(139, 1)],
            UDP,
            Some((17, 56, false, SEEN)),
        ),
        ("shim6", vec![Raw(140, 0)], UDP, Some((17, 48, false, SEEN))),
        (
            "AH without ICV: 12 octets",
            vec![Authentication(0)],
            TCP,
            Some((6, 52, false, SEEN)),
        ),
        (
            "AH with 12 octets of ICV",
            vec![Authentication(3)],
            UDP,
            Some((17, 64, false, SEEN)),
        ),
        ("ESP", vec![], ESP, Some((50, 40, false, None))),
        (
            "ESP behind options",
            vec![Raw(60, 0)],
            ESP,
            Some((50, 48, false, None)),
        ),
        ("no next header", vec![], NONE, Some((59, 40, false, None))),
        (
            "the whole of it, an atomic fragment",
            vec![Fragment(0, false)],
            TCP,
            Some((6, 48, false, SEEN)),
        ),
        (
            "a first fragment with options behind",
            vec![Fragment(0, true), Raw(60, 0)],
            TCP,
            Some((6, 56, false, SEEN)),
        ),
        (
            "a later fragment",
            vec![Fragment(1, true)],
            UDP,
            Some((17, 48, true, None)),
        ),
        (
            "a later fragment is not looked into, whatever it says",
            vec![Raw(0, 0), Fragment(8191, false), Raw(60, 0)],
            UDP,
            Some((60, 56, true, None)),
        ),
        (
            "as many as are walked",
            options(DEEPEST),
            TCP,
            Some((6, 40 + 8 * DEEPEST, false, SEEN)),
        ),
        ("one more", options(DEEPEST + 1), TCP, None),
    ];
    for (name, extensions, protocol, expected) in rows {
        let frame = ipv6(&extensions, protocol);
        assert_eq!(answer(Family::Ipv6, &frame), expected, "{name}");
    }
}

#[test]
fn what_is_cut_short_is_unreachable_or_without_ports() {
    use Extension::{Authentication, Raw};
    let chains: [(Family, Vec<u8>, usize, usize); 5] = [
        (Family::Ipv4, ipv4(6, |_| ()), 20, 20),
        (
            Family::Ipv4,
            ipv4(6, |header| header.options = [1; 8].into()),
            20,
            28,
        ),
        (Family::Ipv6, ipv6(&[], UDP), 40, 40),
        (Family::Ipv6, ipv6(&[Raw(0, 1)], UDP), 40, 56),
        (
            Family::Ipv6,
            ipv6(&[Raw(60, 0), Authentication(3)], TCP),
            40,
            72,
        ),
    ];
    for (family, frame, whole_header, transport) in chains {
        // Less than a whole IP header never gets here: `Source::of` has called it malformed.
        for length in whole_header..transport + 8 {
            let found = answer(family, &frame[..LEAD + length]);
            let expected = if length < transport {
                None
            } else {
                Some(length >= transport + 4)
            };
            let found = found.map(|(.., ports)| ports.is_some());
            assert_eq!(found, expected, "{frame:?} cut to {length} bytes");
        }
    }
}

/// Each of the 256 next headers, twice: none is unreachable but those that want an extension header where none is.
#[test]
fn every_protocol_is_one_or_an_extension_header() {
    let extensions = [0, 43, 44, 51, 60, 135, 139, 140];
    for protocol in 0..=255 {
        let mut frame = ipv6(&[], protocol);
        frame.truncate(LEAD + 40);
        let found = answer(Family::Ipv6, &frame);
        let expected = (!extensions.contains(&protocol)).then_some((protocol, 40, false, None));
        assert_eq!(found, expected, "IPv6, {protocol}");
        let found = answer(Family::Ipv4, &ipv4(protocol, |_| ()));
        let ports = matches!(protocol, TCP | UDP).then_some(SEEN).flatten();
        assert_eq!(
            found,
            Some((protocol, 20, false, ports)),
            "IPv4, {protocol}"
        );
    }
}

fn extension() -> impl Strategy<Value = Extension> {
    let raw = prop::sample::select(vec![0, 43, 60, 135, 139, 140]);
    prop_oneof![
        (raw, any::<u8>()).prop_map(|(kind, units)| Extension::Raw(kind, units)),
        (0..=254_u8).prop_map(Extension::Authentication),
        (0..=1_u16, any::<bool>()).prop_map(|(offset, more)| Extension::Fragment(offset, more)),
    ]
}

proptest! {
    #[test]
    #[cfg_attr(miri, ignore = "takes Miri minutes")]
    fn any_chain_is_walked_to_its_end(
        extensions in prop::collection::vec(extension(), 0..=8),
        protocol in prop::sample::select(vec![TCP, UDP, ESP, NONE, 58]),
    ) {
        let frame = ipv6(&extensions, protocol);
        let later = |extension: &Extension| matches!(extension, Extension::Fragment(1.., _));
        let walked = match extensions.iter().position(later) {
            Some(place) => place + 1,
            None => extensions.len(),
        };
        let kinds: Vec<u8> = extensions.iter().map(|extension| extension.kind()).chain([protocol]).collect();
        let length: usize = extensions[..walked].iter().map(|extension| extension.bytes(0).len()).sum();
        let is_later = extensions.iter().any(later);
        let ports = (!is_later && matches!(protocol, TCP | UDP)).then_some(SEEN).flatten();
        let expected = (walked <= DEEPEST).then_some((kinds[walked], 40 + length, is_later, ports));
        prop_assert_eq!(answer(Family::Ipv6, &frame), expected);
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes Miri minutes")]
    fn any_bytes_lead_nowhere_outside(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for family in [Family::Ipv4, Family::Ipv6] {
            if let Some((_, distance, ..)) = answer(family, &bytes) {
                prop_assert!(LEAD + distance <= bytes.len());
            }
        }
    }
}
