//! Prefixes for the kernel's own `BPF_MAP_TYPE_LPM_TRIE`, where the longest prefix that holds an address
//! gives its class, and an address that no prefix holds is of [`Class::DEFAULT`].
//!
//! Each entry costs memory, time to fill, and cache at every lookup, so there are as few as can be. Cutting
//! each range into prefixes is not the least: a prefix may say what most of its addresses are, and a longer
//! one inside of it what the others are. The least is found as in R. Draves, C. King, S. Venkatachary and
//! B. Zill, "Constructing Optimal IP Routing Tables" (INFOCOM 1999):
//!
//! 1. Split the address space in halves, and these again, until each part is of one class: a binary tree.
//! 2. From the leaves up, find for each part the classes that are best said of the whole of it: those that
//!    both halves are best said to be of; where there is none, those of either.
//! 3. From the root down, make an entry where what was said of a larger part is not among the best.

use geodrop_common::Class;

use crate::{
    policy::Classified,
    range::{Address, Prefix},
};

/// An entry of a trie: a prefix and the class of its addresses, unless a longer prefix says otherwise.
///
/// The kernel's key is the prefix's length as a `u32` in native byte order, then the network's octets in
/// network byte order (`struct bpf_lpm_trie_key` in the kernel's `bpf.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<A> {
    /// The prefix.
    pub prefix: Prefix<A>,
    /// The class.
    pub class: Class,
}

/// The fewest entries that say of every address what `ranges`, which are sorted and disjoint, say of it; in
/// the order of a walk through the tree. Some may be of [`Class::DEFAULT`], inside of larger ones.
#[must_use]
pub fn prefixes<A: Address>(ranges: &[Classified<A>]) -> Vec<Entry<A>> {
    let mut tree = Tree::default();
    let root = tree.grow(Prefix::ALL, ranges);
    let mut entries = Vec::new();
    tree.say(root, Prefix::ALL, Class::DEFAULT, &mut entries);
    entries
}

/// The address space in parts, with the classes that are best said of each.
#[derive(Default)]
struct Tree {
    parts: Vec<Part>,
    /// The classes of all parts, end to end.
    classes: Vec<Class>,
}

/// A part of the address space.
#[derive(Clone, Copy)]
struct Part {
    /// Where its classes begin and end among those of all parts. There is at least one.
    classes: (usize, usize),
    /// Its halves; a leaf, which is all of one class, has none.
    halves: Option<[usize; 2]>,
}

impl Tree {
    /// Adds the part that a prefix is, and all parts of it; `ranges` are those that have addresses in it.
    fn grow<A: Address>(&mut self, prefix: Prefix<A>, ranges: &[Classified<A>]) -> usize {
        let class = match ranges {
            [] => Some(Class::DEFAULT),
            [first, ..] => first.range.covers(prefix.range()).then_some(first.label),
        };
        let halves = match (class, prefix.halves()) {
            (None, Some([low, high])) => {
                let middle = high.network();
                let reach_low = ranges.partition_point(|entry| entry.range.first() < middle);
                let end_low = ranges.partition_point(|entry| entry.range.last() < middle);
                Some([
                    self.grow(low, &ranges[..reach_low]),
                    self.grow(high, &ranges[end_low..]),
                ])
            }
            _ => None,
        };
        let start = self.classes.len();
        match halves {
            Some(halves) => self.add_best_of(halves),
            // A single address is of one class, so that there always is one here.
            None => self.classes.push(class.unwrap_or(Class::DEFAULT)),
        }
        let classes = (start, self.classes.len());
        self.parts.push(Part { classes, halves });
        self.parts.len() - 1
    }

    /// Adds the classes that both halves have; where there is none, those of either.
    fn add_best_of(&mut self, halves: [usize; 2]) {
        let [low, high] = halves.map(|half| self.parts[half].classes);
        let start = self.classes.len();
        for place in low.0..low.1 {
            let class = self.classes[place];
            if self.classes[high.0..high.1].contains(&class) {
                self.classes.push(class);
            }
        }
        if self.classes.len() == start {
            self.classes.extend_from_within(low.0..low.1);
            self.classes.extend_from_within(high.0..high.1);
        }
    }

    /// Makes the entries of a part of which `said` was said as a whole.
    fn say<A: Address>(
        &self,
        part: usize,
        prefix: Prefix<A>,
        said: Class,
        entries: &mut Vec<Entry<A>>,
    ) {
        let Part { classes, halves } = self.parts[part];
        let best = &self.classes[classes.0..classes.1];
        let class = if best.contains(&said) { said } else { best[0] };
        if class != said {
            entries.push(Entry { prefix, class });
        }
        if let (Some(parts), Some(prefixes)) = (halves, prefix.halves()) {
            for (part, prefix) in parts.into_iter().zip(prefixes) {
                self.say(part, prefix, class, entries);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;
    use crate::range::{Labelled, Range, find, flatten, join_adjacent};

    fn class(number: u16) -> Class {
        Class::new(number).unwrap()
    }

    fn classified(ranges: &[(u32, u32, u16)]) -> Vec<Classified<Ipv4Addr>> {
        let labelled = ranges.iter().map(|&(first, last, number)| {
            let range = Range::new(Ipv4Addr::from_bits(first), Ipv4Addr::from_bits(last));
            Labelled::new(range.unwrap(), class(number))
        });
        let mut ranges = flatten(labelled.collect());
        ranges.retain(|classified| classified.label != Class::DEFAULT);
        join_adjacent(&mut ranges);
        ranges
    }

    fn written<A: Address>(ranges: &[Classified<A>]) -> Vec<String> {
        let entries = prefixes(ranges).into_iter();
        entries
            .map(|entry| format!("{} {}", entry.prefix, entry.class.number()))
            .collect()
    }

    /// The ranges that entries say: the longest prefix is the smallest range, and so the most specific.
    fn ranges_of<A: Address>(entries: &[Entry<A>]) -> Vec<Classified<A>> {
        let labelled = entries
            .iter()
            .map(|entry| Labelled::new(entry.prefix.range(), entry.class));
        let mut ranges = flatten(labelled.collect());
        ranges.retain(|classified| classified.label != Class::DEFAULT);
        join_adjacent(&mut ranges);
        ranges
    }

    #[test]
    fn nothing_is_said_where_nothing_differs() {
        assert!(written::<Ipv4Addr>(&[]).is_empty());
        let all = [Labelled::new(Range::<Ipv6Addr>::ALL, class(1))];
        assert_eq!(written(&all), ["::/0 1"]);
    }

    #[test]
    fn what_most_addresses_are_is_said_once() {
        // Seven of eight addresses would take three prefixes.
        assert_eq!(
            written(&classified(&[(0, 6, 1)])),
            ["0.0.0.0/29 1", "0.0.0.7/32 0"]
        );
        assert_eq!(
            written(&classified(&[(0, 7, 1), (3, 3, 2)])),
            ["0.0.0.0/29 1", "0.0.0.3/32 2"]
        );
    }

    #[test]
    fn ends_of_the_address_space_are_no_exception() {
        let ranges = classified(&[(0, 0, 1), (u32::MAX, u32::MAX, 1)]);
        assert_eq!(written(&ranges), ["0.0.0.0/32 1", "255.255.255.255/32 1"]);
        assert_eq!(
            ranges_of(&prefixes(&classified(&[(1, u32::MAX, 1)]))),
            classified(&[(1, u32::MAX, 1)])
        );
    }

    /// How few entries can say what `ranges` say of a prefix, by trying all.
    fn least(ranges: &[Classified<Ipv4Addr>], prefix: Prefix<Ipv4Addr>, said: Class) -> usize {
        let truth = find(ranges, prefix.network()).map_or(Class::DEFAULT, |entry| entry.label);
        let Some([low, high]) = prefix.halves() else {
            return usize::from(truth != said);
        };
        let cost = |class| {
            usize::from(class != said) + least(ranges, low, class) + least(ranges, high, class)
        };
        (0..3).map(class).map(cost).min().unwrap()
    }

    proptest! {
        #[test]
        fn entries_say_what_the_ranges_say(
            ranges in prop::collection::vec((any::<u32>(), any::<u32>(), 0_u16..5), 0..24),
            shift in 0_u32..32,
        ) {
            let ranges: Vec<_> = ranges
                .into_iter()
                .map(|(a, b, number)| ((a >> shift).min(b >> shift), (a >> shift).max(b >> shift), number))
                .collect();
            let ranges = classified(&ranges);
            let entries = prefixes(&ranges);
            prop_assert_eq!(ranges_of(&entries), &ranges[..]);
            let cut: usize = ranges.iter().map(|classified| classified.range.prefixes().count()).sum();
            prop_assert!(entries.len() <= cut);
        }

        #[test]
        fn there_is_no_way_with_fewer_entries(
            ranges in prop::collection::vec((0_u32..8, 0_u32..8, 0_u16..3), 0..6),
        ) {
            let ranges: Vec<_> =
                ranges.into_iter().map(|(a, b, number)| (a.min(b), a.max(b), number)).collect();
            let ranges = classified(&ranges);
            let eight = Prefix::around(Ipv4Addr::MIN, 29).unwrap();
            prop_assert_eq!(prefixes(&ranges).len(), least(&ranges, eight, Class::DEFAULT));
        }
    }
}
