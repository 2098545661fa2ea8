//! The images say what the ranges say.

use std::net::{Ipv4Addr, Ipv6Addr};

use geodrop_common::Class;
use proptest::prelude::*;

use super::{ipv4, ipv6};
use crate::{
    policy::Classified,
    range::{Address, Labelled, Range, boundaries, find, flatten, join_adjacent},
};

/// What the ranges say of an address.
fn said<A: Address>(ranges: &[Classified<A>], address: A) -> Class {
    find(ranges, address).map_or(Class::DEFAULT, |classified| classified.label)
}

/// Rules that nest: prefixes of any length and ranges of any ends, the smaller winning.
fn nested<A: Address>(rules: &[(u128, u32, bool, u16)]) -> Vec<Classified<A>> {
    let width = u32::from(A::WIDTH);
    let space = A::MAX.number();
    let mut labelled: Vec<_> = rules
        .iter()
        .map(|&(number, bits, is_prefix, class)| {
            let low = (1_u128.unbounded_shl(bits % (width + 1))).wrapping_sub(1) & space;
            let number = number & space;
            let (first, last) = if is_prefix {
                (number & !low, number | low)
            } else {
                (number, number.saturating_add(low).min(space))
            };
            let address = |number| A::from_number(number).unwrap();
            Labelled::new(
                Range::new(address(first), address(last)).unwrap(),
                Class::masked(class),
            )
        })
        .collect();
    labelled.sort_unstable();
    let mut ranges = flatten(labelled);
    ranges.retain(|classified| classified.label != Class::DEFAULT);
    join_adjacent(&mut ranges);
    ranges
}

fn rules() -> impl Strategy<Value = Vec<(u128, u32, bool, u16)>> {
    // Few different beginnings, so that rules meet inside of one prefix.
    let number = (any::<u128>(), 0_u32..128, any::<u128>()).prop_map(|(a, keep, b)| {
        let fixed = 0x2a01_04f8_0000_0001_0000_0000_0000_0001_u128;
        let low = u128::MAX >> keep;
        if a % 4 == 0 {
            b
        } else {
            fixed & !low | b & low
        }
    });
    prop::collection::vec((number, 0_u32..129, any::<bool>(), 0_u16..6), 0..40)
}

fn check4(ranges: &[Classified<Ipv4Addr>], more: &[Ipv4Addr]) {
    let image = ipv4(ranges).unwrap();
    for address in boundaries(ranges).chain(more.iter().copied()) {
        assert_eq!(
            image.class(address),
            said(ranges, address),
            "{address} of {ranges:?}"
        );
    }
}

fn check6(ranges: &[Classified<Ipv6Addr>], more: &[Ipv6Addr]) {
    let image = ipv6(ranges).unwrap();
    for address in boundaries(ranges).chain(more.iter().copied()) {
        assert_eq!(
            image.class(address),
            said(ranges, address),
            "{address} of {ranges:?}"
        );
    }
}

proptest! {
    #[test]
    fn an_ipv4_image_says_what_nested_rules_say(rules in rules(), more: [u32; 16]) {
        check4(&nested(&rules), &more.map(Ipv4Addr::from_bits));
    }

    #[test]
    fn an_ipv6_image_says_what_nested_rules_say(rules in rules(), more: [u128; 16]) {
        check6(&nested(&rules), &more.map(Ipv6Addr::from_bits));
    }
}

/// Every other address of so many, from a first one on.
fn every_other<A: Address>(first: A, count: u128) -> Vec<Classified<A>> {
    (0..count)
        .map(|index| A::from_number(first.number() + 2 * index).unwrap())
        .zip((1..6).cycle())
        .map(|(address, class)| {
            Labelled::new(Range::new(address, address).unwrap(), Class::masked(class))
        })
        .collect()
}

#[test]
fn more_changes_than_a_leaf_holds_are_found_behind_links() {
    check4(&every_other("192.0.2.3".parse().unwrap(), 200), &[]);
    for first in [
        "2001:db8::3",
        "2001:db8:0:1::3",
        "2001:db8:0:1:2:3:4:5",
        "ffff::",
    ] {
        check6(&every_other(first.parse().unwrap(), 200), &[]);
    }
}

#[test]
fn few_rules_and_none_are_tables_as_well() {
    check4(&[], &[Ipv4Addr::LOCALHOST]);
    check6(&[], &[Ipv6Addr::LOCALHOST]);
    let all = Labelled::new(Range::<Ipv4Addr>::ALL, Class::masked(511));
    check4(&[all], &[Ipv4Addr::LOCALHOST]);
    let all = Labelled::new(Range::<Ipv6Addr>::ALL, Class::masked(511));
    check6(&[all], &[Ipv6Addr::LOCALHOST]);
}

#[test]
fn shortcuts_are_found_for_prefixes_that_resemble_each_other() {
    // Prefixes that differ in their first bits only, in their last only, and by steps.
    let prefixes = (0_u128..40).flat_map(|n| {
        [
            n << 122,
            n << 80,
            n << 96 | 0x2001 << 112,
            (n * 0x2137) << 84,
        ]
    });
    let mut ranges: Vec<_> = prefixes
        .map(|network| Ipv6Addr::from_bits(network | 5))
        .map(|address| Labelled::new(Range::new(address, address).unwrap(), Class::masked(3)))
        .collect();
    ranges.sort_unstable();
    ranges.dedup();
    check6(&ranges, &[]);
}
