//! The real data in the kernel: at every boundary of every range, whatever the engine, the verdict is the one that
//! the plain rules give.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot load a program has failed"
)]

mod verdict;

use std::{collections::BTreeMap, net::IpAddr};

use geodrop::{
    datapath::generation::{Generation, Plan},
    geoip::{self, Country, Located, Regions},
    policy::{self, CountryRule, Policy, Ruleset, Verdict},
    range::Address,
    table::Engine,
};
use verdict::admits;

/// The smallest frame with this source.
fn frame(source: IpAddr) -> Vec<u8> {
    let mut frame = vec![0; 12];
    match source {
        IpAddr::V4(source) => {
            frame.extend([0x08, 0x00, 0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 0, 0]);
            frame.extend(source.octets());
            frame.extend([192, 0, 2, 1]);
        }
        IpAddr::V6(source) => {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 0, 59, 64]);
            frame.extend(source.octets());
            frame.extend([0; 16]);
        }
    }
    frame
}

/// The addresses before, at the start of, at the end of and after a range.
fn boundaries<A: Address>(located: &Located<A>) -> impl Iterator<Item = IpAddr> {
    let (first, last) = (located.range.first(), located.range.last());
    [
        first.predecessor(),
        Some(first),
        Some(last),
        last.successor(),
    ]
    .into_iter()
    .flatten()
    .map(Into::into)
}

fn boundaries_of(regions: &Regions, chosen: impl Fn(Country) -> bool) -> Vec<IpAddr> {
    let ipv4 = regions
        .ipv4()
        .iter()
        .filter(|located| chosen(located.label));
    let ipv6 = regions
        .ipv6()
        .iter()
        .filter(|located| chosen(located.label));
    let mut boundaries: Vec<_> = ipv4
        .flat_map(boundaries)
        .chain(ipv6.flat_map(boundaries))
        .collect();
    boundaries.sort_unstable();
    boundaries.dedup();
    boundaries
}

/// Runs each address through the kernel, by each engine, and compares verdicts and counters with the plain rules.
fn compare(policy: &Policy, regions: &Regions, addresses: &[IpAddr]) {
    let explain = |&address| policy::explain(policy, regions, address);
    let expected: Vec<_> = addresses.iter().map(explain).collect();
    let mut dropped: BTreeMap<Country, u64> = BTreeMap::new();
    let mut others = 0;
    for explained in &expected {
        match (explained.verdict, explained.country) {
            (Verdict::Drop, Some(country)) => *dropped.entry(country).or_default() += 1,
            _ => others += 1,
        }
    }
    let ruleset = Ruleset::new(policy, regions);
    for engine in [Engine::Multibit, Engine::Lpm] {
        let generation = Generation::load(Plan::by_address(&ruleset, engine))
            .expect("loading the filter needs root");
        for (&address, explained) in addresses.iter().zip(&expected) {
            assert_eq!(
                admits(&generation, &frame(address)),
                explained.verdict == Verdict::Pass,
                "{engine}: {explained:?}"
            );
        }
        let counters = generation.counters().unwrap();
        let counted: BTreeMap<_, _> = counters
            .countries
            .iter()
            .map(|(country, counter)| (*country, counter.packets))
            .collect();
        assert_eq!(counted, dropped, "{engine}");
        assert_eq!(
            counters.passed.packets + counters.unknown.packets,
            others,
            "{engine}"
        );
    }
}

#[test]
fn every_boundary_of_china_hong_kong_and_macao() {
    let regions = geoip::builtin().unwrap().regions;
    let policy = Policy::default();
    let CountryRule::Block(blocked) = &policy.countries else {
        panic!("the default policy blocks countries")
    };
    let addresses = boundaries_of(&regions, |country| blocked.contains(&country));
    assert!(
        addresses.len() > 50_000,
        "{} addresses are not the real data",
        addresses.len()
    );
    compare(&policy, &regions, &addresses);
}

#[test]
fn a_world_of_which_one_country_is_admitted() {
    let regions = geoip::builtin().unwrap().regions;
    let iceland: Country = "IS".parse().unwrap();
    let policy = Policy {
        countries: CountryRule::Only([iceland].into()),
        ..Policy::default()
    };
    let mut addresses = boundaries_of(&regions, |country| country == iceland);
    // Of the rest of the world every hundredth boundary.
    addresses.extend(
        boundaries_of(&regions, |country| country != iceland)
            .iter()
            .step_by(100),
    );
    compare(&policy, &regions, &addresses);
}

#[test]
fn every_boundary_of_the_world_with_its_countries_told_apart() {
    let regions = geoip::builtin().unwrap().regions;
    let policy = Policy {
        countries: CountryRule::Block(regions.countries()),
        ..Policy::default()
    };
    let addresses = boundaries_of(&regions, |_| true);
    assert!(
        addresses.len() > 1_000_000,
        "{} addresses are not the real data",
        addresses.len()
    );
    compare(&policy, &regions, &addresses);
}
