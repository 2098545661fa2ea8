//! What a refused packet is told, byte for byte as etherparse would have written it.

use etherparse::TcpHeader;
use geodrop_common::refusal::{Answer, Refusal};

use crate::wire::{
    ACK, FIN, LEAD, OUTWARD, Pair, RST, SYN, Segment, flags, icmp, packet, raw, tcp, transport, udp,
};

const PORTS: (u16, u16) = (51000, 22);
const SEQUENCE: u32 = 0x1234_5678;
const ACKNOWLEDGED: u32 = 0x9abc_def0;
const SACK_PERMITTED: [u8; 4] = [4, 2, 1, 1];

pub(crate) fn refused(pair: Pair, frame: &[u8]) -> Option<Vec<u8>> {
    let mut answer = Answer::EMPTY;
    let refusal = Refusal::of(frame, &transport(pair.family(), frame)?, &mut answer)?;
    Some(answer.packet()[..refusal.length()].to_vec())
}

fn segment(flags: u8) -> Segment {
    Segment {
        ports: PORTS,
        numbers: (SEQUENCE, ACKNOWLEDGED),
        flags,
    }
}

/// The RST that goes this way.
fn reset(way: Pair, numbers: (u32, u32), flags: u8) -> Vec<u8> {
    let segment = Segment {
        ports: (PORTS.1, PORTS.0),
        numbers,
        flags,
    };
    let mut frame = tcp(way.answering(), segment, &[], &[]);
    let start = frame.len() - 20;
    let mut header = TcpHeader::from_slice(&frame[start..]).unwrap().0;
    header.window_size = window(header.clone(), way);
    // Which etherparse's checksum has to know as well.
    header.checksum = checksum(&header, way);
    frame.truncate(start);
    frame.extend(header.to_bytes());
    packet(&frame).to_vec()
}

fn checksum(header: &TcpHeader, way: Pair) -> u16 {
    match way {
        Pair::Ipv4(from, to) => header.calc_checksum_ipv4_raw(from, to, &[]).unwrap(),
        Pair::Ipv6(from, to) => header.calc_checksum_ipv6_raw(from, to, &[]).unwrap(),
    }
}

/// The window with which the checksum is the sum of the pseudo-header.
fn window(mut header: TcpHeader, way: Pair) -> u16 {
    let wanted = pseudo_header_sum(way);
    let is_it = |window: &u16| {
        header.window_size = *window;
        checksum(&header, way) == wanted
    };
    (0..=u16::MAX).find(is_it).unwrap()
}

/// Of an RST: its addresses, its protocol and its length, 20 octets.
fn pseudo_header_sum(way: Pair) -> u16 {
    let octets = match way {
        Pair::Ipv4(from, to) => [from, to].as_flattened().to_vec(),
        Pair::Ipv6(from, to) => [from, to].as_flattened().to_vec(),
    };
    sum(&[&octets[..], &[0, 6, 0, 20]].concat())
}

/// The sum in one's complement of words of 16 bits (RFC 1071).
fn sum(octets: &[u8]) -> u16 {
    let words = octets
        .chunks(2)
        .map(|word| u16::from_be_bytes([word[0], word[1]]));
    words.fold(0, |sum, word| {
        let (sum, carry) = sum.overflowing_add(word);
        sum + u16::from(carry)
    })
}

/// The ICMP error that goes this way and quotes that frame.
fn prohibited(way: Pair, frame: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    match way {
        Pair::Ipv4(..) => {
            let quoted = &packet(frame)[..28];
            let step = way.answering().icmpv4_raw(3, 13, [0; 4]);
            step.write(&mut bytes, quoted).unwrap();
        }
        Pair::Ipv6(..) => {
            let quoted = &packet(frame)[..48];
            let step = way.answering().icmpv6_raw(1, 1, [0; 4]);
            step.write(&mut bytes, quoted).unwrap();
        }
    }
    bytes
}

/// A name, what comes in, and the packet that goes back.
type Row = (&'static str, Vec<u8>, Option<Vec<u8>>);

/// Rows of one family at a time: what comes from the other end, and goes back to it.
fn check(rows: Vec<Row>, pair: Pair) {
    for (name, frame, expected) in rows {
        assert_eq!(refused(pair, &frame), expected, "{name}, {pair:?}");
    }
}

#[test]
fn tcp_is_reset() {
    for out in OUTWARD {
        let back = out.back();
        let step = || back.step();
        let behind = |octets| Some(reset(out, (0, SEQUENCE + octets), RST | ACK));
        let acknowledged = Some(reset(out, (ACKNOWLEDGED, 0), RST));
        let last = Segment {
            numbers: (u32::MAX, 0),
            ..segment(SYN)
        };
        let options = &SACK_PERMITTED;
        check(
            vec![
                ("SYN", tcp(step(), segment(SYN), &[], &[]), behind(1)),
                (
                    "SYN with options",
                    tcp(step(), segment(SYN), options, &[]),
                    behind(1),
                ),
                (
                    "SYN with data",
                    tcp(step(), segment(SYN), options, b"fast open"),
                    behind(10),
                ),
                (
                    "SYN of the last number",
                    tcp(step(), last, &[], &[]),
                    Some(reset(out, (0, 0), RST | ACK)),
                ),
                (
                    "SYN and FIN",
                    tcp(step(), segment(SYN | FIN), &[], &[]),
                    behind(2),
                ),
                ("FIN", tcp(step(), segment(FIN), &[], b"x"), behind(2)),
                ("no flags", tcp(step(), segment(0), &[], b"data"), behind(4)),
                (
                    "ACK",
                    tcp(step(), segment(ACK), &[], &[]),
                    acknowledged.clone(),
                ),
                (
                    "ACK with data",
                    tcp(step(), segment(ACK), &[], b"data"),
                    acknowledged.clone(),
                ),
                (
                    "SYN and ACK",
                    tcp(step(), segment(SYN | ACK), options, &[]),
                    acknowledged.clone(),
                ),
                (
                    "SYN behind options",
                    tcp(back.with_options(), segment(SYN), &[], &[]),
                    behind(1),
                ),
                (
                    "data behind options",
                    tcp(back.with_options(), segment(0), &[], b"data"),
                    behind(4),
                ),
                ("RST", tcp(step(), segment(RST), &[], &[]), None),
                (
                    "RST and ACK",
                    tcp(step(), segment(RST | ACK), &[], &[]),
                    None,
                ),
                (
                    "a later fragment",
                    tcp(back.fragment(1), segment(SYN), &[], &[]),
                    None,
                ),
                (
                    "a first fragment",
                    tcp(back.fragment(0), segment(SYN), &[], &[]),
                    behind(1),
                ),
            ],
            back,
        );
    }
}

/// As a network card does with a checksum that it is to complete: it takes what stands there for the sum of the
/// pseudo-header.
#[test]
fn a_reset_whose_checksum_is_completed_once_more_stays_as_it_is() {
    for out in OUTWARD {
        let refused = refused(out.back(), &tcp(out.back().step(), segment(SYN), &[], &[]));
        let answer = refused.unwrap();
        let segment = &answer[answer.len() - 20..];
        assert_eq!((!sum(segment)).to_be_bytes(), segment[16..18], "{out:?}");
    }
}

/// The padding of a short frame is none of the segment's data.
#[test]
fn padding_does_not_count() {
    for out in OUTWARD {
        let mut frame = tcp(out.back().step(), segment(SYN), &[], b"x");
        frame.extend([0; 6]);
        let expected = Some(reset(out, (0, SEQUENCE + 2), RST | ACK));
        check(vec![("padded", frame, expected)], out.back());
    }
}

#[test]
fn all_else_is_prohibited() {
    for out in OUTWARD {
        let back = out.back();
        let datagram = udp(back.step(), PORTS);
        let prohibited = |frame: Vec<u8>| {
            let answer = Some(prohibited(out, &frame));
            (frame, answer)
        };
        let mut rows = Vec::new();
        for protocol in (0..=255).filter(|protocol| ![6, 2, 1, 58].contains(protocol)) {
            let is_extension = [0, 43, 44, 51, 60, 135, 139, 140].contains(&protocol);
            if is_extension && matches!(out, Pair::Ipv6(..)) {
                continue;
            }
            let (frame, answer) = prohibited(raw(back.step(), protocol, b"12345678"));
            rows.push(("any protocol", frame, answer));
        }
        let (frame, answer) = prohibited(datagram.clone());
        rows.push(("UDP", frame, answer));
        let (frame, answer) = prohibited(raw(back.fragment(0), 17, b"12345678"));
        // An IPv6 fragment has an extension header, so there is nothing plain to quote.
        let answer = answer.filter(|_| matches!(out, Pair::Ipv4(..)));
        rows.push(("a first fragment", frame, answer));
        rows.extend([
            ("a later fragment", udp(back.fragment(1), PORTS), None),
            ("behind options", udp(back.with_options(), PORTS), None),
            ("IGMP", raw(back.step(), 2, &[0x16; 8]), None),
            ("7 octets", raw(back.step(), 132, &[1; 7]), None),
        ]);
        check(rows, back);
    }
}

#[test]
fn of_icmp_only_queries_are_answered() {
    for out in OUTWARD {
        let back = out.back();
        let queries: &[u8] = match out {
            Pair::Ipv4(..) => &[8, 13, 15, 17, 42],
            Pair::Ipv6(..) => &[128, 139, 160],
        };
        for kind in 0..=255 {
            let frame = icmp(back.step(), out.icmp(), (kind, 0), [1; 4], b"");
            let expected = queries.contains(&kind).then(|| prohibited(out, &frame));
            check(vec![("by type", frame, expected)], back);
        }
    }
}

#[test]
fn only_one_host_is_answered_for_one() {
    let [Pair::Ipv4(host, peer), Pair::Ipv6(host6, peer6)] = OUTWARD else {
        panic!("one of each");
    };
    let v6 = |text: &str| text.parse::<std::net::Ipv6Addr>().unwrap().octets();
    let rows = [
        ("an IPv4 host", Pair::Ipv4(peer, host), true),
        (
            "the first of the reserved",
            Pair::Ipv4([240, 0, 0, 1], host),
            false,
        ),
        (
            "the last before multicast",
            Pair::Ipv4([223, 255, 255, 255], host),
            true,
        ),
        (
            "the last before loopback",
            Pair::Ipv4([126, 255, 255, 255], host),
            true,
        ),
        ("the first behind", Pair::Ipv4([128, 0, 0, 0], host), true),
        ("unspecified", Pair::Ipv4([0; 4], host), false),
        ("this network", Pair::Ipv4([0, 1, 2, 3], host), false),
        ("loopback", Pair::Ipv4([127, 1, 2, 3], host), false),
        ("multicast", Pair::Ipv4([224, 0, 0, 1], host), false),
        ("broadcast", Pair::Ipv4([255; 4], host), false),
        (
            "to multicast",
            Pair::Ipv4(peer, [239, 255, 255, 250]),
            false,
        ),
        ("to all hosts", Pair::Ipv4(peer, [224, 0, 0, 1]), false),
        ("to broadcast", Pair::Ipv4(peer, [255; 4]), false),
        ("an IPv6 host", Pair::Ipv6(peer6, host6), true),
        ("link-local", Pair::Ipv6(v6("fe80::1"), host6), true),
        ("NAT64", Pair::Ipv6(v6("64:ff9b::1.2.3.4"), host6), true),
        ("unspecified", Pair::Ipv6([0; 16], host6), false),
        ("loopback", Pair::Ipv6(v6("::1"), host6), false),
        (
            "IPv4-mapped",
            Pair::Ipv6(v6("::ffff:1.2.3.4"), host6),
            false,
        ),
        ("multicast", Pair::Ipv6(v6("ff02::1"), host6), false),
        ("to multicast", Pair::Ipv6(peer6, v6("ff02::fb")), false),
    ];
    for (name, pair, is_answered) in rows {
        for frame in [udp(pair.step(), PORTS), flags(pair.step(), PORTS, SYN)] {
            assert_eq!(
                refused(pair, &frame).is_some(),
                is_answered,
                "{name}, {pair:?}"
            );
            // To a group of hosts on the link: nothing ever.
            let mut to_all = frame;
            to_all[0] = 0x33;
            assert_eq!(refused(pair, &to_all), None, "{name}, {pair:?}, to a group");
        }
    }
}

#[test]
fn lengths_that_contradict_each_other_are_not_answered() {
    for pair in OUTWARD.map(Pair::back) {
        let (place, header) = match pair {
            Pair::Ipv4(..) => (LEAD + 2, 20),
            Pair::Ipv6(..) => (LEAD + 4, 0),
        };
        for (whole, least) in [
            (flags(pair.step(), PORTS, SYN), 20),
            (udp(pair.step(), PORTS), 8),
        ] {
            let said = u16::from_be_bytes([whole[place], whole[place + 1]]);
            for length in 0..=u16::MAX {
                let mut frame = whole.clone();
                frame[place..place + 2].copy_from_slice(&length.to_be_bytes());
                let is_answered = (header + least..=said).contains(&length);
                assert_eq!(
                    refused(pair, &frame).is_some(),
                    is_answered,
                    "{length} bytes, {pair:?}"
                );
            }
            for length in 0..whole.len() {
                assert_eq!(refused(pair, &whole[..length]), None, "cut to {length}");
            }
        }
        for words in 0..=15 {
            let mut frame = flags(pair.step(), PORTS, SYN);
            let place = frame.len() - 20 + 12;
            frame[place] = words << 4;
            assert_eq!(
                refused(pair, &frame).is_some(),
                words == 5,
                "{words} words of TCP"
            );
        }
    }
}

#[test]
fn ethernet_addresses_are_turned_round() {
    let [_, pair] = OUTWARD.map(Pair::back);
    let mut frame = udp(pair.step(), PORTS);
    frame[..LEAD].copy_from_slice(b"\x02ours.\x04other\x86\xdd");
    let mut answer = Answer::EMPTY;
    let transport = transport(pair.family(), &frame).unwrap();
    Refusal::of(frame.as_slice(), &transport, &mut answer).unwrap();
    assert_eq!(answer.ethernet(), b"\x04other\x02ours.");
}
