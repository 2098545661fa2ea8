//! Which addresses are looked up.
//!
//! A lookup is as dear as the memory that it reads is far away, so the addresses decide the figure. A program
//! that looks up one address over and over finds everything in the nearest cache; so [`COUNT`] addresses
//! are drawn beforehand, and looked up one after the other. They are drawn from a seed: every run and every
//! engine meets the same ones.

use fastrand::Rng;
use geodrop::{policy::Classified, range::Range};

use crate::family::Family;

/// How many addresses there are to look up: a power of two. More than 2^18 of them differ in every traffic.
pub const COUNT: u32 = 1 << 19;

/// Any number would do.
const SEED: u64 = 0x6765_6f64_726f_7000;

/// Where packets come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// From every address of [`Family::space`] alike: what a scan of all of the Internet's addresses is from.
    Uniform,
    /// From every range of the table alike, and from every address of the range alike: all of the table is
    /// read, small ranges as often as large ones. The cruel case for caches.
    OverRanges,
}

impl Traffic {
    /// All traffics.
    pub const ALL: [Self; 2] = [Self::Uniform, Self::OverRanges];

    /// The name, as it stands in the names of benches.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::OverRanges => "over ranges",
        }
    }

    /// Draws addresses; `ranges` are the table's. Where there are none, both traffics are uniform.
    #[must_use]
    pub fn addresses<A: Family>(self, ranges: &[Classified<A>], count: u32) -> Vec<A> {
        let mut rng = Rng::with_seed(SEED);
        (0..count)
            .map(|_| {
                let range = match self {
                    Self::Uniform => None,
                    Self::OverRanges => rng.choice(ranges).map(|classified| classified.range),
                };
                address(&mut rng, range.unwrap_or_else(A::space))
            })
            .collect()
    }
}

/// Draws an address of a range.
fn address<A: Family>(rng: &mut Rng, range: Range<A>) -> A {
    let number = rng.u128(range.first().number()..=range.last().number());
    // A number between two addresses is one.
    A::from_number(number).unwrap_or(range.first())
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use geodrop::{
        Class, geoip,
        range::{Labelled, find},
    };

    use super::*;
    use crate::tables::Table;

    fn ranges(ends: &[(u32, u32)]) -> Vec<Classified<Ipv4Addr>> {
        ends.iter()
            .map(|&(first, last)| {
                let range = Range::new(first.into(), last.into()).unwrap();
                Labelled::new(range, Class::DEFAULT)
            })
            .collect()
    }

    #[test]
    fn every_range_is_drawn_alike_however_large() {
        let ranges = ranges(&[(7, 7), (100, 199), (1 << 30, u32::MAX)]);
        let addresses = Traffic::OverRanges.addresses(&ranges, 30_000);
        for range in &ranges {
            let drawn = addresses
                .iter()
                .filter(|&&address| range.range.contains(address));
            // Six standard deviations.
            assert!(drawn.count().abs_diff(10_000) < 490, "{}", range.range);
        }
    }

    #[test]
    fn every_address_of_a_range_is_drawn_alike() {
        let drawn = Traffic::OverRanges.addresses(&ranges(&[(100, 103)]), 40_000);
        for address in 100..104 {
            let count = drawn.iter().filter(|drawn| drawn.to_bits() == address);
            assert!(count.count().abs_diff(10_000) < 520, "{address}");
        }
    }

    #[test]
    fn uniform_traffic_fills_the_space() {
        let half = |bits: u128, last: u128| bits > last / 2;
        let ipv4: Vec<Ipv4Addr> = Traffic::Uniform.addresses(&[], 10_000);
        let upper = ipv4
            .iter()
            .filter(|address| half(address.to_bits().into(), u32::MAX.into()));
        assert!(upper.count().abs_diff(5_000) < 300);

        let space = Ipv6Addr::space();
        let ipv6: Vec<Ipv6Addr> = Traffic::Uniform.addresses(&[], 10_000);
        assert!(ipv6.iter().all(|&address| space.contains(address)));
        let upper = ipv6
            .iter()
            .filter(|address| address.segments()[0] >= 0x3000);
        assert!(upper.count().abs_diff(5_000) < 300);
    }

    #[test]
    fn the_same_addresses_are_drawn_every_time() {
        let ranges = ranges(&[(0, 9), (1 << 20, 1 << 30)]);
        for traffic in Traffic::ALL {
            assert_eq!(
                traffic.addresses(&ranges, 100),
                traffic.addresses(&ranges, 100)
            );
        }
    }

    #[test]
    fn enough_addresses_differ_and_all_are_where_they_should_be() {
        fn check<A: Family>(ranges: &[Classified<A>], table: Table) {
            for traffic in Traffic::ALL {
                let mut addresses = traffic.addresses(ranges, COUNT);
                addresses.sort_unstable();
                addresses.dedup();
                let case = format!("{} {} {}", A::NAME, table.name(), traffic.name());
                assert!(addresses.len() > 1 << 18, "{case}: {}", addresses.len());
                if traffic == Traffic::OverRanges {
                    let inside = |&address| find(ranges, address).is_some();
                    assert!(addresses.iter().all(inside), "{case}");
                }
            }
        }
        assert!(COUNT.is_power_of_two());
        let regions = geoip::builtin().unwrap().regions;
        for table in Table::ALL {
            let ruleset = table.ruleset(&regions);
            check(ruleset.ipv4(), table);
            check(ruleset.ipv6(), table);
        }
    }
}
