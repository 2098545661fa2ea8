//! Ranges that say something, in sorted lists.

use super::{Address, Range};

/// A range of addresses and what is said of them: a country, a class, a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labelled<A, T> {
    /// The addresses.
    pub range: Range<A>,
    /// What is said of every one of them.
    pub label: T,
}

impl<A, T> Labelled<A, T> {
    /// Says `label` of all addresses of `range`.
    pub const fn new(range: Range<A>, label: T) -> Self {
        Self { range, label }
    }
}

/// The range that holds an address, in a sorted and disjoint list; in O(log n).
#[must_use]
pub fn find<A: Address, T>(list: &[Labelled<A, T>], address: A) -> Option<&Labelled<A, T>> {
    let after = list.partition_point(|entry| entry.range.first <= address);
    let candidate = list[..after].last()?;
    candidate.range.contains(address).then_some(candidate)
}

/// The addresses at which what a list says changes, the neighbours of these, and the ends of the address space: where
/// what is made of the list is wrong, if it is wrong anywhere.
pub fn boundaries<A: Address, T>(list: &[Labelled<A, T>]) -> impl Iterator<Item = A> {
    let ends = list.iter().flat_map(|entry| {
        let Range { first, last } = entry.range;
        [
            first.predecessor(),
            Some(first),
            Some(last),
            last.successor(),
        ]
    });
    ends.flatten().chain([A::MIN, A::MAX])
}

/// Joins ranges of a sorted and disjoint list that touch and say the same.
pub fn join_adjacent<A: Address, T: PartialEq>(list: &mut Vec<Labelled<A, T>>) {
    list.dedup_by(|next, kept| {
        let joins =
            kept.label == next.label && kept.range.last.successor() == Some(next.range.first);
        if joins {
            kept.range.last = next.range.last;
        }
        joins
    });
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn list(ranges: &[(u32, u32, char)]) -> Vec<Labelled<Ipv4Addr, char>> {
        ranges
            .iter()
            .map(|&(first, last, label)| {
                let range = Range::new(Ipv4Addr::from_bits(first), Ipv4Addr::from_bits(last));
                Labelled::new(range.unwrap(), label)
            })
            .collect()
    }

    #[test]
    fn finds_the_range_that_holds_an_address() {
        let list = list(&[(2, 3, 'a'), (4, 4, 'b'), (7, u32::MAX, 'c')]);
        let found: String = (0..9)
            .map(|address| {
                find(&list, Ipv4Addr::from_bits(address)).map_or('-', |entry| entry.label)
            })
            .collect();
        assert_eq!(found, "--aab--cc");
        assert_eq!(find(&list, Ipv4Addr::BROADCAST).unwrap().label, 'c');
        assert_eq!(find::<_, char>(&[], Ipv4Addr::LOCALHOST), None);
    }

    #[test]
    fn joins_only_what_touches_and_says_the_same() {
        let mut joined = list(&[
            (0, 1, 'a'),
            (2, 3, 'a'),
            (4, 4, 'b'),
            (6, 6, 'b'),
            (7, u32::MAX, 'b'),
        ]);
        join_adjacent(&mut joined);
        assert_eq!(
            joined,
            list(&[(0, 3, 'a'), (4, 4, 'b'), (6, u32::MAX, 'b')])
        );
    }
}
