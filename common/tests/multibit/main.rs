//! Lookups in a table that is laid by hand, and in memory that nobody made a table of: they end, inside of it, with a
//! class. Small enough for Miri.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot have what it needs has failed"
)]

mod laid;

use std::net::{Ipv4Addr, Ipv6Addr};

use geodrop_common::{
    Class, Table,
    class::CAPACITY,
    multibit::{LEAST_WORDS, Memory, Multibit, ipv4, ipv6},
};

/// Numbers that look like chance, the same in every run (`SplitMix64`; Steele, Lea, Flood, OOPSLA 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..length.div_ceil(8))
            .flat_map(|_| self.next().to_ne_bytes())
            .collect();
        bytes.truncate(length);
        bytes
    }

    fn ipv4(&mut self) -> Ipv4Addr {
        let [a, b, c, d, ..] = self.next().to_ne_bytes();
        Ipv4Addr::new(a, b, c, d)
    }

    fn ipv6(&mut self) -> Ipv6Addr {
        Ipv6Addr::from_bits(u128::from(self.next()) << 64 | u128::from(self.next()))
    }
}

/// Bytes that are no table: words that are cut by `mask`, so that many lead outside, or few.
fn memory(random: &mut Random, words: u32, mask: u32) -> Vec<u8> {
    // The same ones again and again, of a length that no index is a multiple of: all random would take Miri minutes.
    let mut pattern = random.bytes(4 * 251);
    for word in pattern.chunks_exact_mut(4) {
        for (byte, mask) in word.iter_mut().zip(mask.to_ne_bytes()) {
            *byte &= mask;
        }
    }
    let length = 4 * words as usize;
    let mut bytes = pattern.repeat(length.div_ceil(pattern.len()));
    bytes.truncate(length);
    bytes
}

fn look_up_some(bytes: &[u8], random: &mut Random, count: u32) {
    for _ in 0..count {
        assert!(ipv4::look_up(bytes, random.ipv4()).index() < CAPACITY);
        assert!(ipv6::look_up(bytes, random.ipv6()).index() < CAPACITY);
    }
    for address in [Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST] {
        assert!(ipv4::look_up(bytes, address).index() < CAPACITY);
    }
    for address in [Ipv6Addr::UNSPECIFIED, Ipv6Addr::from_bits(u128::MAX)] {
        assert!(ipv6::look_up(bytes, address).index() < CAPACITY);
    }
}

#[test]
fn any_bytes_give_a_class() {
    let mut random = Random(1);
    // What a processor does in a millisecond takes Miri a second or more.
    let count = if cfg!(miri) { 12 } else { 4096 };
    for words in [LEAST_WORDS, LEAST_WORDS + 4097] {
        // All of them; indices that lie inside; no flags, so that it goes on; nothing but flags.
        for mask in [u32::MAX, 0x003f_ffff, 0x003f_ffef, 0x0000_001f] {
            let bytes = memory(&mut random, words, mask);
            look_up_some(&bytes, &mut random, count);
        }
    }
}

#[test]
fn memory_that_ends_early_gives_the_default_class() {
    let mut random = Random(2);
    for length in [0, 1, 3, 4, 63, 64, 65, 4095] {
        let bytes = random.bytes(length);
        for _ in 0..16 {
            // The root is not there, or not the place that is asked for.
            let address = random.ipv4();
            let outside = usize::from(address.octets()[0]) * 1024 + 64 > length;
            assert!(!outside || ipv4::look_up(bytes.as_slice(), address) == Class::DEFAULT);
            let address = random.ipv6();
            let outside = usize::from(address.octets()[0]) * 1024 + 64 > length;
            assert!(!outside || ipv6::look_up(bytes.as_slice(), address) == Class::DEFAULT);
        }
    }
}

#[test]
fn nothing_is_read_beyond_the_last_byte() {
    let bytes: Vec<u8> = (0..67).collect();
    for index in (0..80).chain([
        u32::MAX / 8,
        u32::MAX / 4,
        u32::MAX / 2,
        u32::MAX - 1,
        u32::MAX,
    ]) {
        let inside = |size: u64| (u64::from(index) + 1) * size <= 67;
        assert_eq!(bytes.half(index).is_some(), inside(2));
        assert_eq!(bytes.word(index).is_some(), inside(4));
        assert_eq!(bytes.pairs::<1>(index).is_some(), inside(8));
        let four = (u64::from(index) + 4) * 8 <= 67;
        assert_eq!(bytes.pairs::<4>(index).is_some(), four);
    }
}

#[test]
fn both_families_have_a_memory_of_their_own() {
    /// A memory of which every word is this one.
    struct Everywhere(u32);

    impl Memory for Everywhere {
        fn half(&self, _index: u32) -> Option<u16> {
            None
        }

        fn word(&self, _index: u32) -> Option<u32> {
            Some(self.0)
        }

        fn pairs<const N: usize>(&self, _index: u32) -> Option<[u64; N]> {
            None
        }
    }

    let [one, two] = [1, 2].map(|number| Class::new(number).unwrap());
    let of = |class| Everywhere(geodrop_common::multibit::Word::of_class(class).bits());
    let table = Multibit {
        ipv4: of(one),
        ipv6: of(two),
    };
    assert_eq!(table.ipv4(Ipv4Addr::LOCALHOST), one);
    assert_eq!(table.ipv6(Ipv6Addr::LOCALHOST), two);
}
