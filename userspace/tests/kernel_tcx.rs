//! The table of packets, sent through a wire to a filter at the hook tcx.
//!
//! Real packets, not test runs: the network stack takes the outermost VLAN tag away before any program sees a packet, and
//! test runs take none that is cut short. Behind the filter stands another program, which counts what passes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot load a program has failed"
)]

#[path = "../../common/tests/packets/mod.rs"]
mod packets;

use std::{
    thread,
    time::{Duration, Instant},
};

use geodrop::{
    Action, Slot,
    datapath::{
        Hook, ModeChoice, NewLink,
        counters::Counters,
        generation::{Generation, Plan},
    },
    geoip::{AnyRange, Builder, Country, Regions},
    policy::{Policy, Ruleset},
    range::Range,
    table::Engine,
    testbed::{Veth, Wire, veth::Settings},
};

/// What a test waits for at most: far more than it takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A host with a filter at the hook tcx, and a wire to it.
struct Host {
    filter: Generation,
    /// Behind the filter.
    behind: Generation,
    wire: Wire,
    _links: [NewLink; 2],
    _veth: Veth,
}

impl Host {
    fn new(monitor: bool) -> Self {
        let load = |regions: &Regions, monitor| {
            Generation::load(Plan {
                hook: Hook::Tcx,
                monitor,
                ..Plan::by_address(
                    &Ruleset::new(&Policy::default(), regions),
                    Engine::default(),
                )
            })
            .expect("loading the filter needs root")
        };
        let mut builder = Builder::default();
        let ipv4 = Range::new(packets::BLOCKED_IPV4, packets::BLOCKED_IPV4).unwrap();
        let ipv6 = Range::new(packets::BLOCKED_IPV6, packets::BLOCKED_IPV6).unwrap();
        builder.add(AnyRange::Ipv4(ipv4), Country::CHINA, 1);
        builder.add(AnyRange::Ipv6(ipv6), Country::CHINA, 2);
        let filter = load(&builder.build().0, monitor);
        let behind = load(&Regions::default(), true);
        let veth = Veth::new(Settings::default()).unwrap();
        let server = &veth.server;
        // Each goes before those that are there.
        let attach = |each: &Generation| each.attach_unpinned(&server.interface, ModeChoice::Auto);
        let attached = server.run(|| [&behind, &filter].map(attach)).unwrap();
        Self {
            filter,
            behind,
            wire: Wire::open(&veth).unwrap(),
            _links: attached.map(Result::unwrap),
            _veth: veth,
        }
    }

    /// Waits until the filter has counted so many packets, and what is behind it so many.
    fn await_packets(&self, name: &str, judged: u64, passed: u64) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let counted = [&self.filter, &self.behind].map(|each| all(&each.counters().unwrap()));
            if counted == [judged, passed] {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{name}: {counted:?} packets, not {judged} and {passed}"
            );
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Whether a program at the hook tcx gets to see a frame: what is cut short of its VLAN tag, and of the type behind it, the
/// network stack drops when it takes the tag away.
fn is_received(frame: &[u8]) -> bool {
    let is_tagged = matches!(frame[12..14], [0x81, 0x00] | [0x88, 0xa8]);
    !is_tagged || frame.len() >= 20
}

fn all(counters: &Counters) -> u64 {
    counters.dropped() + counters.passed.packets + counters.non_ip.packets
}

fn packets_in(counters: &Counters, slot: Slot) -> u64 {
    match slot {
        Slot::PASSED => counters.passed.packets,
        Slot::MALFORMED => counters.malformed.packets,
        Slot::NON_IP => counters.non_ip.packets,
        slot if slot == packets::china() => counters
            .countries
            .get(&Country::CHINA)
            .map_or(0, |counter| counter.packets),
        other => panic!("no packet of the table counts in {other:?}"),
    }
}

#[test]
fn every_packet_of_the_table_meets_its_fate() {
    for monitor in [false, true] {
        let host = Host::new(monitor);
        let mut passed = 0;
        let cases = packets::cases().into_iter();
        for (case, judged) in cases.filter(|case| is_received(&case.frame)).zip(1..) {
            let before = host.filter.counters().unwrap();
            host.wire.send(&case.frame).unwrap();
            passed += u64::from(monitor || case.action == Action::Pass);
            host.await_packets(&case.name, judged, passed);
            let after = host.filter.counters().unwrap();
            assert_eq!(
                packets_in(&after, case.slot),
                packets_in(&before, case.slot) + 1,
                "{}: {:02x?}",
                case.name,
                case.frame
            );
        }
    }
}
