//! What is looked up in.

use geodrop::{
    geoip::Regions,
    policy::{CountryRule, Policy, Ruleset},
};

/// A table of the built-in data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// CN, HK and MO are blocked: each is a class, and what is in none of them is in no range.
    China,
    /// Every country is a class of its own: some 250, and nearly every address is in a range.
    World,
}

impl Table {
    /// All tables.
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use geodrop::geoip;

    use super::*;

    #[test]
    fn each_country_is_a_class() {
        let regions = geoip::builtin().unwrap().regions;
        let classes = |table: Table| -> BTreeSet<_> {
            let ruleset = table.ruleset(&regions);
            let ipv4 = ruleset.ipv4().iter().map(|range| range.label.number());
            let ipv6 = ruleset.ipv6().iter().map(|range| range.label.number());
            ipv4.chain(ipv6).collect()
        };
        assert_eq!(classes(Table::China).len(), 3);
        // And special-purpose addresses, which pass.
        assert_eq!(classes(Table::World).len(), regions.countries().len() + 1);
    }
}
