//! Tables laid by hand, as the documentation of `geodrop_common::multibit` says: what reads them is tried without what
//! builds them.

use std::net::{Ipv4Addr, Ipv6Addr};

use geodrop_common::{
    Class,
    class::CAPACITY,
    multibit::{
        LEAST_WORDS, LEAVES, Link, ROOT, Word, header, ipv4, ipv6,
        leaf::{self, LINK},
        shortcuts::Shortcuts,
    },
};

/// The first leaf that is not of a class alone, and has links.
const LINKED: u16 = 512;
const _: () = assert!(LINKED as usize == CAPACITY);

/// The first leaf without links.
const PLAIN: u16 = 513;

/// The word at which the links of `LINKED` begin: after `PLAIN` and the leaf that follows.
const LINKS: u32 = LEAST_WORDS + 3 * leaf::WORDS;

/// A table in the making.
struct Laid {
    bytes: Vec<u8>,
}

impl Laid {
    /// A table in which all addresses are of class 1.
    fn new() -> Self {
        let words = |number: u32| vec![0; 4 * number as usize];
        let mut bytes = words(ROOT);
        bytes.extend(
            Word::of_class(class(1))
                .bits()
                .to_ne_bytes()
                .repeat(1 << 16),
        );
        bytes.extend(words(LINKS + 32 - LEAVES));
        let mut laid = Self { bytes };
        laid.word(header::CELL_BITS, 16);
        laid.word(
            header::LINKS,
            (LINKS / 2).wrapping_sub(16 * u32::from(LINKED)),
        );
        laid
    }

    fn put(&mut self, first: usize, bytes: &[u8]) {
        self.bytes[first..first + bytes.len()].copy_from_slice(bytes);
    }

    fn word(&mut self, index: u32, word: u32) {
        self.put(4 * index as usize, &word.to_ne_bytes());
    }

    /// The leaf of a class alone.
    fn class(&mut self, number: u16) {
        self.leaf(number, number, &[]);
    }

    /// A leaf: what it says until the first place, and each place with what it says from there on.
    fn leaf(&mut self, number: u16, before: u16, changes: &[(u16, u16)]) {
        let mut halves = [0; 32];
        halves[..16].fill(leaf::NEVER);
        halves[16] = before;
        for (index, &(place, value)) in changes.iter().enumerate() {
            halves[index] = leaf::place(place);
            halves[17 + index] = value;
        }
        let first = 4 * (LEAVES + u32::from(number) * leaf::WORDS) as usize;
        self.put(first, &halves.map(u16::to_ne_bytes).concat());
    }

    /// The link that the leaf `LINKED` has instead of one of its values.
    fn link(&mut self, value: usize, link: Link) {
        self.put(4 * LINKS as usize + 8 * value, &link.bits().to_ne_bytes());
    }

    /// The node whose cells, of `left` bits each, name these leaves.
    fn node(&mut self, left: u32, cells: &[u16]) -> Word {
        let index = u32::try_from(self.bytes.len() / 2).unwrap();
        let cells = cells.iter().flat_map(|cell| cell.to_ne_bytes());
        self.bytes.extend(cells);
        Word::of_node(index, left).unwrap()
    }

    /// Shortcuts that know one prefix: there is one bucket, and one slot.
    fn shortcut(&mut self, shortcuts: Shortcuts, prefix: u64, node: Word) {
        self.bytes.resize(self.bytes.len().next_multiple_of(16), 0);
        let slot = self.bytes.len();
        self.bytes.extend(prefix.to_ne_bytes());
        self.bytes.extend(u64::from(node.bits()).to_ne_bytes());
        let displacement = self.bytes.len();
        self.bytes
            .extend(u32::try_from(slot / 8).unwrap().to_ne_bytes());
        let description = shortcuts.description();
        self.word(description, u32::try_from(displacement / 4).unwrap());
        self.word(description + 1, 0);
        self.word(description + 2, 0);
    }
}

fn class(number: u16) -> Class {
    Class::new(number).unwrap()
}

#[test]
fn an_ipv4_address_finds_its_leaf() {
    let mut laid = Laid::new();
    laid.class(3);
    // Of 10.20.30.0/24: up to .40, from there on, from .50 on.
    laid.leaf(PLAIN, 3, &[(40, 4), (50, 0)]);
    // Of 10.20.31.0/24 .100-.199 are behind a link, whose node leaves 6 bits to the leaves.
    laid.leaf(LINKED, 6, &[(100, LINK), (200, 511)]);
    laid.leaf(PLAIN + 1, 7, &[(63, 8)]);
    let finer = laid.node(6, &[3, PLAIN + 1, PLAIN + 1, 3]);
    laid.link(1, Link::to_finer(finer));
    let mut cells = [3; 256];
    cells[30] = PLAIN;
    cells[31] = LINKED;
    let node = laid.node(8, &cells);
    laid.word(ROOT + 0x0a14, node.bits());

    for ([a, b, c, d], number) in [
        ([0, 0, 0, 0], 1),
        ([10, 19, 255, 255], 1),
        ([10, 20, 0, 0], 3),
        ([10, 20, 30, 39], 3),
        ([10, 20, 30, 40], 4),
        ([10, 20, 30, 49], 4),
        ([10, 20, 30, 50], 0),
        ([10, 20, 30, 255], 0),
        ([10, 20, 31, 99], 6),
        ([10, 20, 31, 100], 7),
        ([10, 20, 31, 127], 8),
        ([10, 20, 31, 128], 7),
        ([10, 20, 31, 191], 8),
        ([10, 20, 31, 192], 3),
        ([10, 20, 31, 200], 511),
        ([10, 20, 255, 255], 3),
        ([10, 21, 0, 0], 1),
        ([255, 255, 255, 255], 1),
    ] {
        let address = Ipv4Addr::new(a, b, c, d);
        assert_eq!(
            ipv4::look_up(laid.bytes.as_slice(), address),
            class(number),
            "{address}"
        );
    }
}

#[test]
fn an_ipv6_address_finds_its_segment() {
    let mut laid = Laid::new();
    for number in [11, 12, 13, 14, 15] {
        laid.class(number);
    }
    // The first segment, of 2001::/16, and those that shortcuts lead to: 2001:db8::/32 and 2001:db8:1::/48.
    let first = laid.node(15, &[11, 12]).before(2);
    laid.word(ROOT + 0x2001, first.bits());
    let second = laid.node(15, &[13, 14]).before(1);
    // 2001:db8:1:100::/64 is behind a link: what 48 bits that are zero follow is told apart by the last 16.
    laid.leaf(LINKED, 15, &[(0x100, LINK), (0x101, 12)]);
    laid.leaf(PLAIN, 0, &[(2, 21), (3, 22)]);
    let last = laid.node(15, &[PLAIN, 11]);
    laid.link(1, Link::to_segment(last, 48, class(20)));
    let third = laid.node(15, &[LINKED, 13]);
    laid.put(
        8 * header::FACTOR_PAIR as usize,
        &0x1234_5678_9abc_def1_u64.to_ne_bytes(),
    );
    laid.shortcut(Shortcuts::SECOND, 0x2001_0db8, second);
    laid.shortcut(Shortcuts::THIRD, 0x2001_0db8_0001, third);

    for (address, number) in [
        ("::", 1),
        ("2000:ffff::", 1),
        ("2001::", 11),
        ("2001:7fff:ffff::", 11),
        ("2001:8000::1", 12),
        ("2001:db7:1:100::2", 11),
        ("2001:db8::", 13),
        ("2001:db8:0:100::2", 13),
        ("2001:db8:8000::", 14),
        ("2001:db8:1::", 15),
        ("2001:db8:1:ff:ffff::", 15),
        ("2001:db8:1:100::", 0),
        ("2001:db8:1:100::2", 21),
        ("2001:db8:1:100::3", 22),
        ("2001:db8:1:100::7fff", 22),
        ("2001:db8:1:100::8000", 11),
        ("2001:db8:1:100::1:2", 20),
        ("2001:db8:1:100:8000::", 20),
        ("2001:db8:1:101::", 12),
        ("2001:db8:1:8000::2", 13),
        ("2002::", 1),
        ("ffff::ffff", 1),
    ] {
        let address: Ipv6Addr = address.parse().unwrap();
        assert_eq!(
            ipv6::look_up(laid.bytes.as_slice(), address),
            class(number),
            "{address}"
        );
    }
}
