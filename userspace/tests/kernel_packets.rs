//! The table of packets, judged in the kernel by the program that is attached to interfaces for XDP.
//!
//! (For tcx `kernel_tcx` does it, with real packets: test runs take no packet of the network stack that is cut short.)

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot load a program has failed"
)]

mod loader;
#[path = "../../common/tests/packets/mod.rs"]
mod packets;
mod verdict;

use geodrop::{
    Action, Slot,
    datapath::{
        counters::Counters,
        generation::{Generation, Plan},
    },
    geoip::{AnyRange, Builder, Country},
    policy::{Policy, Ruleset},
    range::Range,
    table::Engine,
};
use loader::{Loader, with_each};
use verdict::admits;

/// Blocks the two blocked addresses of the table of packets.
fn ruleset() -> Ruleset {
    let mut builder = Builder::default();
    let ipv4 = Range::new(packets::BLOCKED_IPV4, packets::BLOCKED_IPV4).unwrap();
    let ipv6 = Range::new(packets::BLOCKED_IPV6, packets::BLOCKED_IPV6).unwrap();
    builder.add(AnyRange::Ipv4(ipv4), Country::CHINA, 1);
    builder.add(AnyRange::Ipv6(ipv6), Country::CHINA, 2);
    Ruleset::new(&Policy::default(), &builder.build().0)
}

/// All of them.
const ENGINES: [Engine; 2] = [Engine::Multibit, Engine::Lpm];

fn plan(ruleset: &Ruleset, engine: Engine) -> Plan<'_> {
    Plan::by_address(ruleset, engine)
}

fn load(engine: Engine, loader: Loader) -> Generation {
    loader.load(plan(&ruleset(), engine))
}

fn load_monitor(engine: Engine) -> Generation {
    Generation::load(Plan {
        monitor: true,
        ..plan(&ruleset(), engine)
    })
    .expect("loading the filter needs root")
}

/// The program for kernels before 5.18.
fn load_without_frags(engine: Engine) -> Generation {
    Generation::load_without_frags(plan(&ruleset(), engine)).expect("loading the filter needs root")
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

fn all_packets(counters: &Counters) -> u64 {
    counters.dropped() + counters.passed.packets + counters.non_ip.packets
}

#[test]
fn every_packet_of_the_table_meets_its_fate() {
    for (engine, loader) in with_each(ENGINES) {
        let generation = load(engine, loader);
        assert_eq!(generation.engine(), engine);
        assert!(
            generation.frags(),
            "kernels from 5.18 on take packets of several buffers"
        );
        meets_its_fate(&generation);
    }
}

#[test]
fn every_packet_of_the_table_meets_its_fate_on_older_kernels() {
    for engine in ENGINES {
        let generation = load_without_frags(engine);
        assert!(!generation.frags());
        meets_its_fate(&generation);
    }
}

fn meets_its_fate(generation: &Generation) {
    let mut before = generation.counters().unwrap();
    for case in packets::cases() {
        assert_eq!(
            admits(generation, &case.frame),
            case.action == Action::Pass,
            "{}: {:02x?}",
            case.name,
            case.frame
        );

        let after = generation.counters().unwrap();
        let slot = case.slot;
        assert_eq!(
            packets_in(&after, slot),
            packets_in(&before, slot) + 1,
            "{}",
            case.name
        );
        assert_eq!(
            all_packets(&after),
            all_packets(&before) + 1,
            "{}",
            case.name
        );
        before = after;
    }
}

#[test]
fn bytes_are_counted_with_packets() {
    for (engine, loader) in with_each(ENGINES) {
        let generation = load(engine, loader);
        let cases = packets::cases();
        let mut bytes = 0;
        for case in cases.iter().filter(|case| case.slot == packets::china()) {
            admits(&generation, &case.frame);
            bytes += case.frame.len() as u64;
        }
        let counters = generation.counters().unwrap();
        assert_eq!(counters.countries[&Country::CHINA].bytes, bytes);
    }
}

#[test]
fn a_packet_of_several_buffers_is_counted_whole() {
    for (engine, loader) in with_each(ENGINES) {
        // Its header says nothing of the rest, or all.
        for said in [None, Some(9000_u16)] {
            let generation = load(engine, loader);
            let mut frame = packets::cases().remove(0).frame;
            frame.resize(9014, 0);
            if let Some(said) = said {
                frame[16..18].copy_from_slice(&said.to_be_bytes());
            }
            assert!(!admits(&generation, &frame));
            let counters = generation.counters().unwrap();
            assert_eq!(counters.countries[&Country::CHINA].bytes, 9014);
        }
    }
}

#[test]
fn a_monitor_counts_the_same_and_drops_nothing() {
    for engine in ENGINES {
        let enforcing = load(engine, Loader::Root);
        let monitor = load_monitor(engine);
        for case in packets::cases() {
            admits(&enforcing, &case.frame);
            assert!(admits(&monitor, &case.frame), "{}", case.name);
        }
        assert_eq!(monitor.counters().unwrap(), enforcing.counters().unwrap());
    }
}
