//! Which packets open a flow, and which answer one.

use crate::wire::{
    ACK, FIN, LEAD, OUTWARD, Pair, RST, SYN, flags, icmp, packet, raw, transport, udp,
};
use geodrop_common::{
    address::Address,
    flow::{
        FlowKey, FlowState, ICMP_IDLE_NS, Outgoing, TCP_IDLE_NS, UDP_IDLE_NS, incoming, outgoing,
    },
};

/// Ours and the other's.
const PORTS: (u16, u16) = (40000, 443);
const BACK: (u16, u16) = (443, 40000);
const IDENTIFIER: [u8; 4] = [0xab, 0xcd, 0, 1];

fn key(outward: Pair, protocol: u8) -> FlowKey {
    let (local, remote) = outward.addresses();
    let is_icmp = protocol == outward.icmp();
    FlowKey {
        remote,
        local,
        remote_port: if is_icmp {
            [0; 2]
        } else {
            PORTS.1.to_be_bytes()
        },
        local_port: if is_icmp {
            [0xab, 0xcd]
        } else {
            PORTS.0.to_be_bytes()
        },
        protocol: protocol.into(),
    }
}

pub(crate) fn sent(pair: Pair, frame: &[u8]) -> Option<Outgoing> {
    outgoing(frame, &transport(pair.family(), frame)?)
}

pub(crate) fn received(pair: Pair, frame: &[u8]) -> Option<FlowKey> {
    incoming(frame, &transport(pair.family(), frame)?)
}

fn echo(pair: Pair, kind: u8) -> Vec<u8> {
    icmp(pair.step(), pair.icmp(), (kind, 0), IDENTIFIER, b"ping")
}

#[test]
fn what_leaves_this_host() {
    for out in OUTWARD {
        let (request, reply) = out.echo();
        let tcp = |opens| {
            Some(Outgoing {
                key: key(out, 6),
                opens,
            })
        };
        let datagram = Some(Outgoing {
            key: key(out, 17),
            opens: true,
        });
        let ping = Some(Outgoing {
            key: key(out, out.icmp()),
            opens: true,
        });
        let wrong_family = 59 - out.icmp();
        let rows = [
            ("SYN", flags(out.step(), PORTS, SYN), tcp(true)),
            (
                "SYN that offers ECN",
                flags(out.step(), PORTS, SYN | 0xc0),
                tcp(true),
            ),
            (
                "SYN and ACK",
                flags(out.step(), PORTS, SYN | ACK),
                tcp(false),
            ),
            ("ACK", flags(out.step(), PORTS, ACK), tcp(false)),
            (
                "FIN and ACK",
                flags(out.step(), PORTS, FIN | ACK),
                tcp(false),
            ),
            ("RST", flags(out.step(), PORTS, RST), tcp(false)),
            (
                "SYN behind options",
                flags(out.with_options(), PORTS, SYN),
                tcp(true),
            ),
            (
                "SYN in a first fragment",
                flags(out.fragment(0), PORTS, SYN),
                tcp(true),
            ),
            (
                "SYN in a later fragment",
                flags(out.fragment(1), PORTS, SYN),
                None,
            ),
            (
                "TCP cut before its flags",
                flags(out.step(), PORTS, SYN),
                None,
            ),
            ("UDP", udp(out.step(), PORTS), datagram),
            (
                "UDP behind options",
                udp(out.with_options(), PORTS),
                datagram,
            ),
            ("UDP in a later fragment", udp(out.fragment(3), PORTS), None),
            ("echo request", echo(out, request), ping),
            ("echo reply", echo(out, reply), None),
            ("another query", echo(out, 13), None),
            ("an error", echo(out, 3), None),
            (
                "the other family's ICMP",
                icmp(out.step(), wrong_family, (request, 0), IDENTIFIER, b""),
                None,
            ),
            ("SCTP", raw(out.step(), 132, &[0; 12]), None),
            ("GRE", raw(out.step(), 47, &[0; 12]), None),
        ];
        for (name, mut frame, expected) in rows {
            if name == "TCP cut before its flags" {
                frame.truncate(frame.len() - 7);
            }
            assert_eq!(sent(out, &frame), expected, "{name}, {out:?}");
        }
    }
}

#[test]
fn what_comes_in() {
    for out in OUTWARD {
        let back = out.back();
        let (request, reply) = out.echo();
        let tcp = Some(key(out, 6));
        let datagram = Some(key(out, 17));
        let ping = Some(key(out, out.icmp()));
        let wrong_family = 59 - out.icmp();
        let rows = [
            ("SYN", flags(back.step(), BACK, SYN), None),
            (
                "SYN that offers ECN",
                flags(back.step(), BACK, SYN | 0xc0),
                None,
            ),
            ("SYN and FIN", flags(back.step(), BACK, SYN | FIN), None),
            ("SYN and RST", flags(back.step(), BACK, SYN | RST), None),
            ("SYN and ACK", flags(back.step(), BACK, SYN | ACK), tcp),
            ("ACK", flags(back.step(), BACK, ACK), tcp),
            ("RST", flags(back.step(), BACK, RST), tcp),
            ("FIN", flags(back.step(), BACK, FIN), tcp),
            ("no flags", flags(back.step(), BACK, 0), tcp),
            (
                "ACK behind options",
                flags(back.with_options(), BACK, ACK),
                tcp,
            ),
            (
                "ACK in a first fragment",
                flags(back.fragment(0), BACK, ACK),
                tcp,
            ),
            (
                "ACK in a later fragment",
                flags(back.fragment(1), BACK, ACK),
                None,
            ),
            ("UDP", udp(back.step(), BACK), datagram),
            ("UDP in a later fragment", udp(back.fragment(1), BACK), None),
            ("echo reply", echo(back, reply), ping),
            ("echo request", echo(back, request), None),
            ("another query's reply", echo(back, 14), None),
            (
                "the other family's ICMP",
                icmp(back.step(), wrong_family, (reply, 0), IDENTIFIER, b""),
                None,
            ),
            ("SCTP", raw(back.step(), 132, &[0; 12]), None),
        ];
        for (name, frame, expected) in rows {
            assert_eq!(received(back, &frame), expected, "{name}, {out:?}");
        }
    }
}

/// An error of this type that quotes a frame of ours, cut to so many bytes.
pub(crate) fn error(from: Pair, kind: u8, quoted: &[u8], length: usize) -> Vec<u8> {
    let quoted = packet(quoted);
    let quoted = &quoted[..length.min(quoted.len())];
    icmp(from.step(), from.icmp(), (kind, 1), [0; 4], quoted)
}

#[test]
fn errors_belong_to_the_flow_that_they_quote() {
    for out in OUTWARD {
        let back = out.back();
        let router = back.elsewhere();
        let (request, reply) = out.echo();
        let syn = flags(out.step(), PORTS, SYN);
        let header = packet(&syn).len() - 20;
        let is_v4 = matches!(out, Pair::Ipv4(..));
        let with_options = is_v4.then_some(key(out, 6));
        let (tcp, ping) = (Some(key(out, 6)), Some(key(out, out.icmp())));
        let whole = 200;
        let mut wrong_version = syn.clone();
        wrong_version[LEAD] ^= 0x20;
        let mut rows = vec![
            ("TCP", error(router, 3, &syn, whole), tcp),
            (
                "no more of it than must be",
                error(router, 3, &syn, header + 8),
                tcp,
            ),
            ("less", error(router, 3, &syn, header + 7), None),
            ("half a header", error(router, 3, &syn, header / 2), None),
            ("nothing", error(router, 3, &syn, 0), None),
            ("from the other end", error(back, 3, &syn, whole), tcp),
            (
                "an ACK",
                error(back, 3, &flags(out.step(), PORTS, ACK), whole),
                tcp,
            ),
            (
                "UDP",
                error(router, 3, &udp(out.step(), PORTS), whole),
                Some(key(out, 17)),
            ),
            (
                "echo request",
                error(router, 3, &echo(out, request), whole),
                ping,
            ),
            (
                "echo reply",
                error(router, 3, &echo(out, reply), whole),
                None,
            ),
            (
                "SCTP",
                error(router, 3, &raw(out.step(), 132, &[0; 12]), whole),
                None,
            ),
            (
                "options",
                error(router, 3, &flags(out.with_options(), PORTS, SYN), whole),
                with_options,
            ),
            (
                "a later fragment",
                error(router, 3, &flags(out.fragment(1), PORTS, SYN), whole),
                None,
            ),
            (
                "another version",
                error(router, 3, &wrong_version, whole),
                None,
            ),
            (
                "what others sent",
                error(router, 3, &udp(back.step(), BACK), whole),
                None,
            ),
            (
                "what someone else sent",
                error(router, 3, &udp(out.elsewhere().step(), PORTS), whole),
                None,
            ),
        ];
        // Every type there is: the errors that say what became of a packet, and nothing else.
        let errors: &[u8] = if is_v4 { &[3, 11, 12] } else { &[1, 2, 3, 4] };
        for kind in (0..=255).filter(|kind| *kind != reply) {
            let expected = errors.contains(&kind).then_some(key(out, 6));
            rows.push(("by type", error(router, kind, &syn, whole), expected));
        }
        for (name, frame, expected) in rows {
            let kind = frame[LEAD + header];
            assert_eq!(
                received(router, &frame),
                expected,
                "{name}, type {kind}, {out:?}"
            );
        }
        let behind_options = icmp(
            router.with_options(),
            out.icmp(),
            (3, 0),
            [0; 4],
            packet(&syn),
        );
        assert_eq!(received(router, &behind_options), tcp, "{out:?}");
    }
}

#[test]
fn flows_are_forgotten_when_they_have_been_idle() {
    for (protocol, timeout) in [
        (6, TCP_IDLE_NS),
        (17, UDP_IDLE_NS),
        (1, ICMP_IDLE_NS),
        (58, ICMP_IDLE_NS),
    ] {
        let key = key(OUTWARD[0], protocol);
        let state = FlowState {
            last_seen_ns: 5_000_000_000,
        };
        let is_idle = |now| state.is_idle(&key, now);
        assert_eq!(
            [0, 5_000_000_000 + timeout].map(is_idle),
            [false; 2],
            "{protocol}"
        );
        assert_eq!(
            [5_000_000_001 + timeout, u64::MAX].map(is_idle),
            [true; 2],
            "{protocol}"
        );
    }
}

/// Addresses that differ in a few bits only find places of their own, as if by chance.
#[test]
fn contacted_addresses_spread() {
    let keys = (0..4096_u32).map(|n| {
        let [_, b, c, d] = n.wrapping_mul(256).to_be_bytes();
        let remote = Address::ipv4([10, b, c, d]);
        FlowKey {
            remote,
            ..key(OUTWARD[0], 6)
        }
        .remote_hash()
    });
    let mut places: Vec<u32> = keys.map(|hash| hash & 0xffff).collect();
    places.sort_unstable();
    places.dedup();
    // 4096 thrown into 65536 hit 65536 × (1 - e^(-1/16)) = 3971 places, give or take 11.
    assert!((3900..4040).contains(&places.len()), "{}", places.len());
}

#[test]
fn a_key_has_no_byte_without_a_name() {
    assert_eq!(size_of::<FlowKey>(), 16 + 16 + 2 + 2 + 4);
    assert_eq!(size_of::<FlowState>(), 8);
}
