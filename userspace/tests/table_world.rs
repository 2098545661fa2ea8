//! The world as a multibit trie, looked up in as the kernel does, held against a plain search in its ranges.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot have what it needs has failed"
)]

use geodrop::{
    Class, geoip,
    policy::{Classified, CountryRule, Policy, Ruleset},
    range::{Address, boundaries, find},
    table::multibit,
};

fn check<A: Address>(ranges: &[Classified<A>], look_up: impl Fn(A) -> Class) {
    for address in boundaries(ranges) {
        let said = find(ranges, address).map_or(Class::DEFAULT, |classified| classified.label);
        assert_eq!(look_up(address), said, "{address}");
    }
}

fn check_both_families(policy: &Policy, least: usize) {
    let ruleset = Ruleset::new(policy, &geoip::builtin().unwrap().regions);
    let ranges = ruleset.ipv4().len() + ruleset.ipv6().len();
    assert!(ranges > least, "{ranges} ranges are not the real data");
    let ipv4 = multibit::ipv4(ruleset.ipv4()).unwrap();
    check(ruleset.ipv4(), |address| ipv4.class(address));
    let ipv6 = multibit::ipv6(ruleset.ipv6()).unwrap();
    check(ruleset.ipv6(), |address| ipv6.class(address));
    // Kernels before 6.0 take no larger element.
    let largest = ipv4.bytes().len().max(ipv6.bytes().len());
    assert!(largest <= 4 << 20, "an image of {largest} bytes");
}

#[test]
fn an_image_of_china_hong_kong_and_macao_is_right_at_every_boundary() {
    check_both_families(&Policy::default(), 10_000);
}

#[test]
fn an_image_of_the_world_with_its_countries_told_apart_is_right_at_every_boundary() {
    let policy = Policy {
        countries: CountryRule::Only([].into()),
        ..Policy::default()
    };
    check_both_families(&policy, 400_000);
}
