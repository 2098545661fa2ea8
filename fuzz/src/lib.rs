//! What fuzz targets share: rules and addresses made of arbitrary bytes, and what holds of every parser.
//!
//! What is drawn evenly from the address space hardly ever meets. So numbers are mostly drawn near a few anchors,
//! and share their first bits with one of them, however many: rules then nest and cross inside of one /24, one
//! /48, one /64, and at both ends of the space.

mod memory;
pub mod parsers;

use arbitrary::Arbitrary;
use geodrop::{
    Class,
    policy::Classified,
    range::{Address, Labelled, Range, flatten, join_adjacent},
};

/// The addresses, by their first bits, near which all things happen: both ends of the space, and places in the
/// midst of it.
const ANCHORS: [u128; 4] = [
    0,
    u128::MAX,
    0x2a01_04f8_0000_0001_0000_0000_0000_0001,
    0x7fff_ffff_ffff_ffff_ffff_ffff_ffff_ffff,
];

/// More rules than these only make it slow.
const MOST_RULES: usize = 400;

/// An address of either family.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Place {
    anchor: u8,
    /// How many of its first bits are the anchor's.
    shared: u8,
    /// What the others are.
    rest: u64,
    /// Whether `rest` counts from the last bit, or stands right after the shared bits.
    at_the_end: bool,
}

impl Place {
    /// The address.
    pub fn address<A: Address>(self) -> A {
        let free = u128::MAX.unbounded_shr(u32::from(self.shared) % 129);
        let anchor = ANCHORS[usize::from(self.anchor) % ANCHORS.len()];
        let rest = if self.at_the_end {
            u128::from(self.rest) << (128 - u32::from(A::WIDTH))
        } else {
            (u128::from(self.rest) << 64).unbounded_shr(u32::from(self.shared) % 129)
        };
        // IPv4 has the first bits.
        let number = (anchor & !free | rest & free) >> (128 - u32::from(A::WIDTH));
        A::from_number(number).unwrap_or(A::MAX)
    }
}

/// What a rule covers, from its place on.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Extent {
    /// The prefix of so many bits around the place.
    Prefix(u8),
    /// So many addresses more.
    Addresses(u32),
    /// Up to another place, or from there.
    Until(Place),
    /// All addresses.
    All,
    /// Ranges one after another, and gaps between them, in steps of a power of two: more than one leaf holds.
    Comb { count: u8, step: u8, width: u8 },
}

/// A class for some addresses.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Rule {
    place: Place,
    extent: Extent,
    class: u8,
}

impl Rule {
    fn ranges<A: Address>(self, ranges: &mut Vec<Classified<A>>) {
        let place: A = self.place.address();
        let (number, most) = (place.number(), A::MAX.number());
        let mut add = |first: u128, last: u128, class| {
            if let (Some(first), Some(last)) =
                (A::from_number(first), A::from_number(last.min(most)))
                && let Ok(range) = Range::new(first, last)
            {
                ranges.push(Labelled::new(range, class));
            }
        };
        match self.extent {
            Extent::Prefix(length) => {
                let length = u32::from(length) % (u32::from(A::WIDTH) + 1);
                let hosts = most.unbounded_shr(length);
                add(number & !hosts, number | hosts, class(self.class));
            }
            Extent::Addresses(more) => {
                add(
                    number,
                    number.saturating_add(more.into()),
                    class(self.class),
                );
            }
            Extent::Until(other) => {
                let other = other.address::<A>().number();
                add(number.min(other), number.max(other), class(self.class));
            }
            Extent::All => add(0, most, class(self.class)),
            Extent::Comb { count, step, width } => {
                let step = 1_u128 << (u32::from(step) % u32::from(A::WIDTH));
                let width = u128::from(width) % step;
                for tooth in 0..count % 128 {
                    let first = number.saturating_add(step.saturating_mul(tooth.into()));
                    let class = class(self.class.wrapping_add(tooth % 3));
                    add(first, first.saturating_add(width), class);
                }
            }
        }
    }
}

/// A class; the last ones that there are stand for the last numbers.
const fn class(number: u8) -> Class {
    let number = number as u16;
    Class::masked(if number < 0xf0 {
        number
    } else {
        number | 0xff00
    })
}

/// The ranges of rules that may nest and cross, as a rule set has them: disjoint, in order, none of the default
/// class, and no two neighbours of one.
pub fn ranges<A: Address>(rules: &[Rule]) -> Vec<Classified<A>> {
    let mut nested = Vec::new();
    for rule in rules.iter().take(MOST_RULES) {
        rule.ranges(&mut nested);
    }
    let mut ranges = flatten(nested);
    ranges.retain(|classified| classified.label != Class::DEFAULT);
    join_adjacent(&mut ranges);
    ranges
}

/// The addresses at which something changes, and their neighbours.
pub fn boundaries<A: Address>(ranges: &[Classified<A>]) -> impl Iterator<Item = A> {
    let ends = ranges.iter().flat_map(|classified| {
        let (first, last) = (classified.range.first(), classified.range.last());
        [
            first.predecessor(),
            Some(first),
            first.successor(),
            last.predecessor(),
            Some(last),
            last.successor(),
        ]
    });
    ends.flatten().chain([A::MIN, A::MAX])
}
