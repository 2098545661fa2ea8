//! Whatever bytes a table has, a lookup in them ends, reads nothing outside of them and gives a class; and a table
//! that is not what was written is found out.

#![no_main]

use std::{
    fmt::Debug,
    net::{Ipv4Addr, Ipv6Addr},
};

use arbitrary::Arbitrary;
use geodrop::{
    Class,
    range::Address,
    table::multibit::{self, Image},
};
use geodrop_common::{
    class::CAPACITY,
    multibit::{LEAST_WORDS, ipv4, ipv6},
};
use geodrop_fuzz::{Place, Rule, boundaries, ranges};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    ipv6: bool,
    places: Vec<Place>,
    memory: Memory,
}

#[derive(Arbitrary, Debug)]
enum Memory {
    /// These bytes, again and again: a table is larger than what a fuzzer likes to make up.
    Bytes { words: u32, pattern: Vec<u8> },
    /// A real image, some of whose words are changed.
    Image {
        rules: Vec<Rule>,
        changes: Vec<Change>,
    },
}

#[derive(Arbitrary, Clone, Copy, Debug)]
struct Change {
    index: u32,
    value: u32,
    /// Whether the index counts from the header, where the most can be broken.
    in_header: bool,
}

/// Changes words; returns whether anything is different.
fn change(bytes: &mut [u8], changes: &[Change]) -> bool {
    let before = bytes.to_vec();
    for Change {
        index,
        value,
        in_header,
    } in changes
    {
        let words = if *in_header { 16 } else { bytes.len() / 4 };
        let first = *index as usize % words * 4;
        bytes[first..first + 4].copy_from_slice(&value.to_ne_bytes());
    }
    bytes != before
}

fn check<A: Address, I: Debug>(
    memory: Memory,
    places: &[Place],
    build: impl Fn(&[Rule]) -> (Vec<u8>, Vec<A>),
    load: impl Fn(&[u8]) -> Result<I, multibit::Corrupt>,
    look_up: impl Fn(&[u8], A) -> Class,
) {
    let mut addresses: Vec<A> = places.iter().map(|place| place.address()).collect();
    let bytes = match memory {
        Memory::Bytes { words, pattern } => {
            let length = 4 * (words % (2 * LEAST_WORDS)) as usize;
            let mut bytes: Vec<u8> = pattern.iter().copied().cycle().take(length).collect();
            // Lengths that are no multiple of anything.
            bytes.extend(&pattern);
            let _ = load(&bytes);
            bytes
        }
        Memory::Image { rules, changes } => {
            let (mut bytes, boundaries) = build(&rules);
            addresses.extend(boundaries);
            assert!(load(&bytes[..bytes.len() - 1]).is_err());
            assert!(load(&[&bytes[..], &[0; 8]].concat()).is_err());
            // A checksum of 32 bits finds whatever is different within 32 bits in a row.
            if change(&mut bytes, &changes) && changes.len() == 1 {
                load(&bytes).expect_err("it is not what was written");
            } else {
                let _ = load(&bytes);
            }
            bytes
        }
    };
    for address in addresses {
        assert!(look_up(&bytes, address).index() < CAPACITY);
    }
}

fuzz_target!(|input: Input| {
    let Input {
        ipv6,
        places,
        memory,
    } = input;
    if ipv6 {
        let build = |rules: &[Rule]| {
            let ranges = ranges::<Ipv6Addr>(rules);
            let image = multibit::ipv6(&ranges).expect("few ranges are no large table");
            (image.bytes().to_vec(), boundaries(&ranges).collect())
        };
        check(
            memory,
            &places,
            build,
            Image::<Ipv6Addr>::from_bytes,
            ipv6::look_up::<[u8]>,
        );
    } else {
        let build = |rules: &[Rule]| {
            let ranges = ranges::<Ipv4Addr>(rules);
            let image = multibit::ipv4(&ranges).expect("few ranges are no large table");
            (image.bytes().to_vec(), boundaries(&ranges).collect())
        };
        check(
            memory,
            &places,
            build,
            Image::<Ipv4Addr>::from_bytes,
            ipv4::look_up::<[u8]>,
        );
    }
});
