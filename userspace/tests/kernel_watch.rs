//! What is told of packets that the rules are against: packets in, events out.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot load a program has failed"
)]

mod frames;
mod loader;
mod verdict;

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use aya::programs::TestRunOptions;
use frames::{ip, tcp, udp};
use geodrop::{
    datapath::{
        Hook,
        generation::{Generation, Plan},
        report::Origin,
        watch::{Event, Ports, Watch},
    },
    geoip::{AnyRange, Builder, Country},
    policy::{self, CountryRule, Policy, PortRule, Protocol, Ruleset, Verdict},
    range::Range,
    table::Engine,
};
use jiff::Timestamp;
use loader::{Loader, with_each};
use verdict::admits;

const CHINA: IpAddr = IpAddr::V4(Ipv4Addr::new(1, 0, 1, 1));
const CHINA_6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2400, 0x3200, 0, 0, 0, 0, 0, 1));
const DENIED: IpAddr = IpAddr::V4(Ipv4Addr::new(9, 9, 9, 9));
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(8, 8, 8, 8));
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const HERE_6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));

const IN_CHINA: Option<Origin> = Some(Origin::Country(Country::CHINA));

/// More than any of these tests sends.
const ALL: u32 = 1000;

fn policy() -> Policy {
    Policy {
        countries: CountryRule::Block([Country::CHINA].into()),
        deny: vec![DENIED.into()],
        ..Policy::default()
    }
}

/// Programs that differ: every hook's, and every engine's.
const PROGRAMS: [(Hook, Engine); 4] = [
    (Hook::Xdp, Engine::Multibit),
    (Hook::Xdp, Engine::Lpm),
    (Hook::Tcx, Engine::Multibit),
    (Hook::Tcx, Engine::Lpm),
];

const PROGRAM: ((Hook, Engine), Loader) = (PROGRAMS[0], Loader::Root);

fn ruleset(policy: &Policy) -> Ruleset {
    let mut builder = Builder::default();
    for address in [CHINA, CHINA_6] {
        let range = match address {
            IpAddr::V4(address) => AnyRange::Ipv4(Range::new(address, address).unwrap()),
            IpAddr::V6(address) => AnyRange::Ipv6(Range::new(address, address).unwrap()),
        };
        builder.add(range, Country::CHINA, 1);
    }
    Ruleset::new(policy, &builder.build().0)
}

fn plan<'a>(policy: &Policy, ruleset: &'a Ruleset, (hook, engine): (Hook, Engine)) -> Plan<'a> {
    Plan {
        hook,
        monitor: policy.monitor,
        effective_from: policy.effective_from,
        reject: policy.refusal == policy::Refusal::Reject,
        ..Plan::by_address(ruleset, engine)
    }
}

fn load(policy: &Policy, (program, loader): ((Hook, Engine), Loader)) -> Generation {
    let ruleset = ruleset(policy);
    loader.load(plan(policy, &ruleset, program))
}

/// The only event that there is.
fn only(watch: &mut Watch) -> Event {
    let event = watch.next_event().expect("an event");
    assert_eq!(watch.next_event(), None);
    event
}

/// The frame with a VLAN tag.
fn tagged(mut frame: Vec<u8>) -> Vec<u8> {
    frame.splice(12..12, [0x81, 0x00, 0x00, 0x07]);
    frame
}

/// The frame with an IP header that contradicts its type.
fn malformed(mut frame: Vec<u8>) -> Vec<u8> {
    frame[14] = 0x55;
    frame
}

fn ping() -> Vec<u8> {
    let mut frame = Vec::new();
    let ping = ip(CHINA, HERE).icmpv4_echo_request(1, 1);
    ping.write(&mut frame, b"ping").unwrap();
    frame
}

#[test]
fn each_packet_that_drops_is_told_of_and_no_other() {
    for program in with_each(PROGRAMS) {
        let generation = load(&policy(), program);
        let mut watch = generation.watch(ALL).unwrap();
        let (from, to) = ((CHINA, 40000), (HERE, 443));
        let ports = Some(Ports {
            source: 40000,
            destination: 443,
        });
        let syn = tcp(from, to, "syn");
        let mut later_fragment = udp(from, to);
        later_fragment[20..22].copy_from_slice(&[0x00, 0x10]);
        for (frame, origin, source, protocol, ports) in [
            (syn.clone(), IN_CHINA, CHINA, 6, ports),
            (udp(from, to), IN_CHINA, CHINA, 17, ports),
            (tagged(syn.clone()), IN_CHINA, CHINA, 6, ports),
            (tagged(tagged(udp(from, to))), IN_CHINA, CHINA, 17, ports),
            (
                udp((CHINA_6, 40000), (HERE_6, 443)),
                IN_CHINA,
                CHINA_6,
                17,
                ports,
            ),
            (ping(), IN_CHINA, CHINA, 1, None),
            (later_fragment, IN_CHINA, CHINA, 17, None),
            (
                tcp((DENIED, 40000), to, "syn"),
                Some(Origin::Denied),
                DENIED,
                6,
                ports,
            ),
        ] {
            let before = Timestamp::now();
            assert!(!admits(&generation, &frame));
            let event = only(&mut watch);
            assert!(
                event.time >= before - Duration::from_millis(1) && event.time <= Timestamp::now()
            );
            assert_eq!(
                (event.verdict, event.enforced, event.origin, event.rule),
                (Verdict::Drop, true, origin, None),
                "{program:?}"
            );
            assert_eq!((&event.bytes, event.length as usize), (&frame, frame.len()));
            let headers = event.headers().unwrap();
            assert_eq!(
                (headers.source, headers.protocol, headers.ports),
                (source, Some(protocol), ports)
            );
            assert!([HERE, HERE_6].contains(&headers.destination));
        }
        let mut arp = syn.clone();
        arp[12..14].copy_from_slice(&[0x08, 0x06]);
        for passes in [tcp((ELSEWHERE, 1), to, "syn"), arp] {
            assert!(admits(&generation, &passes));
            assert_eq!(watch.next_event(), None);
        }
        let malformed = malformed(syn);
        assert!(!admits(&generation, &malformed));
        let event = only(&mut watch);
        assert_eq!((event.origin, event.headers()), (None, None));
        assert_eq!(event.bytes, malformed);
    }
}

#[test]
fn of_a_long_packet_its_first_bytes_are_told_and_how_long_it_is() {
    for program in with_each(PROGRAMS) {
        let generation = load(&policy(), program);
        let mut watch = generation.watch(ALL).unwrap();
        let mut frame = Vec::new();
        let datagram = ip(CHINA, HERE).udp(1, 2);
        datagram.write(&mut frame, &[0xab; 1000]).unwrap();
        assert!(!admits(&generation, &frame));
        let event = only(&mut watch);
        assert_eq!(event.bytes, frame[..128]);
        assert_eq!(event.length as usize, frame.len());
    }
}

#[test]
fn the_program_for_older_kernels_tells_bytes_in_steps_of_eight() {
    for engine in [Engine::Multibit, Engine::Lpm] {
        let (policy, ruleset) = (policy(), ruleset(&policy()));
        let plan = plan(&policy, &ruleset, (Hook::Xdp, engine));
        let generation = Generation::load_without_frags(plan).unwrap();
        let mut watch = generation.watch(ALL).unwrap();
        for length in [60_usize, 127, 128, 129, 1000] {
            let mut frame = udp((CHINA, 1), (HERE, 2));
            frame.resize(length, 0xab);
            assert!(!admits(&generation, &frame));
            let event = only(&mut watch);
            assert_eq!(event.bytes, frame[..(length / 8 * 8).min(128)]);
            assert_eq!(event.length as usize, length);
            assert_eq!(event.headers().unwrap().source, CHINA);
        }
    }
}

#[test]
fn what_passes_because_the_policy_only_counts_is_told_as_such() {
    let monitor = Policy {
        monitor: true,
        ..policy()
    };
    let held_back = Policy {
        effective_from: Some(Timestamp::now() + Duration::from_hours(1)),
        ..policy()
    };
    for policy in [monitor, held_back] {
        for program in with_each(PROGRAMS) {
            let generation = load(&policy, program);
            let mut watch = generation.watch(ALL).unwrap();
            assert!(admits(&generation, &udp((CHINA, 1), (HERE, 2))));
            let event = only(&mut watch);
            assert_eq!((event.enforced, event.origin), (false, IN_CHINA));
        }
    }
}

#[test]
fn the_sender_is_told_or_not() {
    let policy = Policy {
        refusal: policy::Refusal::Reject,
        ..policy()
    };
    for program in with_each(PROGRAMS) {
        let generation = load(&policy, program);
        let mut watch = generation.watch(ALL).unwrap();
        let frame = tcp((CHINA, 1), (HERE, 2), "syn");
        let options = TestRunOptions {
            data_in: Some(&frame),
            ..TestRunOptions::default()
        };
        generation.test_run(options).unwrap();
        let event = only(&mut watch);
        assert_eq!((event.verdict, event.enforced), (Verdict::Reject, true));
        // As it came, not as it is answered.
        assert_eq!(event.bytes, frame);
        assert!(!admits(&generation, &malformed(frame)));
        assert_eq!(only(&mut watch).verdict, Verdict::Drop);
    }
}

#[test]
fn a_rule_for_ports_is_told_by_its_number() {
    let rule = |port, countries: &[Country]| PortRule {
        ports: vec![policy::Ports {
            protocol: Protocol::Tcp,
            numbers: port..=port,
        }],
        countries: CountryRule::Block(countries.iter().copied().collect::<BTreeSet<_>>()),
    };
    let policy = Policy {
        rules: vec![rule(80, &[]), rule(22, &[Country::CHINA])],
        ..policy()
    };
    for program in with_each(PROGRAMS) {
        let generation = load(&policy, program);
        let mut watch = generation.watch(ALL).unwrap();
        for (source, port, rule) in [
            (CHINA, 22, Some(2)),
            (CHINA_6, 22, Some(2)),
            (CHINA, 443, None),
            (DENIED, 22, None),
        ] {
            let here = if source == CHINA_6 { HERE_6 } else { HERE };
            let frame = tcp((source, 1), (here, port), "syn");
            assert!(!admits(&generation, &frame));
            assert_eq!(only(&mut watch).rule, rule, "{source} to {port}");
        }
        assert!(admits(&generation, &tcp((CHINA, 1), (HERE, 80), "syn")));
        assert_eq!(watch.next_event(), None);
    }
}

/// Runs the filter on so many packets that drop.
fn drop_packets(generation: &Generation, packets: u32) {
    let frame = udp((CHINA, 1), (HERE, 2));
    let options = TestRunOptions {
        data_in: Some(&frame),
        repeat: packets,
        ..TestRunOptions::default()
    };
    generation.test_run(options).unwrap();
}

/// How many events there are.
fn seen(watch: &mut Watch) -> u64 {
    std::iter::from_fn(|| watch.next_event()).count() as u64
}

#[test]
fn what_is_more_than_the_rate_or_than_there_is_room_for_is_counted() {
    for program in with_each(PROGRAMS) {
        let generation = load(&policy(), program);
        let mut watch = generation.watch(10).unwrap();
        drop_packets(&generation, 1000);
        let (shown, missed) = (seen(&mut watch), watch.missed().unwrap());
        assert!((10..1000).contains(&shown), "{shown}");
        assert_eq!((shown + missed.left_out, missed.lost), (1000, 0));
        drop(watch);

        let mut watch = generation.watch(1_000_000).unwrap();
        drop_packets(&generation, 2000);
        let (shown, missed) = (seen(&mut watch), watch.missed().unwrap());
        assert!((500..1000).contains(&shown), "{shown}");
        assert_eq!((shown + missed.lost, missed.left_out), (2000, 0));
        // There is room again.
        drop_packets(&generation, 1);
        assert_eq!(seen(&mut watch), 1);
    }
}

#[test]
fn while_nobody_watches_nothing_is_told_and_nothing_counted() {
    let generation = load(&policy(), PROGRAM);
    let mut watch = generation.watch(ALL).unwrap();
    drop_packets(&generation, 1);
    watch.stop();
    drop_packets(&generation, 10);
    assert_eq!(seen(&mut watch), 1);
    let missed = watch.missed().unwrap();
    assert_eq!((missed.left_out, missed.lost), (0, 0));
}

#[test]
fn a_watch_begins_with_what_comes_then() {
    let generation = load(&policy(), PROGRAM);
    let before = generation.watch(1).unwrap();
    drop_packets(&generation, 10);
    drop(before);
    let mut watch = generation.watch(ALL).unwrap();
    drop_packets(&generation, 2);
    assert_eq!(seen(&mut watch), 2);
    let missed = watch.missed().unwrap();
    assert_eq!((missed.left_out, missed.lost), (0, 0));
}
