//! Which addresses are looked up.
//!
//! A lookup is as dear as the memory that it reads is far away, so the addresses decide the figure. A program
//! that looks up one address over and over finds everything in the nearest cache; so [`COUNT`] addresses
//! are drawn beforehand, and looked up one after the other. They are drawn from a seed: every run and every
//! engine meets the same ones.

use fastrand::Rng;
use geodrop::{
    policy::Classified,
    range::{Prefix, Range},
};

use crate::family::Family;

/// How many addresses there are to look up: a power of two. More than 2^18 of them differ in every traffic but
/// that of a single flow.
pub const COUNT: u32 = 1 << 19;

/// How much rarer a prefix of a higher rank is: that of rank k is met as often as `1 / k^EXPONENT`.
///
/// This is Zipf's law as it was first told. What was measured of popularity on the Internet lies near to it: S.
/// Krashakov, A. Teslyuk and L. Shchur, "On the universality of rank distributions of website popularity"
/// (Computer Networks, 2006; arXiv:cs/0404010) find exponents from 0.60 to 1.03 in what others measured.
pub const EXPONENT: f64 = 1.0;

/// Any number would do.
pub(crate) const SEED: u64 = 0x6765_6f64_726f_7000;

/// Where packets come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// From every address of [`Family::space`] alike: what a scan of all of the Internet's addresses is from.
    Uniform,
    /// From every range of the table alike, and from every address of the range alike: all of the table is
    /// read, small ranges as often as large ones. The cruel case for caches.
    OverRanges,
    /// From the prefixes of the real Internet, few of them often and most rarely (see [`EXPONENT`]), whatever the
    /// table holds; which prefix has which rank is drawn. What a server meets on a day without attack.
    Zipf,
    /// From one address of the table: everything is in the nearest cache. The kind case, and what a benchmark
    /// shows that repeats one packet.
    SingleFlow,
}

impl Traffic {
    /// All traffics.
    pub const ALL: [Self; 4] = [
        Self::Uniform,
        Self::OverRanges,
        Self::Zipf,
        Self::SingleFlow,
    ];

    /// The name, as it stands in the names of benches.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::OverRanges => "over ranges",
            Self::Zipf => "zipf",
            Self::SingleFlow => "single flow",
        }
    }

    /// Draws addresses; `ranges` are the table's, and `real` the prefixes of the real Internet. Where there are none
    /// of those that a traffic is drawn from, it is uniform.
    #[must_use]
    pub fn addresses<A: Family>(
        self,
        ranges: &[Classified<A>],
        real: &[Prefix<A>],
        count: u32,
    ) -> Vec<A> {
        let mut rng = Rng::with_seed(SEED);
        let over_ranges = |rng: &mut Rng| {
            let range = rng.choice(ranges).map(|classified| classified.range);
            address_in(rng, range.unwrap_or_else(A::space))
        };
        match self {
            Self::Uniform => (0..count)
                .map(|_| address_in(&mut rng, A::space()))
                .collect(),
            Self::OverRanges => (0..count).map(|_| over_ranges(&mut rng)).collect(),
            Self::Zipf => {
                let ranked = Ranked::new(&mut rng, real);
                (0..count)
                    .map(|_| {
                        let range = ranked.draw(&mut rng).map(Prefix::range);
                        address_in(&mut rng, range.unwrap_or_else(A::space))
                    })
                    .collect()
            }
            Self::SingleFlow => vec![over_ranges(&mut rng); count as usize],
        }
    }
}

/// Draws an address of a range.
pub(crate) fn address_in<A: Family>(rng: &mut Rng, range: Range<A>) -> A {
    let number = rng.u128(range.first().number()..=range.last().number());
    // A number between two addresses is one.
    A::from_number(number).unwrap_or(range.first())
}

/// Prefixes by rank.
struct Ranked<A> {
    prefixes: Vec<Prefix<A>>,
    /// For each rank, how often a prefix of it or of a lower one is drawn. The last is how often one is drawn at
    /// all.
    shares: Vec<f64>,
}

impl<A: Family> Ranked<A> {
    /// Draws which prefix has which rank.
    fn new(rng: &mut Rng, prefixes: &[Prefix<A>]) -> Self {
        let mut prefixes = prefixes.to_vec();
        rng.shuffle(&mut prefixes);
        let mut sum = 0.0;
        let shares = (1..=prefixes.len())
            .map(|rank| {
                sum += rank_share(rank);
                sum
            })
            .collect();
        Self { prefixes, shares }
    }

    /// Draws a prefix; `None` where there are none.
    fn draw(&self, rng: &mut Rng) -> Option<Prefix<A>> {
        let place = rng.f64() * self.shares.last()?;
        let rank = self.shares.partition_point(|&share| share <= place);
        self.prefixes
            .get(rank)
            .or_else(|| self.prefixes.last())
            .copied()
    }
}

/// How often the prefix of a rank is met, compared with that of the first.
#[expect(clippy::cast_precision_loss, reason = "no table has 2^52 prefixes")]
fn rank_share(rank: usize) -> f64 {
    (rank as f64).powf(-EXPONENT)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use geodrop::{
        Class,
        range::{Labelled, find},
    };

    use super::*;
    use crate::basis::Basis;
    use crate::tables::{Countries, Table, real_prefixes};

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
        let addresses = Traffic::OverRanges.addresses(&ranges, &[], 30_000);
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
        let drawn = Traffic::OverRanges.addresses(&ranges(&[(100, 103)]), &[], 40_000);
        for address in 100..104 {
            let count = drawn.iter().filter(|drawn| drawn.to_bits() == address);
            assert!(count.count().abs_diff(10_000) < 520, "{address}");
        }
    }

    #[test]
    fn uniform_traffic_fills_the_space() {
        let half = |bits: u128, last: u128| bits > last / 2;
        let ipv4: Vec<Ipv4Addr> = Traffic::Uniform.addresses(&[], &[], 10_000);
        let upper = ipv4
            .iter()
            .filter(|address| half(address.to_bits().into(), u32::MAX.into()));
        assert!(upper.count().abs_diff(5_000) < 300);

        let space = Ipv6Addr::space();
        let ipv6: Vec<Ipv6Addr> = Traffic::Uniform.addresses(&[], &[], 10_000);
        assert!(ipv6.iter().all(|&address| space.contains(address)));
        let upper = ipv6
            .iter()
            .filter(|address| address.segments()[0] >= 0x3000);
        assert!(upper.count().abs_diff(5_000) < 300);
    }

    #[test]
    fn the_same_addresses_are_drawn_every_time() {
        let ranges = ranges(&[(0, 9), (1 << 20, 1 << 30)]);
        let real = [8, 9, 10].map(|length| Prefix::around(Ipv4Addr::LOCALHOST, length).unwrap());
        for traffic in Traffic::ALL {
            assert_eq!(
                traffic.addresses(&ranges, &real, 100),
                traffic.addresses(&ranges, &real, 100)
            );
        }
    }

    #[test]
    fn the_first_rank_is_met_twice_as_often_as_the_second() {
        let networks = (0..100).map(|network| Ipv4Addr::new(network, 0, 0, 0));
        let real: Vec<_> = networks
            .map(|network| Prefix::around(network, 8).unwrap())
            .collect();
        let mut met = vec![0_usize; 100];
        for address in Traffic::Zipf.addresses(&[], &real, 100_000) {
            met[usize::from(address.octets()[0])] += 1;
        }
        // Shuffled: what is met most does not come first.
        assert!(!met.is_sorted_by(|one, next| one >= next));
        met.sort_unstable_by(|one, other| other.cmp(one));
        // The sum of the first 100 harmonic numbers' parts is 5.187.
        for rank in 1..=4 {
            let expected = 100_000_000 / 5187 / rank;
            assert!(met[rank - 1].abs_diff(expected) < 700, "{rank}: {met:?}");
        }
    }

    #[test]
    fn a_single_flow_is_from_one_address_of_the_table() {
        let ranges = ranges(&[(100, 200)]);
        let addresses = Traffic::SingleFlow.addresses(&ranges, &[], 10);
        assert!(ranges[0].range.contains(addresses[0]));
        assert_eq!(addresses, [addresses[0]; 10]);
    }

    #[test]
    fn enough_addresses_differ_and_all_are_where_they_should_be() {
        fn check<A: Family>(basis: &Basis, table: Table) {
            let real = real_prefixes::<A>(basis.regions());
            let ranges = table.ranges(basis, &real);
            for traffic in [Traffic::Uniform, Traffic::OverRanges, Traffic::Zipf] {
                let mut addresses = traffic.addresses(&ranges, &real, COUNT);
                addresses.sort_unstable();
                addresses.dedup();
                let case = format!("{} {} {}", A::NAME, table.name(), traffic.name());
                assert!(addresses.len() > 1 << 18, "{case}: {}", addresses.len());
                if traffic == Traffic::OverRanges {
                    let inside = |&address| find(&ranges, address).is_some();
                    assert!(addresses.iter().all(inside), "{case}");
                }
            }
        }
        assert!(COUNT.is_power_of_two());
        let basis = Basis::builtin().unwrap();
        for countries in Countries::ALL {
            check::<Ipv4Addr>(&basis, Table::Countries(countries));
            check::<Ipv6Addr>(&basis, Table::Countries(countries));
        }
    }
}
