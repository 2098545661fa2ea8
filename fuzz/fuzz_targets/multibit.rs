//! A multibit trie says of every address what the ranges say that it was built of.

#![no_main]

use std::net::{Ipv4Addr, Ipv6Addr};

use arbitrary::Arbitrary;
use geodrop::{
    Class,
    policy::Classified,
    range::{Address, find},
    table::multibit::{self, Image},
};
use geodrop_fuzz::{Place, Rule, boundaries, ranges};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    ipv6: bool,
    /// Where to look as well.
    places: Vec<Place>,
    rules: Vec<Rule>,
}

fn check<A: Address>(ranges: &[Classified<A>], places: &[Place], look_up: impl Fn(A) -> Class) {
    let places = places.iter().map(|place| place.address());
    for address in boundaries(ranges).chain(places) {
        let said = find(ranges, address).map_or(Class::DEFAULT, |classified| classified.label);
        assert_eq!(look_up(address), said, "{address} of {ranges:?}");
    }
}

fuzz_target!(|input: Input| {
    if input.ipv6 {
        let ranges = ranges::<Ipv6Addr>(&input.rules);
        let image = multibit::ipv6(&ranges).expect("few ranges are no large table");
        check(&ranges, &input.places, |address| image.class(address));
        assert_eq!(Image::from_bytes(image.bytes()), Ok(image));
    } else {
        let ranges = ranges::<Ipv4Addr>(&input.rules);
        let image = multibit::ipv4(&ranges).expect("few ranges are no large table");
        check(&ranges, &input.places, |address| image.class(address));
        assert_eq!(Image::from_bytes(image.bytes()), Ok(image));
    }
});
