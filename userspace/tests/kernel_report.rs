//! Whom a policy would affect, while it only counts: packets in, what is collected of them out.

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
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    thread,
    time::Duration,
};

use aya::programs::{TestRun as _, TestRunOptions};
use frames::{ip, tcp, udp};
use geodrop::{
    Counter, Reach,
    datapath::{
        Hook,
        generation::{Generation, Plan},
        report::{Affected, Collected, Origin},
    },
    geoip::{AnyRange, Builder, Country, Regions},
    policy::{CountryRule, Policy, Protocol, Ruleset},
    range::Range,
    table::Engine,
};
use jiff::Timestamp;
use loader::{Loader, with_each};
use verdict::admits;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const HERE_6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
const DENIED: IpAddr = IpAddr::V4(Ipv4Addr::new(9, 9, 9, 9));
const ALLOWED: IpAddr = IpAddr::V4(Ipv4Addr::new(1, 0, 255, 255));
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(8, 8, 8, 8));
/// In no country by this data.
const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::new(7, 7, 7, 7));

const HTTPS: Reach = Reach::Port(Protocol::Tcp, 443);
const SSH: Reach = Reach::Port(Protocol::Tcp, 22);
const DNS: Reach = Reach::Port(Protocol::Udp, 53);

/// The address in China with this number.
fn china(number: u16) -> IpAddr {
    let [high, low] = number.to_be_bytes();
    Ipv4Addr::new(1, 0, high, low).into()
}

fn hong_kong(number: u8) -> IpAddr {
    Ipv4Addr::new(1, 1, 0, number).into()
}

fn china_6(number: u16) -> IpAddr {
    Ipv6Addr::new(0x2400, 0x3200, 0, 0, 0, 0, 0, number).into()
}

fn regions() -> Regions {
    let mut builder = Builder::default();
    let v4 = |first, last| AnyRange::Ipv4(Range::new(first, last).unwrap());
    let china_4 = v4(Ipv4Addr::new(1, 0, 0, 0), Ipv4Addr::new(1, 0, 255, 255));
    let hong_kong = v4(Ipv4Addr::new(1, 1, 0, 0), Ipv4Addr::new(1, 1, 0, 255));
    let america = v4(Ipv4Addr::new(8, 8, 8, 0), Ipv4Addr::new(8, 8, 8, 255));
    let china_6 = AnyRange::Ipv6(
        Range::new(
            Ipv6Addr::new(0x2400, 0x3200, 0, 0, 0, 0, 0, 0),
            Ipv6Addr::new(0x2400, 0x3200, 0, 0, 0, 0, 0, 0xffff),
        )
        .unwrap(),
    );
    for (range, country) in [
        (china_4, "CN"),
        (hong_kong, "HK"),
        (america, "US"),
        (china_6, "CN"),
    ] {
        builder.add(range, country.parse().unwrap(), 1);
    }
    builder.build().0
}

fn policy() -> Policy {
    Policy {
        allow: vec![ALLOWED.into()],
        deny: vec![DENIED.into()],
        ..Policy::default()
    }
}

fn monitor() -> Policy {
    Policy {
        monitor: true,
        ..policy()
    }
}

/// Programs that differ: every hook's, and every engine's.
type Program = ((Hook, Engine), Loader);

const PROGRAM: Program = ((Hook::Xdp, Engine::Multibit), Loader::Root);

const PROGRAMS: [(Hook, Engine); 4] = [
    (Hook::Xdp, Engine::Multibit),
    (Hook::Xdp, Engine::Lpm),
    (Hook::Tcx, Engine::Multibit),
    (Hook::Tcx, Engine::Lpm),
];

fn plan<'a>(policy: &Policy, ruleset: &'a Ruleset, ((hook, engine), _): Program) -> Plan<'a> {
    Plan {
        hook,
        monitor: policy.monitor,
        effective_from: policy.effective_from,
        ..Plan::by_address(ruleset, engine)
    }
}

fn load(policy: &Policy, program: Program) -> Generation {
    let ruleset = Ruleset::new(policy, &regions());
    program.1.load(plan(policy, &ruleset, program))
}

/// What was collected of an origin.
fn of(collected: &Collected, origin: Origin) -> &Affected {
    let mut all = collected.affected.iter();
    all.find(|affected| affected.origin == origin)
        .unwrap_or_else(|| panic!("nothing of {origin:?} in {collected:?}"))
}

/// Of each destination the packets, the busiest first.
fn packets(affected: &Affected) -> Vec<(Reach, u64)> {
    let ports = affected.ports.as_ref().unwrap().busiest.iter();
    ports
        .map(|(reach, counter)| (*reach, counter.packets))
        .collect()
}

fn assert_about(estimate: u64, sources: u64) {
    let error = estimate.abs_diff(sources);
    assert!(error * 10 <= sources, "{estimate} of {sources} sources");
}

const CHINA: Origin = Origin::Country(Country::CHINA);
const HONG_KONG: Origin = Origin::Country(Country::HONG_KONG);

#[test]
fn who_would_be_affected_how_many_they_are_and_where_they_go() {
    for program in with_each(PROGRAMS) {
        let generation = load(&monitor(), program);
        let mut bytes = 0;
        let mut send = |frame: &[u8]| {
            assert!(admits(&generation, frame), "a monitor drops nothing");
            bytes += frame.len() as u64;
        };
        for number in 0..150 {
            send(&tcp((china(number), 40000), (HERE, 443), "syn"));
        }
        // The same ones again, and as many of the other family.
        for number in 0..20 {
            send(&udp((china(number), 40000), (HERE, 53)));
            send(&tcp((china_6(number), 40000), (HERE_6, 443), "syn"));
        }
        let from_china = Counter {
            packets: 190,
            bytes,
        };
        for number in 0..5 {
            let frame = tcp((hong_kong(number), 40000), (HERE, 22), "syn");
            assert!(admits(&generation, &frame));
        }

        let collected = generation.collected().unwrap().unwrap();
        let origins: Vec<_> = collected.affected.iter().map(|one| one.origin).collect();
        assert_eq!(origins, [CHINA, HONG_KONG], "whoever has most first");
        let in_china = of(&collected, CHINA);
        assert_eq!(in_china.counter, from_china);
        assert_about(in_china.sources, 170);
        assert_eq!(packets(in_china), [(HTTPS, 170), (DNS, 20)]);
        let in_hong_kong = of(&collected, HONG_KONG);
        assert_eq!((in_hong_kong.counter.packets, in_hong_kong.sources), (5, 5));
        assert_eq!(packets(in_hong_kong), [(SSH, 5)]);
        assert_about(collected.sources, 175);
        for affected in &collected.affected {
            let ports = affected.ports.as_ref().unwrap();
            let bytes: u64 = ports.busiest.iter().map(|(_, one)| one.bytes).sum();
            assert_eq!((bytes, ports.forgotten), (affected.counter.bytes, 0));
        }
    }
}

#[test]
fn a_policy_that_drops_collects_nothing() {
    let generation = load(&policy(), PROGRAM);
    assert!(!admits(
        &generation,
        &tcp((china(1), 40000), (HERE, 443), "syn")
    ));
    assert_eq!(generation.collected().unwrap(), None);
}

#[test]
fn who_would_pass_is_not_affected() {
    let generation = load(&monitor(), PROGRAM);
    let syn = |source| tcp((source, 40000), (HERE, 443), "syn");
    let mut malformed = syn(china(1));
    malformed.truncate(14 + 19);
    let mut arp = syn(china(1));
    arp[12..14].copy_from_slice(&[0x08, 0x06]);
    for frame in [syn(ALLOWED), syn(ELSEWHERE), syn(NOBODY), malformed, arp] {
        assert!(admits(&generation, &frame));
    }
    assert_eq!(generation.collected().unwrap().unwrap().affected, []);
}

#[test]
fn what_answers_this_host_is_not_affected() {
    let ruleset = Ruleset::new(&monitor(), &regions());
    let plan = Plan {
        replies: true,
        ..plan(&monitor(), &ruleset, PROGRAM)
    };
    let generation = Generation::load(plan).unwrap();
    let (server, client) = ((china(1), 443), (HERE, 40000));
    let sent = tcp(client, server, "syn");
    let options = TestRunOptions {
        data_in: Some(&sent),
        ..TestRunOptions::default()
    };
    let egress = generation.egress_program().unwrap().unwrap();
    egress.test_run(options).unwrap();
    assert!(admits(&generation, &tcp(server, client, "syn ack")));
    assert_eq!(generation.collected().unwrap().unwrap().affected, []);
    // The control: what answers nothing.
    assert!(admits(&generation, &tcp(server, client, "syn")));
    let collected = generation.collected().unwrap().unwrap();
    assert_eq!(of(&collected, CHINA).counter.packets, 1);
}

#[test]
fn what_is_refused_for_another_reason_stands_under_it() {
    let policy = Policy {
        countries: CountryRule::Only([Country::CHINA].into()),
        ..monitor()
    };
    let generation = load(&policy, PROGRAM);
    for source in [DENIED, NOBODY, ELSEWHERE, china(1)] {
        assert!(admits(
            &generation,
            &tcp((source, 40000), (HERE, 443), "syn")
        ));
    }
    let collected = generation.collected().unwrap().unwrap();
    let america = Origin::Country("US".parse().unwrap());
    assert_eq!(collected.affected.len(), 3, "{collected:?}");
    for origin in [Origin::Denied, Origin::Unknown, america] {
        let affected = of(&collected, origin);
        assert_eq!((affected.counter.packets, affected.sources), (1, 1));
    }
}

#[test]
fn packets_without_ports_are_told_apart() {
    let generation = load(&monitor(), PROGRAM);
    let mut ping = Vec::new();
    ip(china(1), HERE)
        .icmpv4_echo_request(1, 1)
        .write(&mut ping, b"ping")
        .unwrap();
    let dns = udp((china(1), 40000), (HERE, 53));
    let mut fragment = dns.clone();
    fragment[20..22].copy_from_slice(&[0x00, 0x10]);
    let mut cut = dns.clone();
    cut.truncate(14 + 20 + 3);
    let mut tagged = dns;
    tagged.splice(12..12, [0x81, 0x00, 0x00, 0x07]);
    for (frame, reach) in [
        (ping, Reach::NoPorts),
        (fragment, Reach::LaterFragment),
        (cut, Reach::Hidden),
        (tagged, DNS),
    ] {
        assert!(admits(&generation, &frame));
        let collected = generation.collected().unwrap().unwrap();
        assert!(
            packets(of(&collected, CHINA)).contains(&(reach, 1)),
            "{reach:?} is not in {collected:?}"
        );
    }
    let collected = generation.collected().unwrap().unwrap();
    assert_eq!(of(&collected, CHINA).sources, 1);
}

#[test]
fn until_its_day_comes_a_policy_collects_and_then_no_more() {
    let ahead = Duration::from_millis(1500);
    let policy = Policy {
        effective_from: Some(Timestamp::now() + ahead),
        ..policy()
    };
    let generation = load(&policy, PROGRAM);
    let syn = |source| tcp((source, 40000), (HERE, 443), "syn");
    assert!(admits(&generation, &syn(china(1))));
    assert!(
        !admits(&generation, &syn(DENIED)),
        "a prefix is denied from the first moment on"
    );
    let before = generation.collected().unwrap().unwrap();
    assert_eq!(before.affected.len(), 1, "{before:?}");
    assert_eq!(of(&before, CHINA).counter.packets, 1);
    thread::sleep(ahead + Duration::from_millis(100));
    assert!(!admits(&generation, &syn(china(2))));
    assert_eq!(generation.collected().unwrap().unwrap(), before);
}

/// Of addresses under any depth of tags, by programs that see no ports.
fn assert_collects_without_ports(generation: &Generation) {
    let tag = [0x81, 0x00, 0x00, 0x07];
    for (source, here) in [(china(1), HERE), (china_6(1), HERE_6)] {
        let mut frame = tcp((source, 40000), (here, 443), "syn");
        for _ in 0..3 {
            assert!(admits(generation, &frame));
            frame.splice(12..12, tag);
        }
    }
    let collected = generation.collected().unwrap().unwrap();
    let affected = of(&collected, CHINA);
    assert_eq!((affected.counter.packets, affected.sources), (6, 2));
    assert_eq!(affected.ports, None);
}

#[test]
fn the_program_for_older_kernels_collects_without_ports() {
    for engine in [Engine::Multibit, Engine::Lpm] {
        let ruleset = Ruleset::new(&monitor(), &regions());
        let plan = plan(&monitor(), &ruleset, ((Hook::Xdp, engine), Loader::Root));
        assert_collects_without_ports(&Generation::load_without_frags(plan).unwrap());
    }
}
