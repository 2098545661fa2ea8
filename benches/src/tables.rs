//! What is looked up in.
//!
//! Two tables are made of the built-in data, and are what people load. Three are [`synthetic`], of 10,000,
//! 100,000 and a million prefixes: round numbers, to stand beside published ones.
//!
//! [`synthetic`]: crate::synthetic

use geodrop::{
    geoip::Regions,
    policy::{Classified, CountryRule, Policy, Ruleset},
    range::Prefix,
};

use crate::{family::Family, synthetic};

/// A table of the built-in data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Countries {
    /// CN, HK and MO are blocked: each is a class, and what is in none of them is in no range.
    China,
    /// Every country is a class of its own: some 250, and nearly every address is in a range.
    World,
}

impl Countries {
    /// All tables of the built-in data.
    pub const ALL: [Self; 2] = [Self::China, Self::World];

    /// The name, as it stands in the names of benches.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::China => "CN-HK-MO",
            Self::World => "world",
        }
    }

    /// The policy that makes the table. That of the world admits no country: each is dropped, and each is
    /// counted apart from all others.
    #[must_use]
    pub fn policy(self) -> Policy {
        match self {
            Self::China => Policy::default(),
            Self::World => Policy {
                countries: CountryRule::Only([].into()),
                ..Policy::default()
            },
        }
    }

    /// The table's ranges and classes.
    #[must_use]
    pub fn ruleset(self, regions: &Regions) -> Ruleset {
        Ruleset::new(&self.policy(), regions)
    }
}

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Of the built-in data.
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
    pub fn ranges<A: Family>(self, regions: &Regions, real: &[Prefix<A>]) -> Vec<Classified<A>> {
        let prefixes = match self {
            Self::Countries(countries) => return A::ranges(&countries.ruleset(regions)).to_vec(),
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

    use geodrop::geoip;

    use super::*;

    #[test]
    fn each_country_is_a_class() {
        let regions = geoip::builtin().unwrap().regions;
        let classes = |table: Countries| -> BTreeSet<_> {
            let ruleset = table.ruleset(&regions);
            let ipv4 = ruleset.ipv4().iter().map(|range| range.label.number());
            let ipv6 = ruleset.ipv6().iter().map(|range| range.label.number());
            ipv4.chain(ipv6).collect()
        };
        // And what carries an IPv4 address, at one of two places.
        assert_eq!(classes(Countries::China).len(), 3 + 2);
        // And special-purpose addresses, which pass.
        assert_eq!(
            classes(Countries::World).len(),
            regions.countries().len() + 2 + 1
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
        let regions = geoip::builtin().unwrap().regions;
        check::<Ipv4Addr>(&regions);
        check::<Ipv6Addr>(&regions);
    }
}
