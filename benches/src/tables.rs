//! What is looked up in.
//!
//! Two tables are made of the built-in data, and are what people load. Three are [`synthetic`], of 10,000,
//! 100,000 and a million prefixes: round numbers, to stand beside published ones.
//!
//! [`synthetic`]: crate::synthetic

use geodrop::{geoip::Regions, policy::Classified, range::Prefix};

use clap::ValueEnum;

use crate::{basis::Basis, family::Family, synthetic};

/// A table of GeoIP data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Countries {
    /// CN, HK and MO are blocked: each is a class, and what is in none of them is in no range.
    China,
    /// Every country is a class of its own: some 250, and nearly every address is in a range.
    World,
    /// What the policy that is measured in their place says.
    Own,
}

impl Countries {
    /// The tables that are measured where no policy is given.
    pub const ALL: [Self; 2] = [Self::China, Self::World];

    /// The name, as it stands in the names of benches.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::China => "CN-HK-MO",
            Self::World => "world",
            Self::Own => "own",
        }
    }
}

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Of GeoIP data.
    Countries(Countries),
    /// Of ten thousand synthetic prefixes.
    TenThousand,
    /// Of a hundred thousand synthetic prefixes.
    HundredThousand,
    /// Of a million synthetic prefixes.
    Million,
}

impl Table {
    /// All tables.
    pub const ALL: [Self; 5] = [
        Self::Countries(Countries::China),
        Self::Countries(Countries::World),
        Self::TenThousand,
        Self::HundredThousand,
        Self::Million,
    ];

    /// The name, as it stands in the names of benches.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Countries(countries) => countries.name(),
            Self::TenThousand => "10k",
            Self::HundredThousand => "100k",
            Self::Million => "1M",
        }
    }

    /// The table's ranges of one family: sorted, disjoint, and no two neighbours of one class. `real` are the
    /// prefixes of [`real_prefixes`].
    #[must_use]
    pub fn ranges<A: Family>(self, basis: &Basis, real: &[Prefix<A>]) -> Vec<Classified<A>> {
        let prefixes = match self {
            Self::Countries(countries) => return A::ranges(&basis.ruleset(countries)).to_vec(),
            Self::TenThousand => 10_000,
            Self::HundredThousand => 100_000,
            Self::Million => 1_000_000,
        };
        synthetic::ranges(prefixes, real)
    }
}

/// The prefixes of one family that GeoIP data is made of: the fewest that hold each of its ranges.
#[must_use]
pub fn real_prefixes<A: Family>(regions: &Regions) -> Vec<Prefix<A>> {
    A::located(regions)
        .iter()
        .flat_map(|located| located.range.prefixes())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        net::{Ipv4Addr, Ipv6Addr},
    };

    use super::*;

    #[test]
    fn each_country_is_a_class() {
        let basis = Basis::builtin().unwrap();
        let classes = |table: Countries| -> BTreeSet<_> {
            let ruleset = basis.ruleset(table);
            let ipv4 = ruleset.ipv4().iter().map(|range| range.label.number());
            let ipv6 = ruleset.ipv6().iter().map(|range| range.label.number());
            ipv4.chain(ipv6).collect()
        };
        // And what carries an IPv4 address, at one of two places.
        assert_eq!(classes(Countries::China).len(), 3 + 2);
        // And special-purpose addresses, which pass.
        assert_eq!(
            classes(Countries::World).len(),
            basis.regions().countries().len() + 2 + 1
        );
    }

    #[test]
    fn real_prefixes_are_those_of_the_data() {
        fn check<A: Family>(regions: &Regions) {
            let prefixes = real_prefixes::<A>(regions);
            let located = A::located(regions);
            assert!(prefixes.len() > located.len());
            assert_eq!(prefixes[0].network(), located[0].range.first());
            assert!(prefixes.is_sorted());
        }
        let basis = Basis::builtin().unwrap();
        check::<Ipv4Addr>(basis.regions());
        check::<Ipv6Addr>(basis.regions());
    }
}
