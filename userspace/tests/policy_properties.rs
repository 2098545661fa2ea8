//! Rule sets of random data and policies, held against the rules as a person applies them.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot have what it needs has failed"
)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use geodrop::{
    geoip::{AnyRange, Builder, Country, Regions},
    policy::{
        Count, CountryRule, Policy, PortRule, Ports, Protocol, Reason, Ruleset, Unknown, Verdict,
        explain, explain_port,
    },
    range::{Address, Range},
};
use geodrop_common::{Rule, Slot};
use ipnet::IpNet;
use proptest::{prelude::*, sample::select};

/// Around these, some addresses are special, and some are not.
const BASES: [&str; 5] = [
    "0.0.0.0",
    "9.255.255.224",
    "191.255.255.224",
    "192.0.0.0",
    "255.255.255.192",
];

/// How many addresses are looked at from a base on.
const SPAN: u128 = 64;

const CODES: [&str; 4] = ["CN", "HK", "US", "XK"];

/// Data and a policy, and the first of the addresses that they are about.
#[derive(Clone, Debug)]
struct Case {
    base: IpAddr,
    rows: Vec<(u128, u128, &'static str)>,
    policy: Policy,
}

fn any_case() -> impl Strategy<Value = Case> {
    let base = prop_oneof![
        select(&BASES[..]).prop_map(|base| base.parse().unwrap()),
        select(vec![
            "::",
            "2001:db8::",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffc0"
        ])
        .prop_map(|base| base.parse().unwrap()),
    ];
    base.prop_flat_map(|base: IpAddr| {
        let rows = prop::collection::vec((0..SPAN, 0..SPAN, select(&CODES[..])), 0..12);
        (Just(base), rows, any_policy(base)).prop_map(|(base, rows, policy)| Case {
            base,
            rows,
            policy,
        })
    })
}

fn any_countries() -> impl Strategy<Value = CountryRule> {
    let countries = prop::collection::btree_set(select(&CODES[..]), 0..3);
    (any::<bool>(), countries).prop_map(|(block, codes)| {
        let countries = codes
            .iter()
            .map(|code| code.parse::<Country>().unwrap())
            .collect();
        if block {
            CountryRule::Block(countries)
        } else {
            CountryRule::Only(countries)
        }
    })
}

fn any_rules() -> impl Strategy<Value = Vec<PortRule>> {
    let protocol = select(&[Protocol::Tcp, Protocol::Udp][..]);
    let ports = (
        protocol,
        select(&[21, 22][..]),
        select(&[22, 23, 65535][..]),
    );
    let ports = ports.prop_map(|(protocol, first, last)| Ports {
        protocol,
        numbers: first..=last,
    });
    let rule = (prop::collection::vec(ports, 1..3), any_countries())
        .prop_map(|(ports, countries)| PortRule { ports, countries });
    prop::collection::vec(rule, 0..3)
}

fn any_policy(base: IpAddr) -> impl Strategy<Value = Policy> {
    let unknown = select(&[None, Some(Unknown::Pass), Some(Unknown::Block)][..]);
    let count = select(&[Count::Blocked, Count::All][..]);
    let nets = move || {
        let net = (0..SPAN, 0_u8..9).prop_map(move |(offset, hosts)| match base {
            IpAddr::V4(base) => IpNet::new(address(base, offset).into(), 32 - hosts).unwrap(),
            IpAddr::V6(base) => IpNet::new(address(base, offset).into(), 128 - hosts).unwrap(),
        });
        prop::collection::vec(net, 0..4)
    };
    (any_countries(), any_rules(), nets(), nets(), unknown, count).prop_map(
        |(countries, rules, allow, deny, unknown, count)| Policy {
            countries,
            rules,
            allow,
            deny,
            unknown,
            count,
            ..Policy::default()
        },
    )
}

fn address<A: Address>(base: A, offset: u128) -> A {
    A::from_number(base.number() + offset).unwrap()
}

fn range<A: Address>(base: A, one: u128, other: u128) -> Range<A> {
    Range::new(address(base, one.min(other)), address(base, one.max(other))).unwrap()
}

/// The country of an address as one who reads all rows finds it.
fn country_of(case: &Case, offset: u128) -> Option<Country> {
    let holding = case.rows.iter().filter_map(|&(one, other, code)| {
        let (first, last) = (one.min(other), one.max(other));
        (first <= offset && offset <= last).then_some((last - first, first, code))
    });
    holding.min().map(|(_, _, code)| code.parse().unwrap())
}

/// Whether packets drop, and where they count.
fn fate(policy: &Policy, explained: geodrop::policy::Explanation) -> (bool, Slot) {
    let country = explained.country.map(Country::code);
    let by_country = matches!(
        explained.reason,
        Reason::Country | Reason::Only | Reason::Default
    );
    match (explained.verdict, explained.reason, country) {
        (Verdict::Pass, _, Some(country)) if by_country && policy.count == Count::All => {
            (false, Slot::of_admitted(country).unwrap())
        }
        (Verdict::Pass, ..) => (false, Slot::PASSED),
        (_, Reason::Deny, _) => (true, Slot::DENIED),
        (_, _, None) => (true, Slot::UNKNOWN),
        (_, _, Some(country)) => (true, Slot::of_country(country).unwrap()),
    }
}

/// Ports, some of which rules name.
const PORTS: [Option<(Protocol, u16)>; 6] = [
    None,
    Some((Protocol::Tcp, 21)),
    Some((Protocol::Tcp, 22)),
    Some((Protocol::Tcp, 23)),
    Some((Protocol::Udp, 22)),
    Some((Protocol::Udp, 65535)),
];

fn check<A: Address>(case: &Case, base: A, regions: &Regions) {
    let ruleset = Ruleset::new(&case.policy, regions);
    for offset in 0..SPAN {
        let ip = address(base, offset).into();
        let entry = ruleset.meaning(ip);
        let mut refused = Vec::new();
        for port in PORTS {
            let explained = explain_port(&case.policy, regions, ip, port);
            let against = entry.is_against(ruleset.rule(port));
            assert_eq!(
                (against, entry.slot(against)),
                fate(&case.policy, explained),
                "{ip}, {port:?}: {explained:?}"
            );
            refused.push(against);
        }
        // The ports that rules name are among these, so all that rules say of the address has been seen.
        let (all, any) = (!refused.contains(&false), refused.contains(&true));
        if case.policy.rules.is_empty() {
            assert_eq!(refused, [refused[0]; PORTS.len()]);
        } else {
            assert!(!entry.is_against(Rule::LATER_FRAGMENT) || all, "{ip}");
            assert!(entry.is_against(Rule::NO_PORTS) || !any, "{ip}");
        }
        let explained = explain(&case.policy, regions, ip);
        assert_eq!(explained.country, country_of(case, offset), "{ip}");
        if let Some(prefix) = explained.prefix {
            assert!(prefix.contains(&ip), "{ip}: {prefix}");
        }
    }
}

proptest! {
    #[test]
    fn a_rule_set_says_of_every_address_what_the_rules_say(case in any_case()) {
        let mut builder = Builder::default();
        for (&(one, other, code), line) in case.rows.iter().zip(1..) {
            let range = match case.base {
                IpAddr::V4(base) => AnyRange::Ipv4(range::<Ipv4Addr>(base, one, other)),
                IpAddr::V6(base) => AnyRange::Ipv6(range::<Ipv6Addr>(base, one, other)),
            };
            builder.add(range, code.parse().unwrap(), line);
        }
        let (regions, _) = builder.build();
        match case.base {
            IpAddr::V4(base) => check(&case, base, &regions),
            IpAddr::V6(base) => check(&case, base, &regions),
        }
    }
}
