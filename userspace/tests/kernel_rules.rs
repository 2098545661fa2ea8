//! Rules for ports, the day from which on rules hold, and counting of all: packets in, verdicts out.

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

use frames::{ip, tcp, udp};
use geodrop::{
    datapath::{
        Hook,
        generation::{Generation, Plan},
    },
    geoip::{AnyRange, Builder, Country, Regions},
    policy::{Count, CountryRule, Policy, PortRule, Ports, Protocol, Ruleset, config::Choice as _},
    range::Range,
    table::Engine,
};
use jiff::Timestamp;
use loader::{Loader, with_each};
use verdict::admits;

const GERMANY: IpAddr = IpAddr::V4(Ipv4Addr::new(5, 1, 1, 1));
const CHINA: IpAddr = IpAddr::V4(Ipv4Addr::new(1, 0, 1, 1));
const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::new(7, 7, 7, 7));
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const GERMANY_6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2a02, 1, 0, 0, 0, 0, 0, 1));
const CHINA_6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2400, 0x3200, 0, 0, 0, 0, 0, 1));
const HERE_6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));

const GERMAN: &str = "DE";

fn countries(codes: &[&str]) -> std::collections::BTreeSet<Country> {
    codes.iter().map(|code| code.parse().unwrap()).collect()
}

/// SSH from Germany only, DNS over UDP from everywhere, all else from all but China.
fn ssh_from_germany() -> Policy {
    let ports = |protocol, first, last| Ports {
        protocol,
        numbers: first..=last,
    };
    Policy {
        countries: CountryRule::Block(countries(&["CN"])),
        rules: vec![
            PortRule {
                ports: vec![
                    ports(Protocol::Tcp, 22, 22),
                    ports(Protocol::Tcp, 2200, 2299),
                ],
                countries: CountryRule::Only(countries(&[GERMAN])),
            },
            PortRule {
                ports: vec![ports(Protocol::Udp, 53, 53)],
                countries: CountryRule::Block(countries(&[])),
            },
        ],
        ..Policy::default()
    }
}

fn load(policy: &Policy, hook: Hook, engine: Engine, loader: Loader) -> Generation {
    let mut builder = Builder::default();
    let places = [
        (GERMANY, GERMAN),
        (CHINA, "CN"),
        (GERMANY_6, GERMAN),
        (CHINA_6, "CN"),
    ];
    for ((address, country), line) in places.into_iter().zip(1..) {
        let range = match address {
            IpAddr::V4(address) => AnyRange::Ipv4(Range::new(address, address).unwrap()),
            IpAddr::V6(address) => AnyRange::Ipv6(Range::new(address, address).unwrap()),
        };
        builder.add(range, country.parse().unwrap(), line);
    }
    loader.load(Plan {
        hook,
        monitor: policy.monitor,
        effective_from: policy.effective_from,
        ..Plan::by_address(&Ruleset::new(policy, &builder.build().0), engine)
    })
}

/// Each hook, and who loads a filter there.
fn hooks() -> impl Iterator<Item = (Hook, Loader)> {
    with_each(Hook::ALL.iter().map(|(hook, ..)| *hook))
}

/// The policy's filter, for each hook and loader.
fn filters(policy: &Policy) -> impl Iterator<Item = Generation> {
    hooks().map(|(hook, loader)| load(policy, hook, Engine::default(), loader))
}

/// The frame with a VLAN tag.
fn tagged(mut frame: Vec<u8>) -> Vec<u8> {
    frame.splice(12..12, [0x81, 0x00, 0x00, 0x07]);
    frame
}

/// The IPv4 frame as a fragment: the first one, or a later one.
fn fragment(mut frame: Vec<u8>, is_first: bool) -> Vec<u8> {
    frame[20..22].copy_from_slice(if is_first {
        &[0x20, 0x00]
    } else {
        &[0x00, 0x10]
    });
    frame
}

/// The IPv4 frame with four octets of options (no operation).
fn with_options(mut frame: Vec<u8>) -> Vec<u8> {
    frame[14] = 0x46;
    frame.splice(34..34, [1, 1, 1, 1]);
    frame
}

/// The IPv6 frame with so many empty hop-by-hop and destination options before its transport header.
fn with_extensions(mut frame: Vec<u8>, count: usize) -> Vec<u8> {
    for _ in 0..count {
        let next = std::mem::replace(&mut frame[20], 60);
        frame.splice(54..54, [next, 0, 1, 4, 0, 0, 0, 0]);
    }
    frame
}

fn gre(source: IpAddr) -> Vec<u8> {
    let mut frame = Vec::new();
    let builder = ip(source, HERE);
    builder
        .write(&mut frame, etherparse::IpNumber(47), &[0; 8])
        .unwrap();
    frame
}

#[test]
fn ports_have_rules_of_their_own() {
    let syn = |source, port| tcp((source, 40000), (HERE, port), "syn");
    let syn_6 = |source, port| tcp((source, 40000), (HERE_6, port), "syn");
    let dns = |source| udp((source, 40000), (HERE, 53));
    let cut = |source| {
        let mut frame = syn(source, 22);
        frame.truncate(14 + 20 + 3);
        frame
    };
    let rows: &[(&str, Vec<u8>, bool)] = &[
        ("SSH from Germany", syn(GERMANY, 22), true),
        ("SSH from China", syn(CHINA, 22), false),
        ("SSH from nobody knows", syn(NOBODY, 22), false),
        ("the last of a range of ports", syn(NOBODY, 2299), false),
        ("the port behind it", syn(NOBODY, 2300), true),
        ("web from Germany", syn(GERMANY, 443), true),
        ("web from China", syn(CHINA, 443), false),
        ("web from nobody knows", syn(NOBODY, 443), true),
        (
            "port 22 of UDP from nobody knows",
            udp((NOBODY, 9), (HERE, 22)),
            true,
        ),
        (
            "from port 22 of nobody knows",
            tcp((NOBODY, 22), (HERE, 443), "ack"),
            true,
        ),
        ("DNS from China", dns(CHINA), true),
        ("port 53 of TCP from China", syn(CHINA, 53), false),
        ("another protocol from China", gre(CHINA), false),
        ("another protocol from nobody knows", gre(NOBODY), true),
        ("IPv6: SSH from Germany", syn_6(GERMANY_6, 22), true),
        ("IPv6: SSH from China", syn_6(CHINA_6, 22), false),
        (
            "IPv6: DNS from China",
            udp((CHINA_6, 9), (HERE_6, 53)),
            true,
        ),
        (
            "under a tag: SSH from nobody knows",
            tagged(syn(NOBODY, 22)),
            false,
        ),
        ("under a tag: DNS from China", tagged(dns(CHINA)), true),
        (
            "under a tag, IPv6: DNS from China",
            tagged(udp((CHINA_6, 9), (HERE_6, 53))),
            true,
        ),
        (
            "behind options: SSH from nobody knows",
            with_options(syn(NOBODY, 22)),
            false,
        ),
        (
            "behind options: DNS from China",
            with_options(dns(CHINA)),
            true,
        ),
        (
            "the first fragment of DNS from China",
            fragment(dns(CHINA), true),
            true,
        ),
        (
            "the first fragment of web from China",
            fragment(syn(CHINA, 443), true),
            false,
        ),
        // Some rule admits China, so it may belong to what that one let in.
        (
            "a later fragment from China",
            fragment(dns(CHINA), false),
            true,
        ),
        (
            "a later fragment from nobody knows",
            fragment(syn(NOBODY, 22), false),
            true,
        ),
        ("cut short of its ports, from Germany", cut(GERMANY), true),
        (
            "cut short of its ports, from nobody knows",
            cut(NOBODY),
            false,
        ),
        (
            "one extension header",
            with_extensions(udp((CHINA_6, 9), (HERE_6, 53)), 1),
            true,
        ),
        ("two", with_extensions(syn_6(CHINA_6, 22), 2), false),
        (
            "more than are followed",
            with_extensions(udp((CHINA_6, 9), (HERE_6, 53)), 3),
            false,
        ),
    ];
    let programs = [
        (Hook::Xdp, Engine::Multibit),
        (Hook::Tcx, Engine::Multibit),
        (Hook::Xdp, Engine::Lpm),
    ];
    for ((hook, engine), loader) in with_each(programs) {
        let generation = load(&ssh_from_germany(), hook, engine, loader);
        for (name, frame, admitted) in rows {
            assert_eq!(
                admits(&generation, frame),
                *admitted,
                "{hook:?}, {engine}, {loader:?}, {name}: {frame:02x?}"
            );
        }
    }
}

#[test]
fn where_every_rule_is_against_it_a_later_fragment_drops() {
    let mut policy = ssh_from_germany();
    policy.rules.pop();
    for generation in filters(&policy) {
        let later = |source| fragment(udp((source, 9), (HERE, 53)), false);
        assert!(!admits(&generation, &later(CHINA)));
        assert!(admits(&generation, &later(NOBODY)));
    }
}

#[test]
fn a_drop_by_a_rule_counts_under_its_country() {
    for generation in filters(&ssh_from_germany()) {
        assert!(!admits(&generation, &tcp((CHINA, 9), (HERE, 22), "syn")));
        assert!(admits(&generation, &udp((CHINA, 9), (HERE, 53))));
        assert!(!admits(&generation, &tcp((NOBODY, 9), (HERE, 22), "syn")));
        let counters = generation.counters().unwrap();
        assert_eq!(counters.countries[&Country::CHINA].packets, 1);
        assert_eq!((counters.unknown.packets, counters.passed.packets), (1, 1));
    }
}

#[test]
fn all_are_counted_by_country_where_the_policy_says_so() {
    let policy = Policy {
        count: Count::All,
        ..ssh_from_germany()
    };
    for generation in filters(&policy) {
        assert!(admits(&generation, &tcp((GERMANY, 9), (HERE, 443), "syn")));
        assert!(!admits(&generation, &tcp((CHINA, 9), (HERE, 443), "syn")));
        assert!(admits(&generation, &udp((CHINA, 9), (HERE, 53))));
        assert!(admits(&generation, &tcp((NOBODY, 9), (HERE, 443), "syn")));
        let counters = generation.counters().unwrap();
        let packets = |country: &str| {
            let country: Country = country.parse().unwrap();
            let of = |map: &std::collections::BTreeMap<Country, geodrop::Counter>| {
                map.get(&country).map_or(0, |counter| counter.packets)
            };
            (of(&counters.admitted), of(&counters.countries))
        };
        assert_eq!(packets(GERMAN), (1, 0));
        assert_eq!(packets("CN"), (1, 1));
        assert_eq!(counters.passed.packets, 1);
    }
}

#[test]
fn before_its_day_a_rule_counts_and_lets_pass_and_then_it_drops() {
    for (hook, loader) in hooks() {
        let ahead = Duration::from_millis(1500);
        let policy = Policy {
            effective_from: Some(Timestamp::now() + ahead),
            deny: vec![NOBODY.into()],
            ..ssh_from_germany()
        };
        let generation = load(&policy, hook, Engine::default(), loader);
        let (china, denied) = (
            tcp((CHINA, 9), (HERE, 443), "syn"),
            tcp((NOBODY, 9), (HERE, 443), "syn"),
        );
        assert!(
            admits(&generation, &china),
            "before its day a country rule lets pass"
        );
        assert!(
            !admits(&generation, &denied),
            "a prefix is denied from the first moment on"
        );
        assert_eq!(
            generation.counters().unwrap().countries[&Country::CHINA].packets,
            1
        );
        thread::sleep(ahead + Duration::from_millis(100));
        assert!(!admits(&generation, &china));
        assert!(!admits(&generation, &china), "and goes on to drop");
        assert_eq!(
            generation.counters().unwrap().countries[&Country::CHINA].packets,
            3
        );
    }
}

#[test]
fn a_day_that_has_passed_holds_nothing_back() {
    let policy = Policy {
        effective_from: Some("2024-07-09T00:00:00+08:00".parse().unwrap()),
        ..ssh_from_germany()
    };
    for generation in filters(&policy) {
        assert!(!admits(&generation, &tcp((CHINA, 9), (HERE, 443), "syn")));
    }
}

#[test]
fn whatever_a_policy_wants_loads_without_perfmon() {
    let monitor = (true, None);
    let tomorrow = (false, Some(Timestamp::now() + Duration::from_hours(24)));
    for (hook, ..) in Hook::ALL {
        for engine in [Engine::Multibit, Engine::Lpm] {
            for rules in [vec![], ssh_from_germany().rules] {
                let policy = Policy {
                    rules,
                    ..Policy::default()
                };
                let ruleset = Ruleset::new(&policy, &Regions::default());
                for (monitor, effective_from) in [(false, None), monitor, tomorrow] {
                    for (replies, reject) in [(false, true), (true, true)] {
                        Loader::WithoutPerfmon.load(Plan {
                            hook: *hook,
                            monitor,
                            effective_from,
                            replies,
                            reject,
                            ..Plan::by_address(&ruleset, engine)
                        });
                    }
                }
            }
        }
    }
}
