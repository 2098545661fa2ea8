//! What answers this host's own connections passes, and nothing else of a blocked country: packets out, packets in, and
//! the verdict, by the programs that are attached to interfaces.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot load a program has failed"
)]

mod frames;
mod loader;
mod verdict;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use aya::programs::{TestRun as _, TestRunOptions};
use frames::{ip, tcp, udp};
use geodrop::{
    datapath::{
        Hook,
        generation::{Generation, Plan},
    },
    geoip::{AnyRange, Builder, Country},
    policy::{Policy, Ruleset},
    range::Range,
    table::Engine,
};
use loader::{Loader, with_each};
use verdict::admits;

const CHINA: IpAddr = IpAddr::V4(Ipv4Addr::new(1, 0, 1, 1));
const DENIED: IpAddr = IpAddr::V4(Ipv4Addr::new(1, 0, 1, 66));
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(8, 8, 8, 8));
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const CHINA_6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2400, 0x3200, 0, 0, 0, 0, 0, 1));
const HERE_6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
/// Carries the Chinese IPv4 address.
const CHINA_6TO4: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2002, 0x100, 0x101, 0, 0, 0, 0, 1));

/// A host that blocks China.
struct Host(Generation);

impl Host {
    fn new(program: Program) -> Self {
        Self::with(program, true, false)
    }

    fn with(((hook, engine), loader): Program, replies: bool, monitor: bool) -> Self {
        let mut builder = Builder::default();
        let ipv4 = Range::new(Ipv4Addr::new(1, 0, 1, 0), Ipv4Addr::new(1, 0, 1, 255)).unwrap();
        let ipv6 = Ipv6Addr::new(0x2400, 0x3200, 0, 0, 0, 0, 0, 1);
        builder.add(AnyRange::Ipv4(ipv4), Country::CHINA, 1);
        builder.add(
            AnyRange::Ipv6(Range::new(ipv6, ipv6).unwrap()),
            Country::CHINA,
            2,
        );
        let policy = Policy {
            deny: vec![DENIED.into()],
            ..Policy::default()
        };
        let ruleset = Ruleset::new(&policy, &builder.build().0);
        Self(loader.load(Plan {
            hook,
            monitor,
            replies,
            ..Plan::by_address(&ruleset, engine)
        }))
    }

    fn sends(&self, frame: &[u8]) {
        let options = TestRunOptions {
            data_in: Some(frame),
            ..TestRunOptions::default()
        };
        if let Some(program) = self.0.egress_program().unwrap() {
            let next = u32::MAX;
            assert_eq!(program.test_run(options).unwrap().return_value, next);
        }
    }

    fn admits(&self, frame: &[u8]) -> bool {
        admits(&self.0, frame)
    }
}

fn echo(source: IpAddr, destination: IpAddr, identifier: u16, is_reply: bool) -> Vec<u8> {
    let builder = ip(source, destination);
    let mut frame = Vec::new();
    match (source.is_ipv4(), is_reply) {
        (true, false) => builder
            .icmpv4_echo_request(identifier, 1)
            .write(&mut frame, b"ping"),
        (true, true) => builder
            .icmpv4_echo_reply(identifier, 1)
            .write(&mut frame, b"ping"),
        (false, false) => builder
            .icmpv6_echo_request(identifier, 1)
            .write(&mut frame, b"ping"),
        (false, true) => builder
            .icmpv6_echo_reply(identifier, 1)
            .write(&mut frame, b"ping"),
    }
    .unwrap();
    frame
}

/// An ICMP error of a router in China about a packet that this host sent.
fn time_exceeded(sent: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    let builder = ip(CHINA, HERE);
    let quoted = &sent[14..14 + 28];
    builder
        .icmpv4_raw(11, 0, [0; 4])
        .write(&mut frame, quoted)
        .unwrap();
    frame
}

/// Programs that differ: every hook's, and every engine's.
type Program = ((Hook, Engine), Loader);

const PROGRAMS: [(Hook, Engine); 3] = [
    (Hook::Xdp, Engine::Multibit),
    (Hook::Xdp, Engine::Lpm),
    (Hook::Tcx, Engine::Multibit),
];

/// What a host sends, and what of the answers it admits then.
fn exchange(name: &str, sent: &[&[u8]], received: &[(&str, &[u8], bool)]) {
    for program in with_each(PROGRAMS) {
        let host = Host::new(program);
        for (what, frame, _) in received {
            assert!(
                !host.admits(frame),
                "{name}, {program:?}: {what} passes before anything was sent"
            );
        }
        for frame in sent {
            host.sends(frame);
        }
        for (what, frame, admitted) in received {
            assert_eq!(host.admits(frame), *admitted, "{name}, {program:?}: {what}");
        }
        let deaf = Host::with(program, false, false);
        for (what, frame, _) in received {
            assert!(
                !deaf.admits(frame),
                "{name}, {program:?}: {what} passes where replies drop"
            );
        }
    }
}

#[test]
fn a_connection_opened_from_here_is_answered() {
    for (china, here) in [(CHINA, HERE), (CHINA_6, HERE_6), (CHINA_6TO4, HERE_6)] {
        let (server, client) = ((china, 443), (here, 50000));
        exchange(
            "TCP",
            &[&tcp(client, server, "syn")],
            &[
                ("SYN ACK", &tcp(server, client, "syn ack"), true),
                ("ACK", &tcp(server, client, "ack"), true),
                ("RST", &tcp(server, client, "rst ack"), true),
                ("FIN", &tcp(server, client, "fin ack"), true),
                ("a SYN of its own", &tcp(server, client, "syn"), false),
                (
                    "another port there",
                    &tcp((china, 444), client, "syn ack"),
                    false,
                ),
                (
                    "another port here",
                    &tcp(server, (here, 50001), "ack"),
                    false,
                ),
                ("UDP", &udp(server, client), false),
            ],
        );
    }
}

#[test]
fn what_opens_nothing_is_not_noted() {
    let (server, client) = ((CHINA, 443), (HERE, 50000));
    exchange(
        "TCP but for SYN",
        &[
            &tcp(client, server, "ack"),
            &tcp(client, server, "syn ack"),
            &tcp(client, server, "rst"),
        ],
        &[
            ("ACK", &tcp(server, client, "ack"), false),
            ("SYN ACK", &tcp(server, client, "syn ack"), false),
        ],
    );
}

#[test]
fn a_datagram_sent_from_here_is_answered() {
    for (china, here) in [(CHINA, HERE), (CHINA_6, HERE_6)] {
        exchange(
            "UDP",
            &[&udp((here, 50000), (china, 53))],
            &[
                ("the answer", &udp((china, 53), (here, 50000)), true),
                ("from another port", &udp((china, 54), (here, 50000)), false),
                ("TCP", &tcp((china, 53), (here, 50000), "ack"), false),
            ],
        );
    }
}

#[test]
fn a_ping_sent_from_here_is_answered() {
    for (china, here) in [(CHINA, HERE), (CHINA_6, HERE_6)] {
        exchange(
            "echo",
            &[&echo(here, china, 77, false)],
            &[
                ("the reply", &echo(china, here, 77, true), true),
                ("the reply to another", &echo(china, here, 78, true), false),
                ("a request", &echo(china, here, 77, false), false),
            ],
        );
    }
}

#[test]
fn an_error_about_what_was_sent_passes() {
    let syn = tcp((HERE, 50000), (CHINA, 443), "syn");
    exchange(
        "an error",
        &[&syn],
        &[
            ("about it", &time_exceeded(&syn), true),
            (
                "about another",
                &time_exceeded(&tcp((HERE, 50001), (CHINA, 443), "syn")),
                false,
            ),
        ],
    );
}

#[test]
fn a_denied_prefix_is_denied_also_in_answers() {
    exchange(
        "denied",
        &[&tcp((HERE, 50000), (DENIED, 443), "syn")],
        &[(
            "SYN ACK",
            &tcp((DENIED, 443), (HERE, 50000), "syn ack"),
            false,
        )],
    );
}

#[test]
fn what_passes_anyway_is_no_answer_to_be_counted() {
    for program in with_each(PROGRAMS) {
        let host = Host::new(program);
        host.sends(&tcp((HERE, 50000), (ELSEWHERE, 443), "syn"));
        assert!(host.admits(&tcp((ELSEWHERE, 443), (HERE, 50000), "syn ack")));
        host.sends(&tcp((HERE, 50000), (CHINA, 443), "syn"));
        assert!(host.admits(&tcp((CHINA, 443), (HERE, 50000), "syn ack")));
        let counters = host.0.counters().unwrap();
        assert_eq!((counters.passed.packets, counters.replies.packets), (1, 1));
    }
}

#[test]
fn what_a_host_answers_while_all_passes_it_has_not_begun() {
    for program in with_each(PROGRAMS) {
        let (asking, server) = ((CHINA, 50000), (HERE, 53));
        let host = Host::with(program, true, true);
        assert!(host.admits(&udp(asking, server)));
        host.sends(&udp(server, asking));
        assert!(host.admits(&udp(asking, server)));
        let counters = host.0.counters().unwrap();
        assert_eq!(counters.replies.packets, 0);
        assert_eq!(counters.countries[&Country::CHINA].packets, 2);

        // The control: what it has begun.
        host.sends(&udp((HERE, 50001), (CHINA, 53)));
        assert!(host.admits(&udp((CHINA, 53), (HERE, 50001))));
        assert_eq!(host.0.counters().unwrap().replies.packets, 1);
    }
}
