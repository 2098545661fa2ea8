//! The table of packets: what each frame is, byte by byte, and what becomes of it.
//!
//! Included by the tests that run it on slices and by those that run it in the kernel. Both use a rule set
//! that drops [`BLOCKED_IPV4`] and [`BLOCKED_IPV6`] under China and passes the rest.

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::{
    EtherType, IpFragOffset, IpNumber, Ipv4Header, Ipv6FlowLabel, Ipv6Header, PacketBuilder, VlanId,
};
use geodrop_common::{Action, Slot};

pub(crate) const BLOCKED_IPV4: Ipv4Addr = Ipv4Addr::new(1, 0, 1, 1);
pub(crate) const OTHER_IPV4: Ipv4Addr = Ipv4Addr::new(8, 8, 8, 8);
pub(crate) const BLOCKED_IPV6: Ipv6Addr = Ipv6Addr::new(0x2400, 0x3200, 0, 0, 0, 0, 0, 1);
pub(crate) const OTHER_IPV6: Ipv6Addr = Ipv6Addr::new(0x2001, 0x4860, 0x4860, 0, 0, 0, 0, 0x8888);

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const VLAN: u16 = 0x8100;
const SERVICE_VLAN: u16 = 0x88a8;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;

/// The slot that blocked packets count under.
pub(crate) fn china() -> Slot {
    Slot::of_country(*b"CN").unwrap()
}

/// One row of the table.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) frame: Vec<u8>,
    pub(crate) action: Action,
    pub(crate) slot: Slot,
}

fn case(name: impl Into<String>, frame: Vec<u8>, action: Action, slot: Slot) -> Case {
    Case {
        name: name.into(),
        frame,
        action,
        slot,
    }
}

fn blocked(name: impl Into<String>, frame: Vec<u8>) -> Case {
    case(name, frame, Action::Drop, china())
}

fn passed(name: impl Into<String>, frame: Vec<u8>) -> Case {
    case(name, frame, Action::Pass, Slot::PASSED)
}

fn malformed(name: impl Into<String>, frame: Vec<u8>) -> Case {
    case(name, frame, Action::Drop, Slot::MALFORMED)
}

fn not_ip(name: impl Into<String>, frame: Vec<u8>) -> Case {
    case(name, frame, Action::Pass, Slot::NON_IP)
}

/// An Ethernet frame with these tags, each by its EtherType, around a payload.
fn frame(tags: &[u16], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = [MAC, MAC].concat();
    for tag in tags {
        bytes.extend(tag.to_be_bytes());
        bytes.extend(7_u16.to_be_bytes());
    }
    bytes.extend(ethertype.to_be_bytes());
    bytes.extend(payload);
    bytes
}

fn ipv4(source: Ipv4Addr) -> Ipv4Header {
    Ipv4Header::new(8, 64, IpNumber::UDP, source.octets(), [192, 0, 2, 1]).unwrap()
}

fn ipv4_packet(source: Ipv4Addr) -> Vec<u8> {
    let mut bytes = ipv4(source).to_bytes().to_vec();
    bytes.extend([0; 8]);
    bytes
}

fn ipv6(source: Ipv6Addr, next_header: IpNumber) -> Vec<u8> {
    let header = Ipv6Header {
        traffic_class: 0,
        flow_label: Ipv6FlowLabel::ZERO,
        payload_length: 8,
        next_header,
        hop_limit: 64,
        source: source.octets(),
        destination: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).octets(),
    };
    let mut bytes = header.to_bytes().to_vec();
    bytes.extend([0; 8]);
    bytes
}

/// All rows.
pub(crate) fn cases() -> Vec<Case> {
    [
        by_source(),
        by_carried_address(),
        transports(),
        tags(),
        not_ip_at_all(),
        contradictions(),
        cut_short(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn by_source() -> Vec<Case> {
    vec![
        blocked(
            "IPv4 from a blocked source",
            frame(&[], IPV4, &ipv4_packet(BLOCKED_IPV4)),
        ),
        passed(
            "IPv4 from another source",
            frame(&[], IPV4, &ipv4_packet(OTHER_IPV4)),
        ),
        blocked(
            "IPv6 from a blocked source",
            frame(&[], IPV6, &ipv6(BLOCKED_IPV6, IpNumber::UDP)),
        ),
        passed(
            "IPv6 from another source",
            frame(&[], IPV6, &ipv6(OTHER_IPV6, IpNumber::UDP)),
        ),
    ]
}

/// A verdict needs no more than the source: what comes after the IP header does not matter.
fn by_carried_address() -> Vec<Case> {
    let six_to_four = |address: Ipv4Addr| {
        let [a, b, c, d] = address.octets();
        let [high, low] = [[a, b], [c, d]].map(u16::from_be_bytes);
        Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1)
    };
    let nat64 = |address: Ipv4Addr| {
        let prefix = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0);
        Ipv6Addr::from_bits(prefix.to_bits() | u128::from(address.to_bits()))
    };
    let from = |source| frame(&[], IPV6, &ipv6(source, IpNumber::UDP));
    vec![
        blocked("6to4 of a blocked source", from(six_to_four(BLOCKED_IPV4))),
        passed("6to4 of another source", from(six_to_four(OTHER_IPV4))),
        blocked("a blocked source behind NAT64", from(nat64(BLOCKED_IPV4))),
        passed("another source behind NAT64", from(nat64(OTHER_IPV4))),
        blocked(
            "a blocked source, IPv4-mapped",
            from(BLOCKED_IPV4.to_ipv6_mapped()),
        ),
        passed(
            "another source, IPv4-mapped",
            from(OTHER_IPV4.to_ipv6_mapped()),
        ),
    ]
}

fn transports() -> Vec<Case> {
    let source = BLOCKED_IPV4.octets();
    let ethernet = || PacketBuilder::ethernet2(MAC, MAC);
    let write = |builder: etherparse::PacketBuilderStep<etherparse::TcpHeader>| {
        let mut bytes = Vec::new();
        builder.write(&mut bytes, b"").unwrap();
        bytes
    };
    let mut with_options = ipv4(BLOCKED_IPV4);
    with_options.options = [1; 40].into();
    let mut later_fragment = ipv4(BLOCKED_IPV4);
    later_fragment.fragment_offset = IpFragOffset::try_new(100).unwrap();
    let mut first_fragment = ipv4(BLOCKED_IPV4);
    first_fragment.more_fragments = true;
    let header = |header: Ipv4Header| frame(&[], IPV4, &header.to_bytes());
    let mut cases = vec![
        blocked(
            "a TCP SYN",
            write(
                ethernet()
                    .ipv4(source, [192, 0, 2, 1], 64)
                    .tcp(1, 80, 0, 512)
                    .syn(),
            ),
        ),
        blocked("IPv4 with 40 bytes of options", header(with_options)),
        blocked("the first fragment", header(first_fragment)),
        blocked("a later fragment, without ports", header(later_fragment)),
        blocked(
            "an IPv4 header and nothing after it",
            header(ipv4(BLOCKED_IPV4)),
        ),
        blocked(
            "an IPv6 header and nothing after it",
            frame(
                &[],
                IPV6,
                &ipv6(BLOCKED_IPV6, IpNumber::IPV6_NO_NEXT_HEADER)[..40],
            ),
        ),
    ];
    for (name, next_header) in [
        ("hop-by-hop options", IpNumber::IPV6_HEADER_HOP_BY_HOP),
        ("a routing header", IpNumber::IPV6_ROUTE_HEADER),
        ("a fragment header", IpNumber::IPV6_FRAGMENTATION_HEADER),
        ("destination options", IpNumber::IPV6_DESTINATION_OPTIONS),
        ("ICMPv6", IpNumber::IPV6_ICMP),
        ("ESP", IpNumber::ENCAPSULATING_SECURITY_PAYLOAD),
        ("SCTP", IpNumber::SCTP),
        ("a protocol that nobody assigned", IpNumber(200)),
    ] {
        cases.push(blocked(
            format!("IPv6 with {name}"),
            frame(&[], IPV6, &ipv6(BLOCKED_IPV6, next_header)),
        ));
        let mut header = ipv4(BLOCKED_IPV4);
        header.protocol = next_header;
        cases.push(blocked(
            format!("IPv4 with protocol {}", next_header.0),
            frame(&[], IPV4, &header.to_bytes()),
        ));
    }
    cases
}

fn tags() -> Vec<Case> {
    // etherparse's idea of a tagged frame, so that ours is not the only one.
    let mut single = Vec::new();
    PacketBuilder::ethernet2(MAC, MAC)
        .single_vlan(VlanId::try_new(7).unwrap())
        .ipv4(BLOCKED_IPV4.octets(), [192, 0, 2, 1], 64)
        .udp(1, 53)
        .write(&mut single, b"x")
        .unwrap();
    let mut double = Vec::new();
    PacketBuilder::ethernet2(MAC, MAC)
        .double_vlan(VlanId::try_new(7).unwrap(), VlanId::try_new(8).unwrap())
        .ipv6(BLOCKED_IPV6.octets(), OTHER_IPV6.octets(), 64)
        .udp(1, 53)
        .write(&mut double, b"x")
        .unwrap();
    let v4 = ipv4_packet(BLOCKED_IPV4);
    let v6 = ipv6(BLOCKED_IPV6, IpNumber::UDP);
    let mut cases = vec![
        blocked("one tag, as etherparse writes it", single),
        blocked("two tags, as etherparse writes them", double),
        passed(
            "two tags, another source",
            frame(&[SERVICE_VLAN, VLAN], IPV4, &ipv4_packet(OTHER_IPV4)),
        ),
        not_ip(
            "three tags: the third is not stepped over",
            frame(&[SERVICE_VLAN, VLAN, VLAN], IPV4, &v4),
        ),
        not_ip(
            "two tags around ARP",
            frame(&[SERVICE_VLAN, VLAN], EtherType::ARP.0, &[0; 28]),
        ),
    ];
    for (name, tags) in [
        ("802.1Q", &[VLAN] as &[u16]),
        ("802.1ad", &[SERVICE_VLAN]),
        ("802.1Q in 802.1ad", &[SERVICE_VLAN, VLAN]),
        ("802.1Q in 802.1Q", &[VLAN, VLAN]),
        ("802.1ad in 802.1ad", &[SERVICE_VLAN, SERVICE_VLAN]),
        ("802.1ad in 802.1Q", &[VLAN, SERVICE_VLAN]),
    ] {
        cases.push(blocked(format!("IPv4 in {name}"), frame(tags, IPV4, &v4)));
        cases.push(blocked(format!("IPv6 in {name}"), frame(tags, IPV6, &v6)));
    }
    cases
}

fn not_ip_at_all() -> Vec<Case> {
    let v4 = ipv4_packet(BLOCKED_IPV4);
    [
        ("ARP", EtherType::ARP.0),
        ("LLDP", 0x88cc),
        ("PPPoE", 0x8864),
        ("MPLS", 0x8847),
        ("an 802.3 length and no EtherType", 46),
        ("EtherType 0", 0),
        ("IPv4's EtherType with its bytes swapped", 0x0008),
        ("EtherType 0xffff", 0xffff),
    ]
    .into_iter()
    .map(|(name, ethertype)| not_ip(name, frame(&[], ethertype, &v4)))
    .collect()
}

fn contradictions() -> Vec<Case> {
    let v4 = ipv4_packet(BLOCKED_IPV4);
    let v6 = ipv6(BLOCKED_IPV6, IpNumber::UDP);
    let with_first = |first: u8, packet: &[u8]| {
        let mut packet = packet.to_vec();
        packet[0] = first;
        packet
    };
    let mut cases = vec![
        malformed(
            "an IPv6 header under IPv4's EtherType",
            frame(&[], IPV4, &v6),
        ),
        malformed(
            "an IPv4 header under IPv6's EtherType",
            frame(&[], IPV6, &[&v4[..], &[0; 40]].concat()),
        ),
    ];
    for version in (0..16).filter(|version| *version != 4) {
        cases.push(malformed(
            format!("IPv4 with version {version}"),
            frame(&[], IPV4, &with_first(version << 4 | 5, &v4)),
        ));
    }
    for version in (0..16).filter(|version| *version != 6) {
        cases.push(malformed(
            format!("IPv6 with version {version}"),
            frame(&[], IPV6, &with_first(version << 4, &v6)),
        ));
    }
    for words in 0..5 {
        cases.push(malformed(
            format!("IPv4 with a header of {words} words"),
            frame(&[], IPV4, &with_first(0x40 | words, &v4)),
        ));
    }
    cases
}

/// Each kind of frame, at each length from the 14 bytes of an Ethernet header on.
fn cut_short() -> Vec<Case> {
    let mut with_options = ipv4(BLOCKED_IPV4);
    with_options.options = [1; 40].into();
    let options = with_options.to_bytes();
    let v4 = ipv4_packet(BLOCKED_IPV4);
    let v6 = ipv6(BLOCKED_IPV6, IpNumber::UDP);
    let mut cases = Vec::new();
    for (name, tags, ethertype, packet, header) in [
        ("IPv4", &[] as &[u16], IPV4, &v4[..], 20),
        ("IPv4 with options", &[], IPV4, &options[..], 60),
        ("IPv6", &[], IPV6, &v6[..], 40),
        ("tagged IPv4", &[VLAN], IPV4, &v4[..], 20),
        ("tagged IPv6", &[VLAN], IPV6, &v6[..], 40),
        (
            "twice tagged IPv4",
            &[SERVICE_VLAN, VLAN],
            IPV4,
            &v4[..],
            20,
        ),
        (
            "twice tagged IPv6",
            &[SERVICE_VLAN, VLAN],
            IPV6,
            &v6[..],
            40,
        ),
    ] {
        let whole = frame(tags, ethertype, packet);
        let network = 14 + 4 * tags.len();
        for length in 14..=whole.len() {
            let cut = whole[..length].to_vec();
            let name = format!("{name} cut to {length} bytes");
            cases.push(if length < network {
                not_ip(name, cut)
            } else if length < network + header {
                malformed(name, cut)
            } else {
                blocked(name, cut)
            });
        }
    }
    cases
}
