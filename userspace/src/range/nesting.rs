//! Nested ranges made disjoint.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
};

use super::{Address, Labelled, Range};

/// Makes disjoint ranges, in order, of ranges that may nest, cross and come in any order: each address gets
/// the label of the most specific range that holds it.
///
/// - The most specific range is the one with the fewest addresses; where ranges nest, that is the innermost.
/// - Of crossing ranges of one size, it is the one that begins first; of equal ranges, the one with the
///   smaller label. So the outcome depends on the ranges alone, never on the order in which they come.
/// - Boundaries stay: two ranges that touch are not joined, even if they say the same.
///
/// A sweep from the first address to the last, which keeps the ranges around its present place in a heap:
/// O(n log n).
#[must_use]
pub fn flatten<A: Address, T: Copy + Ord>(mut ranges: Vec<Labelled<A, T>>) -> Vec<Labelled<A, T>> {
    // A stable sort takes linear time where the ranges come in order, as most files have them.
    ranges.sort_by_key(|entry| entry.range.first);
    if ranges.is_sorted_by(|one, next| one.range.last < next.range.first) {
        return ranges;
    }
    let mut to_come = ranges.into_iter().peekable();
    let mut around = BinaryHeap::new();
    let mut flat: Vec<Labelled<A, T>> = Vec::with_capacity(to_come.len());
    let mut latest = None;
    let mut place = A::MIN;
    loop {
        while let Some(entry) = to_come.next_if(|entry| entry.range.first <= place) {
            around.push(Reverse(Specific(entry)));
        }
        while around
            .peek()
            .is_some_and(|Reverse(Specific(entry))| entry.range.last < place)
        {
            around.pop();
        }
        let next = to_come.peek().map(|entry| entry.range.first);
        let Some(&Reverse(Specific(winner))) = around.peek() else {
            let Some(next) = next else { return flat };
            place = next;
            continue;
        };
        // The winner has the addresses up to its end, or up to where a range begins that may beat it.
        let last = match next.and_then(A::predecessor) {
            Some(before_next) => before_next.min(winner.range.last),
            None => winner.range.last,
        };
        match flat.last_mut() {
            // What began did not beat it: its addresses go on.
            Some(piece)
                if latest == Some(winner) && piece.range.last.successor() == Some(place) =>
            {
                piece.range.last = last;
            }
            _ => flat.push(Labelled::new(Range { first: place, last }, winner.label)),
        }
        latest = Some(winner);
        let Some(after) = last.successor() else {
            return flat;
        };
        place = after;
    }
}

/// A range, ordered from the most specific to the least.
#[derive(PartialEq, Eq)]
struct Specific<A, T>(Labelled<A, T>);

impl<A: Address, T: Ord> Ord for Specific<A, T> {
    fn cmp(&self, other: &Self) -> Ordering {
        let size = |entry: &Labelled<A, T>| entry.range.size();
        size(&self.0)
            .cmp(&size(&other.0))
            .then_with(|| self.0.cmp(&other.0))
    }
}

impl<A: Address, T: Ord> PartialOrd for Specific<A, T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    fn labelled(first: u32, last: u32, label: u8) -> Labelled<Ipv4Addr, u8> {
        let range = Range::new(Ipv4Addr::from_bits(first), Ipv4Addr::from_bits(last));
        Labelled::new(range.unwrap(), label)
    }

    fn flat(ranges: &[(u32, u32, u8)]) -> Vec<(u32, u32, u8)> {
        flatten(
            ranges
                .iter()
                .map(|&(first, last, label)| labelled(first, last, label))
                .collect(),
        )
        .iter()
        .map(|entry| {
            (
                entry.range.first.to_bits(),
                entry.range.last.to_bits(),
                entry.label,
            )
        })
        .collect()
    }

    #[test]
    fn the_innermost_range_wins_whatever_the_order() {
        let truth = [(0, 3, 1), (4, 4, 2), (5, 5, 3), (6, 7, 2), (8, 15, 1)];
        assert_eq!(flat(&[(0, 15, 1), (4, 7, 2), (5, 5, 3)]), truth);
        assert_eq!(flat(&[(5, 5, 3), (4, 7, 2), (0, 15, 1)]), truth);
    }

    #[test]
    fn a_range_that_shares_an_end_is_nested_too() {
        assert_eq!(flat(&[(0, 9, 1), (0, 4, 2)]), [(0, 4, 2), (5, 9, 1)]);
        assert_eq!(flat(&[(0, 9, 1), (5, 9, 2)]), [(0, 4, 1), (5, 9, 2)]);
        assert_eq!(
            flat(&[(0, u32::MAX, 1), (9, u32::MAX, 2)]),
            [(0, 8, 1), (9, u32::MAX, 2)]
        );
    }

    #[test]
    fn of_crossing_ranges_the_smaller_wins_and_of_equal_sizes_the_first() {
        assert_eq!(flat(&[(0, 9, 1), (8, 11, 2)]), [(0, 7, 1), (8, 11, 2)]);
        assert_eq!(flat(&[(0, 3, 1), (2, 11, 2)]), [(0, 3, 1), (4, 11, 2)]);
        assert_eq!(flat(&[(2, 5, 1), (0, 3, 2)]), [(0, 3, 2), (4, 5, 1)]);
    }

    #[test]
    fn boundaries_stay_where_neighbours_say_the_same() {
        assert_eq!(flat(&[(0, 3, 1), (4, 7, 1)]), [(0, 3, 1), (4, 7, 1)]);
        // The larger range begins inside the smaller and does not cut it in two.
        assert_eq!(flat(&[(0, 3, 1), (2, 9, 1)]), [(0, 3, 1), (4, 9, 1)]);
    }

    #[test]
    fn of_nothing_comes_nothing() {
        assert_eq!(flat(&[]), []);
        assert_eq!(flat(&[(0, u32::MAX, 1)]), [(0, u32::MAX, 1)]);
    }

    proptest! {
        /// Against a model that asks every range about every address.
        #[test]
        fn every_address_gets_the_most_specific_label(
            ranges in prop::collection::vec((0_u32..64, 0_u32..64, 0_u8..4), 0..24),
            at_the_end: bool,
        ) {
            let offset = if at_the_end { u32::MAX - 63 } else { 0 };
            let ranges: Vec<_> = ranges
                .into_iter()
                .map(|(a, b, label)| labelled(offset + a.min(b), offset + a.max(b), label))
                .collect();
            let flat = flatten(ranges.clone());
            prop_assert!(flat.windows(2).all(|pair| pair[0].range.last < pair[1].range.first));
            for address in (0..64).map(|address| Ipv4Addr::from_bits(offset + address)) {
                let truth = ranges
                    .iter()
                    .filter(|entry| entry.range.contains(address))
                    .min_by_key(|entry| (entry.range.size(), entry.range.first, entry.label))
                    .map(|entry| entry.label);
                let found = super::super::find(&flat, address).map(|entry| entry.label);
                prop_assert_eq!(found, truth);
            }
        }
    }
}
