//! Rule sets of the real world, held against the rules as a person applies them: at every boundary.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot have what it needs has failed"
)]

use std::net::{Ipv4Addr, Ipv6Addr};

use geodrop::{
    geoip::{self, Country, Located, Regions},
    policy::{
        Classified, CountryRule, Policy, Reason, Ruleset, Verdict, carrier::CARRIERS, explain,
        special_purpose,
    },
    range::{Address, Labelled, Range, flatten, join_adjacent},
    table::lpm,
};
use geodrop_common::{Class, Entry, Rule, Slot};

#[test]
fn blocking_china_hong_kong_and_macao_is_right_at_every_boundary() {
    check(&Policy::default());
}

#[test]
fn admitting_two_countries_is_right_at_every_boundary() {
    let admitted = ["US", "DE"].map(|code| code.parse().unwrap());
    check(&Policy {
        countries: CountryRule::Only(admitted.into()),
        allow: nets(&["1.0.1.0/24", "::/3", "203.0.113.7/32", "2400:3200::/32"]),
        deny: nets(&[
            "1.0.1.128/25",
            "8.8.8.0/24",
            "192.168.0.0/16",
            "2001:db8::/32",
            "2600::/16",
        ]),
        ..Policy::default()
    });
}

#[test]
fn ranges_are_as_few_as_can_be() {
    let world = geoip::builtin().unwrap().regions;
    let blocked = [Country::CHINA, Country::HONG_KONG, Country::MACAO];
    let policy = Policy {
        countries: CountryRule::Block(blocked.into()),
        ..Policy::default()
    };
    let ruleset = Ruleset::new(&policy, &world);
    // That of what passes, one a country, and one for either place at which an address may carry another.
    assert_eq!(ruleset.classes().len(), 1 + blocked.len() + 2);
    assert_eq!(ruleset.entry(Class::DEFAULT), Entry::PASS);
    let joined = |pair: &[Range<Ipv4Addr>]| pair[0].last().successor() == Some(pair[1].first());
    for pair in ruleset.ipv4().windows(2) {
        let ranges = [pair[0].range, pair[1].range];
        assert!(
            !(joined(&ranges) && pair[0].label == pair[1].label),
            "{ranges:?}"
        );
    }
    assert!(
        ruleset
            .ipv4()
            .iter()
            .all(|classified| classified.label != Class::DEFAULT)
    );
}

#[test]
fn prefixes_say_what_the_ranges_say() {
    let world = geoip::builtin().unwrap().regions;
    let every_country = Policy {
        countries: CountryRule::Only([].into()),
        ..Policy::default()
    };
    for policy in [Policy::default(), every_country] {
        let ruleset = Ruleset::new(&policy, &world);
        check_prefixes(ruleset.ipv4());
        check_prefixes(ruleset.ipv6());
    }
}

fn check_prefixes<A: Address>(ranges: &[Classified<A>]) {
    let entries = lpm::prefixes(ranges);
    let cut: usize = ranges
        .iter()
        .map(|classified| classified.range.prefixes().count())
        .sum();
    assert!(
        entries.len() < cut,
        "{} entries, and {cut} without nesting",
        entries.len()
    );
    // The longest prefix is the smallest range, and so the most specific.
    let labelled = entries
        .iter()
        .map(|entry| Labelled::new(entry.prefix.range(), entry.class));
    let mut said = flatten(labelled.collect());
    said.retain(|classified| classified.label != Class::DEFAULT);
    join_adjacent(&mut said);
    assert!(said == ranges, "the prefixes say something else");
}

fn nets(nets: &[&str]) -> Vec<ipnet::IpNet> {
    nets.iter().map(|net| net.parse().unwrap()).collect()
}

fn check(policy: &Policy) {
    let world = geoip::builtin().unwrap().regions;
    let ruleset = Ruleset::new(policy, &world);
    for address in edges::<Ipv4Addr>(world.ipv4(), policy) {
        assert_eq!(
            fate(&ruleset, address),
            expected(policy, &world, address),
            "{address}"
        );
        for carrier in CARRIERS {
            let carrying = carrier.around(address.into()).unwrap().addr();
            assert_eq!(
                fate(&ruleset, carrying),
                expected(policy, &world, carrying),
                "{carrying}"
            );
        }
    }
    for address in edges::<Ipv6Addr>(world.ipv6(), policy) {
        assert_eq!(
            fate(&ruleset, address),
            expected(policy, &world, address),
            "{address}"
        );
    }
}

/// The addresses at which anything may change, and those beside them.
fn edges<A: Address>(located: &[Located<A>], policy: &Policy) -> Vec<A> {
    let prefixes = policy.allow.iter().chain(&policy.deny).copied();
    let special = special_purpose::BLOCKS.iter().map(|block| block.prefix);
    let carriers = CARRIERS.iter().map(|carrier| carrier.prefix.into());
    let ranges = prefixes
        .chain(special)
        .chain(carriers)
        .filter_map(Range::of_prefix);
    let mut edges: Vec<_> = ranges
        .chain(located.iter().map(|located| located.range))
        .flat_map(|range| {
            let (first, last) = (range.first(), range.last());
            [
                first.predecessor(),
                Some(first),
                Some(last),
                last.successor(),
            ]
        })
        .flatten()
        .collect();
    edges.sort_unstable();
    edges.dedup();
    edges
}

/// Whether packets from an address drop, and where they count.
fn fate<A: Address>(ruleset: &Ruleset, address: A) -> (bool, Slot) {
    let entry = ruleset.meaning(address.into());
    let against = entry.is_against(Rule::GENERAL);
    (against, entry.slot(against))
}

/// What the rules say of both, in the terms of the kernel.
fn expected<A: Address>(policy: &Policy, world: &Regions, address: A) -> (bool, Slot) {
    let explained = explain(policy, world, address.into());
    match (explained.verdict, explained.reason) {
        (Verdict::Pass, _) => (false, Slot::PASSED),
        (_, Reason::Deny) => (true, Slot::DENIED),
        (_, Reason::Unknown) => (true, Slot::UNKNOWN),
        (_, _) => (
            true,
            Slot::of_country(explained.country.unwrap().code()).unwrap(),
        ),
    }
}
