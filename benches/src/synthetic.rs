//! Tables of as many prefixes as one likes.
//!
//! What is published about lookups is about tables of 10,000, 100,000 and a million prefixes; ours of real data
//! have other sizes. These have just so many:
//!
//! - **Lengths** are as frequent as among the prefixes of the built-in data, the fewest that hold each of its ranges.
//!   What registries hand out is what a filter by region is made of, and its lengths are spread wider than those of a
//!   BGP table, which published measurements are of: there, /24 and /48 outnumber all others. And the data is in
//!   this repository, so nobody needs to believe a list of shares.
//! - **Networks** are anywhere in [`Family::space`], each alike. Real ones lie in clusters, which share cache lines;
//!   these do not, so a table of them is harder than a real one of as many prefixes.
//! - **Classes** are drawn from [`CLASSES`], each alike, as many as there are countries: neighbours rarely agree.
//!
//! A prefix that lies in another decides for its addresses, as in a routing table.
//!
//! All is drawn from a seed: the same table every time.

use std::collections::BTreeMap;

use fastrand::Rng;
use geodrop::{
    Class,
    policy::Classified,
    range::{Labelled, Prefix, flatten, join_adjacent},
};

use crate::{family::Family, traffic::address_in};

/// How many classes there are.
pub const CLASSES: u16 = 250;

/// Any number would do.
const SEED: u64 = 0x6765_6f64_726f_7001;

/// The ranges of a table of so many prefixes, no two the same, of the lengths of `real` ones: sorted, disjoint, and
/// no two neighbours of one class. Without real prefixes there is no length to draw, and the table is empty.
#[must_use]
pub fn ranges<A: Family>(count: usize, real: &[Prefix<A>]) -> Vec<Classified<A>> {
    let labelled = prefixes(count, real)
        .into_iter()
        .map(|(prefix, class)| Labelled::new(prefix.range(), class))
        .collect();
    let mut ranges = flatten(labelled);
    join_adjacent(&mut ranges);
    ranges
}

/// The prefixes of a table, each with its class.
fn prefixes<A: Family>(count: usize, real: &[Prefix<A>]) -> BTreeMap<Prefix<A>, Class> {
    let mut rng = Rng::with_seed(SEED);
    let mut prefixes = BTreeMap::new();
    while prefixes.len() < count {
        let Some(length) = rng.choice(real).map(|real| real.length()) else {
            break;
        };
        let address = address_in(&mut rng, A::space());
        if let Some(prefix) = Prefix::around(address, length) {
            // 0 is what addresses of no range are.
            let class = Class::masked(rng.u16(1..=CLASSES));
            prefixes.entry(prefix).or_insert(class);
        }
    }
    prefixes
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use geodrop::geoip;

    use super::*;
    use crate::tables::real_prefixes;

    #[test]
    fn there_are_as_many_prefixes_as_asked_for_of_real_lengths() {
        fn check<A: Family>(regions: &geoip::Regions) {
            let real = real_prefixes::<A>(regions);
            let prefixes = prefixes(10_000, &real);
            assert_eq!(prefixes.len(), 10_000);
            let share = |lengths: &mut dyn Iterator<Item = u8>, of: u8, all: usize| {
                lengths.filter(|&length| length == of).count() * 100 / all
            };
            for length in 0..=A::WIDTH {
                let drawn = share(&mut prefixes.keys().map(|p| p.length()), length, 10_000);
                let wanted = share(&mut real.iter().map(|p| p.length()), length, real.len());
                assert!(drawn.abs_diff(wanted) <= 2, "/{length}: {drawn} {wanted}");
            }
            let (first, last) = (A::space().first(), A::space().last());
            let inside =
                |prefix: &Prefix<A>| prefix.range().last() >= first && prefix.network() <= last;
            assert!(prefixes.keys().all(inside));
        }
        let regions = geoip::builtin().unwrap().regions;
        check::<Ipv4Addr>(&regions);
        check::<Ipv6Addr>(&regions);
    }

    #[test]
    fn ranges_are_sorted_disjoint_and_the_same_every_time() {
        let regions = geoip::builtin().unwrap().regions;
        let real = real_prefixes::<Ipv4Addr>(&regions);
        let ranges = ranges(10_000, &real);
        assert!(ranges.len() > 5_000, "{}", ranges.len());
        assert!(ranges.is_sorted_by(|one, next| one.range.last() < next.range.first()));
        assert!(
            ranges
                .iter()
                .all(|range| (1..=CLASSES).contains(&range.label.number()))
        );
        assert_eq!(ranges, super::ranges(10_000, &real));
    }

    #[test]
    fn the_most_specific_prefix_decides() {
        let real = [8, 32].map(|length| Prefix::around(Ipv4Addr::LOCALHOST, length).unwrap());
        let prefixes = prefixes(600, &real);
        let ranges = ranges(600, &real);
        for (prefix, class) in prefixes.iter().filter(|(prefix, _)| prefix.length() == 32) {
            let found = geodrop::range::find(&ranges, prefix.network()).unwrap();
            assert_eq!(found.label, *class);
        }
    }

    #[test]
    fn nothing_comes_of_nothing() {
        assert!(ranges::<Ipv4Addr>(10, &[]).is_empty());
    }
}
