//! A policy applied to the world: which class an address is of.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use geodrop_common::{Action, Class, Entry, Slot, class::CAPACITY};

use super::{CountryRule, Policy, special_purpose};
use crate::{
    geoip::{Country, Located, Regions},
    range::{Address, Labelled, Range, find, flatten, join_adjacent, overlay},
};

/// A range of addresses and their class.
pub type Classified<A> = Labelled<A, Class>;

/// A policy applied to the world: disjoint ranges of a class, and what each class means.
///
/// Addresses in no range are of [`Class::DEFAULT`]. No two neighbours are of one class, and no range means
/// what the default means, so that there are as few ranges as can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruleset {
    classes: Vec<Entry>,
    ipv4: Vec<Classified<Ipv4Addr>>,
    ipv6: Vec<Classified<Ipv6Addr>>,
}

impl Ruleset {
    /// Applies a policy to the world that `regions` knows.
    #[must_use]
    pub fn new(policy: &Policy, regions: &Regions) -> Self {
        let mut classes = Classes::default();
        classes.class(policy.countries.entry(None));
        let ipv4 = classified(policy, regions.ipv4(), &mut classes);
        let ipv6 = classified(policy, regions.ipv6(), &mut classes);
        Self {
            classes: classes.entries,
            ipv4,
            ipv6,
        }
    }

    /// What each class means, by its number; the first is [`Class::DEFAULT`].
    #[must_use]
    pub fn classes(&self) -> &[Entry] {
        &self.classes
    }

    /// What a class means.
    #[must_use]
    pub fn entry(&self, class: Class) -> Entry {
        self.classes
            .get(class.index())
            .copied()
            .unwrap_or(Entry::PASS)
    }

    /// The class of an address; in O(log n).
    #[must_use]
    pub fn class(&self, address: IpAddr) -> Class {
        let found = match address {
            IpAddr::V4(address) => find(&self.ipv4, address).map(|classified| classified.label),
            IpAddr::V6(address) => find(&self.ipv6, address).map(|classified| classified.label),
        };
        found.unwrap_or(Class::DEFAULT)
    }

    /// The IPv4 ranges, sorted and disjoint.
    #[must_use]
    pub fn ipv4(&self) -> &[Classified<Ipv4Addr>] {
        &self.ipv4
    }

    /// The IPv6 ranges, sorted and disjoint.
    #[must_use]
    pub fn ipv6(&self) -> &[Classified<Ipv6Addr>] {
        &self.ipv6
    }
}

impl CountryRule {
    /// What it means for packets to come from a country, or from an address that no data knows.
    fn entry(&self, country: Option<Country>) -> Entry {
        let drops = match (self, country) {
            (Self::Block(blocked), Some(country)) => blocked.contains(&country),
            (Self::Block(_), None) => false,
            (Self::Only(admitted), Some(country)) => !admitted.contains(&country),
            (Self::Only(_), None) => true,
        };
        if drops {
            let slot = country.and_then(|country| Slot::of_country(country.code()));
            Entry::new(Action::Drop, slot.unwrap_or(Slot::UNKNOWN))
        } else {
            Entry::PASS
        }
    }
}

/// The list that a prefix stands on. Where both lists have a prefix, the lesser wins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum ListedIn {
    Allow,
    Deny,
}

/// The rules laid one over another, the strongest on top.
fn classified<A: Address>(
    policy: &Policy,
    regions: &[Located<A>],
    classes: &mut Classes,
) -> Vec<Classified<A>> {
    let default = policy.countries.entry(None);

    let countries = regions
        .iter()
        .map(|located| Labelled::new(located.range, policy.countries.entry(Some(located.label))));
    let countries: Vec<_> = countries.filter(|ruled| ruled.label != default).collect();

    let special = special_purpose::ranges().into_iter();
    let special: Vec<_> = special
        .map(|range| Labelled::new(range, Entry::PASS))
        .collect();

    let listed = |prefixes: &[_], list| -> Vec<_> {
        let ranges = prefixes
            .iter()
            .filter_map(|prefix| Range::of_prefix(*prefix));
        ranges.map(|range| Labelled::new(range, list)).collect()
    };
    let prefixes = [
        listed(&policy.allow, ListedIn::Allow),
        listed(&policy.deny, ListedIn::Deny),
    ];
    let prefixes = flatten(prefixes.concat()).into_iter();
    let prefixes: Vec<_> = prefixes
        .map(|piece| match piece.label {
            ListedIn::Allow => Labelled::new(piece.range, Entry::PASS),
            ListedIn::Deny => Labelled::new(piece.range, Entry::new(Action::Drop, Slot::DENIED)),
        })
        .collect();

    let mut ruled = overlay(&overlay(&countries, &special), &prefixes);
    ruled.retain(|ruled| ruled.label != default);
    join_adjacent(&mut ruled);
    ruled
        .into_iter()
        .map(|ruled| Labelled::new(ruled.range, classes.class(ruled.label)))
        .collect()
}

/// The classes so far, each for one meaning.
#[derive(Default)]
struct Classes {
    entries: Vec<Entry>,
    numbers: HashMap<Entry, Class>,
}

impl Classes {
    /// The class with this meaning.
    fn class(&mut self, entry: Entry) -> Class {
        // One class a country, and those of what passed, was denied and is unknown: the number always fits.
        const { assert!(Country::COUNT + 3 <= CAPACITY && CAPACITY <= u16::MAX as usize) };
        *self.numbers.entry(entry).or_insert_with(|| {
            let number = u16::try_from(self.entries.len()).unwrap_or_default();
            self.entries.push(entry);
            Class::masked(number)
        })
    }
}
